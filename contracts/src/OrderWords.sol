// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

/// @title OrderWords: what an entry of the order log is
/// @notice docs/protocol.md section 6. Header `account:32 | agent:32 | lock:64 | steps-1:2 | agent pays:1 | reserve:1 | minFill:20 | parent:32
/// | parent side:1 | zero | side:1 (bit 255)`, then per step `ceil(K/4)` words with interval j in word j/4 at bit 56*(j%4): `quantity:24 |
/// limit:32`.
library OrderWords {
    /// @dev A one in each of a body word's four entries.
    uint256 private constant LANES = 1 | (1 << 56) | (1 << 112) | (1 << 168);
    /// @dev A one in the first and the third.
    uint256 private constant EVEN = 1 | (1 << 112);
    uint256 private constant M56 = type(uint56).max;

    uint256 private constant SIDE = 1 << 255;
    uint256 private constant AGENT_PAYS = 1 << 130;
    uint256 private constant RESERVE = 1 << 131;
    uint256 private constant PARENT_SIDE = 1 << 184;
    /// @dev minFill, parent, parent side.
    uint256 private constant BLOCK_FIELDS = ((1 << 53) - 1) << 132;
    uint256 private constant STEPS = 3 << 128;
    /// @dev Bits of a header that may be set, whatever the mode.
    uint256 private constant HEADER = SIDE | RESERVE | AGENT_PAYS | ((1 << 130) - 1);
    /// @dev Bits of a header that few entries have.
    uint256 private constant UNCOMMON = RESERVE | BLOCK_FIELDS;
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

    /// @notice `words` in memory.
    function load(uint256[] calldata words) internal pure returns (uint256[] memory copy) {
        assembly ("memory-safe") {
            let size := shl(5, words.length)
            copy := mload(0x40)
            mstore(copy, words.length)
            calldatacopy(add(copy, 0x20), words.offset, size)
            mstore(0x40, add(add(copy, 0x20), size))
        }
    }

    function hashInMemory(uint256[] memory words) internal pure returns (bytes32 result) {
        assembly ("memory-safe") {
            result := keccak256(add(words, 0x20), shl(5, mload(words)))
        }
    }

    /// @dev What a batch is scanned with, in memory: with fewer variables on the stack the compiler need not compute them again and again.
    struct Scan {
        uint256 lanes; // a one for every bit of an even entry
        uint256 quantities; // a one for every bit of a quantity
        uint256 caps; // minus an even entry: bit 56 stays unless its limit is above the cap
        uint256 least; // plus a quantity: bit 24 is set if it reaches the minimum
        uint256 bodyWords; // of a step
        uint256 header; // bits that a header may have
        uint256 overhang; // a one for every bit of a step's last word that is beyond the session, 0 if every word is full
    }

    /// @notice Checks a batch, the stated locks included.
    /// @return entries one word an entry, `account:32 | agent:32 | lock:64 | side:1 | cancels:1 | agent pays:1`
    function check(uint256[] memory words, Rules memory rules) internal pure returns (uint256[] memory entries) {
        if (words.length == 0) revert BatchEmpty();
        if (words.length > MAX_WORDS) revert BatchTooLong(words.length, MAX_WORDS);
        Scan memory scan = _scan(rules);
        entries = new uint256[](words.length / (1 + scan.bodyWords));
        uint256 cursor; // memory pointers
        uint256 end;
        uint256 to;
        assembly ("memory-safe") {
            cursor := add(words, 0x20)
            end := add(cursor, shl(5, mload(words)))
            to := entries
        }
        unchecked {
            while (cursor != end) {
                (uint256 header, uint256 next) = (0, 0);
                assembly ("memory-safe") {
                    header := mload(cursor)
                    next := add(add(cursor, 0x20), shl(5, mul(add(and(shr(128, header), 3), 1), mload(add(scan, 0x80)))))
                }
                if (header & ~scan.header != 0) revert HeaderPadding(_word(words, cursor), header);
                if (next > end) revert EntryIncomplete(_word(words, cursor), (next - cursor) / 32, (end - cursor) / 32);
                (uint256 seen, uint256 faults, uint256 lock) =
                    header >> 255 == 0 ? _scanBid(scan, cursor, next) : _scanOffer(scan, cursor, next, rules);
                uint256 kind = (header >> 255) | ((header >> 128) & 4); // side and agent pays
                assembly ("memory-safe") {
                    let account := and(header, 0xffffffff)
                    let agent := and(shr(32, header), 0xffffffff)
                    faults := or(faults, xor(lock, and(shr(64, header), 0xffffffffffffffff)))
                    faults := or(faults, or(iszero(account), or(eq(agent, account), gt(shr(2, kind), agent))))
                }
                faults |= header & UNCOMMON;
                if (faults != 0) _examine(words, _word(words, cursor), (next - cursor) / 32 - 1, scan.bodyWords, rules, seen, lock);
                if (seen == 0) {
                    if ((next - cursor) / 32 - 1 != scan.bodyWords) {
                        revert StepsWithoutQuantity(_word(words, cursor), ((next - cursor) / 32 - 1) / scan.bodyWords);
                    }
                    kind |= 2;
                }
                assembly ("memory-safe") {
                    to := add(to, 0x20)
                    mstore(to, or(shl(128, kind), shr(128, shl(128, header))))
                }
                cursor = next;
            }
        }
        assembly ("memory-safe") {
            mstore(entries, shr(5, sub(to, entries)))
        }
    }

    function _word(uint256[] memory words, uint256 cursor) private pure returns (uint256 index) {
        assembly ("memory-safe") {
            index := shr(5, sub(sub(cursor, words), 0x20))
        }
    }

    /// @dev Reverts if the entry breaks a rule, with the first that it breaks. Not in the way of the many entries that are right and have
    /// none of the uncommon fields.
    function _examine(
        uint256[] memory words,
        uint256 word,
        uint256 bodyLength,
        uint256 bodyWords,
        Rules memory rules,
        uint256 seen,
        uint256 lock
    ) private pure {
        uint256 header = words[word];
        if (header & type(uint32).max == 0) revert NoAccount(word);
        _explain(words, word, bodyLength, bodyWords, rules);
        uint256 agent = (header >> 32) & type(uint32).max;
        if (agent == 0 ? header & AGENT_PAYS != 0 : agent == header & type(uint32).max) revert HeaderFields(word, "agent");
        if (seen == 0 && header & UNCOMMON != 0) revert HeaderFields(word, "cancels");
        if (header & (RESERVE | SIDE) == RESERVE) revert HeaderFields(word, "reserve");
        if (header & BLOCK_FIELDS != 0) _checkBlock(word, header);
        if (lock != (header >> 64) & type(uint64).max) revert LockMismatch(word, (header >> 64) & type(uint64).max, lock);
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
    function peak(uint256[] memory words, uint256 header, uint256 intervals) internal pure returns (uint256 largest) {
        uint256 bodyWords = (intervals + 3) / 4;
        uint256 steps = ((words[header] >> 128) & 3) + 1;
        for (uint256 j; j < intervals; ++j) {
            uint256 quantity;
            for (uint256 k; k < steps; ++k) quantity += (words[header + 1 + k * bodyWords + j / 4] >> (56 * (j & 3))) & 0xffffff;
            if (quantity > largest) largest = quantity;
        }
    }

    function _scan(Rules memory rules) private pure returns (Scan memory scan) {
        unchecked {
            scan.lanes = (EVEN << 56) - EVEN;
            scan.quantities = LANES * 0xffffff;
            scan.caps = ((1 << 56) | (rules.priceCap << 24) | 0xffffff) * EVEN;
            scan.least = ((1 << 24) - (rules.minQuantity == 0 ? 1 : rules.minQuantity)) * LANES;
            scan.bodyWords = (rules.intervals + 3) / 4;
            scan.header = rules.blocks ? (HEADER | BLOCK_FIELDS) & ~(STEPS | RESERVE) : HEADER;
            if (rules.intervals & 3 != 0) scan.overhang = type(uint256).max << (56 * (rules.intervals & 3));
        }
    }

    // Both scans hold four entries of a word at once against the rules, each in its 56 bits; where a number must carry, even and odd entries
    // are taken apart. An entry is right when it is 0, or its quantity reaches the minimum (at least 1) and its limit the cap at most.
    // Neither stops at a fault.

    /// @param cursor memory pointer to the entry's header
    /// @param next memory pointer behind the entry
    /// @return seen all words, joined
    /// @return faults not 0 if an entry breaks a rule or a word has bits where nothing stands
    /// @return lock a bid's largest cost `sum ceil(q * limit / 1000)`
    function _scanBid(Scan memory scan, uint256 cursor, uint256 next) private pure returns (uint256 seen, uint256 faults, uint256 lock) {
        assembly ("memory-safe") {
            for { let word := add(cursor, 0x20) } lt(word, next) { word := add(word, 0x20) } {
                let x := mload(word)
                seen := or(seen, x)
                // bit 56 of an even or odd entry: above the cap; or not 0 and, by bit 24 of the sum, below the minimum
                let low := not(add(and(x, mload(add(scan, 0x20))), mload(add(scan, 0x60))))
                let half := and(x, mload(scan))
                faults := or(faults, or(and(add(half, mload(scan)), shl(32, low)), not(sub(mload(add(scan, 0x40)), half))))
                half := and(shr(56, x), mload(scan))
                faults := or(faults, or(and(add(half, mload(scan)), shr(24, low)), not(sub(mload(add(scan, 0x40)), half))))
                lock := add(lock, div(add(mul(and(x, 0xffffff), and(shr(24, x), 0xffffffff)), 999), 1000))
                lock := add(lock, div(add(mul(and(shr(56, x), 0xffffff), and(shr(80, x), 0xffffffff)), 999), 1000))
                lock := add(lock, div(add(mul(and(shr(112, x), 0xffffff), and(shr(136, x), 0xffffffff)), 999), 1000))
                lock := add(lock, div(add(mul(and(shr(168, x), 0xffffff), and(shr(192, x), 0xffffffff)), 999), 1000))
            }
        }
        faults = (faults & (EVEN << 56)) | (seen >> 224);
        if (scan.overhang != 0) faults |= _overhang(scan, cursor, next);
    }

    /// @return seen all words, joined
    /// @return faults as above
    /// @return lock an offer's collateral by the price cap
    function _scanOffer(Scan memory scan, uint256 cursor, uint256 next, Rules memory rules)
        private
        pure
        returns (uint256 seen, uint256 faults, uint256 lock)
    {
        assembly ("memory-safe") {
            for { let word := add(cursor, 0x20) } lt(word, next) { word := add(word, 0x20) } {
                let x := mload(word)
                seen := or(seen, x)
                lock := add(lock, and(x, mload(add(scan, 0x20)))) // four sums
                // bit 56 of an even or odd entry: above the cap; or not 0 and, by bit 24 of the sum, below the minimum
                let low := not(add(and(x, mload(add(scan, 0x20))), mload(add(scan, 0x60))))
                let half := and(x, mload(scan))
                faults := or(faults, or(and(add(half, mload(scan)), shl(32, low)), not(sub(mload(add(scan, 0x40)), half))))
                half := and(shr(56, x), mload(scan))
                faults := or(faults, or(and(add(half, mload(scan)), shr(24, low)), not(sub(mload(add(scan, 0x40)), half))))
            }
        }
        faults = (faults & (EVEN << 56)) | (seen >> 224);
        if (scan.overhang != 0) faults |= _overhang(scan, cursor, next);
        unchecked {
            uint256 total = (lock & M56) + ((lock >> 56) & M56) + ((lock >> 112) & M56) + (lock >> 168);
            lock = (rules.collateralPpm * total * rules.priceCap + 999_999_999) / 1_000_000_000;
        }
    }

    /// @dev Bits of the last words of the steps beyond the session's last interval.
    function _overhang(Scan memory scan, uint256 cursor, uint256 next) private pure returns (uint256 bits) {
        assembly ("memory-safe") {
            let size := shl(5, mload(add(scan, 0x80)))
            for { let last := add(cursor, size) } lt(last, next) { last := add(last, size) } { bits := or(bits, mload(last)) }
            bits := and(bits, mload(add(scan, 0xc0)))
        }
    }

    /// @dev Finds the first broken rule of an entry that has one, and reverts with it.
    function _explain(uint256[] memory words, uint256 header, uint256 bodyLength, uint256 bodyWords, Rules memory rules) private pure {
        for (uint256 k; k < bodyLength; ++k) {
            uint256 body = words[header + 1 + k];
            uint256 first = 4 * (k % bodyWords);
            uint256 held = rules.intervals - first < 4 ? rules.intervals - first : 4;
            if (body >> (56 * held) != 0) revert BodyPadding(header + 1 + k, body);
            for (uint256 j = first; body != 0; ++j) {
                uint256 quantity = body & 0xffffff;
                uint256 limit = (body >> 24) & 0xffffffff;
                if (quantity == 0 && limit != 0) revert LimitWithoutQuantity(header + 1 + k, j, limit);
                if (limit > rules.priceCap) revert LimitAboveCap(header + 1 + k, j, limit, rules.priceCap);
                if (quantity != 0 && quantity < rules.minQuantity) {
                    revert QuantityBelowMinimum(header + 1 + k, j, quantity, rules.minQuantity);
                }
                body >>= 56;
            }
        }
    }
}
