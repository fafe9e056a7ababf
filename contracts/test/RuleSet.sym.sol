// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {LibraryHarness} from "../src/test/LibraryHarness.sol";

/// @title Arithmetic of settlement for every number there is: halmos proves these
contract RuleSetSymbolic {
    LibraryHarness private harness;

    function setUp() public {
        harness = new LibraryHarness();
    }

    /// @dev The promise is earned or unpaid, to the last micro-euro, under any pay curve of two points.
    function check_all_of_a_promise_is_earned_or_unpaid(uint24 fill, uint32 price, uint32 delivered, uint32 y0, uint32 x1, uint32 y1)
        public
        view
    {
        if (fill == 0 || x1 == 0 || y0 > 1_000_000 || y1 > 1_000_000) return;
        uint256[] memory rules = new uint256[](4);
        rules[0] = 1 | (2 << 8) | (1 << 16) | (600_000 << 64);
        (rules[1], rules[2]) = (uint256(y0) << 32, x1 | (uint256(y1) << 32));
        uint256[] memory found = _ask(rules, fill, price, delivered);
        unchecked {
            assert(found[0] + found[1] == uint256(fill) * price / 1000);
        }
    }

    /// @dev What is earned under a flat curve is no more than the promise. Wider prices are beyond the solver: RuleSet.t.sol draws them.
    function check_nobody_earns_more_than_the_promise(uint16 price, uint32 y) public view {
        if (y > 1_000_000) return;
        assert(_flat(price, y, 0)[0] <= uint256(price) / 1000);
    }

    /// @dev What is due under a flat curve is no more than the collateral.
    function check_nobody_owes_more_than_the_collateral(uint16 price, uint32 z) public view {
        if (z > 600_000 || price >= 4096) return;
        assert(_flat(price, 0, z)[2] <= (uint256(price) * 600_000 + 999_999_999) / 1_000_000_000);
    }

    function _flat(uint256 price, uint256 y, uint256 z) private view returns (uint256[] memory) {
        uint256[] memory rules = new uint256[](3);
        rules[0] = 1 | (1 << 8) | (1 << 16) | (600_000 << 64);
        (rules[1], rules[2]) = (y << 32, z << 32);
        return _ask(rules, 1, price, 0);
    }

    function _ask(uint256[] memory rules, uint256 fill, uint256 price, uint256 delivered) private view returns (uint256[] memory) {
        uint256[] memory fills = new uint256[](1);
        uint256[] memory prices = new uint256[](1);
        uint256[] memory wh = new uint256[](1);
        (fills[0], prices[0], wh[0]) = (fill, price, delivered);
        return harness.intervals(rules, fills, prices, wh);
    }
}
