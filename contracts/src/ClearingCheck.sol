// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

/// @title ClearingCheck: the records of a competitive clearing, and when they make a certificate the right one
/// @notice docs/protocol.md section 7. A certificate word per interval, `lo:32 | hi:32 | v:40 | rb:40 | rs:40`, is held
/// against every live entry (ClearingPass).
///
/// Both sides run through the same code. A bid is good at prices up to its limit, an offer from its limit on, so that an
/// offer at p behaves like a bid at 2^32-1-p. For each side and interval there are then two marks: `near`, beyond which
/// orders fill whole and at which they share the rest (hi for bids, lo for offers), and `far` (lo for bids, hi for offers),
/// beyond which no unfilled order may lie. With lo = hi they are one.
///
/// Nearly every entry lies beyond `near` or behind `far`. Which of a body word's four entries do is found in one addition
/// each: limits have 32 bits in slots of 56, and a carry above them says that a limit has reached a mark. Only entries at or
/// between the marks are looked at one by one. A chunk is a transaction, so that a sum of its 24-bit quantities cannot leave
/// 56 bits; between chunks it is held to 40.
library ClearingCheck {
    uint256 private constant MAX_PRICE = type(uint32).max;
    uint256 private constant MAX_VOLUME = type(uint40).max;

    // Memory of one side and body word, that is of four intervals, 32 bytes a field. In slots of 56 bits: what lifts a limit
    // beyond near to 2^32, what lifts one that has reached far to 2^32, filled (Wh); then for each of the four intervals a
    // word `rest (Wh still to share):64 | marks`. All bids come first.
    uint256 private constant BLOCK = 0xe0;
    uint256 private constant CUT = 1; // an order at `near` was not filled whole
    uint256 private constant AT_FAR = 2; // an unfilled order lies at `far`
    uint256 private constant BETWEEN = 4; // an order lies between `near` and `far`

    error CertificateLength(uint256 length, uint256 expected);
    error CertificateBits(uint256 interval, uint256 word);
    error RangeReversed(uint256 interval, uint256 lo, uint256 hi);
    error VolumeNotMet(uint256 interval, uint256 side, uint256 filled, uint256 volume);
    error VolumeTooLarge(uint256 interval, uint256 side, uint256 filled);
    error RestNotUsed(uint256 interval, uint256 side, uint256 left);
    error LimitInsideRange(uint256 interval, uint256 side);
    error VolumeTooSmall(uint256 interval, uint256 volume);
    error LowNotTight(uint256 interval, uint256 lo);
    error HighNotTight(uint256 interval, uint256 hi);

    /// @notice Lays out the records of both sides, and behind them the prices, a word each.
    /// @param saved the state that an earlier chunk left, empty at first; records from its third word on
    /// @return records memory pointer
    function open(uint256[] calldata certificate, uint256[] calldata saved, uint256 intervals)
        internal
        pure
        returns (uint256 records)
    {
        if (certificate.length != intervals) revert CertificateLength(certificate.length, intervals);
        unchecked {
            uint256 side = ((intervals + 3) / 4) * BLOCK;
            // The prices end at a multiple of eight, as the fills do that are multiplied by them.
            uint256 size = 2 * side + 256 * ((intervals + 7) / 8);
            assembly ("memory-safe") {
                records := mload(0x40)
                mstore(0x40, add(records, size))
                calldatacopy(records, calldatasize(), size)
            }
            for (uint256 j; j < intervals; ++j) {
                uint256 word = certificate[j];
                uint256 lo = word & MAX_PRICE;
                uint256 hi = (word >> 32) & MAX_PRICE;
                if (word >> 184 != 0) revert CertificateBits(j, word);
                if (lo > hi) revert RangeReversed(j, lo, hi);
                (uint256 bids, uint256 offers) = ((word >> 104) & MAX_VOLUME, word >> 144);
                if (saved.length != 0) (bids, offers) = (saved[2 + j], saved[2 + intervals + j]);
                else (bids, offers) = (bids << 40, offers << 40);
                _record(records, j, hi, lo, bids);
                _record(records + side, j, MAX_PRICE - lo, MAX_PRICE - hi, offers);
                uint256 price = (lo + hi) / 2;
                assembly ("memory-safe") {
                    mstore(add(add(records, shl(1, side)), shl(5, j)), price)
                }
            }
        }
    }

    /// @dev `word` is the record as the state has it, `filled:40 | rest:40 | marks:8`.
    function _record(uint256 records, uint256 j, uint256 near, uint256 far, uint256 word) private pure {
        unchecked {
            uint256 block_ = records + (j / 4) * BLOCK;
            uint256 shift = 56 * (j & 3);
            assembly ("memory-safe") {
                mstore(block_, or(mload(block_), shl(shift, sub(0xffffffff, near))))
                mstore(add(block_, 0x20), or(mload(add(block_, 0x20)), shl(shift, sub(0x100000000, far))))
                mstore(add(block_, 0x40), or(mload(add(block_, 0x40)), shl(shift, and(word, 0xffffffffff))))
                mstore(add(add(block_, 0x60), shl(5, and(j, 3))), or(and(shr(40, word), 0xffffffffff), shl(64, shr(80, word))))
            }
        }
    }

    /// @notice Writes the records to `state` from its third word on.
    function save(uint256 records, uint256 intervals, uint256[] memory state) internal pure {
        unchecked {
            for (uint256 k; k < 2 * intervals; ++k) {
                (uint256 side, uint256 j) = k < intervals ? (uint256(0), k) : (uint256(1), k - intervals);
                (uint256 filled, uint256 rest, uint256 marks) = _read(records, intervals, side, j);
                if (filled > MAX_VOLUME) revert VolumeTooLarge(j, side, filled);
                state[2 + k] = filled | (rest << 40) | (marks << 80);
            }
        }
    }

    function _read(uint256 records, uint256 intervals, uint256 side, uint256 j)
        private
        pure
        returns (uint256 filled, uint256 rest, uint256 marks)
    {
        unchecked {
            uint256 block_ = records + (side * ((intervals + 3) / 4) + j / 4) * BLOCK;
            assembly ("memory-safe") {
                filled := and(shr(mul(56, and(j, 3)), mload(add(block_, 0x40))), 0xffffffffffffff)
                rest := mload(add(add(block_, 0x60), shl(5, and(j, 3))))
                marks := shr(64, rest)
                rest := and(rest, 0xffffffffffffffff)
            }
        }
    }

    /// @notice Fills one live entry: adds its fills, 32 bits each, eight a word, to the words at `fills`, which are zero
    /// before.
    /// @param body memory pointer to the entry's body words, zero where the account has sold already
    /// @param end where they end
    /// @return cost `sum ceil(fill * price / 1000)` of a bid, 0 for an offer
    function fill(uint256 records, uint256 intervals, uint256 side, uint256 body, uint256 end, uint256 fills)
        internal
        pure
        returns (uint256 cost)
    {
        unchecked {
            uint256 stepBytes = ((intervals + 3) / 4) * 32;
            uint256 sideBytes = stepBytes * (BLOCK / 32);
            if (side != 0) {
                _fill(records + sideBytes, MAX_PRICE, body, stepBytes, end, fills);
                return 0;
            }
            _fill(records, 0, body, stepBytes, end, fills);
            return _cost(fills, fills + ((intervals + 7) / 8) * 32, records + 2 * sideBytes);
        }
    }

    /// @param flip 0 for bids, 2^32-1 for offers
    function _fill(uint256 records, uint256 flip, uint256 body, uint256 stepBytes, uint256 end, uint256 fills) private pure {
        assembly ("memory-safe") {
            // The four fills of the body word `x`, moved together to 32 bits each. `ones` has a one in each slot, `flips` in
            // each slot `flip`.
            function four(block_, x, flips, ones) -> lanes {
                let limits := xor(and(shr(24, x), mul(ones, 0xffffffff)), flips)
                let whole := and(shr(32, add(limits, mload(block_))), ones)
                let edge := xor(and(shr(32, add(limits, mload(add(block_, 0x20)))), ones), whole)
                lanes := and(x, mul(whole, 0xffffff))
                if edge { lanes := or(lanes, edges(block_, x, limits, edge)) }
                mstore(add(block_, 0x40), add(mload(add(block_, 0x40)), lanes))
                lanes := or(
                    or(and(lanes, 0xffffff), and(shr(24, lanes), shl(32, 0xffffff))),
                    or(and(shr(48, lanes), shl(64, 0xffffff)), and(shr(72, lanes), shl(96, 0xffffff)))
                )
            }
            // Fills of the entries at or between the marks, in their slots.
            function edges(block_, x, limits, edge) -> filled {
                let shift := 0
                for { let record := add(block_, 0x60) } edge { record := add(record, 0x20) } {
                    let q := and(shr(shift, x), 0xffffff)
                    if mul(and(edge, 1), q) {
                        let limit := and(shr(shift, limits), 0xffffffff)
                        let state := mload(record)
                        switch eq(add(limit, and(shr(shift, mload(block_)), 0xffffffff)), 0xffffffff)
                        case 1 {
                            // at near
                            let rest := and(state, 0xffffffffffffffff)
                            if gt(q, rest) {
                                state := or(state, shl(64, 1)) // CUT
                                q := rest
                            }
                            mstore(record, sub(state, q))
                            filled := or(filled, shl(shift, q))
                        }
                        default {
                            // AT_FAR, or BETWEEN when it is better than far
                            let beyond := gt(add(limit, and(shr(shift, mload(add(block_, 0x20))), 0x1ffffffff)), 0x100000000)
                            mstore(record, or(state, shl(add(65, beyond), 1)))
                        }
                    }
                    edge := shr(56, edge)
                    shift := add(shift, 56)
                }
            }

            let ones := 0x1000000000000010000000000000100000000000001
            flip := mul(flip, ones)
            for {} lt(body, end) {} {
                let block_ := records
                let to := fills
                for { let last := add(body, stepBytes) } lt(body, last) {} {
                    let lanes := four(block_, mload(body), flip, ones)
                    block_ := add(block_, 0xe0)
                    body := add(body, 0x20)
                    if lt(body, last) {
                        lanes := or(lanes, shl(128, four(block_, mload(body), flip, ones)))
                        block_ := add(block_, 0xe0)
                        body := add(body, 0x20)
                    }
                    mstore(to, add(mload(to), lanes))
                    to := add(to, 0x20)
                }
            }
        }
    }

    /// @dev `sum ceil(fill * price / 1000)` over the words of fills.
    function _cost(uint256 fills, uint256 end, uint256 prices) private pure returns (uint256 cost) {
        assembly ("memory-safe") {
            for {} lt(fills, end) { fills := add(fills, 0x20) } {
                let price := prices
                for { let y := mload(fills) } y { y := shr(64, y) } {
                    cost := add(cost, div(add(mul(and(y, 0xffffffff), mload(price)), 999), 1000))
                    cost := add(cost, div(add(mul(and(shr(32, y), 0xffffffff), mload(add(price, 0x20))), 999), 1000))
                    price := add(price, 0x40)
                }
                prices := add(prices, 0x100)
            }
        }
    }

    /// @notice The conditions that are known after the last entry.
    function close(uint256 records, uint256[] calldata certificate) internal pure {
        unchecked {
            for (uint256 j; j < certificate.length; ++j) {
                uint256 word = certificate[j];
                uint256 lo = word & MAX_PRICE;
                uint256 hi = (word >> 32) & MAX_PRICE;
                uint256 volume = (word >> 64) & MAX_VOLUME;
                uint256 bids = _side(records, certificate.length, j, 0, volume);
                uint256 offers = _side(records, certificate.length, j, 1, volume);
                bool lowTight = lo == 0 || word >> 144 != 0;
                bool highTight = hi == MAX_PRICE || (word >> 104) & MAX_VOLUME != 0;
                if (lo < hi) {
                    // every order at `near` lies beyond the other end of the range, so that it must fill whole
                    if ((bids | offers) & CUT != 0) revert VolumeTooSmall(j, volume);
                    lowTight = lowTight || bids & AT_FAR != 0;
                    highTight = highTight || offers & AT_FAR != 0;
                } else {
                    if (bids & offers & CUT != 0) revert VolumeTooSmall(j, volume);
                    lowTight = lowTight || bids & CUT != 0;
                    highTight = highTight || offers & CUT != 0;
                }
                if (!lowTight) revert LowNotTight(j, lo);
                if (!highTight) revert HighNotTight(j, hi);
            }
        }
    }

    /// @dev Marks of one side of interval j, after the checks that both ranges share.
    function _side(uint256 records, uint256 intervals, uint256 j, uint256 side, uint256 volume) private pure returns (uint256) {
        (uint256 filled, uint256 rest, uint256 marks) = _read(records, intervals, side, j);
        if (filled != volume) revert VolumeNotMet(j, side, filled, volume);
        if (rest != 0) revert RestNotUsed(j, side, rest);
        if (marks & BETWEEN != 0) revert LimitInsideRange(j, side);
        return marks;
    }
}
