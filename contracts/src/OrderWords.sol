// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

/// @title OrderWords: what an entry of the order log is
/// @notice docs/protocol.md section 6. Header `account:32 | agent:32 | lock:64 | steps-1:2 | agent pays:1 | reserve:1 | minFill:20 | parent:32
/// | parent side:1 | zero | side:1 (bit 255)`, then per step `ceil(K/4)` words with interval j in word j/4 at bit 56*(j%4): `quantity:24 |
/// limit:32`.
library OrderWords {
    /// @dev A one in each of a body word's four entries.
    uint256 private constant LANES = 1 | (1 << 56) | (1 << 112) | (1 << 168);

    uint256 private constant SIDE = 1 << 255;
    uint256 private constant AGENT_PAYS = 1 << 130;
    uint256 private constant RESERVE = 1 << 131;
    uint256 private constant PARENT_SIDE = 1 << 184;
    /// @dev minFill, parent, parent side.
    uint256 private constant BLOCK_FIELDS = ((1 << 53) - 1) << 132;
    uint256 private constant STEPS = 3 << 128;
    /// @dev Bits of a header that may be set, whatever the mode.
    uint256 private constant HEADER = SIDE | RESERVE | AGENT_PAYS | ((1 << 130) - 1);
    uint256 private constant MAX_WORDS = 4096;

    error BatchEmpty();
    error BatchTooLong(uint256 words, uint256 largest);
    error NoAccount(uint256 word);
    error HeaderPadding(uint256 word, uint256 header);
    error HeaderFields(uint256 word, string field);
    error EntryIncomplete(uint256 word, uint256 needed, uint256 left);
    error LockMismatch(uint256 word, uint256 stated, uint256 lock);
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
        bool blocks; // block mode
    }

    function hash(uint256[] calldata words) internal pure returns (bytes32 result) {
        assembly ("memory-safe") {
            let free := mload(0x40)
            let size := shl(5, words.length)
            calldatacopy(free, words.offset, size)
            result := keccak256(free, size)
        }
    }

    /// @notice Checks a batch, the stated locks included.
    /// @return entries one word an entry, `account:32 | agent:32 | lock:64 | side:1 | cancels:1 | agent pays:1`
    function check(uint256[] calldata words, Rules memory rules) internal pure returns (uint256[] memory entries) {
        if (words.length == 0) revert BatchEmpty();
        if (words.length > MAX_WORDS) revert BatchTooLong(words.length, MAX_WORDS);
        uint256 bodyWords = (rules.intervals + 3) / 4;
        entries = new uint256[](words.length / (1 + bodyWords));
        uint256 headerMask = rules.blocks ? (HEADER | BLOCK_FIELDS) & ~(STEPS | RESERVE) : HEADER;
        uint256 count;
        uint256 cursor;
        unchecked {
            while (cursor < words.length) {
                uint256 header;
                assembly ("memory-safe") {
                    header := calldataload(add(words.offset, shl(5, cursor)))
                }
                if (header & ~headerMask != 0) revert HeaderPadding(cursor, header);
                uint256 size = 1 + (((header >> 128) & 3) + 1) * bodyWords;
                if (size > words.length - cursor) revert EntryIncomplete(cursor, size, words.length - cursor);
                uint256 cancels = _entry(words, cursor, header, size - 1, bodyWords, rules);
                // the fields above the lock are side, cancels and agent pays
                uint256 kind = (header >> 255) | cancels | ((header >> 128) & 4);
                assembly ("memory-safe") {
                    count := add(count, 1)
                    mstore(add(entries, shl(5, count)), or(and(header, 0xffffffffffffffffffffffffffffffff), shl(128, kind)))
                }
                cursor += size;
            }
        }
        assembly ("memory-safe") {
            mstore(entries, count)
        }
    }

    /// @dev Checks one entry; returns 2 if it cancels, otherwise 0.
    function _entry(
        uint256[] calldata words,
        uint256 cursor,
        uint256 header,
        uint256 bodyLength,
        uint256 bodyWords,
        Rules memory rules
    ) private pure returns (uint256 cancels) {
        unchecked {
            uint256 body;
            assembly ("memory-safe") {
                body := add(words.offset, shl(5, add(cursor, 1)))
            }
            (uint256 seen, uint256 faults, uint256 lock) = header >> 255 == 0 ? _scanBid(body, bodyLength, rules) : _scanOffer(body, bodyLength, rules);
            if (faults != 0 || _padded(body, bodyLength, bodyWords, rules.intervals)) _explain(words, cursor + 1, bodyLength, bodyWords, rules);
            uint256 account = header & type(uint32).max;
            uint256 agent = (header >> 32) & type(uint32).max;
            if (account == 0) revert NoAccount(cursor);
            if (agent == account || (agent == 0 && header & AGENT_PAYS != 0)) revert HeaderFields(cursor, "agent");
            if (header & (RESERVE | SIDE) == RESERVE) revert HeaderFields(cursor, "reserve");
            if (header & BLOCK_FIELDS != 0) _checkBlock(cursor, header);
            if (seen == 0) {
                if (bodyLength != bodyWords) revert StepsWithoutQuantity(cursor, bodyLength / bodyWords);
                if (header & (RESERVE | BLOCK_FIELDS) != 0) revert HeaderFields(cursor, "cancels");
                cancels = 2;
            }
            if (lock != (header >> 64) & type(uint64).max) revert LockMismatch(cursor, (header >> 64) & type(uint64).max, lock);
        }
    }

    function _checkBlock(uint256 cursor, uint256 header) private pure {
        uint256 parent = (header >> 152) & type(uint32).max;
        if ((header >> 132) & 0xfffff > 1_000_000) revert HeaderFields(cursor, "minFill");
        if (parent == 0 && header & PARENT_SIDE != 0) revert HeaderFields(cursor, "parent side");
        if (parent == header & type(uint32).max && (header & PARENT_SIDE != 0) == (header & SIDE != 0)) {
            revert HeaderFields(cursor, "parent");
        }
    }

    /// @notice What each entry of a batch of the log locked, to be given back with the intake fee.
    /// @return moves as Vault.move takes them
    function releases(uint256[] calldata words, uint256 intervals, uint256 fee) internal pure returns (uint256[] memory moves) {
        unchecked {
            uint256 bodyWords = (intervals + 3) / 4;
            moves = new uint256[](words.length / (1 + bodyWords));
            uint256 count;
            for (uint256 cursor; cursor < words.length;) {
                uint256 header = words[cursor];
                uint256 payer = header & AGENT_PAYS == 0 ? header & type(uint32).max : (header >> 32) & type(uint32).max;
                uint256 lock = (header >> 64) & type(uint64).max;
                moves[count++] = payer | (lock << 32) | ((lock + fee) << 96);
                cursor += 1 + (((header >> 128) & 3) + 1) * bodyWords;
            }
            assembly ("memory-safe") {
                mstore(moves, count)
            }
        }
    }

    /// @notice The largest quantity that an entry offers in one interval, its steps together.
    /// @param header index of the entry's header in `words`
    function peak(uint256[] calldata words, uint256 header, uint256 intervals) internal pure returns (uint256 largest) {
        uint256 bodyWords = (intervals + 3) / 4;
        uint256 steps = ((words[header] >> 128) & 3) + 1;
        for (uint256 j; j < intervals; ++j) {
            uint256 quantity;
            for (uint256 k; k < steps; ++k) quantity += (words[header + 1 + k * bodyWords + j / 4] >> (56 * (j & 3))) & 0xffffff;
            if (quantity > largest) largest = quantity;
        }
    }

    // Both scans hold four entries of a word at once against the rules, each in its 56 bits, where there is room for a carry above every
    // quantity and, after a shift, above every limit. They do not stop: `seen` is not 0 if there is a quantity, `faults` if an entry breaks
    // a rule or a word has bits above its fourth entry.

    /// @return seen quantities
    /// @return faults broken rules
    /// @return lock a bid's largest cost `sum ceil(q * limit / 1000)`
    function _scanBid(uint256 body, uint256 bodyLength, Rules memory rules)
        private
        pure
        returns (uint256 seen, uint256 faults, uint256 lock)
    {
        unchecked {
            uint256 caps = ((1 << 32) | rules.priceCap) * LANES; // minus a limit: bit 32 stays unless the limit is above the cap
            uint256 least = ((1 << 24) - rules.minQuantity) * LANES; // plus a quantity: bit 24 is set if it reaches the minimum
            assembly ("memory-safe") {
                for { let end := add(body, shl(5, bodyLength)) } lt(body, end) { body := add(body, 32) } {
                    let x := calldataload(body)
                    let q := and(x, mul(LANES, 0xffffff))
                    let limit := and(shr(24, x), mul(LANES, 0xffffffff))
                    seen := or(seen, q)
                    // bit 24: there is a quantity
                    let some := and(add(q, mul(LANES, 0xffffff)), mul(LANES, 0x1000000))
                    faults := or(
                        or(faults, shr(224, x)),
                        or(
                            and(not(sub(caps, limit)), mul(LANES, 0x100000000)),
                            // a quantity below the minimum, or a limit (bit 32 of the sum) without a quantity
                            or(
                                and(some, not(add(q, least))),
                                and(shr(8, add(limit, mul(LANES, 0xffffffff))), and(not(some), mul(LANES, 0x1000000)))
                            )
                        )
                    )
                    lock := add(
                        add(
                            add(lock, div(add(mul(and(x, 0xffffff), and(limit, 0xffffffff)), 999), 1000)),
                            div(add(mul(and(shr(56, x), 0xffffff), and(shr(56, limit), 0xffffffff)), 999), 1000)
                        ),
                        add(
                            div(add(mul(and(shr(112, x), 0xffffff), and(shr(112, limit), 0xffffffff)), 999), 1000),
                            div(add(mul(shr(168, q), shr(168, limit)), 999), 1000)
                        )
                    )
                }
            }
        }
    }

    /// @return seen quantities
    /// @return faults broken rules
    /// @return lock an offer's collateral by the price cap
    function _scanOffer(uint256 body, uint256 bodyLength, Rules memory rules)
        private
        pure
        returns (uint256 seen, uint256 faults, uint256 lock)
    {
        unchecked {
            uint256 caps = ((1 << 32) | rules.priceCap) * LANES;
            uint256 least = ((1 << 24) - rules.minQuantity) * LANES;
            assembly ("memory-safe") {
                for { let end := add(body, shl(5, bodyLength)) } lt(body, end) { body := add(body, 32) } {
                    let x := calldataload(body)
                    let q := and(x, mul(LANES, 0xffffff))
                    let limit := and(shr(24, x), mul(LANES, 0xffffffff))
                    seen := add(seen, q) // four sums; 96 words of 24 bits stay within 56
                    let some := and(add(q, mul(LANES, 0xffffff)), mul(LANES, 0x1000000))
                    faults := or(
                        or(faults, shr(224, x)),
                        or(
                            and(not(sub(caps, limit)), mul(LANES, 0x100000000)),
                            or(
                                and(some, not(add(q, least))),
                                and(shr(8, add(limit, mul(LANES, 0xffffffff))), and(not(some), mul(LANES, 0x1000000)))
                            )
                        )
                    )
                }
            }
            uint256 total = (seen & 0xffffffffffffff) + ((seen >> 56) & 0xffffffffffffff) + ((seen >> 112) & 0xffffffffffffff) + (seen >> 168);
            lock = (rules.collateralPpm * total * rules.priceCap + 999_999_999) / 1_000_000_000;
        }
    }

    /// @dev Whether the last word of a step has bits beyond the session's last interval.
    function _padded(uint256 body, uint256 bodyLength, uint256 bodyWords, uint256 intervals) private pure returns (bool) {
        unchecked {
            if (intervals & 3 == 0) return false; // the scan has seen the bits above the fourth entry
            uint256 last;
            assembly ("memory-safe") {
                let end := add(body, shl(5, bodyLength))
                for { let here := add(body, shl(5, sub(bodyWords, 1))) } lt(here, end) { here := add(here, shl(5, bodyWords)) } {
                    last := or(last, calldataload(here))
                }
            }
            return last >> (56 * (intervals & 3)) != 0;
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
