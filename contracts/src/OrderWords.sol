// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

/// @title OrderWords: what an entry of the order log is
/// @notice docs/protocol.md section 6. Header `account:32 | steps-1:2 | zero | side:1 (bit 255)`, then per step `ceil(K/4)` words with
/// interval j in word j/4 at bit 56*(j%4): `quantity:24 | limit:32`.
library OrderWords {
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
    /// @return entries one word an entry, `account:32 | side:1 | zero:31 | lock:96`
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
            (uint256 total, uint256 paid) = _body(words, cursor + 1, cursor + size, bodyWords, rules);
            if (total == 0 && size != 1 + bodyWords) revert StepsWithoutQuantity(cursor, (size - 1) / bodyWords);
            uint256 side = header >> 255;
            entries[count++] = (header & type(uint32).max) | (side << 32) | (lockOf(side, total, paid, rules) << 64);
            cursor += size;
        }
        assembly ("memory-safe") {
            mstore(entries, count)
        }
    }

    /// @notice Lock of an entry: a bid's largest cost `paid`, an offer's collateral by the price cap on its `total` Wh.
    function lockOf(uint256 side, uint256 total, uint256 paid, Rules memory rules) internal pure returns (uint256) {
        unchecked {
            return side == 0 ? paid : (rules.collateralPpm * total * rules.priceCap + 999_999_999) / 1_000_000_000;
        }
    }

    /// @dev Checks the words `from..to-1` of an entry. Returns the sum of quantities (Wh) and `sum ceil(q * limit / 1000)`.
    function _body(uint256[] calldata words, uint256 from, uint256 to, uint256 bodyWords, Rules memory rules)
        private
        pure
        returns (uint256 total, uint256 paid)
    {
        uint256 cap = rules.priceCap;
        uint256 minimum = rules.minQuantity;
        uint256 lastBits = 56 * (rules.intervals - 4 * (bodyWords - 1));
        unchecked {
            uint256 place;
            for (uint256 cursor = from; cursor < to; ++cursor) {
                uint256 body;
                assembly ("memory-safe") {
                    body := calldataload(add(words.offset, shl(5, cursor)))
                }
                if (body >> (place == bodyWords - 1 ? lastBits : 224) != 0) revert BodyPadding(cursor, body);
                for (uint256 j = 4 * place; body != 0; ++j) {
                    uint256 quantity = body & 0xffffff;
                    uint256 limit = (body >> 24) & 0xffffffff;
                    if (quantity == 0) {
                        if (limit != 0) revert LimitWithoutQuantity(cursor, j, limit);
                    } else {
                        if (limit > cap) revert LimitAboveCap(cursor, j, limit, cap);
                        if (quantity < minimum) revert QuantityBelowMinimum(cursor, j, quantity, minimum);
                        total += quantity;
                        paid += (quantity * limit + 999) / 1000;
                    }
                    body >>= 56;
                }
                if (++place == bodyWords) place = 0;
            }
        }
    }
}
