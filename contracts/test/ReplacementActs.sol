// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {State} from "../src/Protocol.sol";
import {Replacement} from "../src/Replacement.sol";
import {Books} from "./Books.sol";
import {Dice} from "./Cheats.sol";
import {Stage} from "./Stage.sol";

/// @title ReplacementActs: reserves that take an interval over from members that agree
abstract contract ReplacementActs is Stage {
    using Dice for Dice.State;

    uint256 private constant PRICED = 1 << 194;

    /// @dev One interval that goes from one row to another.
    struct Swap {
        uint256 failing; // rows by number
        uint256 reserve;
        uint256 failingAt; // and by word
        uint256 reserveAt;
        uint256 t; // interval of the day
        uint256 j; // of the session
        uint256 fill;
        uint256 whole; // gross of the failing row
        uint256 taken;
        uint256 gross; // of the reserve
        uint256 part; // of the failing row's gross
        uint256 extra;
        uint256 most; // of the lock
        uint256[] rows;
        bool empty; // nothing is left of the failing row
    }

    uint256 private _nonce;

    function replace(uint256 seed) external watched {
        Dice.State memory dice = Dice.State(seed);
        Swap memory swap;
        for (uint256 i; i < RECENT && i < _held.length; ++i) {
            Held storage held = _held[_held.length - 1 - i];
            State state = market.state(held.id);
            if ((state != State.Cleared && state != State.Delivering) || held.mode == 3 || held.rows.length == 0) continue;
            if (market.progress(held.id).uncommitted != 0) continue;
            swap.rows = held.rows;
            if (_search(dice, held, swap)) return _replace(dice, held, swap);
        }
    }

    function _replace(Dice.State memory dice, Held storage held, Swap memory swap) private {
        _value(held, swap);
        uint256 account = swap.rows[swap.failingAt] & ACCOUNT;
        uint256 reserve = swap.rows[swap.reserveAt] & ACCOUNT;
        Replacement.Change memory change = _change(held, swap);
        Replacement.Consent memory consent = _consent(dice, held, account, reserve, swap.t);
        if (swap.extra > swap.most) {
            refused(Replacement.ExtraAboveLock.selector);
            replacement.replaceByConsent(change, consent);
            return;
        }
        _moves = true;
        replacement.replaceByConsent(change, consent);
        _settleSwap(held, swap);
        refused(Replacement.SuppliedDataMismatch.selector);
        replacement.replaceByConsent(change, consent);
        _did("replace");
    }

    // ------------------------------------------------------------------------------------------------------------ which

    function _search(Dice.State memory dice, Held storage held, Swap memory swap) private view returns (bool) {
        uint256 number;
        for (uint256 i; i < swap.rows.length; i += Books.rowSize(swap.rows[i], held.intervals)) ++number;
        uint256 first = dice.roll(0, number - 1);
        for (uint256 i; i < number; ++i) {
            (swap.failing, swap.failingAt) = ((first + i) % number, _at(swap.rows, (first + i) % number, held.intervals));
            if (!_usable(held, swap.rows, swap.failing, swap.failingAt)) continue;
            for (uint256 r; r < number; ++r) {
                (swap.reserve, swap.reserveAt) = (r, _at(swap.rows, r, held.intervals));
                if ((swap.rows[swap.reserveAt] >> 195) & 1 == 0) continue;
                if ((swap.rows[swap.reserveAt] ^ swap.rows[swap.failingAt]) & ACCOUNT == 0) continue;
                if (_usable(held, swap.rows, r, swap.reserveAt) && _interval(held, swap)) return true;
            }
        }
        return false;
    }

    function _at(uint256[] memory rows, uint256 number, uint256 intervals_) private pure returns (uint256 at_) {
        for (uint256 i; i < number; ++i) at_ += Books.rowSize(rows[at_], intervals_);
    }

    function _usable(Held storage held, uint256[] memory rows, uint256 number, uint256 at_) private view returns (bool) {
        return _sells(rows, at_, held.intervals) && !settlement.settled(held.id, number / 16, number % 16);
    }

    /// @dev The first interval that has not begun, that the one has promised and the other could still deliver.
    function _interval(Held storage held, Swap memory swap) private view returns (bool) {
        uint256 shut = market.auctioned(1, held.day) | accounts.sold(swap.rows[swap.reserveAt] & ACCOUNT, held.day);
        swap.j = 0;
        for (swap.t = 0; swap.t < 24; ++swap.t) {
            if ((held.mask >> swap.t) & 1 == 0) continue;
            swap.fill = _fillAt(swap.rows, swap.failingAt, swap.j);
            bool free = swap.fill != 0 && _fillAt(swap.rows, swap.reserveAt, swap.j) == 0 && (shut >> swap.t) & 1 == 0;
            if (free && zones.intervalStart(1, held.day, swap.t) > vm.getBlockTimestamp() && _offer(held, swap, 0) != 0) return true;
            ++swap.j;
        }
        return false;
    }

    // ------------------------------------------------------------------------------------------------------------ what it costs

    /// @dev Sets `taken` and `gross`: at most the fill, the cheaper step first, each at no less than `price`.
    function _offer(Held storage held, Swap memory swap, uint256 price) private view returns (uint256) {
        uint256 four = Books.bodyWords(held.intervals);
        uint256 header = swap.rows[swap.reserveAt];
        uint256 body = swap.reserveAt + Books.rowWords(held.intervals) + (header & PRICED == 0 ? 0 : four) + swap.j / 4;
        uint256 one = swap.rows[body] >> (56 * (swap.j % 4));
        uint256 two = (header >> 196) & 3 == 0 ? 0 : swap.rows[body + four] >> (56 * (swap.j % 4));
        if (two & 0xffffff != 0 && ((two >> 24) & ACCOUNT) < ((one >> 24) & ACCOUNT)) (one, two) = (two, one);
        (swap.taken, swap.gross) = (0, 0);
        _step(swap, one, price);
        _step(swap, two, price);
        return swap.taken;
    }

    function _step(Swap memory swap, uint256 step, uint256 price) private pure {
        (uint256 quantity, uint256 limit) = (step & 0xffffff, (step >> 24) & ACCOUNT);
        if (quantity > swap.fill - swap.taken) quantity = swap.fill - swap.taken;
        swap.taken += quantity;
        swap.gross += quantity * (limit > price ? limit : price);
    }

    function _value(Held storage held, Swap memory swap) private view {
        uint256 k = held.intervals;
        uint256 price;
        if (swap.rows[swap.failingAt] & PRICED != 0) {
            swap.whole = (swap.rows[swap.failingAt + Books.rowWords(k) + swap.j / 4] >> (64 * (swap.j % 4))) & type(uint64).max;
        } else {
            price = _price(held, swap.j);
            swap.whole = swap.fill * price;
        }
        _offer(held, swap, swap.whole / swap.fill);
        swap.part = swap.whole * swap.taken / swap.fill;
        if (swap.gross < swap.part) swap.gross = swap.part;
        swap.extra = Books.up(swap.gross - swap.part, 1000);
        uint256 all;
        for (uint256 j; j < k; ++j) all += _fillAt(swap.rows, swap.failingAt, j);
        swap.most = _lockIn(swap.rows[swap.failingAt]) * swap.taken / all;
        swap.empty = all == swap.taken;
    }

    function _price(Held storage held, uint256 j) private view returns (uint256) {
        if (held.mode != 0) return 0;
        return ((held.certificate[j] & ACCOUNT) + ((held.certificate[j] >> 32) & ACCOUNT)) / 2;
    }

    // ------------------------------------------------------------------------------------------------------------ how

    function _change(Held storage held, Swap memory swap) private view returns (Replacement.Change memory change) {
        (change.session, change.intervals) = (held.id, 1 << swap.t);
        change.failing = _place(held, swap.rows, swap.failing);
        change.reserve = _place(held, swap.rows, swap.reserve);
        if (swap.failing / 16 == swap.reserve / 16) change.reserve.rows = new uint256[](0);
        (change.certificate, change.rules) = (held.certificate, rules());
    }

    function _place(Held storage held, uint256[] memory rows, uint256 number) private view returns (Replacement.Place memory) {
        return Replacement.Place(number / 16, number % 16, Books.groupOf(rows, number / 16, held.intervals));
    }

    /// @dev By its owner, or by its agent.
    function _consent(Dice.State memory dice, Held storage held, uint256 account, uint256 reserve, uint256 t)
        private
        returns (Replacement.Consent memory consent)
    {
        uint256 signer = accounts.delegateOf(account) != 0 && dice.once(2) ? AGENT : account;
        consent = Replacement.Consent(_owners[signer], 1e9, ++_nonce, vm.getBlockTimestamp() + 1 hours, "");
        consent.signature = signed(keyOf(signer), consentDigest(held.id, account, reserve, 1 << t, consent));
    }

    /// @dev Rows, locks and escrow as they have to be now.
    function _settleSwap(Held storage held, Swap memory swap) private {
        uint256 k = held.intervals;
        if (swap.rows[swap.reserveAt] & PRICED == 0) _widen(held, swap);
        uint256[] memory rows = swap.rows;
        _put(rows, swap.failingAt + 1 + swap.j / 8, 32 * (swap.j % 8), ACCOUNT, swap.fill - swap.taken);
        _put(rows, swap.reserveAt + 1 + swap.j / 8, 32 * (swap.j % 8), ACCOUNT, swap.taken);
        uint256 beyond = Books.rowWords(k) + swap.j / 4;
        if (rows[swap.failingAt] & PRICED != 0) {
            _put(rows, swap.failingAt + beyond, 64 * (swap.j % 4), type(uint64).max, swap.whole - swap.part);
        }
        _put(rows, swap.reserveAt + beyond, 64 * (swap.j % 4), type(uint64).max, swap.gross);
        rows[swap.failingAt] -= swap.extra << 64;
        held.rows = rows;
        held.due += swap.extra;
        uint256 payer = _payerIn(rows[swap.failingAt]);
        locks[payer] -= swap.extra;
        if (swap.empty && (rows[swap.failingAt] >> 195) & 1 == 0) {
            locks[payer] -= _lockIn(rows[swap.failingAt]);
            _did("replace whole");
        }
        _hashes(held, rows, swap.failing / 16);
        _hashes(held, rows, swap.reserve / 16);
    }

    function _hashes(Held storage held, uint256[] memory rows, uint256 group) private view {
        bytes32 expected = keccak256(abi.encodePacked(Books.groupOf(rows, group, held.intervals)));
        vm.assertTrue(clearing.groupHash(held.id, group) == expected, "rows after a replacement");
    }

    /// @dev Gives the reserve's row prices of its own.
    function _widen(Held storage held, Swap memory swap) private view {
        uint256 four = Books.bodyWords(held.intervals);
        uint256 insert = swap.reserveAt + Books.rowWords(held.intervals);
        uint256[] memory wider = new uint256[](swap.rows.length + four);
        for (uint256 i; i < swap.rows.length; ++i) wider[i < insert ? i : i + four] = swap.rows[i];
        wider[swap.reserveAt] |= PRICED;
        for (uint256 j; j < held.intervals; ++j) {
            wider[insert + j / 4] |= (_fillAt(wider, swap.reserveAt, j) * _price(held, j)) << (64 * (j % 4));
        }
        if (swap.failingAt > swap.reserveAt) swap.failingAt += four;
        swap.rows = wider;
    }

    function _put(uint256[] memory rows, uint256 word, uint256 shift, uint256 lane, uint256 value) private pure {
        rows[word] = (rows[word] & ~(lane << shift)) | (value << shift);
    }
}
