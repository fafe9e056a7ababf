// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {ICalendar, PriceGuard} from "../src/PriceGuard.sol";
import {IMarket, IResults, Terms} from "../src/Protocol.sol";
import {Checked, Dice} from "./Cheats.sol";

/// @title The price guard: what moves its bands, and what does not
/// @notice The test stands in for the market, its calendar, and the results' contract of modes below 3.
contract PriceGuardTest is Checked {
    using Dice for Dice.State;

    uint256 private constant NONE = type(uint256).max;
    uint256 private constant MIN_HISTORY = 5;
    uint256 private constant MIN_VOLUME = 1000;

    PriceGuard private guard;
    uint256 private today = 100;
    bool private working = true;

    function setUp() external {
        guard = _guard(5_000_000, 1000, 20_000);
    }

    function _guard(uint256 kPpm, uint256 floor, uint256 floorPpm) private returns (PriceGuard) {
        return PriceGuard(
            vm.deployCode(
                "artifacts/PriceGuard.json",
                abi.encode(address(this), address(this), kPpm, floor, floorPpm, MIN_HISTORY, MIN_VOLUME)
            )
        );
    }

    function resultsOf(uint256 mode) external view returns (IResults) {
        return IResults(mode < 3 ? address(this) : address(1));
    }

    function dayOf(uint256, uint256) external view returns (uint256) {
        return today;
    }

    function isWorkingDay(uint256, uint256) external view returns (bool) {
        return working;
    }

    /// @dev A session of quarter hours over `mask`.
    function _terms(uint96 mask) private pure returns (Terms memory terms) {
        (terms.zone, terms.dayIntervals, terms.mask) = (1, 96, mask);
        for (uint256 bits = mask; bits != 0; bits &= bits - 1) ++terms.intervals;
    }

    function _one(uint256 value) private pure returns (uint256[] memory values) {
        values = new uint256[](1);
        values[0] = value;
    }

    function _record(uint256 price, uint256 volume) private {
        guard.record(1, _terms(1), _one(price), _one(volume));
    }

    function _days(uint256 price, uint256 volume, uint256 number) private {
        for (uint256 i; i < number; ++i) {
            ++today;
            _record(price, volume);
        }
    }

    function _inBand(uint256 price, uint256 volume) private view returns (bool) {
        return guard.inBand(_terms(1), _one(price), _one(volume));
    }

    function _band(uint256 hour) private view returns (uint256 low, uint256 high, uint256 history) {
        return guard.bandOf(1, (working ? 24 : 0) + hour);
    }

    function _is(uint256 low, uint256 high, uint256 history) private view {
        (uint256 l, uint256 h, uint256 n) = _band(0);
        same(l, low, "low");
        same(h, high, "high");
        same(n, history, "history");
    }

    // ---------------------------------------------------------------------------------------------------------------- the band

    function test_a_worked_band() external {
        uint256[5] memory prices = [uint256(100_000), 130_000, 90_000, 104_000, 111_000];
        for (uint256 i; i < 5; ++i) {
            _is(0, NONE, i);
            vm.assertTrue(_inBand(type(uint32).max, 1e9), "without enough history everything passes");
            _days(prices[i], MIN_VOLUME, 1);
        }
        // median 104000, distances 0 4000 7000 14000 26000: MAD 7000, five times that
        _is(69_000, 139_000, 5);
        vm.assertTrue(_inBand(69_000, MIN_VOLUME) && _inBand(139_000, MIN_VOLUME), "its ends belong to it");
        vm.assertTrue(!_inBand(68_999, MIN_VOLUME) && !_inBand(139_001, MIN_VOLUME), "beyond");
        vm.assertTrue(_inBand(0, MIN_VOLUME - 1) && _inBand(NONE, 0), "what is too small says nothing");
        _days(1_000_000, MIN_VOLUME, 1);
        // six: the lower median 104000, distances 0 4000 7000 14000 26000 896000: the lower one 7000
        _is(69_000, 139_000, 6);
    }

    function test_the_floors_hold_where_prices_are_alike() external {
        _days(100_000, MIN_VOLUME, 5);
        _is(90_000, 110_000, 5); // 2 % of the median, five times
        guard = _guard(5_000_000, 3000, 20_000);
        _days(100_000, MIN_VOLUME, 5);
        _is(85_000, 115_000, 5); // 3000, five times
    }

    function test_prices_at_nothing_make_a_band_around_nothing() external {
        _days(0, MIN_VOLUME, 28);
        _is(0, 5000, 28);
        vm.assertTrue(_inBand(5000, MIN_VOLUME) && !_inBand(5001, MIN_VOLUME), "the floor");
    }

    function test_the_largest_prices_fit() external {
        _days(type(uint32).max, type(uint40).max, 28);
        _is(0xffffffff - 5 * uint256(85_899_345), 0xffffffff + 5 * uint256(85_899_345), 28);
        vm.expectRevert(abi.encodeWithSelector(PriceGuard.PriceOutOfRange.selector, 0, 1 << 32, 1));
        _record(1 << 32, 1);
        vm.expectRevert(abi.encodeWithSelector(PriceGuard.PriceOutOfRange.selector, 0, 1, 1 << 40));
        _record(1, 1 << 40);
        _record(NONE, 0); // no volume, no price
    }

    /// @dev The band against a plain one: sort all, take the middle, sort all distances, take the middle.
    function test_the_band_is_the_plain_one(uint256 seed) external {
        Dice.State memory dice = Dice.State(seed);
        uint256 number = dice.roll(MIN_HISTORY, 40);
        uint256 wide = dice.roll(1, type(uint32).max);
        uint256[] memory prices = new uint256[](number < 28 ? number : 28);
        for (uint256 i; i < number; ++i) {
            uint256 price = dice.roll(0, wide);
            _days(price, MIN_VOLUME, 1);
            if (i + 28 >= number) prices[i < number - prices.length ? 0 : i - (number - prices.length)] = price;
        }
        (uint256[] memory kept, uint256 day, uint256 volume) = guard.historyOf(1, 24);
        same(uint256(keccak256(abi.encode(kept))), uint256(keccak256(abi.encode(prices))), "the latest, oldest first");
        same(day, today, "day");
        same(volume, MIN_VOLUME, "volume");
        uint256 median = _middle(prices);
        for (uint256 i; i < prices.length; ++i) prices[i] = prices[i] > median ? prices[i] - median : median - prices[i];
        uint256 spread = _middle(prices);
        if (spread < 1000) spread = 1000;
        if (spread < median / 50) spread = median / 50;
        _is(median > 5 * spread ? median - 5 * spread : 0, median + 5 * spread, prices.length);
    }

    function _middle(uint256[] memory values) private pure returns (uint256) {
        for (uint256 i; i < values.length; ++i) {
            uint256 below;
            uint256 alike;
            for (uint256 k; k < values.length; ++k) {
                if (values[k] < values[i]) ++below;
                if (values[k] == values[i]) ++alike;
            }
            if (below <= (values.length - 1) / 2 && (values.length - 1) / 2 < below + alike) return values[i];
        }
        revert("no middle");
    }

    // --------------------------------------------------------------------------------------------------------------- poisoning

    function test_tiny_volumes_leave_no_price() external {
        for (uint256 i; i < 40; ++i) _days(type(uint32).max, MIN_VOLUME - 1, 1);
        _is(0, NONE, 0);
    }

    function test_a_volume_spread_thin_is_seen_by_the_hour() external {
        _days(100_000, MIN_VOLUME, 5);
        // four quarters, each below the minimum, together above it
        uint256[] memory prices = new uint256[](4);
        uint256[] memory volumes = new uint256[](4);
        for (uint256 j; j < 4; ++j) (prices[j], volumes[j]) = (200_000, MIN_VOLUME - 1);
        vm.assertTrue(!guard.inBand(_terms(0xf), prices, volumes), "would enter the history, so it is checked");
        // one dear quarter is seen even where the hour's mean is as ever
        for (uint256 j; j < 4; ++j) (prices[j], volumes[j]) = (100_000, 100 * MIN_VOLUME);
        vm.assertTrue(guard.inBand(_terms(0xf), prices, volumes), "as ever");
        (prices[0], volumes[0]) = (200_000, MIN_VOLUME);
        vm.assertTrue(!guard.inBand(_terms(0xf), prices, volumes), "the dear quarter");
    }

    function test_many_sessions_of_one_day_are_one_price(uint256 seed) external {
        Dice.State memory dice = Dice.State(seed);
        _days(100_000, MIN_VOLUME, 6);
        ++today;
        uint256 price;
        uint256 volume;
        for (uint256 i; i < 30; ++i) {
            (uint256 p, uint256 v) = (dice.roll(0, type(uint32).max), dice.roll(MIN_VOLUME, type(uint40).max));
            _record(p, v);
            price = (price * volume + p * v) / (volume + v);
            volume += v;
        }
        (,, uint256 history) = _band(0);
        same(history, 7, "one more");
        (uint256[] memory kept,, uint256 weight) = guard.historyOf(1, 24);
        same(kept[6], price, "the weighted mean");
        same(weight, volume, "its weight");
        _is(90_000, 110_000, 7);
    }

    function test_a_day_merges_wherever_the_ring_stands(uint256 number) external {
        number = within(number, 1, 60);
        _days(1000, MIN_VOLUME, number);
        _record(4000, 2 * MIN_VOLUME);
        (uint256[] memory kept,,) = guard.historyOf(1, 24);
        same(kept.length, number < 28 ? number : 28, "as many");
        for (uint256 i; i + 1 < kept.length; ++i) same(kept[i], 1000, "the others");
        same(kept[kept.length - 1], 3000, "the latest");
    }

    /// @dev Half of a history has to be another's prices before the band leaves the old ones: a fortnight, each day inside it.
    function test_a_fortnight_moves_nothing_out() external {
        _days(100_000, MIN_VOLUME, 28);
        _days(110_000, MIN_VOLUME, 14);
        (uint256 low, uint256 high,) = _band(0);
        vm.assertTrue(low <= 100_000 && high >= 100_000, "old prices are inside still");
    }

    function test_only_the_modes_results_record(address caller, uint8 mode) external {
        vm.assume(caller != address(this));
        Terms memory terms = _terms(1);
        terms.mode = mode % 4;
        vm.expectRevert(abi.encodeWithSelector(PriceGuard.NotResults.selector, caller, terms.mode));
        vm.prank(caller);
        guard.record(1, terms, _one(1), _one(MIN_VOLUME));
    }

    // ------------------------------------------------------------------------------------------------------ products and hours

    function test_each_product_and_hour_type_has_its_own_history(uint256 which) external {
        _days(100_000, MIN_VOLUME, 5);
        Terms memory terms = _terms(1);
        if (which % 6 == 0) terms.zone = 2;
        if (which % 6 == 1) terms.kind = 1;
        if (which % 6 == 2) terms.direction = 1;
        if (which % 6 == 3) terms.mode = 1;
        if (which % 6 == 4) working = false;
        if (which % 6 == 5) terms.mask = 1 << 4; // the next hour
        vm.assertTrue(guard.inBand(terms, _one(1e9), _one(MIN_VOLUME)), "no history there");
        vm.assertTrue(!(which % 6 == 4) || guard.productOf(terms) == 1, "the same product on another kind of day");
    }

    /// @dev Hours are those of the zone's standard time: a day has 24 of them, whatever local clocks do.
    function test_hours_of_every_length_of_interval(uint256 length, uint256 t) external {
        uint256 number = 24 << (length % 3);
        t %= number;
        Terms memory terms = _terms(uint96(1 << t));
        terms.dayIntervals = uint8(number);
        guard.record(1, terms, _one(7), _one(MIN_VOLUME));
        (,, uint256 history) = _band(t / (number / 24));
        same(history, 1, "its hour");
    }

    function test_an_hours_price_is_weighted_by_volume() external {
        uint256[] memory prices = new uint256[](5);
        uint256[] memory volumes = new uint256[](5);
        for (uint256 j; j < 5; ++j) (prices[j], volumes[j]) = (1000 * (j + 1), 500 * j);
        guard.record(1, _terms(0x1f), prices, volumes);
        (uint256[] memory kept,, uint256 volume) = guard.historyOf(1, 24);
        same(kept[0], (2000 * 500 + 3000 * 1000 + 4000 * 1500) / uint256(3000), "mean of the first hour");
        same(volume, 3000, "its volume");
        (kept,,) = guard.historyOf(1, 25);
        same(kept[0], 5000, "the second hour's");
    }

    function test_a_price_for_each_interval() external {
        vm.expectRevert(abi.encodeWithSelector(PriceGuard.PricesLength.selector, 1, 1, 2));
        guard.inBand(_terms(3), _one(1), _one(1));
        vm.expectRevert(abi.encodeWithSelector(PriceGuard.PricesLength.selector, 1, 0, 1));
        guard.record(1, _terms(1), _one(1), new uint256[](0));
    }

    function test_parameters_have_ranges() external {
        bytes memory why = abi.encodeWithSelector(PriceGuard.ParameterOutOfRange.selector, "minVolume", 0, 1, type(uint40).max);
        vm.expectRevert(why);
        new PriceGuard(IMarket(address(this)), ICalendar(address(this)), 1, 1, 1, 1, 0);
        vm.expectRevert(abi.encodeWithSelector(PriceGuard.ParameterOutOfRange.selector, "minHistory", 29, 1, 28));
        new PriceGuard(IMarket(address(this)), ICalendar(address(this)), 1, 1, 1, 29, 1);
        vm.expectRevert(abi.encodeWithSelector(PriceGuard.ParameterOutOfRange.selector, "kPpm", 0, 1, 1e9));
        new PriceGuard(IMarket(address(this)), ICalendar(address(this)), 0, 1, 1, 1, 1);
    }

    // --------------------------------------------------------------------------------------------------------------------- gas

    function test_gas() external {
        Dice.State memory dice = Dice.State(7);
        Terms memory terms = _terms(type(uint96).max);
        uint256[] memory prices = new uint256[](96);
        uint256[] memory volumes = new uint256[](96);
        for (uint256 i; i < 28; ++i) {
            ++today;
            for (uint256 j; j < 96; ++j) (prices[j], volumes[j]) = (dice.roll(98_000, 102_000), 5000);
            guard.record(1, terms, prices, volumes);
        }
        vm.assertTrue(guard.inBand(terms, prices, volumes), "inside");
        vm.snapshotGasLastCall("guard", "inBand, 24 hours of 28 prices");
        ++today;
        guard.record(1, terms, prices, volumes);
        vm.snapshotGasLastCall("guard", "record, 24 hours of 28 prices");
    }
}
