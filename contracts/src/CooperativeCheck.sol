// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

/// @title CooperativeCheck: the records of a cooperative clearing, and when they make a certificate the right one
/// @notice docs/protocol.md section 7. A certificate of two words per interval, `pb:32 | ps:32 | V:40 | rb:40 | rs:40 | s:32`
/// and `buyers:80 | sellers:80`, is held against every live entry (ClearingPass), and V against the levels of the book.
///
/// That the levels are the book's is shown by a fingerprint. `h(p) = keccak(key, p) mod 2^128`, and the key is a hash over
/// the levels and over the log. If levels and book differ, with D(p) Wh at price p, a non-zero D(p'), then `sum D(p) h(p) =
/// 0` asks of h(p') to be one number that the others fix: by chance, 2^-128 a key. Whoever wants to choose D for a known h
/// has to change levels or orders, and with them the key. (Were the log not in the key, a last order could be fitted to
/// levels that were written before, by lattice reduction.) Quantities have 64 bits at most and prices 32, so that no sum
/// wraps.
///
/// The key holds the levels as a chain from the last to the first, `keccak(level, those behind it)`, so that a call may check
/// as many of the next ones as it likes, and no other words: it shows the hash of those that it leaves.
library CooperativeCheck {
    uint256 private constant MAX_PRICE = type(uint32).max;
    uint256 private constant MAX_VOLUME = type(uint40).max;

    // The record of one side of one interval, in memory, 32 bytes a field: near (as in ClearingCheck), s, filled (Wh), rest
    // (Wh still to share), paying (Wh filled at a price above 0), gross (sum of fill * own price), fingerprint. Bids come
    // first.
    uint256 private constant RECORD = 0xe0;
    /// @notice Words of the state a record takes, and words before the records.
    uint256 internal constant SAVED = 3;
    uint256 internal constant HEAD = 10;

    // What `_sum` meets.
    uint256 private constant ENDS = 1; // an interval's last level
    uint256 private constant WRONG = 2; // a level that may not stand there

    /// @notice How far the levels are checked. The first six are sums over the interval that has been begun.
    struct Levels {
        uint256 bids; // Wh
        uint256 bidPrint; // their fingerprint
        uint256 offers;
        uint256 offerPrint;
        uint256 least; // least `S<(x) - B<(x)` so far, at most 0, two's complement: `B>=(x) + S<(x) = B + S<(x) - B<(x)`
        uint256 floor; // least price that the next level may have, 0 before the first
        uint256 interval;
        uint256 left; // hash of the levels that are left
    }

    error CertificateLength(uint256 length, uint256 expected);
    error CertificateBits(uint256 interval);
    error CertificateWithoutVolume(uint256 interval);
    error VolumeNotMet(uint256 interval, uint256 side, uint256 filled, uint256 volume);
    error VolumeTooLarge(uint256 interval, uint256 side, uint256 filled);
    error RestNotUsed(uint256 interval, uint256 side, uint256 left);
    error RestMissing(uint256 interval);
    error GrossNotMet(uint256 interval, uint256 side, uint256 gross);
    error SurplusNotShared(uint256 interval, uint256 buyers, uint256 sellers);
    error LevelsIncomplete(uint256 interval);
    error LevelsMismatch(bytes32 expected, bytes32 supplied);
    error LevelsLeft(uint256 used, uint256 length);
    error LevelOrder(uint256 level, uint256 word);
    error LevelsNotOfBook(uint256 interval, uint256 side);
    error VolumeNotLargest(uint256 interval, uint256 volume, uint256 largest);

    /// @notice Lays out the records of both sides.
    /// @param saved the state that an earlier chunk left, empty at first; from its third word on `checked`, then the records
    /// @param checked how far the levels are; written here
    /// @return records memory pointer
    function open(
        uint256[] calldata certificate,
        uint256[] calldata saved,
        uint256 intervals,
        bytes32 levels,
        Levels memory checked
    ) internal pure returns (uint256 records) {
        if (certificate.length != 2 * intervals) revert CertificateLength(certificate.length, 2 * intervals);
        unchecked {
            checked.left = uint256(levels);
            if (saved.length != 0) {
                assembly ("memory-safe") {
                    calldatacopy(checked, add(saved.offset, 0x40), 0x100)
                }
            }
            uint256 size = 2 * RECORD * intervals;
            assembly ("memory-safe") {
                records := mload(0x40)
                mstore(0x40, add(records, size))
                calldatacopy(records, calldatasize(), size)
            }
            for (uint256 j; j < intervals; ++j) {
                uint256 word = certificate[2 * j];
                if (word >> 216 != 0 || certificate[2 * j + 1] >> 160 != 0) revert CertificateBits(j);
                _record(records, j, word & MAX_PRICE, word >> 184, (word >> 104) & MAX_VOLUME, saved);
                uint256 k = intervals + j;
                _record(records, k, MAX_PRICE - ((word >> 32) & MAX_PRICE), word >> 184, (word >> 144) & MAX_VOLUME, saved);
            }
        }
    }

    function _record(uint256 records, uint256 k, uint256 near, uint256 share, uint256 rest, uint256[] calldata saved)
        private
        pure
    {
        unchecked {
            (uint256 first, uint256 gross, uint256 print) = (rest << 40, 0, 0);
            if (saved.length != 0) {
                uint256 place = HEAD + SAVED * k;
                (first, gross, print) = (saved[place], saved[place + 1], saved[place + 2]);
            }
            uint256 slot = records + RECORD * k;
            assembly ("memory-safe") {
                mstore(slot, near)
                mstore(add(slot, 0x20), share)
                mstore(add(slot, 0x40), and(first, 0xffffffffff))
                mstore(add(slot, 0x60), and(shr(40, first), 0xffffffffff))
                mstore(add(slot, 0x80), shr(80, first))
                mstore(add(slot, 0xa0), gross)
                mstore(add(slot, 0xc0), print)
            }
        }
    }

    /// @notice Writes `checked` and the records to `state` from its third word on.
    function save(uint256 records, uint256 intervals, Levels memory checked, uint256[] memory state) internal pure {
        unchecked {
            assembly ("memory-safe") {
                mcopy(add(state, 0x60), checked, 0x100)
            }
            for (uint256 k; k < 2 * intervals; ++k) {
                (uint256 filled, uint256 rest, uint256 paying, uint256 gross, uint256 print) = _read(records, k);
                if (filled > MAX_VOLUME) revert VolumeTooLarge(k % intervals, k / intervals, filled);
                uint256 place = HEAD + SAVED * k;
                state[place] = filled | (rest << 40) | (paying << 80);
                state[place + 1] = gross;
                state[place + 2] = print;
            }
        }
    }

    function _read(uint256 records, uint256 k)
        private
        pure
        returns (uint256 filled, uint256 rest, uint256 paying, uint256 gross, uint256 print)
    {
        assembly ("memory-safe") {
            let slot := add(records, mul(k, 0xe0))
            filled := mload(add(slot, 0x40))
            rest := mload(add(slot, 0x60))
            paying := mload(add(slot, 0x80))
            gross := mload(add(slot, 0xa0))
            print := mload(add(slot, 0xc0))
        }
    }

    /// @notice Fills one live entry: adds its fills, 32 bits each, to the words at `fills` and what they come to at its own
    /// prices, 64 bits each, to the words behind them; all zero before.
    /// @param body memory pointer to the entry's body words, zero where the account has sold already
    /// @param end where they end
    /// @return filled whether it has any fill
    /// @return cost `sum ceil(gross / 1000)` of a bid, 0 for an offer
    function fill(uint256 records, uint256 intervals, bytes32 key, uint256 side, uint256 body, uint256 end, uint256 fills)
        internal
        pure
        returns (bool filled, uint256 cost)
    {
        unchecked {
            uint256 stepBytes = ((intervals + 3) / 4) * 32;
            uint256 gross = fills + 32 * ((intervals + 7) / 8);
            // Two calls, so that the compiler leaves the function where it is: all in one would not fit its stack.
            if (side == 0) filled = _fill(records, key, 0, body, stepBytes, end, fills, gross);
            else filled = _fill(records + intervals * RECORD, key, MAX_PRICE, body, stepBytes, end, fills, gross);
            if (filled && side == 0) cost = _cost(gross, gross + stepBytes);
        }
    }

    function _fill(
        uint256 records,
        bytes32 key,
        uint256 flip,
        uint256 body,
        uint256 stepBytes,
        uint256 end,
        uint256 fills,
        uint256 gross
    ) private pure returns (bool filled) {
        assembly ("memory-safe") {
            // The entries of the body word `x`, from the interval of `record` on: into the fingerprint, and what takes a fill
            // into the sums. Returns the fills, 32 bits each, and what they come to, 64 bits each. `flip_` turns the price of
            // an offer as in ClearingCheck.
            function four(record, flip_, x) -> filled_, gross_ {
                for { let k := 0 } x {
                    k := add(k, 1)
                    x := shr(56, x)
                    record := add(record, 0xe0)
                } {
                    let q := and(x, 0xffffff)
                    if iszero(q) { continue }
                    let price := and(shr(24, x), 0xffffffff)
                    mstore(0x20, price)
                    let print := add(record, 0xc0)
                    mstore(print, add(mload(print), mul(q, shr(128, shl(128, keccak256(0, 0x40))))))
                    let good := xor(price, flip_)
                    if lt(good, mload(record)) { continue }
                    if eq(good, mload(record)) {
                        let rest := mload(add(record, 0x60))
                        if gt(q, rest) { q := rest }
                        mstore(add(record, 0x60), sub(rest, q))
                        if iszero(q) { continue }
                    }
                    filled_ := or(filled_, shl(shl(5, k), q))
                    mstore(add(record, 0x40), add(mload(add(record, 0x40)), q))
                    let share := mload(add(record, 0x20))
                    switch flip_
                    case 0 {
                        if iszero(gt(price, share)) { continue } // pays nothing
                        price := mul(sub(price, share), q)
                        mstore(add(record, 0x80), add(mload(add(record, 0x80)), q))
                    }
                    default { price := mul(add(price, share), q) }
                    mstore(add(record, 0xa0), add(mload(add(record, 0xa0)), price))
                    gross_ := or(gross_, shl(shl(6, k), price))
                }
            }

            mstore(0, key)
            for {} lt(body, end) {} {
                let j := 0
                for { let last := add(body, stepBytes) } lt(body, last) { body := add(body, 0x20) } {
                    let q, worth := four(add(records, mul(j, 0xe0)), flip, mload(body))
                    if q {
                        filled := 1
                        let to := add(fills, shl(5, shr(3, j)))
                        mstore(to, add(mload(to), shl(shl(5, and(j, 7)), q)))
                        to := add(gross, shl(3, j))
                        mstore(to, add(mload(to), worth))
                    }
                    j := add(j, 4)
                }
            }
        }
    }

    /// @dev `sum ceil(gross / 1000)` over words of four.
    function _cost(uint256 gross, uint256 end) private pure returns (uint256 cost) {
        assembly ("memory-safe") {
            for {} lt(gross, end) { gross := add(gross, 0x20) } {
                for { let y := mload(gross) } y { y := shr(64, y) } {
                    cost := add(cost, div(add(and(y, 0xffffffffffffffff), 999), 1000))
                }
            }
        }
    }

    /// @notice Holds the next levels against the fingerprints of the entries, and what the certificate says of an interval
    /// against the records and all of its levels.
    /// @param left hash of the levels that come after them
    function check(
        uint256 records,
        uint256[] calldata certificate,
        uint256[] calldata levels,
        bytes32 left,
        bytes32 key,
        Levels memory checked
    ) internal pure {
        unchecked {
            bytes32 supplied = _chain(levels, left);
            if (uint256(supplied) != checked.left) revert LevelsMismatch(bytes32(checked.left), supplied);
            checked.left = uint256(left);
            uint256 intervals = certificate.length / 2;
            uint256 cursor;
            while (cursor < levels.length) {
                uint256 j = checked.interval;
                if (j == intervals) revert LevelsLeft(cursor, levels.length);
                uint256 met;
                (cursor, met) = _sum(levels, cursor, key, checked);
                if (met == WRONG) revert LevelOrder(cursor, levels[cursor]);
                if (met != ENDS) break;
                _requireLevels(records, intervals, j, checked, (certificate[2 * j] >> 64) & MAX_VOLUME);
                _interval(records, intervals, j, certificate[2 * j], certificate[2 * j + 1]);
                (checked.bids, checked.bidPrint, checked.offers, checked.offerPrint) = (0, 0, 0, 0);
                (checked.least, checked.floor, checked.interval) = (0, 0, j + 1);
            }
        }
    }

    /// @notice Reverts unless the levels of every interval have been checked.
    function close(Levels memory checked, uint256 intervals) internal pure {
        if (checked.interval != intervals) revert LevelsIncomplete(checked.interval);
    }

    /// @dev The hash of `levels` and those behind them, of which it is `left`.
    function _chain(uint256[] calldata levels, bytes32 left) private pure returns (bytes32) {
        assembly ("memory-safe") {
            for { let cursor := add(levels.offset, shl(5, levels.length)) } gt(cursor, levels.offset) {} {
                cursor := sub(cursor, 0x20)
                mstore(0, calldataload(cursor))
                mstore(0x20, left)
                left := keccak256(0, 0x40)
            }
        }
        return left;
    }

    function _interval(uint256 records, uint256 intervals, uint256 j, uint256 word, uint256 sums) private pure {
        unchecked {
            uint256 volume = (word >> 64) & MAX_VOLUME;
            (uint256 filled, uint256 rest, uint256 paying, uint256 buyers,) = _read(records, j);
            if (filled != volume) revert VolumeNotMet(j, 0, filled, volume);
            if (rest != 0) revert RestNotUsed(j, 0, rest);
            uint256 sellers;
            (filled, rest,, sellers,) = _read(records, intervals + j);
            if (filled != volume) revert VolumeNotMet(j, 1, filled, volume);
            if (rest != 0) revert RestNotUsed(j, 1, rest);
            if (buyers != sums & type(uint80).max) revert GrossNotMet(j, 0, buyers);
            if (sellers != sums >> 80) revert GrossNotMet(j, 1, sellers);
            if (volume == 0) {
                if (word != MAX_PRICE) revert CertificateWithoutVolume(j);
            } else {
                if ((word >> 104) & MAX_VOLUME == 0 || (word >> 144) & MAX_VOLUME == 0) revert RestMissing(j);
                // The share is the largest that the buyers can pay for: with one more, sellers get `volume` more and buyers
                // pay `paying` less, those left out that pay nothing already.
                if (sellers > buyers || buyers >= sellers + volume + paying) revert SurplusNotShared(j, buyers, sellers);
            }
        }
    }

    /// @dev Holds the levels of interval j against the fingerprints of the entries, and `volume` against the levels.
    function _requireLevels(uint256 records, uint256 intervals, uint256 j, Levels memory checked, uint256 volume) private pure {
        unchecked {
            (,,,, uint256 print) = _read(records, j);
            if (print != checked.bidPrint) revert LevelsNotOfBook(j, 0);
            (,,,, print) = _read(records, intervals + j);
            if (print != checked.offerPrint) revert LevelsNotOfBook(j, 1);
            uint256 largest = checked.bids + checked.least;
            if (volume != largest) revert VolumeNotLargest(j, volume, largest);
        }
    }

    /// @dev Adds up an interval's levels from place `cursor` on, to its last one or as far as they are supplied.
    /// @return next the first place behind them, or the place of a wrong one
    /// @return met ENDS, WRONG, or 0
    function _sum(uint256[] calldata levels, uint256 cursor, bytes32 key, Levels memory checked)
        private
        pure
        returns (uint256 next, uint256 met)
    {
        assembly ("memory-safe") {
            next := add(levels.offset, shl(5, cursor))
            mstore(0, key)
            let floor := mload(add(checked, 0xa0))
            for { let end := add(levels.offset, shl(5, levels.length)) } lt(next, end) {} {
                let word := calldataload(next)
                let price := and(word, 0xffffffff)
                let bids := and(shr(32, word), 0xffffffffffffffff)
                let offers := and(shr(96, word), 0xffffffffffffffff)
                // Beyond bit 160 is nothing; prices ascend; a level has a quantity, or is the interval's only one.
                if or(
                    or(shr(161, word), lt(price, floor)),
                    and(iszero(or(bids, offers)), or(gt(floor, 0), iszero(eq(word, shl(160, 1)))))
                ) {
                    met := 2 // WRONG
                    break
                }
                floor := add(price, 1)
                let here := sub(mload(add(checked, 0x40)), mload(checked))
                if slt(here, mload(add(checked, 0x80))) { mstore(add(checked, 0x80), here) }
                mstore(0x20, price)
                price := and(keccak256(0, 0x40), 0xffffffffffffffffffffffffffffffff)
                mstore(checked, add(mload(checked), bids))
                mstore(add(checked, 0x20), add(mload(add(checked, 0x20)), mul(bids, price)))
                mstore(add(checked, 0x40), add(mload(add(checked, 0x40)), offers))
                mstore(add(checked, 0x60), add(mload(add(checked, 0x60)), mul(offers, price)))
                next := add(next, 0x20)
                if shr(160, word) {
                    // beyond the last price
                    here := sub(mload(add(checked, 0x40)), mload(checked))
                    if slt(here, mload(add(checked, 0x80))) { mstore(add(checked, 0x80), here) }
                    met := 1 // ENDS
                    break
                }
            }
            mstore(add(checked, 0xa0), floor)
            next := shr(5, sub(next, levels.offset))
        }
    }
}
