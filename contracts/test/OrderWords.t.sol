// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {OrderWords} from "../src/OrderWords.sol";
import {OrderHarness} from "../src/test/OrderHarness.sol";
import {Checked, Dice} from "./Cheats.sol";

/// @title Packing of order entries: what is packed comes out again, and whatever breaks a rule is refused
contract OrderWordsTest is Checked {
    using Dice for Dice.State;

    struct Order {
        uint256 header; // without lock and steps
        uint256 side;
        uint256 steps;
        uint256 lock;
        uint256[] quantities; // step after step
        uint256[] limits;
    }

    OrderHarness private harness;

    function setUp() external {
        harness = OrderHarness(vm.deployCode("artifacts/test/OrderHarness.json"));
    }

    function test_a_batch_says_who_acts_on_which_side_and_what_it_locks(uint256 seed) external view {
        Dice.State memory dice = Dice.State(seed);
        OrderWords.Rules memory rules = _rules(dice);
        Order[] memory orders = _orders(dice, rules);
        uint256[] memory words = _encode(orders, rules.intervals);
        uint256[] memory entries = harness.orders(words, rules);
        uint256[] memory moves = harness.releases(words, rules.intervals, 7);
        same(entries.length, orders.length, "entries");
        same(moves.length, orders.length, "moves");
        uint256 cursor;
        for (uint256 i; i < orders.length; ++i) {
            uint256 header = orders[i].header;
            same(entries[i] & type(uint64).max, header & type(uint64).max, "account and agent");
            same((entries[i] >> 64) & type(uint64).max, orders[i].lock, "lock");
            same((entries[i] >> 128) & 3, orders[i].side | (_cancels(orders[i]) ? 2 : 0), "side and cancels");
            same(entries[i] >> 130, (header >> 130) & 1, "agent pays, and nothing else");
            uint256 payer = (header >> 130) & 1 == 0 ? header & type(uint32).max : (header >> 32) & type(uint32).max;
            same(moves[i], payer | (orders[i].lock << 32) | ((orders[i].lock + 7) << 96), "what comes back");
            uint256 most;
            for (uint256 j; j < rules.intervals; ++j) {
                uint256 sum;
                for (uint256 k; k < orders[i].steps; ++k) sum += orders[i].quantities[k * rules.intervals + j];
                if (sum > most) most = sum;
            }
            same(harness.peak(words, cursor, rules.intervals), most, "largest quantity");
            cursor += 1 + orders[i].steps * ((rules.intervals + 3) / 4);
        }
    }

    function test_a_changed_batch_is_taken_only_where_it_keeps_every_rule(uint256 seed) external view {
        Dice.State memory dice = Dice.State(seed);
        OrderWords.Rules memory rules = _rules(dice);
        uint256[] memory words = _encode(_orders(dice, rules), rules.intervals);
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
        OrderWords.Rules memory rules = OrderWords.Rules(within(mask, 1, 9), 500_000, 10, 600_000, mask & 1024 != 0);
        uint256[] memory words = new uint256[](6);
        for (uint256 i; i < 6; ++i) words[i] = noise[i] & (mask >> 8);
        bool taken;
        try harness.orders(words, rules) {
            taken = true;
        } catch {}
        vm.assertTrue(taken == valid(words, rules), "taken if and only if it is valid");
    }

    function test_one_changed_bit_of_a_right_entry_is_noticed(uint256 seed) external view {
        Dice.State memory dice = Dice.State(seed);
        OrderWords.Rules memory rules = _rules(dice);
        (rules.priceCap, rules.minQuantity) = (500_000, 10);
        Order[] memory orders = _orders(dice, rules);
        uint256[] memory words = _encode(orders, rules.intervals);
        // the lock binds quantities and, on the bidding side, limits
        uint256 lock = orders[0].lock;
        words[0] ^= 1 << dice.roll(64, 127);
        try harness.orders(words, rules) {
            vm.assertTrue(false, "another lock");
        } catch (bytes memory why) {
            vm.assertTrue(bytes4(why) == OrderWords.LockMismatch.selector, "another lock is told");
        }
        words[0] = (words[0] & ~(uint256(type(uint64).max) << 64)) | (lock << 64);
        harness.orders(words, rules);
    }

    function test_a_batch_ends_at_4096_words(uint256 length) external {
        uint256[] memory words = new uint256[](within(length, 4097, 5000));
        vm.expectRevert(abi.encodeWithSelector(OrderWords.BatchTooLong.selector, words.length, 4096));
        harness.orders(words, OrderWords.Rules(4, 1, 1, 1, false));
    }

    /// @dev Section 6 of docs/protocol.md, field by field.
    function valid(uint256[] memory words, OrderWords.Rules memory rules) internal pure returns (bool) {
        if (words.length == 0) return false;
        uint256 size = (rules.intervals + 3) / 4;
        uint256 cursor;
        while (cursor < words.length) {
            uint256 header = words[cursor++];
            if (!_validHeader(header, rules.blocks)) return false;
            uint256 steps = ((header >> 128) & 3) + 1;
            if (cursor + steps * size > words.length) return false;
            uint256 total;
            uint256 cost;
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
                    cost += (quantity * limit + 999) / 1000;
                }
                cursor += size;
            }
            if (total == 0 && (steps != 1 || (header << 72) >> 203 != 0)) return false;
            uint256 lock = header >> 255 == 0 ? cost : (rules.collateralPpm * total * rules.priceCap + 999_999_999) / 1_000_000_000;
            if (lock != (header >> 64) & type(uint64).max) return false;
        }
        return true;
    }

    function _validHeader(uint256 header, bool blocks) private pure returns (bool) {
        uint256 account = header & type(uint32).max;
        uint256 agent = (header >> 32) & type(uint32).max;
        uint256 minFill = (header >> 132) & 0xfffff;
        uint256 parent = (header >> 152) & type(uint32).max;
        uint256 parentSide = (header >> 184) & 1;
        bool reserve = (header >> 131) & 1 == 1;
        if (account == 0 || account == agent || (header << 1) >> 186 != 0) return false;
        if ((header >> 130) & 1 == 1 && agent == 0) return false;
        if (reserve && header >> 255 == 0) return false;
        if (!blocks) return minFill | parent | parentSide == 0;
        if (reserve || (header >> 128) & 3 != 0 || minFill > 1_000_000) return false;
        if (parent == 0) return parentSide == 0;
        return parent != account || parentSide != header >> 255;
    }

    function _rules(Dice.State memory dice) private pure returns (OrderWords.Rules memory rules) {
        rules.intervals = dice.roll(1, 96);
        rules.priceCap = dice.once(3) ? type(uint32).max : dice.roll(0, 1_000_000);
        rules.minQuantity = dice.once(2) ? 0 : dice.roll(0, 2000);
        rules.collateralPpm = dice.roll(0, 2_000_000); // no lock leaves 64 bits
        rules.blocks = dice.once(3);
    }

    function _orders(Dice.State memory dice, OrderWords.Rules memory rules) private pure returns (Order[] memory orders) {
        orders = new Order[](dice.roll(1, 4));
        for (uint256 i; i < orders.length; ++i) {
            Order memory order = orders[i];
            (order.side, order.steps) = (dice.roll(0, 1), rules.blocks ? 1 : dice.roll(1, 4));
            uint256 cells = order.steps * rules.intervals;
            (order.quantities, order.limits) = (new uint256[](cells), new uint256[](cells));
            if (!dice.once(5)) _fill(dice, order, rules);
            else if (order.steps != 1) _fill(dice, order, rules);
            order.header = _header(dice, order, rules);
        }
    }

    function _fill(Dice.State memory dice, Order memory order, OrderWords.Rules memory rules) private pure {
        uint256 total;
        for (uint256 k; k < order.quantities.length; ++k) {
            if (k != 0 && dice.once(3)) continue;
            uint256 quantity = dice.once(9) ? 0xffffff : dice.roll(rules.minQuantity == 0 ? 1 : rules.minQuantity, 0xffffff);
            (order.quantities[k], order.limits[k]) = (quantity, dice.roll(0, rules.priceCap));
            total += quantity;
            if (order.side == 0) order.lock += (quantity * order.limits[k] + 999) / 1000;
        }
        if (order.side == 1) order.lock = (rules.collateralPpm * total * rules.priceCap + 999_999_999) / 1_000_000_000;
    }

    function _header(Dice.State memory dice, Order memory order, OrderWords.Rules memory rules) private pure returns (uint256 header) {
        header = dice.roll(1, type(uint32).max) | (order.side << 255);
        if (dice.once(2)) {
            header |= ((header & type(uint32).max) ^ dice.roll(1, type(uint32).max)) << 32;
            if ((header >> 32) & type(uint32).max != 0 && dice.once(2)) header |= 1 << 130;
        }
        if (_cancels(order)) return header;
        if (!rules.blocks) return order.side == 1 && dice.once(3) ? header | (1 << 131) : header;
        header |= dice.roll(0, 1_000_000) << 132;
        if (dice.once(2)) header |= (((header & type(uint32).max) ^ dice.roll(1, type(uint32).max)) << 152);
        if ((header >> 152) & type(uint32).max != 0 && dice.once(2)) header |= 1 << 184;
    }

    function _cancels(Order memory order) private pure returns (bool) {
        for (uint256 k; k < order.quantities.length; ++k) if (order.quantities[k] != 0) return false;
        return true;
    }

    function _encode(Order[] memory orders, uint256 intervals) private pure returns (uint256[] memory words) {
        uint256 size = (intervals + 3) / 4;
        uint256 length;
        for (uint256 i; i < orders.length; ++i) length += 1 + orders[i].steps * size;
        words = new uint256[](length);
        uint256 cursor;
        for (uint256 i; i < orders.length; ++i) {
            Order memory order = orders[i];
            words[cursor] = order.header | (order.lock << 64) | ((order.steps - 1) << 128);
            for (uint256 k; k < order.quantities.length; ++k) {
                uint256 j = k % intervals;
                uint256 cell = order.quantities[k] | (order.limits[k] << 24);
                words[cursor + 1 + (k / intervals) * size + j / 4] |= cell << (56 * (j % 4));
            }
            cursor += 1 + order.steps * size;
        }
    }
}
