// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

/// @title RuleSet: pay and penalty curves, and what one interval of one seller comes to
/// @notice docs/protocol.md section 10. Header `version:8 | pay points:8 | penalty points:8 | zero:8 | tolerancePpm:32 |
/// collateralPpm:32 | replaceBelowPpm:32 | replaceAfter:8`, then the points `x:32 | y:32`, x strictly ascending from 0.
library RuleSet {
    uint256 private constant PPM = 1_000_000;
    uint256 private constant M32 = 0xffffffff;

    error RulesVersion(uint256 version);
    error RulesHeader(uint256 header);
    error RulesLength(uint256 length, uint256 expected);
    error RulesPoints(uint256 pay, uint256 penalty);
    error RulesPoint(uint256 word, uint256 x, uint256 y, uint256 largest);

    /// @dev A rule set in memory; the fields' order is relied on below.
    struct Curves {
        uint256 enough; // ppm delivered that count as everything
        bool plain; // who delivers everything, or more, is paid everything and owes nothing
        uint256 segments; // pointer, see SEGMENT
    }

    // Between neighbouring points of either curve both are lines, `y = (a + b * x) / d` in two's complement. The segments lie in memory from
    // the last to the first: x where it begins, then a, b, d of pay and a, b, d of penalty.
    uint256 private constant SEGMENT = 0xe0;

    /// @return collateralPpm what an offer locks, ppm of its quantity at the price cap
    function validate(uint256[] calldata rules) internal pure returns (uint256 collateralPpm) {
        if (rules.length == 0) revert RulesLength(0, 3);
        uint256 header = rules[0];
        if (header & 0xff != 1) revert RulesVersion(header & 0xff);
        if (header >> 136 != 0 || (header >> 24) & 0xff != 0 || (header >> 96) & M32 > PPM) revert RulesHeader(header);
        uint256 pay = (header >> 8) & 0xff;
        uint256 penalty = (header >> 16) & 0xff;
        if (pay == 0 || pay > 16 || penalty == 0 || penalty > 16) revert RulesPoints(pay, penalty);
        if (rules.length != 1 + pay + penalty) revert RulesLength(rules.length, 1 + pay + penalty);
        collateralPpm = (header >> 64) & M32;
        _validateCurve(rules, 1, pay, PPM);
        _validateCurve(rules, 1 + pay, penalty, collateralPpm);
    }

    function _validateCurve(uint256[] calldata rules, uint256 from, uint256 points, uint256 largest) private pure {
        uint256 last;
        for (uint256 i = from; i < from + points; ++i) {
            uint256 x = rules[i] & M32;
            uint256 y = rules[i] >> 32;
            bool ordered = i == from ? x == 0 : x > last;
            if (!ordered || y > largest) revert RulesPoint(i, x, y, largest);
            last = x;
        }
    }

    /// @return belowPpm what an interval's delivery has to stay below to count as failed, ppm of the fill
    /// @return afterFailures failed intervals after which a member may be replaced without its consent, 0: never
    function replacement(uint256[] calldata rules) internal pure returns (uint256 belowPpm, uint256 afterFailures) {
        return ((rules[0] >> 96) & M32, (rules[0] >> 128) & 0xff);
    }

    /// @return What a seller that delivers nothing owes, ppm of its promise.
    function largestDue(uint256[] calldata rules) internal pure returns (uint256) {
        return rules[1 + ((rules[0] >> 8) & 0xff)] >> 32;
    }

    /// @notice Lays out a valid rule set in memory.
    function load(uint256[] calldata rules) internal pure returns (Curves memory curves) {
        uint256 header = rules[0];
        uint256 tolerance = (header >> 32) & M32;
        uint256 i = (header >> 8) & 0xff; // of the pay point where the segment begins, in `rules`
        uint256 lastPay = i;
        uint256 lastPenalty = i + ((header >> 16) & 0xff);
        uint256 k = lastPenalty;
        uint256 segment;
        assembly ("memory-safe") {
            segment := mload(0x40)
            mstore(0x40, add(segment, mul(SEGMENT, k)))
        }
        curves.enough = tolerance < PPM ? PPM - tolerance : 0;
        curves.segments = segment;
        unchecked {
            while (true) {
                (uint256 pay, uint256 penalty) = (rules[i] & M32, rules[k] & M32);
                uint256 begin = pay > penalty ? pay : penalty;
                assembly ("memory-safe") {
                    mstore(segment, begin)
                }
                _line(segment + 0x20, rules, i, lastPay);
                _line(segment + 0x80, rules, k, lastPenalty);
                if (begin == 0) break;
                if (pay == begin) --i;
                if (penalty == begin) --k;
                segment += SEGMENT;
            }
        }
        (uint256 paid, uint256 due) = values(curves, PPM);
        bool flat = rules[lastPay] & M32 <= PPM && rules[lastPenalty] & M32 <= PPM;
        curves.plain = flat && paid == PPM && due == 0;
    }

    /// @dev Writes a, b, d of the line from point `i`, the last of which goes on flat.
    function _line(uint256 to, uint256[] calldata rules, uint256 i, uint256 last) private pure {
        unchecked {
            (uint256 x, uint256 y) = (rules[i] & M32, rules[i] >> 32);
            (uint256 a, uint256 b, uint256 d) = (y, 0, 1);
            if (i != last) {
                (uint256 x1, uint256 y1) = (rules[i + 1] & M32, rules[i + 1] >> 32);
                (a, b, d) = (y * x1 - y1 * x, y1 - y, x1 - x);
            }
            assembly ("memory-safe") {
                mstore(to, a)
                mstore(add(to, 0x20), b)
                mstore(add(to, 0x40), d)
            }
        }
    }

    /// @return pay ppm that is paid at `x` ppm delivered
    /// @return penalty ppm that is due there
    function values(Curves memory curves, uint256 x) internal pure returns (uint256 pay, uint256 penalty) {
        assembly ("memory-safe") {
            let segment := mload(add(curves, 0x40))
            for {} lt(x, mload(segment)) {} { segment := add(segment, SEGMENT) } // the last begins at 0
            pay := div(add(mload(add(segment, 0x20)), mul(mload(add(segment, 0x40)), x)), mload(add(segment, 0x60)))
            penalty := div(add(mload(add(segment, 0x80)), mul(mload(add(segment, 0xa0)), x)), mload(add(segment, 0xc0)))
        }
    }

    /// @notice One interval of one seller.
    /// @param fill promise in Wh, above 0
    /// @param gross fill times price, in thousandths of a micro-euro
    /// @param delivered Wh, at least 0
    /// @return earned micro-euro paid for the delivery
    /// @return unpaid what is left of the gross
    /// @return penalty micro-euro due from the lock, before its limit
    function interval(Curves memory curves, uint256 fill, uint256 gross, uint256 delivered)
        internal
        pure
        returns (uint256 earned, uint256 unpaid, uint256 penalty)
    {
        assembly ("memory-safe") {
            let x := div(mul(delivered, PPM), fill)
            switch lt(x, PPM)
            case 1 { if iszero(lt(x, mload(curves))) { x := PPM } }
            default { if gt(x, M32) { x := M32 } }
            let segment := mload(add(curves, 0x40))
            for {} lt(x, mload(segment)) {} { segment := add(segment, SEGMENT) } // the last begins at 0
            earned := div(add(mload(add(segment, 0x20)), mul(mload(add(segment, 0x40)), x)), mload(add(segment, 0x60)))
            earned := div(mul(gross, earned), 1000000000)
            unpaid := sub(div(gross, 1000), earned)
            penalty := div(add(mload(add(segment, 0x80)), mul(mload(add(segment, 0xa0)), x)), mload(add(segment, 0xc0)))
            penalty := div(add(mul(gross, penalty), 999999999), 1000000000)
        }
    }
}
