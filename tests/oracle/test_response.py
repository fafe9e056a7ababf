"""The synthetic response keeps the original, stays inside the home's means, and does what it says."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.units import PPM, Direction
from oracle.readings import DayReadings
from oracle.response import respond

LOAD = (800,) * 24
PV = (300,) * 24
DAY = DayReadings("a", 5, tuple(load - pv for load, pv in zip(LOAD, PV, strict=True)), LOAD, PV)


def test_an_open_loop_home_takes_its_promise_off() -> None:
    up = respond(DAY, {18: 400, 19: 0}, Direction.UP, PPM, envelope=5000)
    assert up.changed[18] == -400
    assert up.altered.net[17:20] == (500, 100, 500)
    assert up.altered.load is not None
    assert up.altered.load[18] == 400
    assert up.altered.pv == PV
    assert up.original is DAY
    assert up.synthetic
    down = respond(DAY, {18: 400}, Direction.DOWN, 500_000, envelope=5000)
    assert down.altered.net[18] == 700


def test_a_steered_home_aims_at_its_baseline() -> None:
    aim = (650,) * 24
    full = respond(DAY, {18: 400}, Direction.UP, PPM, envelope=5000, aim=aim)
    assert aim[18] - (full.altered.net[18] or 0) == 400
    half = respond(DAY, {18: 400}, Direction.UP, 500_000, envelope=5000, aim=aim)
    assert half.altered.net[18] == 500 - 125


def test_limits_of_the_home() -> None:
    assert respond(DAY, {18: 400}, Direction.UP, PPM, envelope=150).changed[18] == -150
    assert respond(DAY, {18: 4000}, Direction.UP, PPM, envelope=9000).changed[18] == -800
    gap = DayReadings("a", 5, (None, *DAY.net[1:]))
    assert respond(gap, {0: 100}, Direction.UP, PPM, envelope=900).altered.net[0] is None


@given(
    st.dictionaries(st.integers(0, 23), st.integers(0, 2000)),
    st.sampled_from(Direction),
    st.integers(0, 1_500_000),
    st.integers(0, 3000),
)
def test_only_promised_intervals_change_and_load_stays_positive(
    promise: dict[int, int], direction: Direction, faithfulness: int, envelope: int
) -> None:
    found = respond(DAY, promise, direction, faithfulness, envelope=envelope)
    for t in range(24):
        change = found.changed[t]
        assert found.altered.net[t] == (DAY.net[t] or 0) + change
        assert found.altered.load is not None
        assert (found.altered.load[t] or 0) >= 0
        assert abs(change) <= envelope
        assert -direction.sign * change >= 0
        assert change == 0 or promise.get(t)


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"faithfulness_ppm": -1}, "faithfulness_ppm"),
        ({"envelope": -1}, "envelope"),
        ({"aim": (1,)}, "aim"),
        ({"promise": {24: 1}}, "promise"),
        ({"promise": {3: -1}}, r"promise\[3\]"),
    ],
)
def test_values_out_of_range(change: dict[str, object], field: str) -> None:
    good: dict[str, object] = {"promise": {3: 1}, "direction": Direction.UP, "faithfulness_ppm": PPM, "envelope": 1}
    with pytest.raises(ValueError, match=field):
        respond(DAY, **(good | change))  # type: ignore[arg-type]
