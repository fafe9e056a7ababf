"""Bands of the price guard by hand: what counts, what is forgotten, what cannot be forced."""

from __future__ import annotations

import statistics

import pytest
from hypothesis import given
from hypothesis import strategies as st

from market.guard import (
    CAPACITY,
    Band,
    GuardError,
    GuardParameters,
    History,
    HourPrices,
    band,
    hour_type,
    hours_of,
    in_band,
    product_of,
)

PARAMETERS = GuardParameters(k_ppm=5_000_000, mad_floor=1000, mad_floor_ppm=20_000, min_history=5, min_volume=1000)
PRICES = st.integers(0, 2**32 - 1)


def test_a_worked_band() -> None:
    prices = (100_000, 130_000, 90_000, 104_000, 111_000)
    assert band(prices[:4], PARAMETERS) is None
    # median 104000, distances 0 4000 7000 14000 26000: MAD 7000, five times that
    assert band(prices, PARAMETERS) == Band(69_000, 139_000)
    assert band((*prices, 1_000_000), PARAMETERS) == Band(69_000, 139_000), "the lower of two medians"


@pytest.mark.parametrize(("price", "width"), [(100_000, 10_000), (10_000, 5000), (0, 5000), (2**32 - 1, 5 * 85_899_345)])
def test_alike_prices_leave_room_by_the_floors(price: int, width: int) -> None:
    assert band([price] * 28, PARAMETERS) == Band(max(price - width, 0), price + width)


@given(st.lists(PRICES, min_size=5, max_size=CAPACITY))
def test_the_band_is_around_the_lower_medians(prices: list[int]) -> None:
    median = statistics.median_low(prices)
    mad = statistics.median_low([abs(p - median) for p in prices])
    found = band(prices, PARAMETERS)
    assert found is not None and found.holds(median)
    assert found.high - median == 5 * max(mad, 1000, median // 50)
    assert found.low == max(2 * median - found.high, 0)


@given(st.lists(PRICES, min_size=5, max_size=CAPACITY), st.data())
def test_less_than_half_of_a_history_cannot_lift_a_band_past_the_rest(honest: list[int], data: st.DataObject) -> None:
    poison = data.draw(st.lists(PRICES, max_size=len(honest) - 1))
    found = band([*honest, *poison], PARAMETERS)
    assert found is not None
    assert found.high >= min(honest) and found.low <= max(honest)


@given(st.lists(st.tuples(st.integers(0, 3), PRICES, st.integers(1, 2**40 - 1)), min_size=1, max_size=80))
def test_a_day_has_one_price(sessions: list[tuple[int, int, int]]) -> None:
    history = History()
    day = 100
    days = set()
    for later, price, volume in sessions:
        day += later
        days.add(day)
        history = history.record(day, price, volume)
    assert len(history.prices) == min(len(days), CAPACITY)
    today = sum(later for later, _, _ in sessions) + 100
    assert history.day == today


def test_sessions_of_one_day_weigh_by_volume() -> None:
    history = History().record(7, 1000, 3000).record(7, 2000, 1000)
    assert history == History((1250,), 7, 4000)
    assert history.record(8, 5, 1) == History((1250, 5), 8, 1)


def test_hours_join_intervals_and_leave_out_what_is_small() -> None:
    hours = hours_of([0, 1, 2, 3, 4, 95], 96, [1000, 2000, 3000, 4000, 5000, 6000], [0, 500, 1000, 1500, 2000, 999], 1000)
    assert hours == {0: HourPrices(10_000_000 // 3000, 3000, (3000, 4000)), 1: HourPrices(5000, 2000, (5000,))}


def test_a_volume_spread_thin_is_seen_by_the_hour() -> None:
    hours = hours_of([0, 1], 96, [200_000, 200_000], [999, 999], 1000)
    assert hours == {0: HourPrices(200_000, 1998, ())}
    assert not in_band(hours, {0: Band(90_000, 110_000)})
    assert in_band(hours, {0: None}) and in_band(hours, {})


def test_one_dear_interval_is_seen_in_a_quiet_hour() -> None:
    hours = hours_of([0, 1], 96, [200_000, 100_000], [1000, 10**9], 1000)
    assert hours[0].price < 110_000
    assert not in_band(hours, {0: Band(90_000, 110_000)})


def test_values_out_of_range_are_named() -> None:
    with pytest.raises(GuardError, match=r"min_volume: expected 1\.\.1099511627775, got 0"):
        GuardParameters(1, 0, 0, 1, 0)
    with pytest.raises(GuardError, match=r"prices\[0\]: expected 0\.\.4294967295, got 4294967296"):
        hours_of([0], 24, [2**32], [1], 1)
    with pytest.raises(GuardError, match="prices: expected 2 prices and volumes, got 1 and 2"):
        hours_of([0, 1], 24, [1], [1, 1], 1)
    assert hours_of([0], 24, [2**40], [0], 1) == {}, "without a volume there is no price"


def test_numbers_of_products_and_hour_types() -> None:
    assert (hour_type(False, 23), hour_type(True, 0), product_of(1, 2, 1, 1)) == (23, 24, 1 | 2 << 16 | 1 << 24 | 1 << 32)
