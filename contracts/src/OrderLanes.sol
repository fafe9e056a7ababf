// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

/// @title OrderLanes: the four entries of a body word, tested and added up at once
/// @notice docs/protocol.md section 6. A word is four lanes of 56 bits, `quantity:24 | limit:32`. Where quantities stay below 2^23 and limits
/// below 2^31, the highest bit of each field is free, and one addition to the whole word, without a carry between fields, sets it: in a
/// quantity if it reaches the minimum, in a limit if it is above the cap. Other words, right or wrong, count as faults: `OrderWords` looks at
/// an entry with faults one field after the other.
library OrderLanes {
    uint256 private constant LANES = 1 | (1 << 56) | (1 << 112) | (1 << 168);
    uint256 private constant M56 = type(uint56).max;
    uint256 private constant TWO_LANES = type(uint112).max;
    /// @dev The highest bit of every quantity, and of every limit.
    uint256 private constant TOP_QUANTITY = LANES << 23;
    uint256 private constant TOP_LIMIT = LANES << 55;
    /// @dev Bits that no word of an entry without faults has.
    uint256 private constant UNUSED = (type(uint256).max << 224) | TOP_QUANTITY | TOP_LIMIT;
    uint256 private constant QUANTITIES = LANES * 0xffffff;
    /// @dev Quantities and limits of two neighbouring lanes.
    uint256 private constant TWO_QUANTITIES = 0xffffff | (0xffffff << 56);
    uint256 private constant TWO_LIMITS = 0xffffffff | (0xffffffff << 56);
    /// @dev A one in the first and in the third field of 56 bits.
    uint256 private constant OUTER = 1 | (1 << 112);
    uint256 private constant PRODUCTS = OUTER * M56;
    /// @dev ceil(2^64 / 1000).
    uint256 private constant M = 18446744073709552;
    /// @dev Whole thousandths of both products, after multiplication by M.
    uint256 private constant COSTS = OUTER * ((1 << 112) - (1 << 64));

    /// @notice What is added to every word.
    /// @param cap largest limit, micro-euro per kWh
    /// @param least smallest quantity that is not 0, Wh
    function guard(uint256 cap, uint256 least) internal pure returns (uint256) {
        unchecked {
            if (least == 0) least = 1;
            uint256 quantity = least < 1 << 23 ? (1 << 23) - least : 0; // 0: no quantity below 2^23 is enough
            uint256 limit = cap < 1 << 31 ? (1 << 31) - 1 - cap : 0; // 0: no limit below 2^31 is too high
            return LANES * (quantity | (limit << 24));
        }
    }

    /// @param added see guard
    /// @param cursor memory pointer to an entry's first body word
    /// @param end memory pointer behind its last
    /// @return seen all words, joined
    /// @return faults 0 only if the words keep every rule for quantities, limits and padding of words
    /// @return total sum of the quantities, Wh, if there are no faults
    function offer(uint256 added, uint256 cursor, uint256 end) internal pure returns (uint256 seen, uint256 faults, uint256 total) {
        unchecked {
            uint256 raised;
            for (; cursor < end; cursor += 96) {
                (uint256 first, uint256 second, uint256 third) = (0, 0, 0);
                assembly ("memory-safe") {
                    first := mload(cursor)
                    second := mul(mload(add(cursor, 0x20)), lt(add(cursor, 0x20), end)) // 0 from the end on
                    third := mul(mload(add(cursor, 0x40)), lt(add(cursor, 0x40), end))
                }
                (uint256 one, uint256 two, uint256 three) = (first + added, second + added, third + added);
                seen |= first | second | third;
                raised |= one | two | three;
                if (~(one & two & three) & TOP_QUANTITY != 0) faults |= _below(first, one) | _below(second, two) | _below(third, three);
                // four sums, each within its lane, as a batch has at most 4096 words
                total += ((first + second) & QUANTITIES) + (third & QUANTITIES);
            }
            faults |= (raised & TOP_LIMIT) | (seen & UNUSED);
            total = (total & TWO_LANES) + (total >> 112);
            total = (total & M56) + (total >> 56);
        }
    }

    /// @notice As `offer`, with what a bid costs at most.
    /// @dev A product of two neighbouring lanes' quantities and limits has their own products outside and the crossed ones, below 2^56, in the
    /// middle. Division by 1000 is multiplication by M: as M * 1000 - 2^64 = 384 it is exact below 2^64 / 384, and a
    /// product is below 2^54.
    /// @return seen as above
    /// @return faults as above
    /// @return lock `sum ceil(q * limit / 1000)`, if there are no faults
    function bid(uint256 added, uint256 cursor, uint256 end) internal pure returns (uint256 seen, uint256 faults, uint256 lock) {
        unchecked {
            uint256 raised;
            for (; cursor < end; cursor += 96) {
                (uint256 first, uint256 second, uint256 third) = (0, 0, 0);
                assembly ("memory-safe") {
                    first := mload(cursor)
                    second := mul(mload(add(cursor, 0x20)), lt(add(cursor, 0x20), end)) // 0 from the end on
                    third := mul(mload(add(cursor, 0x40)), lt(add(cursor, 0x40), end))
                }
                (uint256 one, uint256 two, uint256 three) = (first + added, second + added, third + added);
                seen |= first | second | third;
                raised |= one | two | three;
                if (~(one & two & three) & TOP_QUANTITY != 0) faults |= _below(first, one) | _below(second, two) | _below(third, three);
                one = ((((first & TWO_QUANTITIES) * ((first >> 24) & TWO_LIMITS)) & PRODUCTS) + OUTER * 999) * M;
                two = ((((second & TWO_QUANTITIES) * ((second >> 24) & TWO_LIMITS)) & PRODUCTS) + OUTER * 999) * M;
                three = ((((third & TWO_QUANTITIES) * ((third >> 24) & TWO_LIMITS)) & PRODUCTS) + OUTER * 999) * M;
                lock += (one & COSTS) + (two & COSTS) + (three & COSTS);
                (first, second, third) = (first >> 112, second >> 112, third >> 112);
                one = ((((first & TWO_QUANTITIES) * ((first >> 24) & TWO_LIMITS)) & PRODUCTS) + OUTER * 999) * M;
                two = ((((second & TWO_QUANTITIES) * ((second >> 24) & TWO_LIMITS)) & PRODUCTS) + OUTER * 999) * M;
                three = ((((third & TWO_QUANTITIES) * ((third >> 24) & TWO_LIMITS)) & PRODUCTS) + OUTER * 999) * M;
                lock += (one & COSTS) + (two & COSTS) + (three & COSTS);
            }
            faults |= (raised & TOP_LIMIT) | (seen & UNUSED);
            lock = ((lock & type(uint176).max) >> 64) + (lock >> 176); // two sums, below 2^64 each
        }
    }

    /// @dev The bits of a word's lanes whose quantity does not reach the minimum.
    function _below(uint256 word, uint256 sum) private pure returns (uint256) {
        unchecked {
            return word & (((~sum & TOP_QUANTITY) >> 23) * M56);
        }
    }
}
