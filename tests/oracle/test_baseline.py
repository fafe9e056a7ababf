"""Baseline R14: the admissible days of the contract, the mean of the circuit."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from oracle.baseline import Baseline, admissible_days, baseline_of
from zk.eddsa import PrivateKey
from zk.statement import baseline as proven_baseline
from zk.windows import close_window, start_log

MONDAY = 20_003


def working(day: int) -> bool:
    return (day + 3) % 7 < 5


def days(mask: int, day: int) -> list[int]:
    return [day - 14 + k for k in range(14) if mask >> k & 1]


def test_a_working_day_is_compared_with_working_days() -> None:
    mask = admissible_days(MONDAY, working, 0, 0)
    assert days(mask, MONDAY) == [*range(MONDAY - 14, MONDAY - 9), *range(MONDAY - 7, MONDAY - 2)]
    saturday = MONDAY + 5
    assert days(admissible_days(saturday, working, 0, 0), saturday) == [
        saturday - 14,
        saturday - 13,
        saturday - 7,
        saturday - 6,
    ]


def test_days_before_the_key_do_not_count() -> None:
    assert days(admissible_days(MONDAY, working, 0, MONDAY - 6), MONDAY) == [*range(MONDAY - 6, MONDAY - 2)]
    assert admissible_days(MONDAY, working, 0, MONDAY) == 0


def test_event_days_leave_and_refill_newest_first() -> None:
    saturday = MONDAY + 5
    events = 1 << 13 | 1 << 8 | 1 << 7  # the day before, and the last Sunday and Saturday
    assert days(admissible_days(saturday, working, events, 0), saturday) == [saturday - 14, saturday - 13, saturday - 6]
    every = (1 << 14) - 1
    assert days(admissible_days(saturday, working, every, 0), saturday) == [saturday - 13, saturday - 7, saturday - 6]
    assert days(admissible_days(MONDAY, working, every, MONDAY - 10), MONDAY) == [MONDAY - 5, MONDAY - 4, MONDAY - 3]


@given(st.integers(20_000, 20_100), st.integers(0, (1 << 14) - 1), st.integers(19_980, 20_100))
def test_the_rule_word_by_word(day: int, events: int, from_day: int) -> None:
    chosen = set(days(admissible_days(day, working, events, from_day), day))
    for k in range(14):
        d = day - 14 + k
        if working(d) != working(day) or d < from_day:
            assert d not in chosen
        elif not events >> k & 1:
            assert d in chosen
    fit = [d for d in range(day - 14, day) if working(d) == working(day) and d >= from_day]
    calm = [d for d in fit if not events >> (d - day + 14) & 1]
    assert len(chosen) == (len(calm) if len(calm) >= 3 else min(3, len(fit)))
    joined = sorted(chosen - set(calm))
    assert joined == [d for d in fit if d not in calm][len(fit) - len(calm) - len(joined) :]


READINGS = st.one_of(st.integers(-50, 50), st.integers(-(1 << 23) + 1, (1 << 23) - 1))


@settings(max_examples=10, deadline=None)
@given(st.data())
def test_the_mean_is_the_circuits(data: st.DataObject) -> None:
    key = PrivateKey(bytes(32))
    windows = list(start_log(key, 20_000, 24)[-1:])
    history: list[tuple[int | None, ...]] = []
    for k in range(14):
        row: list[int | None] = list(data.draw(st.lists(READINGS, min_size=24, max_size=24)))
        if data.draw(st.integers(0, 4)) == 0:
            row[data.draw(st.integers(0, 23))] = None
        history.append(tuple(row))
        windows.append(close_window(key, 20_000 + k, row, windows[-1].head, salt=k))
    admissible = data.draw(st.integers(1, (1 << 14) - 1))
    found = baseline_of(history, admissible, 20_014)
    if found is None:
        assert all(None in history[k] for k in range(14) if admissible >> k & 1)
    else:
        assert found.wh == proven_baseline(windows[1:], admissible)


def test_floor_below_zero() -> None:
    history: list[tuple[int | None, ...]] = [(-1,) * 24, (-2,) * 24, (None,) * 24] + [(9,) * 24] * 11
    found = baseline_of(history, 0b111, 20_014)
    assert found == Baseline((-2,) * 24, (20_000, 20_001), 0b111)
    assert not found.accepted
    with pytest.raises(ValueError, match="history"):
        baseline_of(history[1:], 1, 20_014)


@pytest.mark.parametrize(("counted", "admissible", "accepted"), [(3, 5, True), (3, 6, False), (2, 2, False), (10, 10, True)])
def test_what_the_contract_takes(counted: int, admissible: int, accepted: bool) -> None:
    assert Baseline((0,) * 24, tuple(range(counted)), (1 << admissible) - 1).accepted is accepted
