// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {OrderWords} from "./OrderWords.sol";
import {IAccounts} from "./Protocol.sol";

/// @title BlockCheck: one pass over the order log that holds a proposal for a block session against every entry
/// @notice docs/protocol.md section 12. The proposal's table has one word per live entry, `position:31 | side:1 | account:32 |
/// payer:32 | ratio:32 | up:96`. The fills follow from it: `floor(q * ratio / 10^6)`, and one more in the intervals j whose bit
/// of `up` is set, so that every word of a proposal is under its key and nobody who goes on with a pass can put in another.
library BlockCheck {
    uint256 internal constant GROUP_ROWS = 16;
    uint256 private constant PPM = 1_000_000;
    uint256 private constant M32 = type(uint32).max;
    uint256 private constant MAKER = (1 << 33) - 1; // account * 2 + side, in a table word shifted by 31

    // Bits of an entry's header (section 6) and of a result row's (section 7).
    uint256 private constant AGENT_PAYS = 1 << 130;
    uint256 private constant LIVE = 1 << 193;

    /// @notice What the pass needs of the session.
    struct Book {
        uint256 intervals; // K
        uint256 mask; // of the day
        uint256 day;
        IAccounts accounts;
        bool anySold; // somebody has sold one of the intervals already
    }

    /// @notice How far a pass has come.
    struct Pass {
        bytes32 log;
        uint256 entries;
        uint256 hits; // live entries met
        uint256 calls;
        int256 welfare; // Wh * micro-euro per kWh
        uint256[] volumes; // per interval `bids:128 | offers:128`, Wh
        uint256[] prices; // per interval, micro-euro per kWh
        uint256[] rows; // words of the open group
        uint256 used; // of them
    }

    /// @dev One live entry on its way through `_fill`.
    struct Entry {
        uint256 position;
        uint256 side;
        uint256 body; // calldata offset
        uint256 ratio;
        uint256 up;
        uint256 sold; // bits of the session's intervals
        uint256 fills; // memory pointer
        uint256 byLimit; // sum fill * limit
        uint256 byPrice; // sum fill * price
        uint256 cost; // sum ceil(fill * price / 1000)
        uint256 filled; // Wh
    }

    error CertificateLength(uint256 length, uint256 expected);
    error CertificateWord(uint256 interval, uint256 word);
    error PriceAboveCap(uint256 interval, uint256 price, uint256 cap);
    error TableOrder(uint256 row);
    error TableBits(uint256 row, uint256 word);
    error SizesMismatch(uint256 sum, uint256 words);
    error HintsLength(uint256 length, uint256 entries);
    error HintOutOfRange(uint256 position, uint256 hint, uint256 rows);
    error HintWrongRow(uint256 position, uint256 hint);
    error EntryAfterLive(uint256 position, uint256 live);
    error LiveRowsUnused(uint256 hits, uint256 rows);
    error StepsInBlock(uint256 position, uint256 steps);
    error WrongPayer(uint256 position, uint256 payer, uint256 stated);
    error RatioOutOfRange(uint256 position, uint256 ratio, uint256 minFill);
    error NothingFilled(uint256 position, uint256 ratio);
    error RoundedUpForNothing(uint256 position, uint256 intervals);
    error ParentNotLive(uint256 position, uint256 account, uint256 side);
    error ParentOfOtherPayer(uint256 position, uint256 payer, uint256 parentPayer);
    error AboveParent(uint256 position, uint256 ratio, uint256 parentRatio);
    error BeyondLimit(uint256 position, uint256 byLimit, uint256 byPrice);
    error Unbalanced(uint256 interval, uint256 bids, uint256 offers, uint256 volume);

    /// @notice Prices of a certificate: words as the competitive one's with lo = hi, `price:32 | price:32 | volume:40`, 0
    /// without volume.
    function prices(uint256[] calldata certificate, uint256 intervals, uint256 cap)
        internal
        pure
        returns (uint256[] memory found)
    {
        if (certificate.length != intervals) revert CertificateLength(certificate.length, intervals);
        found = new uint256[](intervals);
        for (uint256 j; j < intervals; ++j) {
            uint256 word = certificate[j];
            uint256 price = word & M32;
            bool traded = word >> 64 != 0;
            if (word >> 104 != 0 || price != (word >> 32) & M32 || (!traded && word != 0)) revert CertificateWord(j, word);
            if (price > cap) revert PriceAboveCap(j, price, cap);
            found[j] = price;
        }
    }

    /// @notice Reverts unless the table's makers ascend strictly and no word has bits outside its fields.
    function requireTable(uint256[] calldata table, uint256 intervals) internal pure {
        uint256 last;
        for (uint256 i; i < table.length; ++i) {
            uint256 word = table[i];
            uint256 maker = (word >> 31) & MAKER;
            if (maker <= last) revert TableOrder(i);
            last = maker;
            if (word >> (128 + intervals) != 0) revert TableBits(i, word);
        }
    }

    /// @notice Takes the next batches of the log. `hints` has the table's row of each of their entries, 32 bits, eight a word.
    function run(
        Book memory book,
        Pass memory pass,
        uint256[] calldata table,
        uint256[] calldata sizes,
        uint256[] calldata words,
        uint256[] calldata hints,
        mapping(uint256 group => bytes32) storage hashes
    ) internal {
        uint256 first = pass.entries;
        uint256 cursor;
        for (uint256 i; i < sizes.length; ++i) {
            uint256[] calldata batch = words[cursor:cursor + sizes[i]];
            cursor += sizes[i];
            pass.log = keccak256(abi.encode(pass.log, OrderWords.hash(batch)));
            uint256 size = 1 + (book.intervals + 3) / 4;
            for (uint256 place; place < batch.length; place += size) {
                uint256 nth = pass.entries - first;
                _entry(book, pass, table, batch[place:place + size], (hints[nth >> 3] >> (32 * (nth & 7))) & M32);
                if (++pass.entries % GROUP_ROWS == 0) _store(pass, hashes);
            }
        }
        if (cursor != words.length) revert SizesMismatch(cursor, words.length);
        if (hints.length != (pass.entries - first + 7) / 8) revert HintsLength(hints.length, pass.entries - first);
        ++pass.calls;
    }

    /// @notice The conditions that are known after the last entry.
    function close(
        Pass memory pass,
        uint256[] calldata certificate,
        uint256[] calldata table,
        mapping(uint256 group => bytes32) storage hashes
    ) internal {
        if (pass.hits != table.length) revert LiveRowsUnused(pass.hits, table.length);
        if (pass.used != 0) _store(pass, hashes);
        for (uint256 j; j < certificate.length; ++j) {
            (uint256 bids, uint256 offers) = (pass.volumes[j] & type(uint128).max, pass.volumes[j] >> 128);
            uint256 volume = certificate[j] >> 64;
            if (bids != volume || offers != volume) revert Unbalanced(j, bids, offers, volume);
        }
    }

    /// @dev One entry of the log: its row of the table, its fills, its result row.
    function _entry(Book memory book, Pass memory pass, uint256[] calldata table, uint256[] calldata words, uint256 hint)
        private
        view
    {
        uint256 header = words[0];
        uint256 position = pass.entries;
        uint256 account = header & M32;
        if (header & (3 << 128) != 0) revert StepsInBlock(position, 1 + ((header >> 128) & 3));
        if (hint >= table.length) revert HintOutOfRange(position, hint, table.length);
        uint256 choice = table[hint];
        if ((choice >> 31) & MAKER != (account << 1) | (header >> 255)) revert HintWrongRow(position, hint);
        if (position > choice & 0x7fffffff) revert EntryAfterLive(position, choice & 0x7fffffff);
        uint256 payer = header & AGENT_PAYS == 0 ? account : (header >> 32) & M32;
        uint256 row = _openRow(book, pass);
        uint256 result = account | (payer << 32) | (((header >> 64) & type(uint64).max) << 64) | ((header >> 255) << 192);
        if (position == choice & 0x7fffffff) {
            ++pass.hits;
            if ((choice >> 64) & M32 != payer) revert WrongPayer(position, payer, (choice >> 64) & M32);
            result |= LIVE;
            if (choice >> 96 != 0) result |= _accepted(book, pass, table, words, choice, row + 32) << 128;
        }
        assembly ("memory-safe") {
            mstore(row, result)
        }
    }

    /// @dev Begins a result row without fills. Returns a memory pointer to it.
    function _openRow(Book memory book, Pass memory pass) private pure returns (uint256 row) {
        unchecked {
            uint256[] memory rows = pass.rows;
            uint256 used = pass.used;
            uint256 size = 1 + (book.intervals + 7) / 8;
            assembly ("memory-safe") {
                row := add(rows, shl(5, add(used, 1)))
            }
            for (uint256 k; k < size; ++k) {
                rows[used + k] = 0;
            }
            pass.used = used + size;
        }
    }

    /// @dev A live entry with a ratio. Returns what a bid pays.
    function _accepted(
        Book memory book,
        Pass memory pass,
        uint256[] calldata table,
        uint256[] calldata words,
        uint256 choice,
        uint256 fills
    ) private view returns (uint256) {
        uint256 header = words[0];
        Entry memory entry;
        entry.position = pass.entries;
        entry.side = header >> 255;
        entry.ratio = (choice >> 96) & M32;
        entry.up = choice >> 128;
        entry.fills = fills;
        uint256 minFill = (header >> 132) & 0xfffff;
        if (entry.ratio == 0 || entry.ratio > PPM || entry.ratio < minFill) {
            revert RatioOutOfRange(entry.position, entry.ratio, minFill);
        }
        if ((header >> 152) & M32 != 0) _requireParent(table, choice, header, entry.position);
        if (entry.side == 1 && book.anySold) {
            uint256 sold = book.accounts.sold(header & M32, book.day) & book.mask;
            if (sold != 0) entry.sold = _inSession(sold, book.mask);
        }
        uint256 body;
        assembly ("memory-safe") {
            body := add(words.offset, 32)
        }
        entry.body = body;
        _fill(pass, entry, book.intervals);
        if (entry.filled == 0) revert NothingFilled(entry.position, entry.ratio);
        if (entry.up != 0) revert RoundedUpForNothing(entry.position, entry.up);
        if (entry.side == 1) {
            if (entry.byLimit > entry.byPrice) revert BeyondLimit(entry.position, entry.byLimit, entry.byPrice);
            pass.welfare -= int256(entry.byLimit);
            return 0;
        }
        if (entry.byLimit < entry.byPrice) revert BeyondLimit(entry.position, entry.byLimit, entry.byPrice);
        pass.welfare += int256(entry.byLimit);
        // Rounding up interval by interval may pass what the block is worth, and so its lock, by less than a micro-euro each.
        // What it pays then, the lock, is still at least the exact sum fill * price / 1000, because the block's worth is. So
        // the bids of a session bring at least sum v * price / 1000, and its offers, rounded down, get no more: the escrow
        // covers them.
        uint256 lock = (header >> 64) & type(uint64).max;
        return entry.cost < lock ? entry.cost : lock;
    }

    /// @dev Reverts unless the entry's parent is live, has the same payer, and is accepted in at least the entry's ratio.
    function _requireParent(uint256[] calldata table, uint256 choice, uint256 header, uint256 position) private pure {
        uint256 maker = (((header >> 152) & M32) << 1) | ((header >> 184) & 1);
        (uint256 low, uint256 high) = (0, table.length);
        while (low < high) {
            uint256 middle = (low + high) / 2;
            if ((table[middle] >> 31) & MAKER < maker) low = middle + 1;
            else high = middle;
        }
        uint256 parent = low < table.length ? table[low] : 0;
        if ((parent >> 31) & MAKER != maker) revert ParentNotLive(position, maker >> 1, maker & 1);
        uint256 payer = (choice >> 64) & M32;
        if ((parent >> 64) & M32 != payer) revert ParentOfOtherPayer(position, payer, (parent >> 64) & M32);
        (uint256 ratio, uint256 above) = ((choice >> 96) & M32, (parent >> 96) & M32);
        if (ratio > above) revert AboveParent(position, ratio, above);
    }

    /// @dev Fills one block, interval by interval, and adds it to the volumes. Bits of `up` are cleared where rounding up
    /// changed something. This loop is where a pass's gas goes; without assembly a filled entry costs a third more.
    function _fill(Pass memory pass, Entry memory entry, uint256 intervals) private pure {
        (uint256 body, uint256 ratio, uint256 up, uint256 sold) = (entry.body, entry.ratio, entry.up, entry.sold);
        (uint256[] memory prices_, uint256[] memory volumes) = (pass.prices, pass.volumes);
        uint256 fills = entry.fills;
        uint256 shift = entry.side << 7;
        uint256 worth; // `by limit:128 | by price:128`
        uint256 sums; // `cost:128 | filled:128`
        assembly ("memory-safe") {
            let word := 0
            for { let j := 0 } lt(j, intervals) { j := add(j, 1) } {
                if iszero(and(j, 3)) {
                    word := calldataload(body)
                    body := add(body, 32)
                }
                let share := mul(mul(and(word, 0xffffff), ratio), iszero(and(shr(j, sold), 1)))
                if share {
                    let fill := div(share, 1000000)
                    if and(shr(j, up), 1) {
                        if mod(share, 1000000) {
                            fill := add(fill, 1)
                            up := xor(up, shl(j, 1))
                        }
                    }
                    let price := mload(add(add(prices_, 32), shl(5, j)))
                    worth := add(worth, mul(fill, or(and(shr(24, word), 0xffffffff), shl(128, price))))
                    sums := add(sums, or(div(add(mul(fill, price), 999), 1000), shl(128, fill)))
                    let place := add(add(volumes, 32), shl(5, j))
                    mstore(place, add(mload(place), shl(shift, fill)))
                    place := add(fills, shl(5, shr(3, j)))
                    mstore(place, or(mload(place), shl(shl(5, and(j, 7)), fill)))
                }
                word := shr(56, word)
            }
        }
        (entry.byLimit, entry.byPrice) = (worth & type(uint128).max, worth >> 128);
        (entry.cost, entry.filled, entry.up) = (sums & type(uint128).max, sums >> 128, up);
    }

    /// @dev Bits of the day's intervals as bits of the session's.
    function _inSession(uint256 bits, uint256 mask) private pure returns (uint256 found) {
        unchecked {
            uint256 j;
            for (; mask != 0; mask >>= 1) {
                if (mask & 1 == 1) found |= (bits & 1) << j++;
                bits >>= 1;
            }
        }
    }

    /// @dev Hashes the rows of the open group and begins the next.
    function _store(Pass memory pass, mapping(uint256 group => bytes32) storage hashes) private {
        (uint256[] memory rows, uint256 used) = (pass.rows, pass.used);
        bytes32 result;
        assembly ("memory-safe") {
            result := keccak256(add(rows, 32), shl(5, used))
        }
        // behind a whole group `entries` has moved on to the next one's first row
        hashes[(pass.entries - 1) / GROUP_ROWS] = result;
        pass.used = 0;
    }
}
