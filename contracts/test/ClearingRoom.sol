// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {Clearing} from "../src/Clearing.sol";
import {Pass} from "../src/ClearingPass.sol";
import {Terms} from "../src/Protocol.sol";
import {Books} from "./Books.sol";
import {Checked, Dice} from "./Cheats.sol";
import {FakeAccounts, FakeGuard, FakeMarket, FakeVault} from "./ClearingFakes.sol";
import {Cooperation} from "./Cooperation.sol";

interface Recorder {
    struct Log {
        bytes32[] topics;
        bytes data;
        address emitter;
    }

    function recordLogs() external;
    function getRecordedLogs() external returns (Log[] memory);
}

/// @title ClearingRoom: a Clearing among fakes, random logs, and passes over any part of them
abstract contract ClearingRoom is Checked {
    using Dice for Dice.State;

    uint256 internal constant COLLATERAL = 600_000;

    /// @dev A closed session, what its clearing is, and how its log came in batches.
    struct Case {
        uint256 session;
        bool cooperative;
        uint256 intervals;
        uint256 mask;
        Books.Order[] orders;
        uint256[] sold; // by position, bits of the session's intervals
        uint256[] batchEntries; // entries of each batch
        uint256[] marked; // numbers of batches after which the log has a mark
        uint256[] certificate;
        uint256[] levels;
        uint256[] live;
        uint256[] allHints;
        uint256[] excluded;
        uint256[] rows;
        Books.Cleared cleared;
    }

    FakeMarket internal market;
    FakeAccounts internal accounts;
    FakeVault internal vault;
    FakeGuard internal guard;
    Clearing internal clearing;
    uint256 private _sessions;

    function furnish() internal {
        market = new FakeMarket();
        accounts = new FakeAccounts();
        vault = new FakeVault();
        guard = new FakeGuard();
        clearing = Clearing(vm.deployCode("artifacts/Clearing.json", abi.encode(market, accounts, vault, guard)));
    }

    // ------------------------------------------------------------------------------------------------------------------- cases

    function random(Dice.State memory dice, bool cooperative) internal returns (Case memory made) {
        made.cooperative = cooperative;
        made.intervals = dice.roll(1, dice.once(3) ? 9 : 2);
        made.mask = (((1 << made.intervals) - 1) << 5) | (dice.once(2) ? 1 << 40 : 0);
        if (made.mask >> 40 != 0) made.mask ^= 1 << 5; // a gap in the day
        made.orders = orders(dice, made.intervals, dice.roll(0, dice.once(4) ? 36 : 6));
        made.sold = _sell(dice, made.orders, made.mask);
        cut(dice, made);
        finish(made);
    }

    /// @dev Cuts the log into batches at random.
    function cut(Dice.State memory dice, Case memory made) internal pure {
        uint256[] memory sizes = new uint256[](made.orders.length);
        uint256 number;
        for (uint256 left = made.orders.length; left != 0;) {
            sizes[number] = dice.roll(1, left > 9 ? 9 : left);
            left -= sizes[number++];
        }
        made.batchEntries = new uint256[](number);
        for (uint256 i; i < number; ++i) made.batchEntries[i] = sizes[i];
        uint256[] memory marked = new uint256[](number);
        uint256 marks;
        for (uint256 i = 1; i < number; ++i) if (dice.once(3)) marked[marks++] = i;
        made.marked = new uint256[](marks);
        for (uint256 i; i < marks; ++i) made.marked[i] = marked[i];
    }

    /// @dev Locks, result and table of a case of which the orders stand, and its session.
    function finish(Case memory made) internal {
        Books.seal(made.orders, Books.TOP, COLLATERAL);
        (made.live, made.allHints) = Books.table(made.orders);
        resolve(made);
        made.session = ++_sessions;
        market.close(made.session, terms(made), logOf(made));
    }

    function resolve(Case memory made) internal pure {
        if (made.cooperative) {
            Cooperation.Result memory result = Cooperation.clear(made.orders, made.intervals, made.sold);
            (made.cleared, made.levels, made.certificate) = (result.cleared, result.levels, result.cleared.certificate);
            made.rows = Books.rows(made.orders, result.cleared, result.gross);
        } else {
            made.cleared = Books.clear(made.orders, made.intervals, made.sold);
            (made.levels, made.certificate) = (new uint256[](0), made.cleared.certificate);
            made.rows = Books.rows(made.orders, made.cleared);
        }
    }

    function terms(Case memory made) internal pure returns (Terms memory agreed) {
        (agreed.zone, agreed.day, agreed.mode) = (1, 20_000, made.cooperative ? 1 : 0);
        (agreed.intervals, agreed.mask, agreed.dayIntervals) = (uint8(made.intervals), uint96(made.mask), 96);
        (agreed.priceCap, agreed.minQuantity, agreed.collateralPpm) = (uint32(Books.TOP), 1, uint32(COLLATERAL));
    }

    /// @return made up to seven accounts with steps of few Wh at few prices, so that ties are common
    function orders(Dice.State memory dice, uint256 intervals, uint256 number)
        internal
        pure
        returns (Books.Order[] memory made)
    {
        made = new Books.Order[](number);
        uint256 top = dice.once(3) ? Books.TOP : 2;
        for (uint256 i; i < number; ++i) {
            Books.Order memory order = made[i];
            (order.account, order.side, order.steps) = (dice.roll(1, 7), dice.roll(0, 1), dice.roll(1, dice.once(2) ? 4 : 1));
            if (dice.once(3)) (order.agent, order.agentPays) = (dice.roll(8, 9), dice.once(2));
            order.reserve = order.side == 1 && dice.once(3);
            uint256 cells = order.steps * intervals;
            (order.quantities, order.limits) = (new uint256[](cells), new uint256[](cells));
            for (uint256 k; k < cells; ++k) {
                if (k != 0 && dice.once(4)) continue;
                (order.quantities[k], order.limits[k]) = (dice.roll(1, 3), dice.roll(0, top));
            }
            if (dice.once(8)) {
                // a cancellation
                (order.steps, order.quantities, order.limits) = (1, new uint256[](intervals), new uint256[](intervals));
            }
        }
    }

    function _sell(Dice.State memory dice, Books.Order[] memory made, uint256 mask) private returns (uint256[] memory sold) {
        sold = new uint256[](made.length);
        for (uint256 account = 1; account < 8; ++account) accounts.setSold(account, dice.once(4) ? dice.roll(0, 1 << 45) : 0);
        for (uint256 i; i < made.length; ++i) {
            uint256 day = accounts.sold(made[i].account, 0);
            uint256 j;
            for (uint256 t; t < 96; ++t) {
                if ((mask >> t) & 1 == 0) continue;
                if ((day >> t) & 1 == 1) sold[i] |= 1 << j;
                ++j;
            }
        }
    }

    // ------------------------------------------------------------------------------------------------------------------ passes

    function batchWords(Case memory made, uint256 batch) internal pure returns (uint256[] memory words) {
        uint256 from;
        for (uint256 i; i < batch; ++i) from += made.batchEntries[i];
        words = new uint256[](0);
        for (uint256 i; i < made.batchEntries[batch]; ++i) {
            words = Books.join(words, Books.encode(made.orders[from + i], made.intervals));
        }
    }

    function logOf(Case memory made) internal pure returns (bytes32) {
        return logAfter(made, made.batchEntries.length);
    }

    function logAfter(Case memory made, uint256 batches) internal pure returns (bytes32 log) {
        for (uint256 i; i < batches; ++i) {
            log = keccak256(abi.encode(log, keccak256(abi.encodePacked(batchWords(made, i)))));
        }
    }

    /// @dev A pass over the batches `from .. to-1`, and all levels if they are the last.
    function pass(Case memory made, uint256 from, uint256 to, uint256[] memory state)
        internal
        pure
        returns (Pass memory taken)
    {
        (taken.certificate, taken.live) = (made.certificate, made.live);
        taken.levelsHash = Cooperation.chain(made.levels, 0);
        (taken.levels, taken.levelsLeft) = (new uint256[](0), taken.levelsHash);
        if (to == made.batchEntries.length) (taken.levels, taken.levelsLeft) = (made.levels, 0);
        taken.marks = new bytes32[](made.marked.length);
        uint256 end = made.batchEntries.length;
        for (uint256 i = made.marked.length; i != 0; --i) {
            taken.marks[i - 1] = logAfter(made, made.marked[i - 1]);
            if (made.marked[i - 1] >= to) end = made.marked[i - 1];
        }
        (taken.excluded, taken.state, taken.beneficiary) = (made.excluded, state, 77);
        (taken.sizes, taken.words, taken.rest) =
            (new uint256[](to - from), new uint256[](0), new bytes32[](end - to));
        (uint256 first, uint256 number) = (0, 0);
        for (uint256 i; i < to; ++i) {
            if (i < from) {
                first += made.batchEntries[i];
                continue;
            }
            uint256[] memory words = batchWords(made, i);
            taken.sizes[i - from] = words.length;
            taken.words = Books.join(taken.words, words);
            number += made.batchEntries[i];
        }
        taken.hints = Books.packed(number, 32);
        for (uint256 i; i < number; ++i) {
            Books.put(taken.hints, i, 32, (made.allHints[(first + i) / 8] >> (32 * ((first + i) % 8))) & type(uint32).max);
        }
        for (uint256 i = to; i < end; ++i) {
            taken.rest[i - to] = keccak256(abi.encodePacked(batchWords(made, i)));
        }
    }

    function whole(Case memory made) internal pure returns (Pass memory) {
        return pass(made, 0, made.batchEntries.length, new uint256[](0));
    }

    /// @dev A pass over no more batches, and over the levels `from .. to-1`.
    function levelsPass(Case memory made, uint256 from, uint256 to, uint256[] memory state)
        internal
        pure
        returns (Pass memory taken)
    {
        taken = pass(made, made.batchEntries.length, made.batchEntries.length, state);
        taken.levels = new uint256[](to - from);
        for (uint256 i = from; i < to; ++i) taken.levels[i - from] = made.levels[i];
        taken.levelsLeft = Cooperation.chain(made.levels, to);
    }

    /// @dev Clears in as many calls as the dice say.
    function clearInChunks(Dice.State memory dice, Case memory made) internal returns (uint256 calls) {
        uint256[] memory state = new uint256[](0);
        uint256 from;
        while (true) {
            uint256 to = from + (made.batchEntries.length == from ? 0 : dice.roll(1, made.batchEntries.length - from));
            Pass memory taken = pass(made, from, to, state);
            ++calls;
            if (to == made.batchEntries.length) {
                if (made.levels.length != 0 && dice.once(2)) return calls + _checkInChunks(dice, made, from, state);
                if (from == to || dice.once(2)) {
                    clearing.clear(made.session, taken);
                    return calls;
                }
            }
            state = advance(made, taken);
            if (to == made.batchEntries.length && made.levels.length != 0) {
                clearing.clear(made.session, levelsPass(made, made.levels.length, made.levels.length, state));
                return calls + 1;
            }
            from = to;
        }
    }

    /// @dev Takes the batches that are left and some levels, then the other levels as the dice say.
    function _checkInChunks(Dice.State memory dice, Case memory made, uint256 from, uint256[] memory state)
        private
        returns (uint256 calls)
    {
        uint256 next;
        while (true) {
            uint256 to = next + dice.roll(from < made.batchEntries.length ? 0 : 1, made.levels.length - next);
            Pass memory taken = pass(made, from, made.batchEntries.length, state);
            Pass memory levels = levelsPass(made, next, to, state);
            (taken.levels, taken.levelsLeft) = (levels.levels, levels.levelsLeft);
            ++calls;
            if (to == made.levels.length && dice.once(2)) {
                clearing.clear(made.session, taken);
                return calls;
            }
            state = advance(made, taken);
            (from, next) = (made.batchEntries.length, to);
            if (next == made.levels.length) {
                clearing.clear(made.session, levelsPass(made, next, next, state));
                return calls;
            }
        }
    }

    /// @dev A call that stops before the end; returns the state that it leaves.
    function advance(Case memory made, Pass memory taken) internal returns (uint256[] memory) {
        Recorder(address(vm)).recordLogs();
        clearing.take(made.session, taken);
        return told();
    }

    /// @dev The state in the last event.
    function told() internal returns (uint256[] memory state) {
        Recorder.Log[] memory logs = Recorder(address(vm)).getRecordedLogs();
        vm.assertTrue(logs[logs.length - 1].topics[0] == Clearing.ClearingContinued.selector, "goes on");
        return abi.decode(logs[logs.length - 1].data, (uint256[]));
    }

    /// @dev The session is cleared with exactly the rows of the case.
    function holds(Case memory made) internal view {
        (uint256 groups,, uint256 beneficiary, uint256 times) = market.reports(made.session);
        same(groups, (made.orders.length + 15) / 16, "groups");
        same(beneficiary, 77, "beneficiary");
        same(times, 1, "cleared once");
        for (uint256 g; g < groups; ++g) {
            vm.assertTrue(clearing.groupHash(made.session, g) == hashOf(Books.groupOf(made.rows, g, made.intervals)), "rows");
        }
        vm.assertTrue(clearing.certificateHash(made.session) == hashOf(made.certificate), "certificate");
    }

    function hashOf(uint256[] memory words) internal pure returns (bytes32) {
        return keccak256(abi.encodePacked(words));
    }

    function accepts(uint256 session, Pass memory taken) internal returns (bool) {
        Recorder(address(vm)).recordLogs();
        try clearing.clear(session, taken) {
            return true;
        } catch {
            return false;
        }
    }
}
