// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {OrderWords} from "./OrderWords.sol";
import {IDeliveries, Terms} from "./Protocol.sol";

/// @notice What settlement asks of Deliveries.
interface IRecords is IDeliveries {
    /// @return Intervals of the day that are recorded for accounts `word * (256 / T)` and following, T bits each.
    function recordedWord(uint256 session, uint256 word) external view returns (uint256);
}

/// @title SettlementRecords: what sellers have delivered, picked from proven batches
/// @notice docs/protocol.md section 10. No record can be left out, used twice or invented: an account's records share no interval and cover
/// exactly what Deliveries knows as recorded.
library SettlementRecords {
    uint256 private constant M32 = type(uint32).max;
    uint256 private constant M64 = type(uint64).max;

    /// @dev What the rows of one call pick from.
    struct Records {
        uint256 session;
        uint256 used; // picks, each 32 bits
        uint256 size; // bytes of a record's deviations
        uint256 deviations; // memory pointer to those of the row at hand, and a word of 0
        uint256 dayIntervals; // T
        uint256 lanes; // accounts that share a word of recorded intervals
        uint256 recordedAt; // which of these words is at hand
        uint256 recorded;
        uint256[] batches; // calldata `offset:64 | bytes:64`
        IRecords deliveries;
    }

    error BatchNotProven(uint256 session, uint256 batch);
    error PicksIncomplete(uint256 needed, uint256 supplied);
    error PicksLeftOver(uint256 used, uint256 words);
    error PickOutOfRange(uint256 batch, uint256 entry);
    error PickOfOtherAccount(uint256 account, uint256 expected);
    error PickOverlaps(uint256 account, uint256 intervals);
    error RecordsLeftOut(uint256 session, uint256 account, uint256 intervals);

    /// @notice Reverts unless every batch was proven for the session.
    function open(Records memory records, uint256 session, Terms memory terms, uint256[][] calldata batches) internal view {
        (records.session, records.deliveries) = (session, IRecords(terms.deliveries));
        (records.dayIntervals, records.lanes) = (terms.dayIntervals, 256 / uint256(terms.dayIntervals));
        records.recordedAt = type(uint256).max;
        uint256 size = 32 * ((uint256(terms.dayIntervals) + 8) / 9);
        uint256 deviations;
        assembly ("memory-safe") {
            deviations := mload(0x40)
            mstore(0x40, add(deviations, add(size, 0x20)))
            calldatacopy(deviations, calldatasize(), add(size, 0x20))
        }
        (records.size, records.deviations) = (size, deviations);
        records.batches = new uint256[](batches.length);
        for (uint256 i; i < batches.length; ++i) {
            uint256[] calldata batch = batches[i];
            if (!records.deliveries.proven(session, OrderWords.hash(batch))) revert BatchNotProven(session, i);
            uint256 offset;
            assembly ("memory-safe") {
                offset := batch.offset
            }
            records.batches[i] = offset | (batch.length << 69);
        }
    }

    /// @notice Joins the records that the next picks name, all those of the account, in `deviations`.
    /// @return mask recorded intervals of the day
    function take(Records memory records, uint256[] calldata picks, uint256 account) internal view returns (uint256 mask) {
        unchecked {
            (uint256 used, uint256 supplied) = (records.used, 8 * picks.length);
            if (used >= supplied) revert PicksIncomplete(1, 0);
            uint256 number = _pick(picks, used++);
            if (number > supplied - used) revert PicksIncomplete(number, supplied - used);
            (uint256 deviations, uint256 size) = (records.deviations, records.size);
            if (number == 0) {
                assembly ("memory-safe") {
                    calldatacopy(deviations, calldatasize(), size)
                }
            }
            for (number += used; used < number; ++used) {
                (uint256 head, uint256 entry) = _entry(records, _pick(picks, used), size);
                if (head & M32 != account) revert PickOfOtherAccount(head & M32, account);
                head >>= 64;
                if (head & mask != 0) revert PickOverlaps(account, head & mask);
                assembly ("memory-safe") {
                    switch mask
                    case 0 { calldatacopy(deviations, entry, size) }
                    default {
                        // zero outside the entry's mask, which is a part of the proven statement
                        for { let i := 0 } lt(i, size) { i := add(i, 0x20) } {
                            let word := add(deviations, i)
                            mstore(word, or(mload(word), calldataload(add(entry, i))))
                        }
                    }
                }
                mask |= head;
            }
            records.used = used;
        }
        uint256 known = _recordedOf(records, account);
        if (mask != known) revert RecordsLeftOut(records.session, account, known & ~mask);
    }

    /// @notice Reverts unless the picks end with the last one used.
    function requireUsed(Records memory records, uint256[] calldata picks) internal pure {
        uint256 used = records.used;
        uint256 rest = used & 7;
        if (picks.length != (used + 7) / 8 || (rest != 0 && picks[picks.length - 1] >> (32 * rest) != 0)) {
            revert PicksLeftOver(used, picks.length);
        }
    }

    /// @return head the picked entry's first word
    /// @return entry calldata offset of its deviations
    function _entry(Records memory records, uint256 pick, uint256 size) private pure returns (uint256 head, uint256 entry) {
        unchecked {
            uint256 batch = pick & type(uint16).max;
            uint256 from = (pick >> 16) * (size + 32);
            uint256[] memory batches = records.batches;
            uint256 place; // 0 beyond the last batch
            assembly ("memory-safe") {
                if lt(batch, mload(batches)) { place := mload(add(add(batches, 0x20), shl(5, batch))) }
            }
            if (from >= place >> 64) revert PickOutOfRange(batch, pick >> 16);
            entry = (place & M64) + from;
            assembly ("memory-safe") {
                head := calldataload(entry)
            }
            entry += 32;
        }
    }

    /// @dev Intervals that are recorded for the account; neighbours share an answer.
    function _recordedOf(Records memory records, uint256 account) private view returns (uint256) {
        unchecked {
            (uint256 perDay, uint256 lanes) = (records.dayIntervals, records.lanes);
            (uint256 word, uint256 shift) = (0, 0);
            assembly ("memory-safe") {
                word := div(account, lanes)
                shift := mul(mod(account, lanes), perDay)
            }
            if (word != records.recordedAt) {
                records.recordedAt = word;
                records.recorded = records.deliveries.recordedWord(records.session, word);
            }
            return (records.recorded >> shift) & ((1 << perDay) - 1);
        }
    }

    function _pick(uint256[] calldata picks, uint256 i) private pure returns (uint256 pick) {
        assembly ("memory-safe") {
            pick := and(shr(shl(5, and(i, 7)), calldataload(add(picks.offset, shl(5, shr(3, i))))), 0xffffffff)
        }
    }
}
