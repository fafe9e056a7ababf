// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {BlockClearing} from "../src/BlockClearing.sol";
import {State, Terms} from "../src/Protocol.sol";
import {FakeAccounts, FakeGuard, FakeMarket, FakeVault} from "./BlockFakes.sol";
import {Blocks} from "./Blocks.sol";
import {Books} from "./Books.sol";
import {Checked, Dice} from "./Cheats.sol";

/// @title BlockBench: BlockClearing among fakes, and small books whose best proposal is found by trying everything
abstract contract BlockBench is Checked {
    using Dice for Dice.State;

    uint256 internal constant PPM = 1_000_000;
    uint64 internal constant BOND = 1000;
    address internal constant ALICE = address(0xa11ce);
    address internal constant BOB = address(0xb0b);

    FakeMarket internal market;
    FakeAccounts internal accounts;
    FakeVault internal vault;
    FakeGuard internal guard;
    BlockClearing internal clearing;
    uint256 internal sessions;

    function setUp() external {
        (market, accounts, vault, guard) = (new FakeMarket(), new FakeAccounts(), new FakeVault(), new FakeGuard());
        clearing = BlockClearing(
            vm.deployCode("artifacts/BlockClearing.json", abi.encode(market, accounts, vault, guard, 100_000, BOND))
        );
        accounts.setOwner(10, ALICE);
        accounts.setOwner(11, BOB);
        vault.fund(10, 1_000_000);
        vault.fund(11, 1_000_000);
        market.grant(keccak256("GUARDIAN"), BOB);
        vm.warp(1000);
    }

    /// @dev One bid of account 1, which has an offer of account 2 and its child of account 3 to buy; one interval, no sold
    /// ones.
    function _linked() internal pure returns (Blocks.Order[] memory orders) {
        orders = new Blocks.Order[](3);
        for (uint256 i; i < 3; ++i) {
            Blocks.Order memory order = orders[i];
            (order.account, order.side, order.live) = (i + 1, i == 0 ? 0 : 1, true);
            (order.quantities, order.limits) = (new uint256[](1), new uint256[](1));
            order.quantities[0] = i == 0 ? 2000 : 1000;
            order.limits[0] = i == 0 ? 100 : 40;
        }
        (orders[2].parent, orders[2].parentSide) = (2, 1);
        (orders[1].agent, orders[2].agent) = (8, 8);
    }

    /// @dev A bid of account 1 and an offer of account 2, the same quantity in two intervals.
    function _pair(uint256 quantity, uint256 bid, uint256 offer) internal pure returns (Blocks.Order[] memory orders) {
        orders = new Blocks.Order[](2);
        for (uint256 i; i < 2; ++i) {
            (orders[i].account, orders[i].side, orders[i].live) = (i + 1, i, true);
            (orders[i].quantities, orders[i].limits) = (new uint256[](2), new uint256[](2));
            for (uint256 j; j < 2; ++j) {
                (orders[i].quantities[j], orders[i].limits[j]) = (quantity, i == 0 ? bid : offer);
            }
        }
    }

    function _two(uint256 price) internal pure returns (Blocks.Choice memory choice) {
        choice = _full(2, price);
        choice.prices = new uint256[](2);
        (choice.prices[0], choice.prices[1]) = (price, price);
    }

    function _full(uint256 number, uint256 price) internal pure returns (Blocks.Choice memory choice) {
        (choice.prices, choice.ratios, choice.ups) = (new uint256[](1), new uint256[](number), new uint256[](number));
        choice.prices[0] = price;
        for (uint256 i; i < number; ++i) {
            choice.ratios[i] = PPM;
        }
    }

    function _terms(uint256 intervals) internal pure returns (Terms memory agreed) {
        (agreed.zone, agreed.mode, agreed.intervals, agreed.dayIntervals, agreed.day) = (1, 2, uint8(intervals), 96, 100);
        agreed.mask = uint96(((1 << intervals) - 1) << 5);
        (agreed.priceCap, agreed.minQuantity, agreed.challengeEnd) = (uint32(500), 1, 2000);
    }

    /// @dev A session whose log has every entry as a batch.
    function _open(Blocks.Order[] memory orders) internal returns (uint256 session) {
        bytes32 log;
        for (uint256 i; i < orders.length; ++i) {
            log = _extend(log, Blocks.encode(orders[i]));
        }
        Terms memory agreed = _terms(orders.length == 0 ? 1 : orders[0].quantities.length);
        if (orders.length != 0 && _small(orders)) agreed.priceCap = uint32(Blocks.CAP);
        market.set(agreed, log);
        session = ++sessions;
        market.setState(session, State.Closed);
        vm.warp(1000);
    }

    function _small(Blocks.Order[] memory orders) internal pure returns (bool) {
        for (uint256 i; i < orders.length; ++i) {
            for (uint256 j; j < orders[i].limits.length; ++j) {
                if (orders[i].limits[j] > Blocks.CAP) return false;
            }
        }
        return true;
    }

    function _extend(bytes32 log, uint256[] memory words) internal pure returns (bytes32) {
        return keccak256(abi.encode(log, keccak256(abi.encodePacked(words))));
    }

    /// @dev Entries `from .. to - 1`, each a batch.
    function _chunk(Blocks.Order[] memory orders, uint256 from, uint256 to, uint256[] memory hints)
        internal
        pure
        returns (BlockClearing.Chunk memory chunk)
    {
        chunk.sizes = new uint256[](to - from);
        chunk.hints = Books.packed(to - from, 32);
        uint256 size = 1 + (orders.length == 0 ? 0 : (orders[0].quantities.length + 3) / 4);
        chunk.words = new uint256[]((to - from) * size);
        for (uint256 i = from; i < to; ++i) {
            uint256[] memory words = Blocks.encode(orders[i]);
            chunk.sizes[i - from] = words.length;
            for (uint256 k; k < size; ++k) {
                chunk.words[(i - from) * size + k] = words[k];
            }
            Books.put(chunk.hints, i - from, 32, (hints[i / 8] >> (32 * (i % 8))) & type(uint32).max);
        }
    }

    function _prepared(Blocks.Order[] memory orders, Blocks.Choice memory choice, uint256 account)
        internal
        view
        returns (BlockClearing.Solution memory solution, uint256[] memory hints)
    {
        (solution, hints) = Blocks.propose(orders, choice);
        solution.account = account;
        solution.logs = new bytes32[](1);
        solution.logs[0] = market.logged();
    }

    function _certificate(Blocks.Order[] memory orders, Blocks.Choice memory choice) internal pure returns (uint256[] memory) {
        (BlockClearing.Solution memory solution,) = Blocks.propose(orders, choice);
        return solution.certificate;
    }

    function _propose(uint256 session, Blocks.Order[] memory orders, Blocks.Choice memory choice, address who) internal {
        (BlockClearing.Solution memory solution, uint256[] memory hints) = _prepared(orders, choice, who == ALICE ? 10 : 11);
        BlockClearing.Chunk memory chunk = _chunk(orders, 0, orders.length, hints);
        vm.prank(who);
        clearing.propose(session, solution, chunk);
    }

    function _tryPropose(uint256 session, Blocks.Order[] memory orders, Blocks.Choice memory choice, address who)
        internal
        returns (bool)
    {
        (BlockClearing.Solution memory solution, uint256[] memory hints) = _prepared(orders, choice, who == ALICE ? 10 : 11);
        return _try(session, orders, solution, hints, who);
    }

    function _try(
        uint256 session,
        Blocks.Order[] memory orders,
        BlockClearing.Solution memory solution,
        uint256[] memory hints,
        address who
    ) internal returns (bool) {
        BlockClearing.Chunk memory chunk = _chunk(orders, 0, orders.length, hints);
        vm.prank(who);
        try clearing.propose(session, solution, chunk) {
            return true;
        } catch {
            return false;
        }
    }

    /// @dev Whether a fresh session takes the choice, with bits of the first table and certificate word flipped.
    function _taken(Blocks.Order[] memory orders, Blocks.Choice memory choice, uint256 table, uint256 certificate)
        internal
        returns (bool)
    {
        uint256 session = _open(orders);
        (BlockClearing.Solution memory solution, uint256[] memory hints) = _prepared(orders, choice, 10);
        if (solution.table.length != 0) solution.table[0] ^= table;
        solution.certificate[0] ^= certificate;
        return _try(session, orders, solution, hints, ALICE);
    }

    function _refuse(Blocks.Order[] memory orders, Blocks.Choice memory choice, bytes4 why) internal {
        uint256 session = _open(orders);
        (BlockClearing.Solution memory solution, uint256[] memory hints) = _prepared(orders, choice, 10);
        BlockClearing.Chunk memory chunk = _chunk(orders, 0, orders.length, hints);
        vm.prank(ALICE);
        refused(why);
        clearing.propose(session, solution, chunk);
    }

    /// @dev A flipped bit of the rounding can give another good proposal; the payer's and all others cannot.
    function _stillGood(Blocks.Order[] memory orders, Blocks.Choice memory best, uint256 bit)
        internal
        pure
        returns (bool good)
    {
        if (bit < 128) return false;
        Blocks.Choice memory choice = _copy(best);
        (BlockClearing.Solution memory solution,) = Blocks.propose(orders, best);
        choice.ups[solution.table[0] & 0x7fffffff] ^= 1 << (bit - 128);
        (good,,) = Blocks.weigh(orders, choice);
    }

    /// @dev The pass in calls of random length.
    function _pass(
        Dice.State memory dice,
        uint256 session,
        Blocks.Order[] memory orders,
        BlockClearing.Solution memory solution,
        uint256[] memory hints
    ) internal returns (bytes32 key) {
        uint256 cut = dice.roll(0, orders.length);
        bytes32 log;
        for (uint256 i; i < cut; ++i) {
            log = _extend(log, Blocks.encode(orders[i]));
        }
        solution.logs = new bytes32[](2);
        (solution.logs[0], solution.logs[1]) = (log, market.logged());
        BlockClearing.Chunk memory chunk = _chunk(orders, 0, cut, hints);
        clearing.propose(session, solution, chunk);
        chunk = _chunk(orders, cut, orders.length, hints);
        chunk.state = _stateAfter(orders, solution, cut);
        vm.prank(ALICE);
        clearing.propose(session, solution, chunk);
        return clearing.keyOf(solution);
    }

    /// @dev The state after `cut` entries and one call, from the table alone.
    function _stateAfter(Blocks.Order[] memory orders, BlockClearing.Solution memory solution, uint256 cut)
        internal
        pure
        returns (uint256[] memory state)
    {
        uint256 intervals = solution.certificate.length;
        Blocks.Choice memory choice = _read(orders, solution);
        Blocks.Order[] memory first = new Blocks.Order[](cut);
        for (uint256 i; i < cut; ++i) {
            first[i] = orders[i];
        }
        uint256[] memory rows = Blocks.rows(first, choice);
        state = Books.join(new uint256[](3 + intervals), rows);
        int256 welfare;
        uint256 hits;
        for (uint256 i; i < cut; ++i) {
            if (!orders[i].live) continue;
            ++hits;
            for (uint256 j; j < intervals && choice.ratios[i] != 0; ++j) {
                uint256 fill = Blocks.fillOf(orders[i], choice.ratios[i], choice.ups[i], j);
                int256 worth = int256(fill * orders[i].limits[j]);
                welfare += orders[i].side == 0 ? worth : -worth;
                state[3 + j] += fill << (128 * orders[i].side);
            }
        }
        bytes32 log;
        for (uint256 i; i < cut; ++i) {
            log = _extend(log, Blocks.encode(orders[i]));
        }
        (state[0], state[1], state[2]) = (uint256(log), cut | (hits << 32) | (1 << 64), uint256(welfare));
    }

    /// @dev The choice that a proposal's words stand for.
    function _read(Blocks.Order[] memory orders, BlockClearing.Solution memory solution)
        internal
        pure
        returns (Blocks.Choice memory choice)
    {
        (choice.ratios, choice.ups) = (new uint256[](orders.length), new uint256[](orders.length));
        choice.prices = new uint256[](solution.certificate.length);
        for (uint256 j; j < choice.prices.length; ++j) {
            choice.prices[j] = solution.certificate[j] & type(uint32).max;
        }
        for (uint256 r; r < solution.table.length; ++r) {
            uint256 word = solution.table[r];
            choice.ratios[word & 0x7fffffff] = (word >> 96) & type(uint32).max;
            choice.ups[word & 0x7fffffff] = word >> 128;
        }
    }

    function _accept(uint256 session, uint256[] memory certificate) internal {
        vm.warp(2000);
        clearing.accept(session, certificate);
    }

    /// @dev After commit the escrow holds the bids' costs, and these cover what the offers can get.
    function _commitAndCompare(
        uint256 session,
        Blocks.Order[] memory orders,
        Blocks.Choice memory choice,
        uint256[] memory rows
    ) internal {
        uint256 entitled;
        uint256 promises;
        for (uint256 i; i < orders.length; ++i) {
            uint256[] memory entry = new uint256[](1);
            entry[0] = Blocks.encode(orders[i])[0];
            vault.fund(Blocks.payerOf(orders[i]), Blocks.lockOf(orders[i]));
            vault.lock(session, 0, entry);
            if (!orders[i].live || orders[i].side == 0 || choice.ratios[i] == 0) continue;
            ++promises;
            for (uint256 j; j < choice.prices.length; ++j) {
                entitled += Blocks.fillOf(orders[i], choice.ratios[i], choice.ups[i], j) * choice.prices[j] / 1000;
            }
        }
        clearing.commit(session, 0, rows);
        vm.assertLe(entitled, vault.escrow(session), "the escrow covers the sellers");
        same(accounts.promises(), promises, "promises");
    }

    function _copy(Blocks.Choice memory choice) internal pure returns (Blocks.Choice memory) {
        return abi.decode(abi.encode(choice), (Blocks.Choice));
    }

    /// @dev Changes a price, a ratio or a rounding by a little.
    function _mutate(Dice.State memory dice, Blocks.Choice memory choice) internal pure {
        uint256 kind = dice.roll(0, 3);
        uint256 i = dice.roll(0, choice.ratios.length - 1);
        if (kind == 0) {
            uint256 j = dice.roll(0, choice.prices.length - 1);
            choice.prices[j] = dice.roll(0, Blocks.CAP + 1);
        } else if (kind == 1) {
            choice.ratios[i] = [uint256(0), 1, 333_333, 499_999, 500_000, 666_667, PPM - 1, PPM, PPM + 1][dice.roll(0, 8)];
        } else {
            choice.ups[i] ^= 1 << dice.roll(0, kind == 2 ? choice.prices.length - 1 : 95);
        }
    }

    /// @dev A book and its best proposal; mostly one with trade.
    function _book(Dice.State memory dice)
        internal
        pure
        returns (Blocks.Order[] memory orders, Blocks.Choice memory best, uint256 welfare)
    {
        for (uint256 tries = 12; tries != 0 && welfare == 0; --tries) {
            orders = Blocks.random(dice, dice.roll(1, 2), 4);
            (best, welfare) = _brute(orders);
        }
    }

    /// @dev Everything is tried: ratios none, half, whole, halves rounded up or down together, every price.
    function _brute(Blocks.Order[] memory orders) internal pure returns (Blocks.Choice memory best, uint256 most) {
        uint256 intervals = orders[0].quantities.length;
        Blocks.Choice memory choice;
        (choice.prices, choice.ratios) = (new uint256[](intervals), new uint256[](orders.length));
        choice.ups = new uint256[](orders.length);
        best = _copy(choice);
        uint256 ways = 4 ** orders.length;
        for (uint256 way = 1; way < ways; ++way) {
            bool balanced = true;
            int256[] memory sums = new int256[](intervals);
            uint256 rest = way;
            for (uint256 i; i < orders.length; ++i) {
                (choice.ratios[i], choice.ups[i]) = ([uint256(0), 500_000, 500_000, PPM][rest % 4], 0);
                if (rest % 4 == 2) {
                    for (uint256 j; j < intervals; ++j) {
                        if (orders[i].quantities[j] & 1 == 1 && (orders[i].sold >> j) & 1 == 0) choice.ups[i] |= 1 << j;
                    }
                }
                rest /= 4;
                if (!orders[i].live && choice.ratios[i] != 0) balanced = false;
                for (uint256 j; j < intervals && choice.ratios[i] != 0; ++j) {
                    int256 fill = int256(Blocks.fillOf(orders[i], choice.ratios[i], choice.ups[i], j));
                    sums[j] += orders[i].side == 0 ? fill : -fill;
                }
            }
            for (uint256 j; j < intervals; ++j) {
                if (sums[j] != 0) balanced = false;
            }
            if (!balanced) continue;
            uint256 prices = (Blocks.CAP + 1) ** intervals;
            for (uint256 p; p < prices; ++p) {
                (choice.prices[0], rest) = (p % (Blocks.CAP + 1), p / (Blocks.CAP + 1));
                if (intervals == 2) choice.prices[1] = rest;
                (bool good, uint256 welfare,) = Blocks.weigh(orders, choice);
                if (good && welfare >= most) (best, most) = (_copy(choice), welfare);
            }
        }
    }
}
