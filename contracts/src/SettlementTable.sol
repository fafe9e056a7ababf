// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {Mode, Terms} from "./Protocol.sol";
import {SettlementRows} from "./SettlementRows.sol";

/// @title SettlementTable: the intervals of a session in memory, and what sellers deliver laid out beside their fills
/// @notice Fills stand in lanes of 32 bits, eight a word, interval j in lane `j % 8` of word `j / 8`. Deviations are recorded in slots of 26
/// bits, nine a word, by the interval of the day. `align` brings them into the fills' lanes, so that eight are compared at once.
library SettlementTable {
    uint256 private constant M32 = type(uint32).max;
    uint256 private constant M56 = type(uint56).max;
    uint256 private constant SLOT = (1 << 26) - 1;
    /// @dev A one in each lane.
    uint256 private constant ONES = 0x0000000100000001000000010000000100000001000000010000000100000001;

    /// @dev Arrays are memory pointers to 32 bytes an interval, with as many intervals as whole words of fills have lanes.
    struct Table {
        uint256 intervals; // K
        uint256 words; // of fills
        uint256 mask; // intervals of the day
        uint256 first; // interval of the day
        bool gaps; // intervals are left out between the first and the last
        uint256 base; // what a lane holds of a delivery of 0
        uint256 flip; // bits of the lanes that DOWN turns
        uint256 bases; // in every lane
        uint256 lanes; // two words each of the row at hand: deliveries plus base, and the highest bit where less than the fill is delivered
        uint256 thousand; // see SellerRow
        uint256 prices; // sellers: `price << (192 - 64 * (j % 8 / 2))`, see SellerRow
        uint256 refunds; // sellers: what this call adds; buyers: two words each, all of it and volume (Wh)
        uint256 bought; // buyers: their gross, where rows are priced
    }

    function open(Table memory table, Terms memory terms) internal pure {
        (uint256 mask, uint256 first) = (terms.mask, 0);
        while ((mask >> first) & 1 == 0) ++first;
        uint256 run = mask >> first;
        (table.intervals, table.words) = (terms.intervals, (uint256(terms.intervals) + 7) / 8);
        (table.mask, table.first, table.gaps) = (mask, first, run & (run + 1) != 0);
        table.thousand = 1000 << 192;
        // a slot holds `baseline - metered + 2^25`; its complement, less one than 2^25, holds what DOWN delivers
        (table.base, table.flip) = terms.direction == 0 ? (uint256(1 << 25), 0) : (uint256(1 << 25) - 1, ONES * SLOT);
        table.bases = ONES * table.base;
    }

    /// @notice Lays out what seller rows need.
    function forSellers(Table memory table, uint256[] calldata certificate, uint256 mode) internal pure {
        uint256 lanes = 8 * table.words;
        table.prices = _zeros(lanes);
        table.refunds = _zeros(lanes);
        table.lanes = _zeros(2 * table.words);
        if (_priced(mode)) return;
        (uint256 to, uint256 intervals) = (table.prices, table.intervals);
        unchecked {
            for (uint256 j; j < intervals; ++j) {
                uint256 result = certificate[j];
                uint256 price = ((result & M32) + ((result >> 32) & M32)) / 2;
                assembly ("memory-safe") {
                    mstore(add(to, shl(5, j)), shl(sub(192, shl(5, and(j, 6))), price))
                }
            }
        }
    }

    /// @notice Lays out what buyer rows need.
    /// @param stored refunds as Settlement keeps them, four a word
    function forBuyers(
        Table memory table,
        uint256[] calldata certificate,
        uint256 mode,
        mapping(uint256 word => uint256) storage stored
    ) internal view {
        uint256 lanes = 8 * table.words;
        table.refunds = _zeros(2 * lanes);
        table.bought = _zeros(lanes);
        bool priced = _priced(mode);
        (uint256 to, uint256 toBought, uint256 intervals, uint256 word) = (table.refunds, table.bought, table.intervals, 0);
        unchecked {
            for (uint256 j; j < intervals; ++j) {
                if (j & 3 == 0) word = stored[j >> 2];
                uint256 result = certificate[priced ? 2 * j : j];
                uint256 paid = priced ? certificate[2 * j + 1] : 0;
                assembly ("memory-safe") {
                    mstore(to, and(shr(mul(56, and(j, 3)), word), 0xffffffffffffff))
                    mstore(add(to, 0x20), and(shr(64, result), 0xffffffffff))
                    mstore(toBought, and(paid, 0xffffffffffffffffffff))
                }
                (to, toBought) = (to + 64, toBought + 32);
            }
        }
    }

    /// @return Micro-euro per kWh, 0 where every row has its own.
    function priceOf(Table memory table, uint256 j) internal pure returns (uint256) {
        return _load(table.prices, j) >> (192 - 32 * (j & 6));
    }

    /// @return Memory pointer to what sellers leave in interval `j`.
    function refundAt(Table memory table, uint256 j) internal pure returns (uint256) {
        unchecked {
            return table.refunds + 32 * j;
        }
    }

    /// @notice Adds this call's refunds to what Settlement keeps.
    function storeRefunds(Table memory table, mapping(uint256 word => uint256) storage stored) internal {
        uint256 refunds = table.refunds;
        unchecked {
            for (uint256 k; k < 2 * table.words; ++k) {
                uint256 added;
                assembly ("memory-safe") {
                    let spot := add(refunds, shl(7, k))
                    added := or(mload(spot), shl(56, mload(add(spot, 0x20))))
                    added := or(added, or(shl(112, mload(add(spot, 0x40))), shl(168, mload(add(spot, 0x60)))))
                }
                if (added != 0) stored[k] += added;
            }
        }
    }

    // ------------------------------------------------------------------------------------------------------------------ deliveries

    /// @notice Brings deviations into the lanes of the fills, and turns their sign for DOWN.
    /// @param deviations memory pointer to the day's words, and a word of 0
    /// @param missing intervals of the day of which nothing is recorded: 0 is delivered there
    function align(Table memory table, uint256 deviations, uint256 missing) internal pure {
        if (table.gaps) return _alignOne(table, deviations, missing);
        uint256 to = table.lanes;
        (uint256 slot, uint256 end, uint256 flip) = (table.first, to + 64 * table.words, table.flip);
        assembly ("memory-safe") {
            for {} lt(to, end) {
                to := add(to, 0x40)
                slot := add(slot, 8)
            } {
                // eight slots from two words: 208 bits
                let from := add(deviations, shl(5, div(slot, 9)))
                let shift := mul(26, mod(slot, 9))
                let x :=
                    and(
                        or(shr(shift, mload(from)), shl(sub(234, shift), mload(add(from, 0x20)))),
                        0xffffffffffffffffffffffffffffffffffffffffffffffffffff
                    )
                // four of them move 4 * 6 bits up, then two of each four 2 * 6 bits, then one of each two 6 bits: n bits up is 2^n - 1 more
                x := add(x, mul(and(x, 0xffffffffffffffffffffffffff00000000000000000000000000), 0xffffff))
                x := add(x, mul(and(x, 0xfffffffffffff0000000000000000000fffffffffffff0000000000000), 0xfff))
                x := add(x, mul(and(x, 0x000ffffffc000000000ffffffc000000000ffffffc000000000ffffffc000000), 0x3f))
                mstore(to, xor(x, flip))
            }
        }
        if (missing != 0) _put(table, missing >> table.first);
    }

    /// @dev Puts a delivery of 0 in the session's intervals that have a bit, one after the other.
    function _put(Table memory table, uint256 missing) private pure {
        (uint256 lanes, uint256 base) = (table.lanes, table.base);
        unchecked {
            for (uint256 j; missing != 0; ++j) {
                if (missing & 1 != 0) {
                    assembly ("memory-safe") {
                        let spot := add(lanes, shl(6, shr(3, j)))
                        let shift := shl(5, and(j, 7))
                        mstore(spot, or(and(mload(spot), not(shl(shift, 0xffffffff))), shl(shift, base)))
                    }
                }
                missing >>= 1;
            }
        }
    }

    /// @dev Likewise interval by interval, where the session leaves some out.
    function _alignOne(Table memory table, uint256 deviations, uint256 missing) private pure {
        (uint256 lanes, uint256 flip, uint256 j) = (table.lanes, table.flip & SLOT, 0);
        _clear(lanes, 64 * table.words);
        unchecked {
            for (uint256 t = table.first; table.mask >> t != 0; ++t) {
                if ((table.mask >> t) & 1 == 0) continue;
                uint256 lane;
                assembly ("memory-safe") {
                    lane := xor(and(shr(mul(26, mod(t, 9)), mload(add(deviations, shl(5, div(t, 9))))), 0x3ffffff), flip)
                }
                if ((missing >> t) & 1 == 1) lane = table.base;
                assembly ("memory-safe") {
                    let spot := add(lanes, shl(6, shr(3, j)))
                    mstore(spot, or(mload(spot), shl(shl(5, and(j, 7)), lane)))
                }
                ++j;
            }
        }
    }

    /// @return bits the session's intervals, lowest first, among intervals of the day
    function bySession(Table memory table, uint256 ofDay) internal pure returns (uint256 bits) {
        if (!table.gaps) return (ofDay & table.mask) >> table.first;
        uint256 bit = 1;
        unchecked {
            for (uint256 rest = table.mask; rest != 0; rest &= rest - 1) {
                if (ofDay & rest & (~rest + 1) != 0) bits |= bit;
                bit <<= 1;
            }
        }
    }

    /// @return bits the intervals of the day in which a row has a fill
    function filled(Table memory table, uint256 place) internal pure returns (uint256 bits) {
        uint256 j;
        unchecked {
            for (uint256 rest = table.mask; rest != 0; rest &= rest - 1) {
                if ((SettlementRows.wordAt(place + 32 + 32 * (j >> 3)) >> (32 * (j & 7))) & M32 != 0) bits |= rest & (~rest + 1);
                ++j;
            }
        }
    }

    // ---------------------------------------------------------------------------------------------------------------------- buyers

    /// @notice A buyer's share of what sellers left, by its fills, rounded down per interval.
    function share(Table memory table, uint256 place) internal pure returns (uint256 refund) {
        (uint256 spot, uint256 words) = (table.refunds, table.words);
        if (words == 0) return 0; // not inlined, see SellerRow
        assembly ("memory-safe") {
            // a fill of 0 has a share of 0, and division by a volume of 0 gives 0
            for { let end := add(place, shl(5, words)) } lt(place, end) {} {
                place := add(place, 0x20)
                let fills := calldataload(place)
                refund := add(refund, div(mul(and(fills, 0xffffffff), mload(spot)), mload(add(spot, 0x20))))
                refund := add(refund, div(mul(and(shr(32, fills), 0xffffffff), mload(add(spot, 0x40))), mload(add(spot, 0x60))))
                refund := add(refund, div(mul(and(shr(64, fills), 0xffffffff), mload(add(spot, 0x80))), mload(add(spot, 0xa0))))
                refund := add(refund, div(mul(and(shr(96, fills), 0xffffffff), mload(add(spot, 0xc0))), mload(add(spot, 0xe0))))
                refund := add(refund, div(mul(and(shr(128, fills), 0xffffffff), mload(add(spot, 0x100))), mload(add(spot, 0x120))))
                refund := add(refund, div(mul(and(shr(160, fills), 0xffffffff), mload(add(spot, 0x140))), mload(add(spot, 0x160))))
                refund := add(refund, div(mul(and(shr(192, fills), 0xffffffff), mload(add(spot, 0x180))), mload(add(spot, 0x1a0))))
                refund := add(refund, div(mul(shr(224, fills), mload(add(spot, 0x1c0))), mload(add(spot, 0x1e0))))
                spot := add(spot, 0x200)
            }
        }
    }

    /// @notice Likewise by what it pays, where every row has its own prices; by its fills in an interval where no buyer pays anything.
    function pricedShare(Table memory table, uint256 place) internal pure returns (uint256 refund) {
        (uint256 spot, uint256 bought, uint256 intervals) = (table.refunds, table.bought, table.intervals);
        unchecked {
            uint256 grossAt = place + 32 + 32 * table.words;
            for (uint256 j; j < intervals; ++j) {
                uint256 part = SettlementRows.gross(grossAt, j);
                assembly ("memory-safe") {
                    let all := mload(bought)
                    if iszero(all) {
                        part := and(shr(shl(5, and(j, 7)), calldataload(add(place, shl(5, add(1, shr(3, j)))))), 0xffffffff)
                        all := mload(add(spot, 0x20))
                    }
                    refund := add(refund, div(mul(mload(spot), part), all))
                }
                (spot, bought) = (spot + 64, bought + 32);
            }
        }
    }

    // ---------------------------------------------------------------------------------------------------------------------- memory

    function _priced(uint256 mode) private pure returns (bool) {
        return mode == uint256(Mode.Cooperative) || mode == uint256(Mode.Request);
    }

    function _load(uint256 array, uint256 j) private pure returns (uint256 value) {
        assembly ("memory-safe") {
            value := mload(add(array, shl(5, j)))
        }
    }

    function _zeros(uint256 words) private pure returns (uint256 array) {
        assembly ("memory-safe") {
            array := mload(0x40)
            mstore(0x40, add(array, shl(5, words)))
        }
        _clear(array, 32 * words);
    }

    function _clear(uint256 spot, uint256 size) private pure {
        assembly ("memory-safe") {
            calldatacopy(spot, calldatasize(), size)
        }
    }
}
