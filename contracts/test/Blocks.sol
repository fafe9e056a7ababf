// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {BlockClearing} from "../src/BlockClearing.sol";
import {Books} from "./Books.sol";
import {Dice} from "./Cheats.sol";

/// @title Blocks: block books, what is feasible and the result rows, written from docs/protocol.md section 12 alone, for tests
library Blocks {
    using Dice for Dice.State;

    uint256 internal constant PPM = 1_000_000;
    uint256 internal constant CAP = 6;
    uint256 internal constant COLLATERAL = 600_000;

    struct Order {
        uint256 account;
        uint256 side;
        uint256 agent; // pays where it is not 0
        uint256 minFill;
        uint256 parent; // account, 0 for none
        uint256 parentSide;
        uint256[] quantities;
        uint256[] limits;
        uint256 sold; // bits of the session's intervals that cannot be sold
        bool live;
    }

    /// @dev Ratios and bits by position; those of entries that are not live mean nothing.
    struct Choice {
        uint256[] prices;
        uint256[] ratios;
        uint256[] ups;
    }

    function payerOf(Order memory order) internal pure returns (uint256) {
        return order.agent == 0 ? order.account : order.agent;
    }

    function lockOf(Order memory order) internal pure returns (uint256 lock) {
        uint256 total;
        for (uint256 j; j < order.quantities.length; ++j) {
            total += order.quantities[j];
            lock += Books.up(order.quantities[j] * order.limits[j], 1000);
        }
        if (order.side == 1) lock = Books.up(COLLATERAL * total * CAP, 10 ** 9);
    }

    function encode(Order memory order) internal pure returns (uint256[] memory words) {
        words = new uint256[](1 + (order.quantities.length + 3) / 4);
        words[0] = order.account | (order.agent << 32) | (lockOf(order) << 64) | (order.side << 255);
        words[0] |= (order.agent == 0 ? 0 : 1 << 130) | (order.minFill << 132);
        words[0] |= (order.parent << 152) | (order.parentSide << 184);
        for (uint256 j; j < order.quantities.length; ++j) {
            words[1 + j / 4] |= (order.quantities[j] | (order.limits[j] << 24)) << (56 * (j % 4));
        }
    }

    function fillOf(Order memory order, uint256 ratio, uint256 up, uint256 j) internal pure returns (uint256) {
        if ((order.sold >> j) & 1 == 1) return 0;
        return order.quantities[j] * ratio / PPM + ((up >> j) & 1);
    }

    /// @dev Whether the choice is a proposal, its welfare and the volumes.
    function weigh(Order[] memory orders, Choice memory choice)
        internal
        pure
        returns (bool good, uint256 welfare, uint256[] memory volumes)
    {
        uint256 intervals = choice.prices.length;
        volumes = new uint256[](intervals);
        uint256[] memory offered = new uint256[](intervals);
        int256 total;
        for (uint256 i; i < orders.length; ++i) {
            if (!orders[i].live) continue;
            if (choice.ratios[i] == 0) {
                if (choice.ups[i] != 0) return (false, 0, volumes);
                continue;
            }
            if (!_partly(orders, choice, i)) return (false, 0, volumes);
            (uint256 byLimit, uint256 byPrice, uint256 filled) = (0, 0, 0);
            for (uint256 j; j < intervals; ++j) {
                uint256 fill = fillOf(orders[i], choice.ratios[i], choice.ups[i], j);
                byLimit += fill * orders[i].limits[j];
                byPrice += fill * choice.prices[j];
                filled += fill;
                if (orders[i].side == 0) volumes[j] += fill;
                else offered[j] += fill;
            }
            if (filled == 0 || (orders[i].side == 0 ? byLimit < byPrice : byLimit > byPrice)) return (false, 0, volumes);
            total += orders[i].side == 0 ? int256(byLimit) : -int256(byLimit);
        }
        for (uint256 j; j < intervals; ++j) {
            if (volumes[j] != offered[j] || choice.prices[j] > CAP) return (false, 0, volumes);
            if (volumes[j] == 0 && choice.prices[j] != 0) return (false, 0, volumes);
        }
        return (true, uint256(total), volumes);
    }

    /// @dev Ratio, rounding and parent of one accepted block.
    function _partly(Order[] memory orders, Choice memory choice, uint256 i) private pure returns (bool) {
        Order memory order = orders[i];
        uint256 ratio = choice.ratios[i];
        if (ratio > PPM || ratio < order.minFill || choice.ups[i] >> order.quantities.length != 0) return false;
        for (uint256 j; j < order.quantities.length; ++j) {
            bool whole = order.quantities[j] * ratio % PPM == 0 || (order.sold >> j) & 1 == 1;
            if ((choice.ups[i] >> j) & 1 == 1 && whole) return false;
        }
        if (order.parent == 0) return true;
        for (uint256 k; k < orders.length; ++k) {
            if (!orders[k].live || orders[k].account != order.parent || orders[k].side != order.parentSide) continue;
            return payerOf(orders[k]) == payerOf(order) && choice.ratios[k] >= ratio;
        }
        return false;
    }

    /// @dev Up to `most` entries of four accounts and two agents, small enough to try everything.
    function random(Dice.State memory dice, uint256 intervals, uint256 most) internal pure returns (Order[] memory orders) {
        orders = new Order[](dice.roll(1, most));
        for (uint256 i; i < orders.length; ++i) {
            Order memory order = orders[i];
            (order.account, order.side, order.live) = (dice.roll(1, 4), dice.roll(0, 1), true);
            if (dice.once(3)) order.agent = dice.roll(4, 5);
            order.minFill = [uint256(0), 0, 500_000, PPM][dice.roll(0, 3)];
            if (dice.once(3)) (order.parent, order.parentSide) = (dice.roll(1, 4), dice.roll(0, 1));
            (order.quantities, order.limits) = (new uint256[](intervals), new uint256[](intervals));
            bool cancels = dice.once(10);
            for (uint256 j; j < intervals; ++j) {
                if (cancels || dice.once(5)) continue;
                (order.quantities[j], order.limits[j]) = (dice.roll(1, 3), dice.roll(0, CAP));
            }
            if (order.side == 1 && order.account <= 2) order.sold = 1; // accounts 1 and 2 have sold the first interval
            for (uint256 k; k < i; ++k) {
                if (orders[k].account == order.account && orders[k].side == order.side) orders[k].live = false;
            }
        }
    }

    /// @dev Result rows of all entries, one after the other, and where each group of 16 ends.
    function rows(Order[] memory orders, Choice memory choice) internal pure returns (uint256[] memory words) {
        for (uint256 i; i < orders.length; ++i) {
            Order memory order = orders[i];
            uint256 intervals = order.quantities.length;
            uint256[] memory row = new uint256[](1 + (intervals + 7) / 8);
            row[0] = order.account | (payerOf(order) << 32) | (lockOf(order) << 64) | (order.side << 192);
            if (order.live) {
                uint256 cost;
                for (uint256 j; j < intervals && choice.ratios[i] != 0; ++j) {
                    uint256 fill = fillOf(order, choice.ratios[i], choice.ups[i], j);
                    cost += Books.up(fill * choice.prices[j], 1000);
                    row[1 + j / 8] |= fill << (32 * (j % 8));
                }
                if (order.side == 1) cost = 0;
                row[0] |= (cost < lockOf(order) ? cost : lockOf(order)) << 128 | (1 << 193);
            }
            words = Books.join(words, row);
        }
    }

    /// @dev The proposal's certificate and table, and the hints of all entries.
    function propose(Order[] memory orders, Choice memory choice)
        internal
        pure
        returns (BlockClearing.Solution memory solution, uint256[] memory hints)
    {
        (,, uint256[] memory volumes) = weigh(orders, choice);
        solution.certificate = new uint256[](volumes.length);
        for (uint256 j; j < volumes.length; ++j) {
            solution.certificate[j] = choice.prices[j] | (choice.prices[j] << 32) | (volumes[j] << 64);
        }
        uint256 number;
        for (uint256 i; i < orders.length; ++i) {
            if (orders[i].live) ++number;
        }
        solution.table = new uint256[](number);
        hints = new uint256[]((orders.length + 7) / 8);
        for (uint256 i; i < orders.length; ++i) {
            uint256 row;
            for (uint256 k; k < orders.length; ++k) {
                if (orders[k].live && orders[k].account * 2 + orders[k].side < orders[i].account * 2 + orders[i].side) ++row;
            }
            hints[i / 8] |= row << (32 * (i % 8));
            if (!orders[i].live) continue;
            solution.table[row] = i | (orders[i].side << 31) | (orders[i].account << 32) | (payerOf(orders[i]) << 64)
                | (choice.ratios[i] << 96) | (choice.ups[i] << 128);
        }
    }
}
