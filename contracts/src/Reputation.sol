// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

/// @title Reputation: how faithfully an account has delivered, not in money
/// @notice docs/protocol.md section 4. 0: never rated; otherwise 1 + ten-thousandths. The latest rating counts a quarter, so that four or
/// five sessions tell more than anything before them, in either direction.
library Reputation {
    uint256 internal constant BEST = 10_001;

    error RatingOutOfRange(uint256 rating, uint256 best);

    /// @param before 0 or 1..10001
    /// @param rating 1..10001
    function rated(uint256 before, uint256 rating) internal pure returns (uint256) {
        if (rating > BEST) revert RatingOutOfRange(rating, BEST);
        return before == 0 ? rating : (3 * before + rating + 2) / 4;
    }
}
