// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {ClearingCheck} from "./ClearingCheck.sol";
import {CooperativeCheck} from "./CooperativeCheck.sol";
import {OrderWords} from "./OrderWords.sol";
import {IAccounts} from "./Protocol.sol";

/// @notice What `clear` takes: the claimed result, where an earlier call stopped, and the batches of the log that come next.
struct Pass {
    uint256[] certificate; // one word an interval, two in a cooperative session
    bytes32 levelsHash; // of all levels of a cooperative session (CooperativeCheck); otherwise 0
    uint256[] live; // the live entries, `position:31 | side:1 | account:32`, four a word, ascending by (account, side)
    uint256[] excluded; // `account:32 | side:1`, ascending by (account, side): what the guardian excluded
    bytes32[] marks; // of a long log: its hash at places between beginning and end
    uint256[] state; // of ClearingContinued; empty at first
    uint256[] sizes; // lengths of the next batches in words
    uint256[] words; // the next batches
    uint256[] hints; // each of their entries' row in `live`, 32 bits, eight a word
    bytes32[] rest; // hashes of the words of every batch after them, up to a mark or to the end
    uint256[] levels; // the next levels, once every batch is taken
    bytes32 levelsLeft; // hash of the levels after them
    uint256 beneficiary; // account that gets the intake fees
}

/// @title ClearingPass: one pass over the order log, in as many chunks as it takes, that writes a result row per entry
/// @notice docs/protocol.md section 7. Which entries are live, the rows, their groups and the state between chunks are the
/// same for both modes; what an entry fills, and when a certificate is right, ClearingCheck and CooperativeCheck know.
library ClearingPass {
    uint256 private constant GROUP_ROWS = 16;

    /// @dev What the pass knows of the session, and how far it is.
    struct Frame {
        uint256 intervals; // K
        uint256 mask; // the session's intervals of the day
        uint256 day;
        bool cooperative;
        bool anySold; // somebody has sold one of the intervals already
        IAccounts accounts;
        bytes32 key;
        CooperativeCheck.Levels levels; // how far they are checked
        bytes32 log; // hash of the log so far
        uint256 entries; // of the log so far
        uint256 hits; // rows of the live table that were met
        uint256 liveRows;
        uint256 live; // calldata pointer
        uint256 hints; // calldata pointer
        uint256 hintWords;
        uint256[] excluded; // copied
        uint256 records; // memory pointer
        uint256 buffer; // memory pointer to the rows of the open group
        uint256 end; // memory pointer behind them
        uint256 batch; // memory pointer to a batch
    }

    error StateLength(uint256 length, uint256 expected);
    error SizesMismatch(uint256 sum, uint256 words);
    error BatchEmpty(uint256 batch);
    error LiveTableOrder(uint256 row);
    error LiveRowsUnused(uint256 hits, uint256 rows);
    error HintsLength(uint256 length, uint256 expected);
    error HintOutOfRange(uint256 position, uint256 hint, uint256 rows);
    error HintWrongRow(uint256 position, uint256 hint);
    error EntryAfterLive(uint256 position, uint256 live);

    /// @notice Takes the next batches of the log.
    /// @param frame intervals to key are set
    function run(Frame memory frame, Pass calldata pass, mapping(uint256 group => bytes32) storage groups) internal {
        unchecked {
            _open(frame, pass);
            uint256 longest;
            uint256 from;
            for (uint256 i; i < pass.sizes.length; ++i) {
                uint256 size = pass.sizes[i];
                if (size == 0) revert BatchEmpty(i);
                if (size > pass.words.length - from) revert SizesMismatch(from + size, pass.words.length);
                if (size > longest) longest = size;
                from += size;
            }
            if (from != pass.words.length) revert SizesMismatch(from, pass.words.length);
            frame.batch = _allocate(32 * longest);
            frame.excluded = pass.excluded;
            frame.hintWords = pass.hints.length;
            {
                uint256[] calldata hints = pass.hints;
                uint256[] calldata live = pass.live;
                (uint256 hintsAt, uint256 liveAt) = (0, 0);
                assembly ("memory-safe") {
                    hintsAt := hints.offset
                    liveAt := live.offset
                }
                (frame.hints, frame.live) = (hintsAt, liveAt);
            }
            uint256 first = frame.entries;
            from = 0;
            for (uint256 i; i < pass.sizes.length; ++i) {
                _batch(frame, pass.words[from:from + pass.sizes[i]], first, groups);
                from += pass.sizes[i];
            }
            uint256 expected = (frame.entries - first + 7) / 8;
            if (pass.hints.length != expected) revert HintsLength(pass.hints.length, expected);
        }
    }

    /// @notice Checks the next levels of a cooperative session; those of a complete log, as without its last entries they
    /// would not match.
    function check(Frame memory frame, Pass calldata pass) internal pure {
        CooperativeCheck.check(frame.records, pass.certificate, pass.levels, pass.levelsLeft, frame.key, frame.levels);
    }

    /// @notice The conditions that are known when the log is complete, and the hash of the last group.
    /// @return number of groups
    function close(Frame memory frame, Pass calldata pass, mapping(uint256 group => bytes32) storage groups)
        internal
        returns (uint256)
    {
        if (frame.hits != frame.liveRows) revert LiveRowsUnused(frame.hits, frame.liveRows);
        if (frame.cooperative) CooperativeCheck.close(frame.levels, frame.intervals);
        else ClearingCheck.close(frame.records, pass.certificate);
        if (frame.entries % GROUP_ROWS != 0) _store(frame, groups, frame.entries / GROUP_ROWS);
        return (frame.entries + GROUP_ROWS - 1) / GROUP_ROWS;
    }

    /// @notice The words with which the next call goes on.
    function save(Frame memory frame) internal pure returns (uint256[] memory state) {
        unchecked {
            uint256 open = (frame.end - frame.buffer) / 32;
            uint256 fixedWords = _stateWords(frame);
            state = new uint256[](fixedWords + open);
            state[0] = uint256(frame.log);
            state[1] = frame.entries | (frame.hits << 32) | ((frame.entries / GROUP_ROWS) << 64) | (open << 96);
            if (frame.cooperative) CooperativeCheck.save(frame.records, frame.intervals, frame.levels, state);
            else ClearingCheck.save(frame.records, frame.intervals, state);
            for (uint256 i; i < open; ++i) {
                uint256 slot = frame.buffer + 32 * i;
                assembly ("memory-safe") {
                    mstore(add(add(state, 0x20), shl(5, add(fixedWords, i))), mload(slot))
                }
            }
        }
    }

    /// @dev Lays out records and the open group's rows, as the state has them, or empty.
    function _open(Frame memory frame, Pass calldata pass) private pure {
        unchecked {
            uint256[] calldata state = pass.state;
            uint256 intervals = frame.intervals;
            uint256 fixedWords = _stateWords(frame);
            uint256 open;
            if (state.length == 0) {
                frame.liveRows = _liveRows(pass.live);
            } else {
                open = state[1] >> 96;
                if (state.length != fixedWords + open) revert StateLength(state.length, fixedWords + open);
                frame.log = bytes32(state[0]);
                frame.entries = state[1] & type(uint32).max;
                frame.hits = (state[1] >> 32) & type(uint32).max;
                frame.liveRows = _checkedRows(pass.live);
            }
            frame.records = frame.cooperative
                ? CooperativeCheck.open(pass.certificate, state, intervals, pass.levelsHash, frame.levels)
                : ClearingCheck.open(pass.certificate, state, intervals);
            // A row is at most header, fills, gross and four steps.
            frame.buffer = _allocate(GROUP_ROWS * 32 * (1 + (intervals + 7) / 8 + 5 * ((intervals + 3) / 4)));
            frame.end = frame.buffer + 32 * open;
            uint256 slot = frame.buffer;
            assembly ("memory-safe") {
                calldatacopy(slot, add(state.offset, shl(5, fixedWords)), shl(5, open))
            }
        }
    }

    function _stateWords(Frame memory frame) private pure returns (uint256) {
        unchecked {
            if (frame.cooperative) return CooperativeCheck.HEAD + 2 * frame.intervals * CooperativeCheck.SAVED;
            return 2 + 2 * frame.intervals;
        }
    }

    /// @dev Number of rows of the live table; reverts unless (account, side) ascends strictly.
    function _liveRows(uint256[] calldata live) private pure returns (uint256 rows) {
        bool wrong;
        assembly ("memory-safe") {
            let last := 0
            let cursor := live.offset
            for { let end := add(cursor, shl(5, live.length)) } lt(cursor, end) { cursor := add(cursor, 0x20) } {
                let word := calldataload(cursor)
                for { let k := 4 } k { k := sub(k, 1) } {
                    let maker := and(shr(31, word), 0x1ffffffff)
                    if iszero(gt(maker, last)) {
                        // account 0 is nobody: the table ends here, inside its last word
                        wrong := or(or(iszero(iszero(word)), eq(k, 4)), lt(add(cursor, 0x20), end))
                        cursor := end
                        break
                    }
                    last := maker
                    rows := add(rows, 1)
                    word := shr(64, word)
                }
            }
        }
        if (wrong) revert LiveTableOrder(rows);
    }

    /// @dev Number of rows of a live table that an earlier chunk has checked: the key holds its hash.
    function _checkedRows(uint256[] calldata live) private pure returns (uint256 rows) {
        unchecked {
            if (live.length == 0) return 0;
            rows = 4 * live.length - 4;
            for (uint256 word = live[live.length - 1]; word != 0; word >>= 64) ++rows;
        }
    }

    /// @dev One batch: extends the log and writes the rows of its entries.
    /// @param first position of this call's first entry
    function _batch(
        Frame memory frame,
        uint256[] calldata words,
        uint256 first,
        mapping(uint256 group => bytes32) storage groups
    ) private {
        unchecked {
            uint256 cursor = frame.batch;
            uint256 end = cursor + 32 * words.length;
            bytes32 log = frame.log;
            uint256 original;
            assembly ("memory-safe") {
                original := sub(words.offset, cursor)
                calldatacopy(cursor, words.offset, sub(end, cursor))
                mstore(0x20, keccak256(cursor, sub(end, cursor)))
                mstore(0, log)
                log := keccak256(0, 0x40)
            }
            frame.log = log;
            uint256 position = frame.entries;
            while (cursor < end) {
                uint256 header;
                assembly ("memory-safe") {
                    header := mload(cursor)
                }
                bool counts = _counts(frame, position, position - first, ((header & type(uint32).max) << 1) | (header >> 255));
                cursor = _row(frame, header, counts, cursor + 32, original);
                if (++position % GROUP_ROWS == 0) _store(frame, groups, position / GROUP_ROWS - 1);
            }
            frame.entries = position;
        }
    }

    /// @dev Whether the entry at `position` is the live one of its (account, side) and not excluded.
    /// @param place its place among this call's entries
    /// @param maker `account << 1 | side`
    function _counts(Frame memory frame, uint256 position, uint256 place, uint256 maker) private pure returns (bool) {
        unchecked {
            if (place >> 3 >= frame.hintWords) revert HintsLength(frame.hintWords, (place >> 3) + 1);
            (uint256 hints, uint256 live) = (frame.hints, frame.live);
            uint256 hint;
            uint256 row;
            assembly ("memory-safe") {
                hint := and(shr(shl(5, and(place, 7)), calldataload(add(hints, shl(5, shr(3, place))))), 0xffffffff)
                // Behind the table's end this reads something else, which the next line refuses.
                row := and(shr(shl(6, and(hint, 3)), calldataload(add(live, shl(5, shr(2, hint))))), 0xffffffffffffffff)
            }
            if (hint >= frame.liveRows) revert HintOutOfRange(position, hint, frame.liveRows);
            if (row >> 31 != maker) revert HintWrongRow(position, hint);
            row &= 0x7fffffff;
            if (position < row) return false;
            if (position > row) revert EntryAfterLive(position, row);
            ++frame.hits;
            return frame.excluded.length == 0 || !_excluded(frame.excluded, maker);
        }
    }

    function _excluded(uint256[] memory excluded, uint256 maker) private pure returns (bool) {
        unchecked {
            (uint256 low, uint256 high) = (0, excluded.length);
            while (low < high) {
                uint256 middle = (low + high) / 2;
                uint256 found = ((excluded[middle] & type(uint32).max) << 1) | (excluded[middle] >> 32);
                if (found == maker) return true;
                if (found < maker) low = middle + 1;
                else high = middle;
            }
            return false;
        }
    }

    /// @dev Writes the row of one entry behind the open group's.
    /// @param body memory pointer to its body words
    /// @param original what to add to such a pointer for the words' place in the calldata
    /// @return end where its body words end
    function _row(Frame memory frame, uint256 header, bool counts, uint256 body, uint256 original)
        private
        view
        returns (uint256 end)
    {
        unchecked {
            uint256 intervals = frame.intervals;
            uint256 side = header >> 255;
            uint256 stepBytes = ((intervals + 3) / 4) * 32;
            end = body + (((header >> 128) & 3) + 1) * stepBytes;
            uint256 row = frame.end;
            uint256 last = row + 32 + ((intervals + 7) / 8) * 32;
            assembly ("memory-safe") {
                calldatacopy(row, calldatasize(), add(sub(last, row), stepBytes))
            }
            // account | payer | lock | side | reserve | steps
            uint256 result = (header & 0xffffffffffffffff00000000ffffffff) | (side << 192) | ((header & (1 << 131)) << 64)
                | (((header >> 128) & 3) << 196);
            result |= header & (1 << 130) != 0 ? header & 0xffffffff00000000 : (header & type(uint32).max) << 32;
            if (counts) {
                result |= 1 << 193;
                if (side == 1 && frame.anySold) _withhold(frame, header & type(uint32).max, body, end);
                if (frame.cooperative) {
                    (bool filled, uint256 cost) =
                        CooperativeCheck.fill(frame.records, intervals, frame.key, side, body, end, row + 32);
                    if (filled) {
                        result |= (1 << 194) | (cost << 128);
                        last += stepBytes;
                    }
                } else {
                    result |= ClearingCheck.fill(frame.records, intervals, side, body, end, row + 32) << 128;
                }
                if (header & (1 << 131) != 0) {
                    assembly ("memory-safe") {
                        calldatacopy(last, add(body, original), sub(end, body))
                    }
                    last += end - body;
                }
            }
            assembly ("memory-safe") {
                mstore(row, result)
            }
            frame.end = last;
        }
    }

    /// @dev Sets an offer's words to zero where its account has sold the interval already.
    function _withhold(Frame memory frame, uint256 account, uint256 body, uint256 end) private view {
        uint256 sold = frame.accounts.sold(account, frame.day) & frame.mask;
        if (sold == 0) return;
        unchecked {
            uint256 stepBytes = 32 * ((frame.intervals + 3) / 4);
            uint256 j;
            for (uint256 left = frame.mask; left != 0; left >>= 1) {
                if (left & 1 == 1) {
                    if (sold & 1 == 1) {
                        for (uint256 word = body + 32 * (j >> 2); word < end; word += stepBytes) {
                            uint256 shift = 56 * (j & 3);
                            assembly ("memory-safe") {
                                mstore(word, and(mload(word), not(shl(shift, 0xffffffffffffff))))
                            }
                        }
                    }
                    ++j;
                }
                sold >>= 1;
            }
        }
    }

    /// @dev Keeps the hash of the open group's rows and begins the next.
    function _store(Frame memory frame, mapping(uint256 group => bytes32) storage groups, uint256 group) private {
        bytes32 result;
        (uint256 from, uint256 end) = (frame.buffer, frame.end);
        assembly ("memory-safe") {
            result := keccak256(from, sub(end, from))
        }
        groups[group] = result;
        frame.end = from;
    }

    /// @dev `size` bytes of fresh memory, a multiple of 32, not cleared.
    function _allocate(uint256 size) private pure returns (uint256 pointer) {
        assembly ("memory-safe") {
            pointer := mload(0x40)
            mstore(0x40, add(pointer, size))
        }
    }
}
