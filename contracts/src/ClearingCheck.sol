// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {OrderWords} from "./OrderWords.sol";

/// @notice What a clearing asks of the accounts: who has sold which intervals of a day already.
interface ISold {
    function sold(uint256 account, uint256 day) external view returns (uint256);
}

/// @title ClearingCheck: one pass over the order log that accepts the right clearing and no other
/// @notice docs/protocol.md section 7. A certificate word per interval, `lo:32 | hi:32 | v:40 | rb:40 | rs:40`, is held against every
/// live entry; on the way the result rows are written and one hash per 16 of them is stored.
///
/// Both sides run through the same loop. A bid is good at prices up to its limit, an offer from its limit on, so that an offer at p
/// behaves like a bid at 2^32-1-p. For each side and interval there are then two marks: `near`, beyond which orders fill whole and at
/// which they share the rest (hi for bids, lo for offers), and `far` (lo for bids, hi for offers), beyond which no unfilled order may
/// lie. With lo = hi they are one.
library ClearingCheck {
    uint256 private constant GROUP_ROWS = 16;
    uint256 private constant MAX_PRICE = type(uint32).max;

    // The record of one side of one interval, in memory, 32 bytes a field: near, far, beyond (Wh filled whole), rest (Wh still to share),
    // marks, price. Bids come first, offers `K` records later.
    uint256 private constant RECORD = 0xc0;
    uint256 private constant CUT = 1; // an order at `near` was not filled whole
    uint256 private constant AT_FAR = 2; // an unfilled order lies at `far`
    uint256 private constant BETWEEN = 4; // an order lies between `near` and `far`

    struct Book {
        uint256 mask; // the session's intervals of the day
        uint256 day;
        uint256 entries; // entries of the log
        ISold accounts;
        bool anySold; // somebody has sold one of the intervals already
    }

    struct Pass {
        uint256 records; // memory pointer
        uint256 intervals; // K
        uint256 liveRows;
        uint256 hits;
        uint256 buffer; // memory pointer to the rows of the open group
        uint256 rowBytes;
        uint256 bufferedRows;
        uint256 groups;
    }

    error CertificateLength(uint256 length, uint256 expected);
    error CertificateBits(uint256 interval, uint256 word);
    error RangeReversed(uint256 interval, uint256 lo, uint256 hi);
    error VolumeNotMet(uint256 interval, uint256 side, uint256 beyond, uint256 rest, uint256 volume);
    error RestNotUsed(uint256 interval, uint256 side, uint256 left);
    error LimitInsideRange(uint256 interval, uint256 side);
    error VolumeTooSmall(uint256 interval, uint256 volume);
    error LowNotTight(uint256 interval, uint256 lo);
    error HighNotTight(uint256 interval, uint256 hi);
    error LiveTableOrder(uint256 row);
    error LiveRowsUnused(uint256 hits, uint256 rows);
    error HintsLength(uint256 length, uint256 expected);
    error HintOutOfRange(uint256 position, uint256 hint, uint256 rows);
    error HintWrongRow(uint256 position, uint256 hint);
    error EntryAfterLive(uint256 position, uint256 live);

    /// @notice Reverts unless `certificate` is the clearing of the log `words`.
    /// @return groups number of group hashes stored in `hashes`
    function run(
        Book memory book,
        OrderWords.Rules memory rules,
        uint256[] calldata words,
        uint256[] calldata certificate,
        uint256[] calldata live,
        uint256[] calldata hints,
        mapping(uint256 group => bytes32) storage hashes
    ) internal returns (uint256 groups) {
        if (hints.length != (book.entries + 7) / 8) revert HintsLength(hints.length, (book.entries + 7) / 8);
        Pass memory pass;
        pass.intervals = rules.intervals;
        pass.liveRows = _liveRows(live);
        pass.records = _open(certificate, rules.intervals);
        pass.rowBytes = 32 * (1 + (rules.intervals + 7) / 8);
        pass.buffer = _allocate(GROUP_ROWS * pass.rowBytes);
        _entries(book, rules, pass, words, live, hints, hashes);
        if (pass.hits != pass.liveRows) revert LiveRowsUnused(pass.hits, pass.liveRows);
        if (pass.bufferedRows != 0) _store(pass, hashes);
        _close(pass, certificate);
        return pass.groups;
    }

    /// @dev Number of rows of the live table, `position:31 | side:1 | account:32`; reverts unless (account, side) ascends strictly.
    function _liveRows(uint256[] calldata live) private pure returns (uint256 rows) {
        unchecked {
            uint256 last;
            for (uint256 i; i < live.length; ++i) {
                uint256 word = live[i];
                for (uint256 k; k < 4; ++k) {
                    uint256 key = (word & type(uint64).max) >> 31;
                    if (key == 0) {
                        // account 0 is nobody: the table ends here, inside its last word
                        if (word != 0 || k == 0 || i + 1 != live.length) revert LiveTableOrder(rows);
                        break;
                    }
                    if (key <= last) revert LiveTableOrder(rows);
                    last = key;
                    ++rows;
                    word >>= 64;
                }
            }
        }
    }

    /// @dev Lays out the records of both sides from the certificate.
    function _open(uint256[] calldata certificate, uint256 intervals) private pure returns (uint256 records) {
        if (certificate.length != intervals) revert CertificateLength(certificate.length, intervals);
        records = _allocate(2 * RECORD * intervals);
        unchecked {
            for (uint256 j; j < intervals; ++j) {
                uint256 word = certificate[j];
                uint256 lo = word & MAX_PRICE;
                uint256 hi = (word >> 32) & MAX_PRICE;
                if (word >> 184 != 0) revert CertificateBits(j, word);
                if (lo > hi) revert RangeReversed(j, lo, hi);
                uint256 price = (lo + hi) / 2;
                _record(records + RECORD * j, hi, lo, (word >> 104) & type(uint40).max, price);
                _record(records + RECORD * (intervals + j), MAX_PRICE - lo, MAX_PRICE - hi, word >> 144, price);
            }
        }
    }

    function _record(uint256 cursor, uint256 near, uint256 far, uint256 rest, uint256 price) private pure {
        assembly ("memory-safe") {
            mstore(cursor, near)
            mstore(add(cursor, 0x20), far)
            mstore(add(cursor, 0x40), 0)
            mstore(add(cursor, 0x60), rest)
            mstore(add(cursor, 0x80), 0)
            mstore(add(cursor, 0xa0), price)
        }
    }

    /// @dev Every entry of the log in turn: which row of the live table names it, does it count, what does it come to.
    function _entries(
        Book memory book,
        OrderWords.Rules memory rules,
        Pass memory pass,
        uint256[] calldata words,
        uint256[] calldata live,
        uint256[] calldata hints,
        mapping(uint256 group => bytes32) storage hashes
    ) private {
        unchecked {
            uint256 bodyWords = (rules.intervals + 3) / 4;
            uint256 cursor;
            for (uint256 position; position < book.entries; ++position) {
                uint256 header = words[cursor];
                uint256 steps = ((header >> 32) & 3) + 1;
                uint256 account = header & type(uint32).max;
                uint256 side = header >> 255;
                bool counts = _counts(pass, live, hints, position, (account << 1) | side);
                uint256 row = pass.buffer + pass.bufferedRows * pass.rowBytes;
                for (uint256 k = 32; k < pass.rowBytes; k += 32) {
                    assembly ("memory-safe") {
                        mstore(add(row, k), 0)
                    }
                }
                uint256 body;
                assembly ("memory-safe") {
                    body := add(words.offset, shl(5, add(cursor, 1)))
                }
                uint256 lock = OrderWords.lockOf(side, body, steps * bodyWords, rules);
                header = account | (side << 32) | (lock << 64);
                if (counts) {
                    uint256 soldHere = side == 1 && book.anySold ? book.accounts.sold(account, book.day) & book.mask : 0;
                    if (soldHere != 0) soldHere = _keepUnsold(soldHere, book.mask, bodyWords);
                    header |= (1 << 33) | (_fill(pass, side, body, steps, bodyWords, soldHere, row + 32) << 160);
                }
                assembly ("memory-safe") {
                    mstore(row, header)
                }
                if (++pass.bufferedRows == GROUP_ROWS) _store(pass, hashes);
                cursor += 1 + steps * bodyWords;
            }
        }
    }

    /// @dev Whether the entry at `position` is the live one of its (account, side).
    function _counts(Pass memory pass, uint256[] calldata live, uint256[] calldata hints, uint256 position, uint256 key)
        private
        pure
        returns (bool)
    {
        unchecked {
            uint256 hint = (hints[position >> 3] >> (32 * (position & 7))) & type(uint32).max;
            if (hint >= pass.liveRows) revert HintOutOfRange(position, hint, pass.liveRows);
            uint256 row = (live[hint >> 2] >> (64 * (hint & 3))) & type(uint64).max;
            if (row >> 31 != key) revert HintWrongRow(position, hint);
            row &= 0x7fffffff;
            if (position > row) revert EntryAfterLive(position, row);
            if (position < row) return false;
            ++pass.hits;
            return true;
        }
    }

    /// @dev Fills one live entry and adds its fills, 32 bits each, eight a word, to the words at `fills`.
    /// @return cost `sum ceil(fill * price / 1000)` of a bid, 0 for an offer
    function _fill(Pass memory pass, uint256 side, uint256 body, uint256 steps, uint256 bodyWords, uint256 keep, uint256 fills)
        private
        pure
        returns (uint256 cost)
    {
        unchecked {
            uint256 length = 32 * bodyWords;
            uint256 record = pass.records;
            if (side == 0) {
                for (; steps != 0; --steps) body = _fillStep(record, 0, body, length, keep, fills);
                return _cost(fills, pass.rowBytes - 32, record);
            }
            record += pass.intervals * RECORD;
            for (; steps != 0; --steps) body = _fillStep(record, MAX_PRICE, body, length, keep, fills);
        }
    }

    /// @dev One step of a curve. Kept small in variables, because the stack is where this loop's gas goes.
    /// @param record memory pointer to the records of the side
    /// @param flip 0 for bids, 2^32-1 for offers
    /// @param body calldata offset of the step's first word
    /// @param keep 0, or memory pointer to a mask per body word that leaves out what the account has sold already
    /// @return end calldata offset of what follows the step
    function _fillStep(uint256 record, uint256 flip, uint256 body, uint256 length, uint256 keep, uint256 fills)
        private
        pure
        returns (uint256 end)
    {
        assembly ("memory-safe") {
            end := add(body, length)
            let lanes := 0
            let shift := 0
            for {} lt(body, end) { body := add(body, 32) } {
                let x := calldataload(body)
                if keep {
                    x := and(x, mload(keep))
                    keep := add(keep, 32)
                }
                for {} 1 {} {
                    let q := and(x, 0xffffff)
                    if q {
                        let limit := xor(and(shr(24, x), 0xffffffff), flip)
                        switch gt(limit, mload(record))
                        case 1 {
                            // better than near: whole
                            mstore(add(record, 0x40), add(mload(add(record, 0x40)), q))
                            lanes := add(lanes, shl(shift, q))
                        }
                        default {
                            switch eq(limit, mload(record))
                            case 1 {
                                let rest := mload(add(record, 0x60))
                                if gt(q, rest) {
                                    mstore(add(record, 0x80), or(mload(add(record, 0x80)), 1)) // CUT
                                    q := rest
                                }
                                mstore(add(record, 0x60), sub(rest, q))
                                lanes := add(lanes, shl(shift, q))
                            }
                            default {
                                if iszero(lt(limit, mload(add(record, 0x20)))) {
                                    // AT_FAR, or BETWEEN when it is better than far
                                    mstore(
                                        add(record, 0x80),
                                        or(mload(add(record, 0x80)), shl(gt(limit, mload(add(record, 0x20))), 2))
                                    )
                                }
                            }
                        }
                    }
                    record := add(record, 0xc0)
                    shift := add(shift, 32)
                    if iszero(and(shift, 127)) { break }
                    x := shr(56, x)
                }
                if eq(shift, 256) {
                    mstore(fills, add(mload(fills), lanes))
                    fills := add(fills, 32)
                    lanes := 0
                    shift := 0
                }
            }
            if shift { mstore(fills, add(mload(fills), lanes)) }
        }
    }

    /// @dev `sum ceil(fill * price / 1000)` over the fills words.
    function _cost(uint256 fills, uint256 size, uint256 record) private pure returns (uint256 cost) {
        assembly ("memory-safe") {
            let price := add(record, 0xa0)
            for { let end := add(fills, size) } lt(fills, end) { fills := add(fills, 32) } {
                for { let y := mload(fills) } y { y := shr(64, y) } {
                    cost := add(cost, div(add(mul(and(y, 0xffffffff), mload(price)), 999), 1000))
                    cost := add(cost, div(add(mul(and(shr(32, y), 0xffffffff), mload(add(price, 0xc0))), 999), 1000))
                    price := add(price, 0x180)
                }
                // `price` may stop early within a word whose last fills are zero
                record := add(record, 0x600)
                price := add(record, 0xa0)
            }
        }
    }

    /// @dev Masks over body words that leave out the entries at `sold`, bits of the day like `mask`. Returns a memory pointer.
    function _keepUnsold(uint256 sold, uint256 mask, uint256 bodyWords) private pure returns (uint256 keep) {
        keep = _allocate(32 * bodyWords);
        unchecked {
            uint256 word;
            uint256 j;
            for (; mask != 0; mask >>= 1) {
                if (mask & 1 == 1) {
                    if (sold & 1 == 0) word |= uint256(0xffffffffffffff) << (56 * (j & 3));
                    assembly ("memory-safe") {
                        mstore(add(keep, shl(5, shr(2, j))), word)
                    }
                    if (++j & 3 == 0) word = 0;
                }
                sold >>= 1;
            }
        }
    }

    /// @dev Hashes the rows of the open group and begins the next.
    function _store(Pass memory pass, mapping(uint256 group => bytes32) storage hashes) private {
        bytes32 result;
        (uint256 from, uint256 size) = (pass.buffer, pass.bufferedRows * pass.rowBytes);
        assembly ("memory-safe") {
            result := keccak256(from, size)
        }
        hashes[pass.groups++] = result;
        pass.bufferedRows = 0;
    }

    /// @dev The conditions that are known after the last entry.
    function _close(Pass memory pass, uint256[] calldata certificate) private pure {
        unchecked {
            for (uint256 j; j < pass.intervals; ++j) {
                uint256 word = certificate[j];
                uint256 lo = word & MAX_PRICE;
                uint256 hi = (word >> 32) & MAX_PRICE;
                uint256 rb = (word >> 104) & type(uint40).max;
                uint256 rs = word >> 144;
                uint256 volume = (word >> 64) & type(uint40).max;
                uint256 bids = _side(pass, j, 0, rb, volume);
                uint256 offers = _side(pass, j, 1, rs, volume);
                bool lowTight = lo == 0 || rs != 0;
                bool highTight = hi == MAX_PRICE || rb != 0;
                if (lo < hi) {
                    // every order at `near` lies beyond the other end of the range, so that it must fill whole
                    if ((bids | offers) & CUT != 0) revert VolumeTooSmall(j, volume);
                    lowTight = lowTight || bids & AT_FAR != 0;
                    highTight = highTight || offers & AT_FAR != 0;
                } else {
                    if (bids & offers & CUT != 0) revert VolumeTooSmall(j, volume);
                    lowTight = lowTight || bids & CUT != 0;
                    highTight = highTight || offers & CUT != 0;
                }
                if (!lowTight) revert LowNotTight(j, lo);
                if (!highTight) revert HighNotTight(j, hi);
            }
        }
    }

    /// @dev Marks of one side of interval j, after the checks that both ranges share.
    function _side(Pass memory pass, uint256 j, uint256 side, uint256 rest, uint256 volume) private pure returns (uint256 marks) {
        uint256 beyond;
        uint256 left;
        uint256 cursor = pass.records + RECORD * (side * pass.intervals + j);
        assembly ("memory-safe") {
            beyond := mload(add(cursor, 0x40))
            left := mload(add(cursor, 0x60))
            marks := mload(add(cursor, 0x80))
        }
        if (beyond + rest != volume) revert VolumeNotMet(j, side, beyond, rest, volume);
        if (left != 0) revert RestNotUsed(j, side, left);
        if (marks & BETWEEN != 0) revert LimitInsideRange(j, side);
    }

    /// @dev `size` bytes of fresh memory, a multiple of 32, not cleared.
    function _allocate(uint256 size) private pure returns (uint256 pointer) {
        assembly ("memory-safe") {
            pointer := mload(0x40)
            mstore(0x40, add(pointer, size))
        }
    }
}
