// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {OrderHarness} from "../src/test/OrderHarness.sol";
import {Checked, Dice} from "./Cheats.sol";

/// @title Four entries at once come to what one after the other does
contract OrderLanesTest is Checked {
    using Dice for Dice.State;

    uint256 private constant LANES = 1 | (1 << 56) | (1 << 112) | (1 << 168);

    OrderHarness private harness;

    function setUp() external {
        harness = OrderHarness(vm.deployCode("artifacts/test/OrderHarness.json"));
    }

    /// @dev Quantities and limits at the edges of what is allowed and of what the lanes know.
    function test_words_at_the_edges(uint256 seed) external view {
        Dice.State memory dice = Dice.State(seed);
        (uint256 cap, uint256 least) = _rules(dice);
        uint256[] memory words = _words(dice, cap, least);
        _compare(words, cap, least);
        words[dice.roll(0, words.length - 1)] ^= 1 << dice.roll(0, 255);
        _compare(words, cap, least);
    }

    function test_random_words(uint256[5] calldata noise, uint256 mask, uint256 seed) external view {
        Dice.State memory dice = Dice.State(seed);
        (uint256 cap, uint256 least) = _rules(dice);
        uint256[] memory words = new uint256[](5);
        for (uint256 i; i < 5; ++i) words[i] = noise[i] & mask;
        _compare(words, cap, least);
    }

    function test_the_longest_entry_of_the_largest_numbers() external view {
        uint256[] memory words = new uint256[](96);
        for (uint256 i; i < 96; ++i) words[i] = LANES * (0x7fffff | (0x7fffffff << 24));
        _compare(words, type(uint32).max, 1);
        (, uint256 faults,) = harness.lanes(words, type(uint32).max, 1, false);
        same(faults, 0, "the lanes know them");
    }

    /// @dev Rules field by field. What the lanes pass is right and sums up; what is right and within their reach, they pass.
    function _compare(uint256[] memory words, uint256 cap, uint256 least) private view {
        (bool valid, bool known) = (true, true);
        (uint256 joined, uint256 total, uint256 cost) = (0, 0, 0);
        for (uint256 i; i < words.length; ++i) {
            joined |= words[i];
            if (words[i] >> 224 != 0) valid = false;
            for (uint256 lane; lane < 4; ++lane) {
                uint256 quantity = (words[i] >> (56 * lane)) & 0xffffff;
                uint256 limit = (words[i] >> (56 * lane + 24)) & 0xffffffff;
                if (quantity == 0 ? limit != 0 : quantity < least) valid = false;
                if (limit > cap) valid = false;
                if (quantity >= 1 << 23 || limit >= 1 << 31) known = false;
                total += quantity;
                cost += (quantity * limit + 999) / 1000;
            }
        }
        for (uint256 side; side < 2; ++side) {
            (uint256 seen, uint256 faults, uint256 sum) = harness.lanes(words, cap, least, side == 1);
            same(seen, joined, "all words");
            vm.assertTrue(faults == 0 == (valid && known), "no faults if and only if right and known");
            if (faults == 0) same(sum, side == 1 ? total : cost, "sum");
        }
    }

    function _rules(Dice.State memory dice) private pure returns (uint256 cap, uint256 least) {
        cap = dice.once(3) ? _near(dice, 1 << 31, type(uint32).max) : dice.roll(0, 1_000_000);
        least = dice.once(3) ? _near(dice, 1 << 23, 0xffffff) : dice.roll(0, 2000);
    }

    function _words(Dice.State memory dice, uint256 cap, uint256 least) private pure returns (uint256[] memory words) {
        words = new uint256[](dice.roll(1, 8));
        bool strict = dice.once(2); // or no word of them would ever be right
        for (uint256 i; i < words.length; ++i) {
            for (uint256 lane; lane < 4; ++lane) {
                if (dice.once(4)) continue;
                uint256 quantity = dice.once(2) ? _near(dice, least, 0xffffff) : _near(dice, 1 << 23, 0xffffff);
                uint256 limit = dice.once(2) ? _near(dice, cap, type(uint32).max) : dice.roll(0, cap);
                if (strict && quantity < least) quantity = least;
                if (strict && limit > cap) limit = cap;
                words[i] |= (quantity | ((quantity == 0 ? 0 : limit) << 24)) << (56 * lane);
            }
        }
    }

    function _near(Dice.State memory dice, uint256 middle, uint256 most) private pure returns (uint256) {
        uint256 value = middle + dice.roll(0, 4);
        value = value < 2 ? 0 : value - 2;
        return value < most ? value : most;
    }
}
