// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

/// @title RuleSet: pay and penalty curves, and what one interval of one seller comes to
/// @notice docs/protocol.md section 10. Header `version:8 | pay points:8 | penalty points:8 | zero:8 | tolerancePpm:32 |
/// collateralPpm:32`, then the points `x:32 | y:32`, x strictly ascending from 0.
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
        uint256 payLast; // pointer to the last point
        uint256 penaltyLast;
    }

    /// @return collateralPpm what an offer locks, ppm of its quantity at the price cap
    function validate(uint256[] calldata rules) internal pure returns (uint256 collateralPpm) {
        if (rules.length == 0) revert RulesLength(0, 3);
        uint256 header = rules[0];
        if (header & 0xff != 1) revert RulesVersion(header & 0xff);
        if (header >> 96 != 0 || (header >> 24) & 0xff != 0) revert RulesHeader(header);
        uint256 pay = (header >> 8) & 0xff;
        uint256 penalty = (header >> 16) & 0xff;
        if (pay == 0 || pay > 16 || penalty == 0 || penalty > 16) revert RulesPoints(pay, penalty);
        if (rules.length != 1 + pay + penalty) revert RulesLength(rules.length, 1 + pay + penalty);
        collateralPpm = header >> 64;
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

    /// @notice Copies a valid rule set to memory.
    function load(uint256[] calldata rules) internal pure returns (Curves memory curves) {
        uint256[] memory copy = rules;
        uint256 base;
        assembly ("memory-safe") {
            base := add(copy, 0x20)
        }
        unchecked {
            uint256 pay = (rules[0] >> 8) & 0xff;
            uint256 penalty = (rules[0] >> 16) & 0xff;
            uint256 tolerance = (rules[0] >> 32) & M32;
            curves.enough = tolerance < PPM ? PPM - tolerance : 0;
            curves.payLast = base + 32 * pay;
            curves.penaltyLast = base + 32 * (pay + penalty);
        }
    }

    /// @notice One interval of one seller.
    /// @param fill promise in Wh, above 0
    /// @param price micro-euro per kWh
    /// @param delivered Wh, at least 0
    /// @return earned micro-euro paid for the delivery
    /// @return unpaid what is left of `fill * price`
    /// @return penalty micro-euro due from the lock, before its limit
    function interval(Curves memory curves, uint256 fill, uint256 price, uint256 delivered)
        internal
        pure
        returns (uint256 earned, uint256 unpaid, uint256 penalty)
    {
        assembly ("memory-safe") {
            // linear between points, flat after the last; x and the result in ppm
            function curve(last, x) -> y {
                let point := mload(last)
                y := shr(32, point)
                if lt(x, and(point, 0xffffffff)) {
                    // the first point lies at 0, so that one at or before x exists
                    last := sub(last, 32)
                    let before := mload(last)
                    for {} lt(x, and(before, 0xffffffff)) {} {
                        point := before
                        last := sub(last, 32)
                        before := mload(last)
                    }
                    let x0 := and(before, 0xffffffff)
                    let x1 := and(point, 0xffffffff)
                    y := div(add(mul(shr(32, before), sub(x1, x)), mul(shr(32, point), sub(x, x0))), sub(x1, x0))
                }
            }
            let x := div(mul(delivered, PPM), fill)
            switch lt(x, PPM)
            case 1 { if iszero(lt(x, mload(curves))) { x := PPM } }
            default { if gt(x, M32) { x := M32 } }
            let gross := mul(fill, price)
            earned := div(mul(gross, curve(mload(add(curves, 0x20)), x)), 1000000000)
            unpaid := sub(div(gross, 1000), earned)
            penalty := div(add(mul(gross, curve(mload(add(curves, 0x40)), x)), 999999999), 1000000000)
        }
    }
}
