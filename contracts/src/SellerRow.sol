// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {RuleSet} from "./RuleSet.sol";
import {SettlementRows} from "./SettlementRows.sol";
import {SettlementTable} from "./SettlementTable.sol";

/// @title SellerRow: what one seller earns, leaves unpaid and forfeits
/// @notice docs/protocol.md section 10. Who delivers at least its fill under plain curves earns its gross, which is most of what there is to
/// settle: eight intervals are looked at and paid at once. Intervals that fall short go through the curves one by one.
/// The compiler inlines no function that may return early; such a function has the stack for itself, which here is worth its call.
library SellerRow {
    using SettlementTable for SettlementTable.Table;

    uint256 private constant M32 = type(uint32).max;
    uint256 private constant BEST = 10_001;
    /// @dev A one in each lane of 32 bits, and the highest bit of each.
    uint256 private constant ONES = 0x0000000100000001000000010000000100000001000000010000000100000001;
    uint256 private constant GUARD = 0x8000000080000000800000008000000080000000800000008000000080000000;
    /// @dev The even ones of eight lanes.
    uint256 private constant EVEN = 0x00000000ffffffff00000000ffffffff00000000ffffffff00000000ffffffff;
    /// @dev Bits of fills that nobody can deliver, and with which lanes would run over.
    uint256 private constant HUGE = ONES * 0xc0000000;

    /// @dev What a row comes to; the fields' order is relied on below.
    struct Seller {
        uint256 account;
        uint256 place; // of its row
        uint256 grossAt; // calldata offset of its gross, 0 where it has the session's prices
        uint256 exempted; // intervals of the session
        uint256 lock;
        uint256 left; // of the lock, after penalties
        uint256 rating; // 0: nothing to rate; 1 + ten-thousandths
        uint256 earned;
        uint256 unpaid;
        uint256 promised; // Wh that a rating is of, where the row is behind
        uint256 short; // Wh of it that were not delivered
    }

    /// @notice All intervals of a row whose deliveries the table holds.
    /// @param seen its words of fills joined by OR
    function earn(Seller memory row, SettlementTable.Table memory table, RuleSet.Curves memory curves, uint256 seen) internal pure {
        (row.rating, row.earned, row.unpaid) = (seen == 0 ? 0 : BEST, 0, 0);
        uint256 behind;
        if (!curves.plain || row.exempted != 0 || seen & HUGE != 0) {
            behind = _all(table, row.place);
        } else if (row.grossAt == 0) {
            (row.earned, behind) = _inFull(table, row.place);
        } else {
            (, behind) = _inFull(table, row.place);
            row.earned = _worthOfGross(table, row.grossAt);
        }
        if (behind != 0) _earnRest(row, table, curves);
    }

    /// @dev Which intervals are behind, and what those that are not earn: the sum of `fill * price / 1000`, each rounded down.
    ///
    /// Compared are eight lanes at once. With its highest bit set a lane of deliveries stays at least that bit when fill and base are taken
    /// from it exactly where no less than the fill is delivered; none borrows from the next, since fills are below 2^30. A fill of 0 has no
    /// bit of its own when `2^31 - 1` is added.
    ///
    /// To multiply, even fills and odd ones are looked at apart, four in lanes of 64 bits. A price stands so far up that the product with its
    /// own fill is what lies from bit 192 on; those with the fills below are less than 2^192 together, those above leave the word. So
    /// dividing by `1000 * 2^192` rounds as dividing the one product by 1000 does.
    function _inFull(SettlementTable.Table memory table, uint256 place) private pure returns (uint256 earned, uint256 any) {
        (uint256 prices, uint256 lanes, uint256 end) = (table.prices, table.lanes, place + 32 * table.words);
        (uint256 bases, uint256 thousand) = (table.bases, table.thousand);
        if (prices == 0) return (0, 0); // not inlined, see SellerRow
        assembly ("memory-safe") {
            for {} lt(place, end) {
                prices := add(prices, 0x100)
                lanes := add(lanes, 0x40)
            } {
                place := add(place, 0x20)
                let fills := calldataload(place)
                let less :=
                    and(
                        and(add(fills, not(GUARD)), not(sub(or(mload(lanes), GUARD), add(fills, bases)))),
                        GUARD
                    )
                mstore(add(lanes, 0x20), less)
                if less {
                    any := 1
                    fills := and(fills, not(mul(shr(31, less), 0xffffffff)))
                }
                let half := and(fills, EVEN)
                earned := add(
                    add(
                        add(div(mul(half, mload(prices)), thousand), div(mul(half, mload(add(prices, 0x40))), thousand)),
                        add(div(mul(half, mload(add(prices, 0x80))), thousand), div(mul(half, mload(add(prices, 0xc0))), thousand))
                    ),
                    earned
                )
                half := and(shr(32, fills), EVEN)
                earned := add(
                    add(
                        add(div(mul(half, mload(add(prices, 0x20))), thousand), div(mul(half, mload(add(prices, 0x60))), thousand)),
                        add(div(mul(half, mload(add(prices, 0xa0))), thousand), div(mul(half, mload(add(prices, 0xe0))), thousand))
                    ),
                    earned
                )
            }
        }
    }

    /// @dev Takes every interval with a fill as behind.
    function _all(SettlementTable.Table memory table, uint256 place) private pure returns (uint256 any) {
        (uint256 lanes, uint256 end) = (table.lanes, place + 32 * table.words);
        if (lanes == 0) return 0; // not inlined, see SellerRow
        assembly ("memory-safe") {
            for {} lt(place, end) { lanes := add(lanes, 0x40) } {
                place := add(place, 0x20)
                let fills := calldataload(place)
                // the highest bit of a lane is there, or the others carry into it
                let less := and(or(add(and(fills, not(GUARD)), not(GUARD)), fills), GUARD)
                mstore(add(lanes, 0x20), less)
                any := or(any, less)
            }
        }
    }

    /// @dev What the intervals earn that are not behind, of a row with prices of its own: four gross a word.
    function _worthOfGross(SettlementTable.Table memory table, uint256 grossAt) private pure returns (uint256 earned) {
        (uint256 behind, uint256 end) = (table.lanes + 32, table.lanes + 64 * table.words);
        uint256 last = (table.intervals + 3) / 4; // words of gross that there are
        if (last == 0) return 0; // not inlined, see SellerRow
        assembly ("memory-safe") {
            last := add(grossAt, shl(5, last))
            for {} lt(behind, end) { behind := add(behind, 0x40) } {
                let less := mload(behind)
                for { let half := 0 } lt(half, 2) { half := add(half, 1) } {
                    let worth := mul(lt(grossAt, last), calldataload(grossAt))
                    earned := add(earned, mul(iszero(and(less, 0x80000000)), div(and(worth, 0xffffffffffffffff), 1000)))
                    earned := add(earned, mul(iszero(and(shr(32, less), 0x80000000)), div(and(shr(64, worth), 0xffffffffffffffff), 1000)))
                    earned := add(earned, mul(iszero(and(shr(64, less), 0x80000000)), div(and(shr(128, worth), 0xffffffffffffffff), 1000)))
                    earned := add(earned, mul(iszero(and(shr(96, less), 0x80000000)), div(shr(192, worth), 1000)))
                    less := shr(128, less)
                    grossAt := add(grossAt, 0x20)
                }
            }
        }
    }

    /// @dev The intervals that are behind, by the curves, and the rating.
    function _earnRest(Seller memory row, SettlementTable.Table memory table, RuleSet.Curves memory curves) private pure {
        (uint256 place, uint256 lanes, uint256 base, uint256 last) = (row.place, table.lanes, table.base, 8 * table.words);
        if (last == 0) return; // not inlined, see SellerRow
        (row.promised, row.short) = (SettlementRows.sum(place, table.words), 0);
        unchecked {
            for (uint256 j; j < last; j += 8) {
                place += 32;
                (uint256 fills, uint256 behind, uint256 delivered) = (SettlementRows.wordAt(place), 0, 0);
                assembly ("memory-safe") {
                    delivered := mload(lanes)
                    behind := mload(add(lanes, 0x20))
                }
                for (uint256 i = j; behind != 0; ++i) {
                    if (behind & (1 << 31) != 0) {
                        uint256 gross = row.grossAt == 0 ? (fills & M32) * table.priceOf(i) : SettlementRows.gross(row.grossAt, i);
                        uint256 lane = delivered & M32;
                        _fall(row, curves, table.refundAt(i), i, fills & M32, gross, lane > base ? lane - base : 0);
                    }
                    (fills, behind, delivered) = (fills >> 32, behind >> 32, delivered >> 32);
                }
                lanes += 64;
            }
            row.rating = row.promised == 0 ? 0 : 1 + (BEST - 1) * (row.promised - row.short) / row.promised;
        }
    }

    /// @dev One interval with a fill.
    /// @param refundAt memory pointer to what buyers get back in it
    function _fall(
        Seller memory row,
        RuleSet.Curves memory curves,
        uint256 refundAt,
        uint256 j,
        uint256 fill,
        uint256 gross,
        uint256 delivered
    ) private pure {
        if (fill == 0) return; // not inlined, see SellerRow
        (uint256 earned, uint256 unpaid, uint256 penalty) = RuleSet.interval(curves, fill, gross, delivered);
        assembly ("memory-safe") {
            // the row: 0x60 exempted, 0xa0 left, 0xe0 earned, 0x100 unpaid, 0x120 promised, 0x140 short
            switch and(shr(j, mload(add(row, 0x60))), 1)
            case 0 {
                let left := mload(add(row, 0xa0))
                if gt(penalty, left) { penalty := left }
                mstore(add(row, 0xa0), sub(left, penalty))
                if lt(delivered, fill) { mstore(add(row, 0x140), add(mload(add(row, 0x140)), sub(fill, delivered))) }
            }
            default {
                penalty := 0
                mstore(add(row, 0x120), sub(mload(add(row, 0x120)), fill))
            }
            mstore(add(row, 0xe0), add(mload(add(row, 0xe0)), earned))
            mstore(add(row, 0x100), add(mload(add(row, 0x100)), unpaid))
            mstore(refundAt, add(mload(refundAt), add(unpaid, penalty)))
        }
    }
}
