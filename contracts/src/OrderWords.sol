// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

/// @title OrderWords: what an entry of the order log is
/// @notice docs/protocol.md section 6. Header `account:32 | steps-1:2 | zero | side:1 (bit 255)`, then per step `ceil(K/4)` words with
/// interval j in word j/4 at bit 56*(j%4): `quantity:24 | limit:32`.
library OrderWords {
    uint256 private constant FAULTY = 2;
    /// @dev A one in each of a body word's four entries.
    uint256 private constant LANES = 1 | (1 << 56) | (1 << 112) | (1 << 168);
    /// @dev Bits of a header that carry something.
    uint256 private constant HEADER = (1 << 255) | ((1 << 34) - 1);

    error BatchEmpty();
    error NoAccount(uint256 word);
    error HeaderPadding(uint256 word, uint256 header);
    error EntryIncomplete(uint256 word, uint256 needed, uint256 left);
    error BodyPadding(uint256 word, uint256 body);
    error LimitWithoutQuantity(uint256 word, uint256 interval, uint256 limit);
    error LimitAboveCap(uint256 word, uint256 interval, uint256 limit, uint256 cap);
    error QuantityBelowMinimum(uint256 word, uint256 interval, uint256 quantity, uint256 minimum);
    error StepsWithoutQuantity(uint256 word, uint256 steps);

    struct Rules {
        uint256 intervals; // K
        uint256 priceCap; // micro-euro per kWh
        uint256 minQuantity; // Wh
        uint256 collateralPpm;
    }

    function hash(uint256[] calldata words) internal pure returns (bytes32 result) {
        assembly ("memory-safe") {
            let free := mload(0x40)
            let size := shl(5, words.length)
            calldatacopy(free, words.offset, size)
            result := keccak256(free, size)
        }
    }

    /// @notice Checks a batch and computes its locks.
    /// @return entries one word an entry, `account:32 | side:1 | cancels:1 | zero:30 | lock:96`
    function check(uint256[] calldata words, Rules memory rules) internal pure returns (uint256[] memory entries) {
        uint256 length = words.length;
        if (length == 0) revert BatchEmpty();
        uint256 bodyWords = (rules.intervals + 3) / 4;
        entries = new uint256[](length / (1 + bodyWords));
        uint256 count;
        uint256 cursor;
        while (cursor < length) {
            uint256 header = words[cursor];
            if (header & ~HEADER != 0) revert HeaderPadding(cursor, header);
            if (header & type(uint32).max == 0) revert NoAccount(cursor);
            uint256 size = 1 + (((header >> 32) & 3) + 1) * bodyWords;
            if (size > length - cursor) revert EntryIncomplete(cursor, size, length - cursor);
            uint256 body;
            assembly ("memory-safe") {
                body := add(words.offset, shl(5, add(cursor, 1)))
            }
            uint256 seen = _scan(body, size - 1, rules);
            if (seen & FAULTY != 0 || _padded(body, size - 1, bodyWords, rules.intervals)) {
                _explain(words, cursor + 1, size - 1, bodyWords, rules);
            }
            if (seen == 0 && size != 1 + bodyWords) revert StepsWithoutQuantity(cursor, (size - 1) / bodyWords);
            uint256 side = header >> 255;
            uint256 kind = (side << 32) | (seen == 0 ? 1 << 33 : 0);
            entries[count++] = (header & type(uint32).max) | kind | (lockOf(side, body, size - 1, rules) << 64);
            cursor += size;
        }
        assembly ("memory-safe") {
            mstore(entries, count)
        }
    }

    /// @notice Lock of an entry: a bid's largest cost `sum ceil(q * limit / 1000)`, an offer's collateral by the price cap.
    /// @param body calldata offset of the entry's first body word
    function lockOf(uint256 side, uint256 body, uint256 bodyLength, Rules memory rules) internal pure returns (uint256 lock) {
        unchecked {
            if (side == 0) return _largestCost(body, bodyLength);
            return (rules.collateralPpm * _quantity(body, bodyLength) * rules.priceCap + 999_999_999) / 1_000_000_000;
        }
    }

    function _largestCost(uint256 body, uint256 bodyLength) private pure returns (uint256 cost) {
        assembly ("memory-safe") {
            for { let end := add(body, shl(5, bodyLength)) } lt(body, end) { body := add(body, 32) } {
                let x := calldataload(body)
                cost := add(cost, div(add(mul(and(x, 0xffffff), and(shr(24, x), 0xffffffff)), 999), 1000))
                cost := add(cost, div(add(mul(and(shr(56, x), 0xffffff), and(shr(80, x), 0xffffffff)), 999), 1000))
                cost := add(cost, div(add(mul(and(shr(112, x), 0xffffff), and(shr(136, x), 0xffffffff)), 999), 1000))
                cost := add(cost, div(add(mul(and(shr(168, x), 0xffffff), and(shr(192, x), 0xffffffff)), 999), 1000))
            }
        }
    }

    function _quantity(uint256 body, uint256 bodyLength) private pure returns (uint256 total) {
        assembly ("memory-safe") {
            for { let end := add(body, shl(5, bodyLength)) } lt(body, end) { body := add(body, 32) } {
                let x := calldataload(body)
                total := add(total, add(and(x, 0xffffff), and(shr(56, x), 0xffffff)))
                total := add(total, add(and(shr(112, x), 0xffffff), and(shr(168, x), 0xffffff)))
            }
        }
    }

    /// @dev Holds four entries of a word at once against the rules, each in its 56 bits, where there is room for a carry above every
    /// quantity and, after a shift, above every limit. Does not stop: bit 0 of the result is set if there is a quantity, bit 1 (FAULTY)
    /// if an entry breaks a rule or a word has bits above its fourth entry.
    function _scan(uint256 body, uint256 bodyLength, Rules memory rules) private pure returns (uint256 seen) {
        uint256 caps = ((1 << 32) | rules.priceCap) * LANES; // minus a limit: bit 32 stays unless the limit is above the cap
        uint256 least = rules.minQuantity * LANES;
        uint256 faults;
        assembly ("memory-safe") {
            for { let end := add(body, shl(5, bodyLength)) } lt(body, end) { body := add(body, 32) } {
                let x := calldataload(body)
                let q := and(x, mul(LANES, 0xffffff))
                let limit := and(shr(24, x), mul(LANES, 0xffffffff))
                seen := or(seen, q)
                faults := or(faults, shr(224, x))
                faults := or(faults, and(not(sub(caps, limit)), mul(LANES, 0x100000000)))
                // bit 24: there is a quantity
                let some := and(add(q, mul(LANES, 0xffffff)), mul(LANES, 0x1000000))
                // bit 24 of the difference: the quantity reaches the minimum
                faults := or(faults, and(some, not(sub(or(q, mul(LANES, 0x1000000)), least))))
                // bit 32 of the sum: there is a limit
                faults := or(faults, and(shr(8, and(add(limit, mul(LANES, 0xffffffff)), mul(LANES, 0x100000000))), not(some)))
            }
        }
        return (seen == 0 ? 0 : 1) | (faults == 0 ? 0 : FAULTY);
    }

    /// @dev Whether the last word of a step has bits beyond the session's last interval.
    function _padded(uint256 body, uint256 bodyLength, uint256 bodyWords, uint256 intervals) private pure returns (bool) {
        unchecked {
            uint256 last;
            assembly ("memory-safe") {
                let end := add(body, shl(5, bodyLength))
                for { let here := add(body, shl(5, sub(bodyWords, 1))) } lt(here, end) { here := add(here, shl(5, bodyWords)) } {
                    last := or(last, calldataload(here))
                }
            }
            return last >> (56 * (intervals - 4 * (bodyWords - 1))) != 0;
        }
    }

    /// @dev Finds the first broken rule of an entry that has one, and reverts with it.
    function _explain(uint256[] calldata words, uint256 from, uint256 bodyLength, uint256 bodyWords, Rules memory rules) private pure {
        for (uint256 k; k < bodyLength; ++k) {
            uint256 body = words[from + k];
            uint256 first = 4 * (k % bodyWords);
            uint256 held = rules.intervals - first < 4 ? rules.intervals - first : 4;
            if (body >> (56 * held) != 0) revert BodyPadding(from + k, body);
            for (uint256 j = first; body != 0; ++j) {
                uint256 quantity = body & 0xffffff;
                uint256 limit = (body >> 24) & 0xffffffff;
                if (quantity == 0 && limit != 0) revert LimitWithoutQuantity(from + k, j, limit);
                if (limit > rules.priceCap) revert LimitAboveCap(from + k, j, limit, rules.priceCap);
                if (quantity != 0 && quantity < rules.minQuantity) {
                    revert QuantityBelowMinimum(from + k, j, quantity, rules.minQuantity);
                }
                body >>= 56;
            }
        }
    }
}
