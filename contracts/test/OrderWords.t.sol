// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {OrderWords} from "../src/OrderWords.sol";
import {LibraryHarness} from "../src/test/LibraryHarness.sol";
import {Books} from "./Books.sol";
import {Checked, Dice} from "./Cheats.sol";

/// @title Packing of order entries: what is packed comes out again, and whatever breaks a rule is refused
contract OrderWordsTest is Checked {
    using Dice for Dice.State;

    LibraryHarness private harness;

    function setUp() external {
        harness = LibraryHarness(vm.deployCode("LibraryHarness.sol:LibraryHarness"));
    }

    function test_a_batch_says_who_is_on_which_side_and_what_it_locks(uint256 seed) external view {
        Dice.State memory dice = Dice.State(seed);
        OrderWords.Rules memory rules = _rules(dice);
        Books.Order[] memory orders = _orders(dice, rules);
        uint256[] memory entries = harness.orders(Books.encode(orders, rules.intervals), rules);
        same(entries.length, orders.length, "entries");
        for (uint256 i; i < orders.length; ++i) {
            same(entries[i] & type(uint32).max, orders[i].account, "account");
            same((entries[i] >> 32) & type(uint32).max, orders[i].side, "side");
            same(entries[i] >> 64, Books.lockOf(orders[i], rules.priceCap, rules.collateralPpm), "lock");
        }
    }

    function test_a_changed_batch_is_taken_only_where_it_keeps_every_rule(uint256 seed) external view {
        Dice.State memory dice = Dice.State(seed);
        OrderWords.Rules memory rules = _rules(dice);
        uint256[] memory words = Books.encode(_orders(dice, rules), rules.intervals);
        for (uint256 changes = dice.roll(1, 3); changes != 0; --changes) {
            words[dice.roll(0, words.length - 1)] ^= 1 << dice.roll(0, 255);
        }
        bool taken;
        try harness.orders(words, rules) {
            taken = true;
        } catch (bytes memory why) {
            // a custom error, never a panic and never nothing
            vm.assertTrue(why.length >= 4 && bytes4(why) != bytes4(0x4e487b71), "a refusal has a name");
        }
        vm.assertTrue(taken == valid(words, rules), "taken if and only if it is valid");
    }

    function test_random_words_are_taken_only_where_they_keep_every_rule(uint256[6] calldata noise, uint256 mask) external view {
        OrderWords.Rules memory rules = OrderWords.Rules(within(mask, 1, 9), 500_000, 10, 600_000);
        uint256[] memory words = new uint256[](6);
        for (uint256 i; i < 6; ++i) words[i] = noise[i] & (mask >> 8);
        bool taken;
        try harness.orders(words, rules) {
            taken = true;
        } catch {}
        vm.assertTrue(taken == valid(words, rules), "taken if and only if it is valid");
    }

    /// @dev Section 6 of docs/protocol.md, field by field.
    function valid(uint256[] memory words, OrderWords.Rules memory rules) internal pure returns (bool) {
        if (words.length == 0) return false;
        uint256 size = Books.bodyWords(rules.intervals);
        uint256 cursor;
        while (cursor < words.length) {
            uint256 header = words[cursor++];
            if ((header << 1) >> 35 != 0 || header & type(uint32).max == 0) return false;
            uint256 steps = ((header >> 32) & 3) + 1;
            if (cursor + steps * size > words.length) return false;
            uint256 total;
            for (uint256 s; s < steps; ++s) {
                for (uint256 lane; lane < 4 * size; ++lane) {
                    uint256 entry = words[cursor + lane / 4] >> (56 * (lane % 4));
                    if (lane % 4 == 3 && entry >> 56 != 0) return false;
                    (uint256 quantity, uint256 limit) = (entry & 0xffffff, (entry >> 24) & 0xffffffff);
                    if (lane >= rules.intervals && (quantity != 0 || limit != 0)) return false;
                    if (quantity == 0 && limit != 0) return false;
                    if (quantity != 0 && quantity < rules.minQuantity) return false;
                    if (limit > rules.priceCap) return false;
                    total += quantity;
                }
                cursor += size;
            }
            if (total == 0 && steps != 1) return false;
        }
        return true;
    }

    function _rules(Dice.State memory dice) private pure returns (OrderWords.Rules memory) {
        uint256 cap = dice.once(3) ? type(uint32).max : dice.roll(0, 1_000_000);
        return OrderWords.Rules(dice.roll(1, 96), cap, dice.once(2) ? 0 : dice.roll(0, 2000), dice.roll(0, type(uint32).max));
    }

    function _orders(Dice.State memory dice, OrderWords.Rules memory rules) private pure returns (Books.Order[] memory orders) {
        orders = new Books.Order[](dice.roll(1, 4));
        for (uint256 i; i < orders.length; ++i) {
            Books.Order memory order = orders[i];
            (order.account, order.side, order.steps) = (dice.roll(1, type(uint32).max), dice.roll(0, 1), dice.roll(1, 4));
            uint256 cells = order.steps * rules.intervals;
            (order.quantities, order.limits) = (new uint256[](cells), new uint256[](cells));
            for (uint256 k; k < cells; ++k) {
                if (k != 0 && dice.once(3)) continue;
                order.quantities[k] = dice.once(9) ? 0xffffff : dice.roll(rules.minQuantity == 0 ? 1 : rules.minQuantity, 0xffffff);
                order.limits[k] = dice.roll(0, rules.priceCap);
            }
        }
    }
}
