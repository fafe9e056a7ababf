// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {OrderWords} from "./OrderWords.sol";
import {IResults} from "./Protocol.sol";

/// @title SettlementRows: result rows as they are supplied to be settled
/// @notice docs/protocol.md section 7. A row is known by its place, the calldata offset of its header; fills follow, then gross where it is
/// priced.
library SettlementRows {
    uint256 internal constant GROUP_ROWS = 16;
    uint256 internal constant MAX_ROWS = 256;

    // Bits of a row's header: account:32 | payer:32 | lock:64 | cost:64 | side:1 | live:1 | priced:1 | reserve:1 | steps-1:2.
    uint256 internal constant SIDE = 1 << 192;
    uint256 internal constant LIVE = 1 << 193;
    uint256 internal constant PRICED = 1 << 194;
    uint256 internal constant RESERVE = 1 << 195;

    error RowOutOfRange(uint256 which, uint256 rows);
    error SuppliedDataMismatch(uint256 session, string what);

    /// @notice Places of the rows, which are those of groups `group` and following, or a revert.
    function locate(IResults results, uint256 session, uint256 group, uint256 intervals, uint256[] calldata rows)
        internal
        view
        returns (uint256[] memory places)
    {
        places = new uint256[](MAX_ROWS + GROUP_ROWS);
        uint256 count;
        uint256 from; // words
        unchecked {
            do {
                uint256 next = from;
                (count, next) = _walk(places, count, rows, from, intervals);
                if (next > rows.length || OrderWords.hash(rows[from:next]) != results.groupHash(session, group)) {
                    revert SuppliedDataMismatch(session, "rows");
                }
                if (count > MAX_ROWS) revert RowOutOfRange(count, MAX_ROWS);
                (from, group) = (next, group + 1);
            } while (from < rows.length);
        }
        assembly ("memory-safe") {
            mstore(places, count)
        }
    }

    /// @dev Appends the places of one group's rows, which begin at word `from`.
    /// @return count of all places
    /// @return next the word behind the last row
    function _walk(uint256[] memory places, uint256 before, uint256[] calldata rows, uint256 from, uint256 intervals)
        private
        pure
        returns (uint256 count, uint256 next)
    {
        if (from == rows.length) return (before, from); // not inlined, see SellerRow
        assembly ("memory-safe") {
            let rowBytes := shl(5, add(1, shr(3, add(intervals, 7))))
            let four := shl(5, shr(2, add(intervals, 3)))
            let end := add(rows.offset, shl(5, rows.length))
            next := add(rows.offset, shl(5, from))
            let to := add(places, shl(5, add(before, 1)))
            let first := to
            for { let last := add(to, 0x200) } and(lt(to, last), lt(next, end)) { to := add(to, 0x20) } {
                mstore(to, next)
                let kind := and(shr(193, calldataload(next)), 31) // live, priced, reserve, steps - 1
                next := add(next, rowBytes)
                if and(kind, 6) {
                    if and(kind, 2) { next := add(next, four) }
                    if eq(and(kind, 5), 5) { next := add(next, mul(add(shr(3, kind), 1), four)) }
                }
            }
            count := add(before, shr(5, sub(to, first)))
            next := shr(5, sub(next, rows.offset))
        }
    }

    /// @return seen the words of a row's fills joined by OR: 0 where there is none
    function fills(uint256 place, uint256 words) internal pure returns (uint256 seen) {
        assembly ("memory-safe") {
            for { let end := add(place, shl(5, words)) } lt(place, end) {} {
                place := add(place, 0x20)
                seen := or(seen, calldataload(place))
            }
        }
    }

    /// @return total of a row's fills, Wh
    function sum(uint256 place, uint256 words) internal pure returns (uint256 total) {
        assembly ("memory-safe") {
            let low := 0x00000000ffffffff00000000ffffffff00000000ffffffff00000000ffffffff
            for { let end := add(place, shl(5, words)) } lt(place, end) {} {
                place := add(place, 0x20)
                let lanes := calldataload(place)
                // four lanes of 64 bits, whose sum is what is left modulo 2^64 - 1
                total := add(total, mod(add(and(lanes, low), and(shr(32, lanes), low)), 0xffffffffffffffff))
            }
        }
    }

    /// @return Whether a row is a live offer with fills or a live reserve.
    function sells(uint256 header, uint256 seen) internal pure returns (bool) {
        return header & (LIVE | SIDE) == LIVE | SIDE && (seen != 0 || header & RESERVE != 0);
    }

    /// @return Whether a row is a live bid with fills, whatever they cost.
    function buys(uint256 header, uint256 seen) internal pure returns (bool) {
        return header & (LIVE | SIDE) == LIVE && seen != 0;
    }

    /// @return Thousandths of a micro-euro that a priced row's fill in interval `j` is worth.
    /// @param grossAt calldata offset of its first word of gross
    function gross(uint256 grossAt, uint256 j) internal pure returns (uint256) {
        unchecked {
            return (wordAt(grossAt + 32 * (j >> 2)) >> (64 * (j & 3))) & type(uint64).max;
        }
    }

    function wordAt(uint256 place) internal pure returns (uint256 value) {
        assembly ("memory-safe") {
            value := calldataload(place)
        }
    }
}
