// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {OrderWords} from "../src/OrderWords.sol";

/// @title Books: order logs and their clearing, written from docs/protocol.md sections 6 and 7 alone: slow, obvious, for tests
/// @notice Prices lie between 0 and TOP, so that every price can be tried.
library Books {
    uint256 internal constant TOP = 12;
    uint256 internal constant MAX = type(uint32).max;

    struct Order {
        uint256 account;
        uint256 side; // 0 bid, 1 offer
        uint256 steps;
        uint256[] quantities; // Wh, step after step
        uint256[] limits; // micro-euro per kWh
        uint256 agent; // who acts for the account, 0 its owner
        bool agentPays;
        bool reserve;
        bool excluded; // by the guardian; not part of the entry
        uint256 lock;
    }

    struct Cleared {
        uint256[] certificate;
        uint256[] volumes;
        uint256[] prices;
        uint256[][] fills; // by position, then interval
        bool[] live;
    }

    /// @dev The clearing of one interval.
    struct Clearing {
        uint256 lo;
        uint256 hi;
        uint256 volume;
        uint256 restBids;
        uint256 restOffers;
    }

    // ---------------------------------------------------------------------------------------------------------------- encoding

    function bodyWords(uint256 intervals) internal pure returns (uint256) {
        return (intervals + 3) / 4;
    }

    function encode(Order memory order, uint256 intervals) internal pure returns (uint256[] memory words) {
        uint256 size = bodyWords(intervals);
        words = new uint256[](1 + order.steps * size);
        words[0] = order.account | (order.agent << 32) | (order.lock << 64) | ((order.steps - 1) << 128)
            | (order.agentPays ? 1 << 130 : 0) | (order.reserve ? 1 << 131 : 0) | (order.side << 255);
        for (uint256 s; s < order.steps; ++s) {
            for (uint256 j; j < intervals; ++j) {
                uint256 entry = order.quantities[s * intervals + j] | (order.limits[s * intervals + j] << 24);
                words[1 + s * size + j / 4] |= entry << (56 * (j % 4));
            }
        }
    }

    function encode(Order[] memory orders, uint256 intervals) internal pure returns (uint256[] memory words) {
        words = new uint256[](0);
        for (uint256 i; i < orders.length; ++i) words = join(words, encode(orders[i], intervals));
    }

    /// @dev Writes into orders what each has to lock.
    function seal(Order[] memory orders, uint256 cap, uint256 collateralPpm) internal pure {
        for (uint256 i; i < orders.length; ++i) orders[i].lock = lockOf(orders[i], cap, collateralPpm);
    }

    function join(uint256[] memory left, uint256[] memory right) internal pure returns (uint256[] memory both) {
        both = new uint256[](left.length + right.length);
        for (uint256 i; i < left.length; ++i) both[i] = left[i];
        for (uint256 i; i < right.length; ++i) both[left.length + i] = right[i];
    }

    /// @dev Sets lane `i` of `size` bits in packed words.
    function put(uint256[] memory words, uint256 i, uint256 size, uint256 value) internal pure {
        words[i * size / 256] |= value << (i * size % 256);
    }

    function packed(uint256 number, uint256 size) internal pure returns (uint256[] memory) {
        return new uint256[]((number * size + 255) / 256);
    }

    /// @dev The lock of an entry, by section 6.
    function lockOf(Order memory order, uint256 cap, uint256 collateralPpm) internal pure returns (uint256 lock) {
        uint256 total;
        for (uint256 i; i < order.quantities.length; ++i) {
            total += order.quantities[i];
            lock += up(order.quantities[i] * order.limits[i], 1000);
        }
        if (order.side == 1) lock = up(collateralPpm * total * cap, 10 ** 9);
    }

    function up(uint256 value, uint256 divisor) internal pure returns (uint256) {
        return value / divisor + (value % divisor == 0 ? 0 : 1);
    }

    /// @dev Live table and hints of a log.
    function table(Order[] memory orders) internal pure returns (uint256[] memory live, uint256[] memory hints) {
        uint256[] memory keys = new uint256[](orders.length); // account << 1 | side, ascending
        uint256[] memory last = new uint256[](orders.length);
        uint256 number;
        for (uint256 i; i < orders.length; ++i) {
            uint256 key = (orders[i].account << 1) | orders[i].side;
            uint256 place;
            while (place < number && keys[place] < key) ++place;
            if (place == number || keys[place] != key) {
                for (uint256 k = number++; k > place; --k) (keys[k], last[k]) = (keys[k - 1], last[k - 1]);
                keys[place] = key;
            }
            last[place] = i;
        }
        live = packed(number, 64);
        hints = packed(orders.length, 32);
        for (uint256 r; r < number; ++r) put(live, r, 64, last[r] | (keys[r] << 31));
        for (uint256 i; i < orders.length; ++i) {
            uint256 row;
            while (keys[row] != ((orders[i].account << 1) | orders[i].side)) ++row;
            put(hints, i, 32, row);
        }
    }

    /// @dev Result rows of a cleared log, one after the other. `gross` is by position and interval where entries have prices of
    /// their own.
    function rows(Order[] memory orders, Cleared memory cleared, uint256[][] memory gross)
        internal
        pure
        returns (uint256[] memory all)
    {
        all = new uint256[](0);
        for (uint256 i; i < orders.length; ++i) all = join(all, rowOf(orders[i], cleared, i, gross));
    }

    function rows(Order[] memory orders, Cleared memory cleared) internal pure returns (uint256[] memory) {
        return rows(orders, cleared, new uint256[][](0));
    }

    function rowOf(Order memory order, Cleared memory cleared, uint256 i, uint256[][] memory gross)
        internal
        pure
        returns (uint256[] memory words)
    {
        uint256 intervals = cleared.prices.length;
        words = new uint256[](rowWords(intervals));
        uint256[] memory own = new uint256[](bodyWords(intervals));
        uint256 cost;
        bool priced;
        for (uint256 j; j < intervals; ++j) {
            uint256 fill = cleared.fills[i][j];
            words[1 + j / 8] |= fill << (32 * (j % 8));
            if (gross.length == 0) {
                cost += up(fill * cleared.prices[j], 1000);
            } else if (fill != 0) {
                priced = true;
                own[j / 4] |= gross[i][j] << (64 * (j % 4));
                cost += up(gross[i][j], 1000);
            }
        }
        if (order.side == 1) cost = 0;
        words[0] = order.account | ((order.agentPays ? order.agent : order.account) << 32) | (order.lock << 64) | (cost << 128)
            | (order.side << 192) | (cleared.live[i] ? 1 << 193 : 0) | (priced ? 1 << 194 : 0) | (order.reserve ? 1 << 195 : 0)
            | ((order.steps - 1) << 196);
        if (priced) words = join(words, own);
        if (!order.reserve || !cleared.live[i]) return words;
        uint256[] memory entry = encode(order, intervals);
        uint256[] memory body = new uint256[](entry.length - 1);
        for (uint256 k; k < body.length; ++k) body[k] = entry[k + 1];
        return join(words, body);
    }

    /// @dev Words of a row without prices of its own that is no reserve.
    function rowWords(uint256 intervals) internal pure returns (uint256) {
        return 1 + (intervals + 7) / 8;
    }

    /// @dev Words of a row with this header.
    function rowSize(uint256 header, uint256 intervals) internal pure returns (uint256 size) {
        size = rowWords(intervals);
        if ((header >> 194) & 1 == 1) size += bodyWords(intervals);
        if ((header >> 193) & 1 == 1 && (header >> 195) & 1 == 1) size += (((header >> 196) & 3) + 1) * bodyWords(intervals);
    }

    /// @dev Words of rows `16 group .. 16 group + 15`.
    function groupOf(uint256[] memory all, uint256 group, uint256 intervals) internal pure returns (uint256[] memory part) {
        uint256 from;
        for (uint256 i; i < 16 * group; ++i) from += rowSize(all[from], intervals);
        uint256 to = from;
        for (uint256 i; i < 16 && to < all.length; ++i) to += rowSize(all[to], intervals);
        part = new uint256[](to - from);
        for (uint256 i; i < part.length; ++i) part[i] = all[from + i];
    }

    // ---------------------------------------------------------------------------------------------------------------- clearing

    /// @param sold bits of session intervals that each entry's account has sold already, by position
    function clear(Order[] memory orders, uint256 intervals, uint256[] memory sold) internal pure returns (Cleared memory cleared) {
        cleared.certificate = new uint256[](intervals);
        (cleared.volumes, cleared.prices) = (new uint256[](intervals), new uint256[](intervals));
        cleared.fills = new uint256[][](orders.length);
        cleared.live = new bool[](orders.length);
        for (uint256 i; i < orders.length; ++i) {
            cleared.fills[i] = new uint256[](intervals);
            cleared.live[i] = !orders[i].excluded;
            for (uint256 k = i + 1; k < orders.length; ++k) {
                if (orders[k].account == orders[i].account && orders[k].side == orders[i].side) cleared.live[i] = false;
            }
        }
        for (uint256 j; j < intervals; ++j) _clearInterval(orders, intervals, sold, cleared, j);
    }

    function _clearInterval(Order[] memory orders, uint256 intervals, uint256[] memory sold, Cleared memory cleared, uint256 j)
        private
        pure
    {
        Clearing memory c = clearing(depth(orders, intervals, sold, cleared.live, j));
        cleared.certificate[j] = c.lo | (c.hi << 32) | (c.volume << 64) | (c.restBids << 104) | (c.restOffers << 144);
        cleared.volumes[j] = c.volume;
        cleared.prices[j] = (c.lo + c.hi) / 2;
        for (uint256 i; i < orders.length; ++i) {
            if (!counts(orders[i], sold[i], cleared.live[i], j)) continue;
            for (uint256 s; s < orders[i].steps; ++s) {
                uint256 q = orders[i].quantities[s * intervals + j];
                uint256 limit = orders[i].limits[s * intervals + j];
                bool bid = orders[i].side == 0;
                if (bid ? limit > c.hi : limit < c.lo) {
                    cleared.fills[i][j] += q;
                } else if (limit == (bid ? c.hi : c.lo)) {
                    uint256 rest = bid ? c.restBids : c.restOffers;
                    uint256 taken = q < rest ? q : rest;
                    cleared.fills[i][j] += taken;
                    if (bid) c.restBids -= taken;
                    else c.restOffers -= taken;
                }
            }
        }
    }

    function counts(Order memory order, uint256 sold, bool live, uint256 j) internal pure returns (bool) {
        return live && (order.side == 0 || (sold >> j) & 1 == 0);
    }

    /// @return book Wh wanted (row 0) and offered (row 1) in interval `j` at exactly each price up to TOP
    function depth(Order[] memory orders, uint256 intervals, uint256[] memory sold, bool[] memory live, uint256 j)
        internal
        pure
        returns (uint256[TOP + 1][2] memory book)
    {
        for (uint256 i; i < orders.length; ++i) {
            if (!counts(orders[i], sold[i], live[i], j)) continue;
            for (uint256 s; s < orders[i].steps; ++s) {
                book[orders[i].side][orders[i].limits[s * intervals + j]] += orders[i].quantities[s * intervals + j];
            }
        }
    }

    /// @dev Tries every price up to one above the highest, which stands for all beyond.
    function clearing(uint256[TOP + 1][2] memory book) internal pure returns (Clearing memory c) {
        bool found;
        for (uint256 p; p <= TOP + 1; ++p) {
            (uint256 bids, uint256 better, uint256 offers, uint256 cheaper) = (0, 0, 0, 0);
            for (uint256 limit; limit <= TOP; ++limit) {
                if (limit >= p) bids += book[0][limit];
                if (limit > p) better += book[0][limit];
                if (limit <= p) offers += book[1][limit];
                if (limit < p) cheaper += book[1][limit];
            }
            uint256 volume = bids < offers ? bids : offers;
            if (better > volume || cheaper > volume) continue; // somebody who would trade is left out
            if (!found) (found, c.lo, c.volume, c.restOffers) = (true, p, volume, volume - cheaper);
            (c.hi, c.restBids) = (p, volume - better);
        }
        if (c.hi == TOP + 1) c.hi = MAX;
        if (c.lo == TOP + 1) c.lo = MAX;
    }

    /// @dev What trade is worth at most, in micro-euro per 1000: the best Wh wanted against the cheapest offered, one by one.
    function bestWelfare(uint256[TOP + 1][2] memory book) internal pure returns (uint256 welfare, uint256 volume) {
        (uint256 high, uint256 low) = (TOP, 0);
        (uint256 wanted, uint256 offered) = (book[0][TOP], book[1][0]);
        while (true) {
            while (wanted == 0 && high > 0) wanted = book[0][--high];
            while (offered == 0 && low < TOP) offered = book[1][++low];
            if (wanted == 0 || offered == 0 || high < low) return (welfare, volume);
            welfare += high - low;
            ++volume;
            --wanted;
            --offered;
        }
    }
}
