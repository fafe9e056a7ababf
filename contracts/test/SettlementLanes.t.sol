// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {Mode, Terms} from "../src/Protocol.sol";
import {RuleSet} from "../src/RuleSet.sol";
import {SellerRow} from "../src/SellerRow.sol";
import {SettlementRows} from "../src/SettlementRows.sol";
import {SettlementTable} from "../src/SettlementTable.sol";
import {Checked, Dice} from "./Cheats.sol";

/// @title SettlementLanes: eight intervals at once come to what they come to one by one
contract SettlementLanesTest is Checked {
    using Dice for Dice.State;
    using SettlementTable for SettlementTable.Table;
    using SellerRow for SellerRow.Seller;

    /// @dev One row and its deliveries; all but fills, prices and deviations follows from the terms.
    struct Case {
        Terms terms;
        uint256[] fills;
        uint256[] prices;
        uint256[] deviations; // words of the day, and one of 0
        uint256 missing; // intervals of the day
        uint256[] lanes; // what they should be: deliveries plus base
        uint256 base;
        uint256 earned;
        uint256 unpaid;
    }

    function test_a_row_comes_to_the_sum_of_its_intervals(uint256 seed) external view {
        Case memory made = _case(Dice.State(seed));
        this.check(_row(made.fills), _certificate(made.prices), _rules(), made);
    }

    function check(uint256[] calldata row, uint256[] calldata certificate, uint256[] calldata rules, Case calldata made) external view {
        SettlementTable.Table memory table;
        table.open(made.terms);
        table.forSellers(certificate, uint256(Mode.Competitive));
        uint256 deviations;
        uint256[] memory day = made.deviations;
        uint256 place;
        assembly ("memory-safe") {
            deviations := add(day, 0x20)
            place := row.offset
        }
        table.align(deviations, made.missing);
        for (uint256 j; j < made.lanes.length; ++j) {
            if (made.fills[j] != 0) same(_lane(table.lanes, j), made.lanes[j], "delivered");
            same(table.priceOf(j), made.prices[j], "price");
        }
        SellerRow.Seller memory seller;
        (seller.place, seller.left) = (place, type(uint64).max);
        seller.earn(table, RuleSet.load(rules), SettlementRows.fills(place, table.words));
        same(seller.earned, made.earned, "earned");
        same(seller.unpaid, made.unpaid, "unpaid");
        uint256 left;
        for (uint256 j; j < made.lanes.length; ++j) {
            uint256 refundAt = table.refundAt(j);
            assembly ("memory-safe") {
                left := add(left, mload(refundAt))
            }
        }
        same(left, made.unpaid, "left to the buyers");
    }

    /// @dev All or nothing: who delivers less than its fill is paid nothing and forfeits nothing.
    function _rules() private pure returns (uint256[] memory words) {
        words = new uint256[](5);
        words[0] = 1 | (3 << 8) | (1 << 16);
        (words[2], words[3]) = (999_999, 1_000_000 | (1_000_000 << 32));
    }

    function _case(Dice.State memory dice) private pure returns (Case memory made) {
        uint256 day = [24, 48, 96][dice.roll(0, 2)];
        uint256 first = dice.roll(0, day - 1);
        uint256 mask = ((1 << dice.roll(1, day - first)) - 1) << first;
        if (dice.once(3)) mask &= dice.roll(0, type(uint96).max) | (1 << first);
        uint256 k;
        for (uint256 rest = mask; rest != 0; rest &= rest - 1) ++k;
        (made.terms.dayIntervals, made.terms.intervals, made.terms.mask) = (uint8(day), uint8(k), uint96(mask));
        made.terms.direction = uint8(dice.roll(0, 1));
        made.base = made.terms.direction == 0 ? 1 << 25 : (1 << 25) - 1;
        (made.fills, made.prices, made.lanes) = (new uint256[](k), new uint256[](k), new uint256[](k));
        made.deviations = new uint256[]((day + 8) / 9 + 1);
        bool huge = dice.once(4);
        uint256 j;
        for (uint256 t; t < day; ++t) {
            if ((mask >> t) & 1 == 0) continue;
            _interval(dice, made, j++, t, huge);
        }
    }

    function _interval(Dice.State memory dice, Case memory made, uint256 j, uint256 t, bool huge) private pure {
        uint256 fill = dice.once(4) ? 0 : dice.once(5) ? dice.roll(1, (1 << 26) - 1) : dice.roll(1, 3000);
        if (huge && dice.once(9)) fill = dice.roll(1 << 26, type(uint32).max);
        uint256 price = dice.once(5) ? dice.roll(0, type(uint32).max) : dice.roll(0, 500_000);
        (made.fills[j], made.prices[j]) = (fill, price);
        uint256 delivered;
        if (dice.once(7)) {
            made.missing |= 1 << t;
            made.lanes[j] = made.base;
        } else {
            // at the edge, around it, or anywhere
            uint256 slot = dice.roll(0, (1 << 26) - 1);
            if (fill < 1 << 24 && !dice.once(4)) {
                slot = (1 << 25) + fill + dice.roll(0, 2) - 1;
                if (made.terms.direction == 1) slot = (1 << 26) - slot;
            }
            made.deviations[t / 9] |= slot << (26 * (t % 9));
            int256 deviation = int256(slot) - (1 << 25);
            if (made.terms.direction == 1) deviation = -deviation;
            made.lanes[j] = uint256(int256(made.base) + deviation);
            if (deviation > 0) delivered = uint256(deviation);
        }
        uint256 worth = fill * price / 1000;
        if (delivered >= fill) made.earned += worth;
        else made.unpaid += worth;
    }

    function _row(uint256[] memory fills) private pure returns (uint256[] memory row) {
        row = new uint256[](1 + (fills.length + 7) / 8);
        for (uint256 j; j < fills.length; ++j) row[1 + j / 8] |= fills[j] << (32 * (j % 8));
    }

    function _certificate(uint256[] memory prices) private pure returns (uint256[] memory words) {
        words = new uint256[](prices.length);
        for (uint256 j; j < prices.length; ++j) words[j] = prices[j] | (prices[j] << 32);
    }

    function _lane(uint256 lanes, uint256 j) private pure returns (uint256 lane) {
        assembly ("memory-safe") {
            lane := and(shr(shl(5, and(j, 7)), mload(add(lanes, shl(6, shr(3, j))))), 0xffffffff)
        }
    }
}
