// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

/// @title BaselineDays: which of the 14 days before a delivery may make up its baseline (rule R14)
/// @notice docs/protocol.md section 9. Bit k of every 14-bit word is day `day - 14 + k`.
library BaselineDays {
    uint256 internal constant DAYS = 14;
    uint256 internal constant ALL = (1 << DAYS) - 1;
    uint256 internal constant NEEDED = 3;
    uint256 internal constant MISSING_ALLOWED = 2;

    error CountRefused(uint256 account, uint256 count, uint256 admissible);

    /// @param working bit k for k < 14 as above, bit 14 the day itself: it is a working day
    /// @param events event days of the account
    /// @param day the day of delivery
    /// @param fromDay first day of the meter key
    function admissible(uint256 working, uint256 events, uint256 day, uint256 fromDay) internal pure returns (uint256 mask) {
        unchecked {
            uint256 alike = (working >> DAYS) & 1 == 1 ? working & ALL : ~working & ALL;
            if (fromDay + DAYS > day) alike &= ALL << (fromDay + DAYS - day);
            mask = alike & ~events;
            uint256 chosen = population(mask);
            for (uint256 k = DAYS; k-- > 0 && chosen < NEEDED;) {
                if (((alike & events) >> k) & 1 == 1) {
                    mask |= 1 << k;
                    ++chosen;
                }
            }
        }
    }

    /// @notice Reverts unless enough admissible days are complete.
    /// @param days_ number of days in `mask`
    function requireCount(uint256 account, uint256 count, uint256 mask, uint256 days_) internal pure {
        if (count < NEEDED || count > days_ || days_ - count > MISSING_ALLOWED) revert CountRefused(account, count, mask);
    }

    /// @dev Number of set bits among 14: pairs, then fours, then eights are summed in place.
    function population(uint256 bits) internal pure returns (uint256) {
        unchecked {
            bits = (bits & 0x5555) + ((bits >> 1) & 0x5555);
            bits = (bits & 0x3333) + ((bits >> 2) & 0x3333);
            bits = (bits & 0x0f0f) + ((bits >> 4) & 0x0f0f);
            return (bits & 0xff) + (bits >> 8);
        }
    }
}
