"""The forecast beats the naive ones on the shipped homes, sees nothing of the day it forecasts, and lives with gaps."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from contracts.units import Direction
from oracle.forecast import DayForecast, ForecastError, backtest, flexible_wh, forecast_day
from oracle.readings import ReadingSeries, load_homes

HOMES = list(load_homes().values())
DAY = 17_200


def working(day: int) -> bool:
    return (day + 3) % 7 < 5


def test_the_forecast_beats_yesterday_and_last_week() -> None:
    days = range(HOMES[0].first_day + 200, HOMES[0].first_day + 260, 4)
    found = backtest(HOMES, list(days), working)
    assert found.homes == 17
    assert found.days == 15
    assert found.load.gain > 0.1
    assert found.pv.gain > 0
    assert found.net.gain > 0.08
    assert "last week" in str(found)


def test_nothing_of_the_day_itself_enters() -> None:
    def spoilt(home: ReadingSeries) -> ReadingSeries:
        at = DAY - home.first_day
        load, pv = home.load.copy(), home.pv.copy()
        load[at:], pv[at:] = 7777, 3333
        return replace(home, load=load, pv=pv)

    assert forecast_day(HOMES, DAY, working) == forecast_day([spoilt(home) for home in HOMES], DAY, working)
    assert forecast_day([home.until(DAY) for home in HOMES], DAY, working) == forecast_day(HOMES, DAY, working)


def test_forecast_and_backtest_are_the_same_model() -> None:
    found = {f.meter: f for f in forecast_day(HOMES, DAY, working)}
    result = backtest(HOMES, [DAY], working)
    misses = [
        abs(guess - real)
        for home in HOMES
        for guess, real in zip(found[home.meter].load, home.load[DAY - home.first_day].tolist(), strict=True)
    ]
    assert np.mean(misses) == pytest.approx(result.load.forecast, rel=0.02)


def test_gaps_and_short_histories() -> None:
    first = HOMES[0]
    new = ReadingSeries(
        "new", DAY - 1, *(part[DAY - 1 - first.first_day :][:1] for part in (first.load, first.pv, first.valid))
    )
    valid = HOMES[1].valid.copy()
    valid[DAY - 1 - first.first_day, 10:] = False
    gaps = replace(HOMES[1], valid=valid)
    found = forecast_day([new, gaps, *HOMES[2:]], DAY, working)
    for forecast in found:
        assert len(forecast.load) == len(forecast.pv) == len(forecast.net) == 24
        assert all(0 <= value < 20_000 for value in (*forecast.load, *forecast.pv))
        assert sum(forecast.load) > 1_000
    (alone,) = forecast_day([new], DAY, working)
    assert alone.pv == tuple(new.pv[0].tolist())
    with pytest.raises(ForecastError, match="new"):
        forecast_day([new], DAY - 1, working)


def test_flexible_share() -> None:
    forecast = DayForecast("a", 1, (400, 1000, *[600] * 22), (0,) * 24)
    assert flexible_wh(forecast, Direction.UP)[:3] == (0, 150, 50)
    assert flexible_wh(forecast, Direction.DOWN)[:3] == (150, 0, 100)
