// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {OrderLanes} from "./OrderLanes.sol";

/// @title OrderWords: what an entry of the order log is
/// @notice docs/protocol.md section 6. Header `account:32 | agent:32 | lock:64 | steps-1:2 | agent pays:1 | reserve:1 | minFill:20 | parent:32
/// | parent side:1 | zero | side:1 (bit 255)`, then per step `ceil(K/4)` words with interval j in word j/4 at bit 56*(j%4): `quantity:24 |
/// limit:32`.
library OrderWords {
    uint256 private constant SIDE = 1 << 255;
    uint256 private constant AGENT_PAYS = 1 << 130;
    uint256 private constant RESERVE = 1 << 131;
    uint256 private constant PARENT_SIDE = 1 << 184;
    /// @dev minFill, parent, parent side.
    uint256 private constant BLOCK_FIELDS = ((1 << 53) - 1) << 132;
    uint256 private constant STEPS = 0x300000000000000000000000000000000;
    /// @dev Bits of a header that may be set, whatever the mode.
    uint256 private constant HEADER = SIDE | RESERVE | AGENT_PAYS | ((1 << 130) - 1);
    /// @dev Bits of a header that few entries have.
    uint256 private constant UNCOMMON = RESERVE | BLOCK_FIELDS;
    /// @dev Bits of a header that an entry's word keeps where they are.
    uint256 private constant KEPT = 0x4ffffffffffffffffffffffffffffffff;
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

    /// @notice `words` in memory, behind two free words, so that they can be an event's data where they stand.
    function load(uint256[] calldata words) internal pure returns (uint256[] memory copy) {
        assembly ("memory-safe") {
            let size := shl(5, words.length)
            copy := add(mload(0x40), 0x40)
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

    /// @dev What a batch is held against, in memory: with fewer variables on the stack the compiler need not compute them again and again.
    struct Scan {
        uint256 one; // bytes of an entry of one step
        uint256 two;
        uint256 three;
        uint256 four;
        uint256 added; // see OrderLanes.guard
        uint256 collateral; // of an offered Wh, 10^-9 micro-euro
        uint256 uncommon; // bits of a header that few entries have
        uint256 overhang; // a one for every bit of a step's last word that is beyond the session, 0 if every word is full
    }

    /// @notice Checks a batch, the stated locks included.
    /// @return entries one word an entry, `account:32 | agent:32 | lock:64 | side:1 | cancels:1 | agent pays:1`
    function check(uint256[] memory words, Rules memory rules) internal pure returns (uint256[] memory entries) {
        if (words.length == 0) revert BatchEmpty();
        if (words.length > MAX_WORDS) revert BatchTooLong(words.length, MAX_WORDS);
        Scan memory scan = _scan(rules);
        entries = new uint256[](words.length / (scan.one / 32));
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
                    next := add(cursor, mload(add(scan, shr(123, and(header, STEPS)))))
                }
                if (next > end) _refuseIncomplete(words, cursor, rules);
                (uint256 seen, uint256 faults, uint256 lock) = (0, 0, 0);
                if (int256(header) < 0) {
                    (seen, faults, lock) = OrderLanes.offer(scan.added, cursor + 32, next);
                    lock = (scan.collateral * lock + 999_999_999) / 1_000_000_000;
                } else {
                    (seen, faults, lock) = OrderLanes.bid(scan.added, cursor + 32, next);
                }
                if (scan.overhang != 0) faults |= _overhang(scan, cursor, next);
                uint256 odd;
                assembly ("memory-safe") {
                    let account := and(header, 0xffffffff)
                    let agent := and(shr(32, header), 0xffffffff)
                    odd := or(or(faults, and(header, mload(add(scan, 0xc0)))), xor(lock, shr(192, shl(128, header))))
                    odd := or(odd, or(or(iszero(account), iszero(seen)), or(eq(agent, account), gt(and(shr(130, header), 1), agent))))
                }
                uint256 cancels;
                if (odd != 0) cancels = _examine(words, cursor, rules, faults, seen, lock);
                assembly ("memory-safe") {
                    to := add(to, 0x20)
                    mstore(to, or(and(header, KEPT), shl(128, or(shr(255, header), cancels))))
                }
                cursor = next;
            }
        }
        assembly ("memory-safe") {
            mstore(entries, shr(5, sub(to, entries)))
        }
    }

    function _scan(Rules memory rules) private pure returns (Scan memory scan) {
        unchecked {
            uint256 size = 32 * _bodyWords(rules.intervals);
            (scan.one, scan.two, scan.three, scan.four) = (32 + size, 32 + 2 * size, 32 + 3 * size, 32 + 4 * size);
            scan.added = OrderLanes.guard(rules.priceCap, rules.minQuantity);
            scan.collateral = rules.collateralPpm * rules.priceCap;
            scan.uncommon = ~_headerBits(rules) | UNCOMMON;
            if (rules.intervals & 3 != 0) scan.overhang = type(uint256).max << (56 * (rules.intervals & 3));
        }
    }

    /// @dev Bits that a header may have.
    function _headerBits(Rules memory rules) private pure returns (uint256) {
        return rules.blocks ? (HEADER | BLOCK_FIELDS) & ~(STEPS | RESERVE) : HEADER;
    }

    function _bodyWords(uint256 intervals) private pure returns (uint256) {
        return (intervals + 3) / 4;
    }

    /// @dev Bits of the last words of an entry's steps beyond the session's last interval.
    function _overhang(Scan memory scan, uint256 cursor, uint256 next) private pure returns (uint256 bits) {
        assembly ("memory-safe") {
            let size := sub(mload(scan), 0x20)
            for { let last := add(cursor, size) } lt(last, next) { last := add(last, size) } { bits := or(bits, mload(last)) }
            bits := and(bits, mload(add(scan, 0xe0)))
        }
    }

    /// @dev Reverts for an entry that the batch ends within.
    function _refuseIncomplete(uint256[] memory words, uint256 cursor, Rules memory rules) private pure {
        uint256 word = _index(words, cursor);
        uint256 header = words[word];
        if (header & ~_headerBits(rules) != 0) revert HeaderPadding(word, header);
        revert EntryIncomplete(word, 1 + (((header >> 128) & 3) + 1) * _bodyWords(rules.intervals), words.length - word);
    }

    function _index(uint256[] memory words, uint256 cursor) private pure returns (uint256 word) {
        assembly ("memory-safe") {
            word := shr(5, sub(sub(cursor, words), 0x20))
        }
    }

    /// @dev Holds an entry against one rule after the other and reverts with the first that it breaks. Not in the way of the many entries
    /// that are right, cancel nothing and have none of the uncommon fields.
    /// @param cursor memory pointer to its header
    /// @param faults by OrderLanes; if there are any, the entry may still be right, and `lock` is computed again
    /// @return cancels 2 if it has no quantity, else 0
    function _examine(uint256[] memory words, uint256 cursor, Rules memory rules, uint256 faults, uint256 seen, uint256 lock)
        private
        pure
        returns (uint256 cancels)
    {
        unchecked {
            uint256 word = _index(words, cursor);
            uint256 header = words[word];
            if (header & ~_headerBits(rules) != 0) revert HeaderPadding(word, header);
            uint256 steps = ((header >> 128) & 3) + 1;
            if (header & type(uint32).max == 0) revert NoAccount(word);
            if (faults != 0) lock = _explain(words, word, steps * _bodyWords(rules.intervals), rules);
            uint256 agent = (header >> 32) & type(uint32).max;
            if (agent == 0 ? header & AGENT_PAYS != 0 : agent == header & type(uint32).max) revert HeaderFields(word, "agent");
            cancels = seen == 0 ? 2 : 0;
            if (cancels != 0 && header & UNCOMMON != 0) revert HeaderFields(word, "cancels");
            if (header & (RESERVE | SIDE) == RESERVE) revert HeaderFields(word, "reserve");
            if (header & BLOCK_FIELDS != 0) _checkBlock(word, header);
            if (lock != (header >> 64) & type(uint64).max) revert LockMismatch(word, (header >> 64) & type(uint64).max, lock);
            if (cancels != 0 && steps != 1) revert StepsWithoutQuantity(word, steps);
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
    function peak(uint256[] memory words, uint256 header, uint256 intervals) internal pure returns (uint256 largest) {
        uint256 bodyWords = (intervals + 3) / 4;
        uint256 steps = ((words[header] >> 128) & 3) + 1;
        for (uint256 j; j < intervals; ++j) {
            uint256 quantity;
            for (uint256 k; k < steps; ++k) quantity += (words[header + 1 + k * bodyWords + j / 4] >> (56 * (j & 3))) & 0xffffff;
            if (quantity > largest) largest = quantity;
        }
    }

    /// @dev Finds the first broken rule for quantities and limits and reverts with it.
    /// @return lock what the entry locks, if it breaks none
    function _explain(uint256[] memory words, uint256 header, uint256 bodyLength, Rules memory rules) private pure returns (uint256 lock) {
        unchecked {
            uint256 bodyWords = _bodyWords(rules.intervals);
            uint256 total;
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
                    total += quantity;
                    lock += (quantity * limit + 999) / 1000;
                    body >>= 56;
                }
            }
            if (words[header] & SIDE != 0) lock = (rules.collateralPpm * total * rules.priceCap + 999_999_999) / 1_000_000_000;
        }
    }
}
