"""A short run of the manipulation laboratory: some weeks of the year, a few of each manipulation."""

from __future__ import annotations

import numpy as np
import pytest

from bench.surveillance import LEARNING, judge, rows
from bench.surveillance_manipulations import MANIPULATIONS, price_spike
from bench.surveillance_year import Year, build

WEEKS = 18


@pytest.fixture(scope="module")
def year() -> Year:
    return build(7, 7 * WEEKS)


@pytest.mark.slow
def test_weeks_of_the_year_are_told_from_manipulated_ones(year: Year) -> None:
    result = judge(year, range(LEARNING, len(year.sessions)), np.random.default_rng(8), 0.1)
    found = {row.metric: row for row in rows(result.outcomes, result.alarms)}
    assert found["detection"].value >= 0.8
    assert found["false_alarms_100"].value <= 6, "of 76 sessions: four at most"
    assert found["detected_self_trade"].value == found["detected_circular_trade"].value == 1
    assert set(MANIPULATIONS) == {outcome.kind for outcome in result.outcomes}


@pytest.mark.slow
def test_a_clean_year_is_no_year_without_incident(year: Year) -> None:
    """Prices move, homes come and go, orders are changed and taken back, some of it late."""
    prices = [price for s in year.sessions for price in s.prices if price is not None]
    assert np.percentile(prices, 90) > 1.5 * np.percentile(prices, 10)
    present = [len(s.curves) for s in year.sessions]
    assert max(present) - min(present) >= 6
    late = [cut for s in year.sessions for cuts in s.late_cuts.values() for cut in cuts if cut[0] <= 1800]
    assert late and any(after == 0 for _, _, after in late)


@pytest.mark.slow
def test_a_manipulation_changes_the_manipulators_orders_alone(year: Year) -> None:
    made = price_spike(year, LEARNING, np.random.default_rng(1))
    for k, session in made.sessions.items():
        clean = year.sessions[k]
        assert {key for key in clean.live if clean.live[key] != session.live[key]} <= {
            (a, s) for a, s in clean.live if a in made.by
        }
        assert session.times == clean.times
