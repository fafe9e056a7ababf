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
            uint256 missing = population(mask);
            for (uint256 k = DAYS; k-- > 0 && missing < NEEDED;) {
                if (((alike & events) >> k) & 1 == 1) {
                    mask |= 1 << k;
                    ++missing;
                }
            }
        }
    }

    /// @notice Reverts unless enough admissible days are complete.
    function requireCount(uint256 account, uint256 count, uint256 mask) internal pure {
        uint256 days_ = population(mask);
        if (count < NEEDED || count > days_ || days_ - count > MISSING_ALLOWED) revert CountRefused(account, count, mask);
    }

    function population(uint256 bits) internal pure returns (uint256 result) {
        unchecked {
            for (; bits != 0; bits &= bits - 1) ++result;
        }
    }
}
