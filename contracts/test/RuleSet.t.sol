// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {RuleSet} from "../src/RuleSet.sol";
import {LibraryHarness} from "../src/test/LibraryHarness.sol";
import {Books} from "./Books.sol";
import {Checked, Dice} from "./Cheats.sol";

/// @title Rule sets: what a seller earns and owes stays within its bounds under every curve
contract RuleSetTest is Checked {
    using Dice for Dice.State;

    uint256 private constant PPM = 1_000_000;

    struct Curves {
        uint256 tolerance;
        uint256 collateral;
        uint256[] payX;
        uint256[] payY;
        uint256[] penaltyX;
        uint256[] penaltyY;
    }

    struct Result {
        uint256 earned;
        uint256 unpaid;
        uint256 penalty;
    }

    LibraryHarness private harness;

    function setUp() external {
        harness = LibraryHarness(vm.deployCode("artifacts/test/LibraryHarness.json"));
    }

    function test_an_interval_comes_to_what_the_rules_say(uint256 seed, uint24 fill_, uint32 price, uint256 delivered) external view {
        Curves memory curves = _curves(Dice.State(seed));
        uint256 fill = uint256(fill_) + 1;
        delivered = within(delivered, 0, seed % 3 == 0 ? 1 << 26 : 2 * fill);
        Result memory found = _ask(curves, fill, price, delivered);
        uint256 gross = fill * price / 1000;
        vm.assertLe(found.earned, gross, "more than was promised");
        same(found.earned + found.unpaid, gross, "all of the promise is earned or unpaid");
        vm.assertLe(found.penalty, Books.up(fill * price * curves.collateral, 10 ** 9), "more than the collateral");

        uint256 x = delivered * PPM / fill;
        if (x > type(uint32).max) x = type(uint32).max;
        if (x + curves.tolerance >= PPM && x < PPM) x = PPM;
        same(found.earned, fill * price * _curve(curves.payX, curves.payY, x) / 10 ** 9, "earned");
        same(found.penalty, Books.up(fill * price * _curve(curves.penaltyX, curves.penaltyY, x), 10 ** 9), "penalty");
    }

    function test_who_delivers_more_does_not_earn_less_under_rising_curves(uint256 seed, uint24 fill_, uint32 price, uint256 delivered)
        external
        view
    {
        Curves memory curves = _curves(Dice.State(seed));
        _sort(curves.payY, true);
        _sort(curves.penaltyY, false);
        uint256 fill = uint256(fill_) + 1;
        uint256 less = within(delivered, 0, 2 * fill);
        uint256 more = within(delivered >> 32, less, 3 * fill);
        Result memory worse = _ask(curves, fill, price, less);
        Result memory better = _ask(curves, fill, price, more);
        vm.assertLe(worse.earned, better.earned, "earned");
        vm.assertLe(better.penalty, worse.penalty, "penalty");
    }

    function test_a_rule_set_is_taken_only_where_it_keeps_every_rule(uint256 seed) external view {
        Dice.State memory dice = Dice.State(seed);
        uint256[] memory words = _words(_curves(dice));
        for (uint256 changes = dice.roll(0, 2); changes != 0; --changes) {
            words[dice.once(3) ? 0 : dice.roll(0, words.length - 1)] ^= 1 << dice.roll(0, dice.once(2) ? 135 : 255);
        }
        bool taken;
        try harness.validateRules(words) returns (uint256 collateral) {
            taken = true;
            same(collateral, (words[0] >> 64) & type(uint32).max, "collateral");
        } catch (bytes memory why) {
            vm.assertTrue(why.length >= 4 && bytes4(why) != bytes4(0x4e487b71), "a refusal has a name");
        }
        vm.assertTrue(taken == _valid(words), "taken if and only if it is valid");
    }

    /// @dev Section 10 of docs/protocol.md, field by field.
    function _valid(uint256[] memory words) private pure returns (bool) {
        (uint256 pay, uint256 penalty) = ((words[0] >> 8) & 0xff, (words[0] >> 16) & 0xff);
        if (words[0] & 0xff != 1 || (words[0] >> 24) & 0xff != 0 || words[0] >> 136 != 0) return false;
        if ((words[0] >> 96) & type(uint32).max > PPM) return false;
        if (pay == 0 || pay > 16 || penalty == 0 || penalty > 16 || words.length != 1 + pay + penalty) return false;
        for (uint256 i; i < pay + penalty; ++i) {
            uint256 word = words[1 + i];
            if (word >> 64 != 0 || word >> 32 > (i < pay ? PPM : (words[0] >> 64) & type(uint32).max)) return false;
            bool first = i == 0 || i == pay;
            if (first ? word & type(uint32).max != 0 : word & type(uint32).max <= words[i] & type(uint32).max) return false;
        }
        return true;
    }

    function _ask(Curves memory curves, uint256 fill, uint256 price, uint256 delivered) private view returns (Result memory) {
        uint256[] memory fills = new uint256[](1);
        uint256[] memory prices = new uint256[](1);
        uint256[] memory wh = new uint256[](1);
        (fills[0], prices[0], wh[0]) = (fill, price, delivered);
        uint256[] memory words = _words(curves);
        harness.validateRules(words);
        uint256[] memory found = harness.intervals(words, fills, prices, wh);
        return Result(found[0], found[1], found[2]);
    }

    /// @dev Linear between points, flat after the last; searched from the front.
    function _curve(uint256[] memory xs, uint256[] memory ys, uint256 x) private pure returns (uint256) {
        for (uint256 i = 1; i < xs.length; ++i) {
            if (x < xs[i]) return (ys[i - 1] * (xs[i] - x) + ys[i] * (x - xs[i - 1])) / (xs[i] - xs[i - 1]);
        }
        return ys[ys.length - 1];
    }

    function _words(Curves memory curves) private pure returns (uint256[] memory words) {
        (uint256 pay, uint256 penalty) = (curves.payX.length, curves.penaltyX.length);
        words = new uint256[](1 + pay + penalty);
        words[0] = 1 | (pay << 8) | (penalty << 16) | (curves.tolerance << 32) | (curves.collateral << 64);
        words[0] |= (curves.collateral % (PPM + 1) << 96) | ((curves.tolerance & 0xff) << 128);
        for (uint256 i; i < pay; ++i) words[1 + i] = curves.payX[i] | (curves.payY[i] << 32);
        for (uint256 i; i < penalty; ++i) words[1 + pay + i] = curves.penaltyX[i] | (curves.penaltyY[i] << 32);
    }

    function _curves(Dice.State memory dice) private pure returns (Curves memory curves) {
        curves.tolerance = dice.roll(0, dice.once(4) ? type(uint32).max : 200_000);
        curves.collateral = dice.roll(0, dice.once(4) ? type(uint32).max : 2_000_000);
        (curves.payX, curves.payY) = _points(dice, PPM);
        (curves.penaltyX, curves.penaltyY) = _points(dice, curves.collateral);
    }

    function _points(Dice.State memory dice, uint256 largest) private pure returns (uint256[] memory xs, uint256[] memory ys) {
        uint256 number = dice.roll(1, 16);
        (xs, ys) = (new uint256[](number), new uint256[](number));
        uint256 widest = dice.once(3) ? type(uint32).max / 16 : 2 * PPM / number;
        for (uint256 i; i < number; ++i) {
            if (i != 0) xs[i] = xs[i - 1] + dice.roll(1, widest);
            ys[i] = dice.once(5) ? largest : dice.roll(0, largest);
        }
    }

    function _sort(uint256[] memory values, bool rising) private pure {
        for (uint256 i = 1; i < values.length; ++i) {
            for (uint256 k = i; k > 0 && (values[k - 1] > values[k]) == rising && values[k - 1] != values[k]; --k) {
                (values[k - 1], values[k]) = (values[k], values[k - 1]);
            }
        }
    }
}
