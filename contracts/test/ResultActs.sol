// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {Clearing} from "../src/Clearing.sol";
import {Pass} from "../src/ClearingPass.sol";
import {Progress, State} from "../src/Protocol.sol";
import {Results} from "../src/Results.sol";
import {Books} from "./Books.sol";
import {Dice} from "./Cheats.sol";
import {Cooperation} from "./Cooperation.sol";
import {Logs, Stage} from "./Stage.sol";

/// @title ResultActs: clearings by brute force, handed in chunk by chunk with wrong starts in between, and what they commit
abstract contract ResultActs is Stage {
    using Dice for Dice.State;

    /// @dev A session's clearing.
    struct Found {
        uint256[] certificate;
        uint256[] levels;
        uint256[] live;
        uint256[] hints;
        uint256[] rows;
        uint256[] prices;
        uint256[] volumes;
    }

    function clear(uint256 seed) external watched {
        Dice.State memory dice = Dice.State(seed);
        (bool found, uint256 index) = _toClear(dice);
        if (!found) return;
        Held storage held = _held[index];
        Found memory right = _find(held);
        uint256 to = held.sizes.length;
        if (held.taken < to) to = dice.roll(held.taken + 1, to);
        Pass memory next = _passOf(held, right, held.taken, to);
        next.beneficiary = dice.once(4) ? 0 : CLEARER;
        if (dice.once(3)) _wrongStart(dice, held, right, next);
        if (next.rest.length == 0 && (next.sizes.length == 0 || dice.once(2))) _complete(held, right, next);
        else _advance(held, next);
    }

    /// @dev A session whose gate has closed, or one under review of which orders are excluded.
    function _toClear(Dice.State memory dice) private returns (bool found, uint256 index) {
        (found, index) = _pick(dice, State.UnderReview, false);
        if (found && _held[index].excluded.length != 0) return (found, index);
        (found, index) = _pick(dice, State.Closed, false);
        if (found) return (found, index);
        (found, index) = _pick(dice, State.Open, false);
        if (!found || !dice.once(6)) return (false, 0);
        vm.warp(market.terms(_held[index].id).gateClose);
        return (market.state(_held[index].id) == State.Closed, index);
    }

    function _find(Held storage held) private view returns (Found memory right) {
        Books.Order[] memory orders = _orders[held.id];
        uint256[] memory sold = new uint256[](orders.length);
        for (uint256 i; i < orders.length; ++i) {
            sold[i] = _inSession(held.mask, accounts.sold(orders[i].account, held.day));
            for (uint256 k; k < held.excluded.length; ++k) {
                if (held.excluded[k] == orders[i].account | (orders[i].side << 32)) orders[i].excluded = true;
            }
        }
        (right.live, right.hints) = Books.table(orders);
        Books.Cleared memory cleared;
        if (held.mode == 0) {
            cleared = Books.clear(orders, held.intervals, sold);
            right.levels = new uint256[](0);
            right.rows = Books.rows(orders, cleared);
        } else {
            Cooperation.Result memory result = _cooperative(held, orders, sold);
            (cleared, right.levels) = (result.cleared, result.levels);
            right.rows = Books.rows(orders, cleared, result.gross);
        }
        (right.certificate, right.prices, right.volumes) = (cleared.certificate, cleared.prices, cleared.volumes);
        for (uint256 j; j < held.intervals; ++j) if (right.volumes[j] == 0) right.prices[j] = 0;
    }

    /// @dev Clears unit for unit, and makes the units Wh again.
    function _cooperative(Held storage held, Books.Order[] memory orders, uint256[] memory sold)
        private
        view
        returns (Cooperation.Result memory result)
    {
        for (uint256 i; i < orders.length; ++i) {
            for (uint256 k; k < orders[i].quantities.length; ++k) orders[i].quantities[k] /= UNIT;
        }
        result = Cooperation.clear(orders, held.intervals, sold);
        for (uint256 i; i < orders.length; ++i) {
            for (uint256 k; k < orders[i].quantities.length; ++k) orders[i].quantities[k] *= UNIT;
            for (uint256 j; j < held.intervals; ++j) {
                result.cleared.fills[i][j] *= UNIT;
                result.gross[i][j] *= UNIT;
            }
        }
        for (uint256 i; i < result.levels.length; ++i) {
            uint256 level = result.levels[i];
            uint256 quantities = (level >> 32) & type(uint128).max; // neither of the two carries into the next
            result.levels[i] = (level & ~(uint256(type(uint128).max) << 32)) | ((quantities * UNIT) << 32);
        }
        for (uint256 j; j < held.intervals; ++j) {
            uint256 word = result.cleared.certificate[2 * j];
            uint256 quantities = (word >> 64) & ((1 << 120) - 1); // none of the three carries into the next
            result.cleared.certificate[2 * j] = (word & ~(((uint256(1) << 120) - 1) << 64)) | ((quantities * UNIT) << 64);
            result.cleared.certificate[2 * j + 1] *= UNIT;
            result.cleared.volumes[j] *= UNIT;
        }
    }

    // ------------------------------------------------------------------------------------------------------------ passes

    /// @dev A pass over the batches `from .. to-1` and no levels.
    function _passOf(Held storage held, Found memory right, uint256 from, uint256 to) private view returns (Pass memory next) {
        (next.certificate, next.live) = (right.certificate, right.live);
        next.levelsHash = next.levelsLeft = Cooperation.chain(right.levels, 0);
        (next.excluded, next.state) = (held.excluded, held.chunk);
        (next.sizes, next.rest) = (new uint256[](to - from), new bytes32[](held.sizes.length - to));
        (uint256 word, uint256 entries, uint256 length, uint256 number) = (0, 0, 0, 0);
        for (uint256 i; i < to; ++i) {
            if (i < from) (word, entries) = (word + held.sizes[i], entries + held.counts[i]);
            else (next.sizes[i - from], length, number) = (held.sizes[i], length + held.sizes[i], number + held.counts[i]);
        }
        next.words = _wordsOf(held, word, length);
        word += length;
        for (uint256 i = to; i < held.sizes.length; ++i) {
            next.rest[i - to] = keccak256(abi.encodePacked(_wordsOf(held, word, held.sizes[i])));
            word += held.sizes[i];
        }
        next.hints = Books.packed(number, 32);
        for (uint256 i; i < number; ++i) {
            uint256 hint = right.hints[(entries + i) / 8] >> (32 * ((entries + i) % 8));
            Books.put(next.hints, i, 32, hint & ACCOUNT);
        }
    }

    function _wordsOf(Held storage held, uint256 from, uint256 length) private view returns (uint256[] memory part) {
        part = new uint256[](length);
        for (uint256 i; i < length; ++i) part[i] = held.words[from + i];
    }

    /// @dev What must be refused, or may be begun and changes nothing for others.
    function _wrongStart(Dice.State memory dice, Held storage held, Found memory right, Pass memory next) private {
        uint256[] memory was = next.state;
        next.state = new uint256[](was.length == 0 ? 4 : was.length);
        for (uint256 i; i < was.length; ++i) next.state[i] = was[i];
        next.state[dice.roll(0, next.state.length - 1)] ^= 1 << dice.roll(0, 255);
        refused(Clearing.StateMismatch.selector);
        clearing.take(held.id, next);
        next.state = was;
        Pass memory other = _passOf(held, right, 0, held.sizes.length);
        (other.state, other.levels, other.levelsLeft) = (new uint256[](0), right.levels, 0);
        uint256 place = dice.roll(0, other.certificate.length - 1);
        uint256 bits = held.mode == 0 ? 184 : place % 2 == 0 ? 256 : 160;
        other.certificate = _flipped(other.certificate, place, dice.roll(0, bits - 1));
        try clearing.clear(held.id, other) {
            vm.assertTrue(false, "another certificate passes");
        } catch {
            ++refusals;
        }
        if (held.sizes.length == 0) return;
        // its own beginning, which leads nowhere
        try clearing.take(held.id, other) {
            _did("wrong start");
        } catch {}
    }

    function _flipped(uint256[] memory words, uint256 place, uint256 bit) private pure returns (uint256[] memory changed) {
        changed = new uint256[](words.length);
        for (uint256 i; i < words.length; ++i) changed[i] = words[i];
        changed[place] ^= 1 << bit;
    }

    function _advance(Held storage held, Pass memory next) private {
        Logs(address(vm)).recordLogs();
        clearing.take(held.id, next);
        Logs.Log[] memory logs = Logs(address(vm)).getRecordedLogs();
        vm.assertTrue(logs[logs.length - 1].topics[0] == Clearing.ClearingContinued.selector, "goes on");
        held.chunk = abi.decode(logs[logs.length - 1].data, (uint256[]));
        held.taken += next.sizes.length;
        _did("chunk");
    }

    function _complete(Held storage held, Found memory right, Pass memory next) private {
        bool inBand = guard.inBand(market.terms(held.id), right.prices, right.volumes);
        (next.levels, next.levelsLeft) = (right.levels, 0);
        if (!inBand && held.excluded.length != 0) {
            refused(Clearing.PricesOutsideBand.selector);
            clearing.clear(held.id, next);
            _did("still outside");
            return;
        }
        clearing.clear(held.id, next);
        (held.rows, held.certificate, held.beneficiary) = (right.rows, right.certificate, next.beneficiary);
        Progress memory reached = market.progress(held.id);
        vm.assertTrue(reached.cleared && reached.underReview == !inBand, "cleared");
        vm.assertTrue(clearing.certificateHash(held.id) == keccak256(abi.encodePacked(right.certificate)), "certificate");
        for (uint256 g; g < reached.groups; ++g) {
            bytes32 expected = keccak256(abi.encodePacked(Books.groupOf(right.rows, g, held.intervals)));
            vm.assertTrue(clearing.groupHash(held.id, g) == expected, "rows of a clearing");
        }
        if (!inBand) {
            (held.chunk, held.taken) = (new uint256[](0), 0);
            _did("review");
            return;
        }
        _decided(held);
        _did(held.excluded.length != 0 ? "clear without" : held.mode == 0 ? "clear" : "clear together");
    }

    // ------------------------------------------------------------------------------------------------------------ promises

    function commit(uint256 seed) external watched {
        Dice.State memory dice = Dice.State(seed);
        if (_held.length == 0) return;
        Held storage held = _held[_recent(dice)];
        Progress memory reached = market.progress(held.id);
        if (reached.groups == 0 || held.rows.length == 0) return;
        Results results = Results(address(market.resultsOf(held.mode)));
        uint256 group = dice.roll(0, reached.groups - 1);
        uint256[] memory part = Books.groupOf(held.rows, group, held.intervals);
        bytes4 why;
        if (reached.underReview) why = Results.NotCommittable.selector;
        else if (results.committed(held.id, group)) why = Results.GroupAlreadyCommitted.selector;
        else if (dice.once(4)) {
            part[dice.roll(0, part.length - 1)] ^= 1 << dice.roll(0, 255);
            why = Results.RowsMismatch.selector;
        }
        if (why != 0) {
            refused(why);
            results.commit(held.id, group, part);
            return;
        }
        _moves = true;
        results.commit(held.id, group, part);
        for (uint256 i; i < part.length; i += Books.rowSize(part[i], held.intervals)) {
            if (_sells(part, i, held.intervals)) continue;
            locks[_payerIn(part[i])] -= _lockIn(part[i]);
            if ((part[i] >> 192) & 3 == 2) held.due += _costIn(part[i]);
        }
        if (market.progress(held.id).uncommitted == 0) _promised(held);
        _did("commit");
    }

    /// @dev What of the escrow is nobody's: what a cooperative surplus leaves when shared in whole micro-euro.
    function _promised(Held storage held) private {
        if (held.mode != 1) return;
        for (uint256 j; j < held.intervals; ++j) {
            uint256 sums = held.certificate[2 * j + 1];
            held.surplus += ((sums & type(uint80).max) - (sums >> 80)) / 1000;
        }
    }
}
