"""Day-ahead forecast of load, production and net load for each home.

**Load**: per interval of the day one ridge regression over all homes together, on square roots (which leans towards the median
of a skewed quantity, and the mean absolute error asks for the median). Its features are the home's own past: exponentially
weighted means of the same interval (all days, and days of the same type), yesterday, the same day last week, the neighbouring
intervals, the level of the last days and of yesterday evening. Each home is scaled by its own mean. **Production**: half of
yesterday, half of the 60 % quantile of the last seven days. No weather enters. **Net load** is load less production.

The choice between these and simpler rules was made on the 17 shipped homes by `backtest`, so its figures flatter the forecast a
little. Day `d` is forecast from readings before day `d`; missing ones are replaced by the interval's weighted mean.

Run `python -m oracle.forecast` for the backtest on the shipped homes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from contracts.units import PPM, Direction
from oracle.readings import ReadingSeries, load_homes

Floats = NDArray[np.float64]

TRAINING_DAYS = 120
"""Days before the forecast day that the regression learns from."""

FLEXIBLE_SHARE_PPM = 250_000
"""Synthetic assumption: a quarter of what lies between a home's load and its lowest (UP) or highest (DOWN) of the day can
move."""

_RIDGE = 1.0
_PV_DAYS = 7
_PV_QUANTILE = 60


class ForecastError(ValueError):
    """Readings from which nothing can be forecast; the message names the home and what is missing."""


@dataclass(frozen=True, slots=True)
class DayForecast:
    """One home's next day: load, production and net load per interval, whole Wh."""

    meter: str
    day: int
    load: tuple[int, ...]
    pv: tuple[int, ...]

    @property
    def net(self) -> tuple[int, ...]:
        return tuple(load - pv for load, pv in zip(self.load, self.pv, strict=True))


@dataclass(frozen=True, slots=True)
class Errors:
    """Mean absolute errors in Wh per interval: of the forecast, of yesterday repeated, of the same day last week repeated."""

    forecast: float
    yesterday: float
    last_week: float

    @property
    def gain(self) -> float:
        """Share by which the forecast's error lies below the better naive one's."""
        return 1 - self.forecast / min(self.yesterday, self.last_week)


@dataclass(frozen=True, slots=True)
class Backtest:
    """Errors of a run over `days` days and `homes` homes."""

    homes: int
    days: int
    load: Errors
    pv: Errors
    net: Errors

    def __str__(self) -> str:
        head = f"{self.homes} homes, {self.days} days, mean absolute error in Wh an interval\n"
        rows = [f"{'':>6}{'forecast':>10}{'yesterday':>11}{'last week':>11}{'gain':>8}"]
        for name, errors in (("load", self.load), ("pv", self.pv), ("net", self.net)):
            rows.append(f"{name:>6}{errors.forecast:10.1f}{errors.yesterday:11.1f}{errors.last_week:11.1f}{errors.gain:8.1%}")
        return head + "\n".join(rows)


def forecast_day(homes: Sequence[ReadingSeries], day: int, is_working: Callable[[int], bool]) -> list[DayForecast]:
    """Forecasts `day` for every home from its readings before that day. All homes have the same number of intervals a day.

    More homes and more days make it better; a single day of one home is enough for a forecast. Raises `ForecastError`.
    """
    known = [home.until(day) for home in homes]
    for home in known:
        if not home.valid.any():
            raise ForecastError(f"{home.meter}: expected a reading before day {day}, got none")
    first = max(min(home.first_day for home in known), day - TRAINING_DAYS - 60)
    load, pv = (_stack(known, first, day + 1, name) for name in ("load", "pv"))
    working = np.array([is_working(d) for d in range(first, day + 1)])
    at = day - first
    loads = _predict_load(load, _features(np.sqrt(np.maximum(load, 0)), working), at)
    made = _predict_pv(pv, at)
    return [
        DayForecast(home.meter, day, tuple(np.rint(used).astype(int).tolist()), tuple(np.rint(produced).astype(int).tolist()))
        for home, used, produced in zip(known, loads, made, strict=True)
    ]


def flexible_wh(forecast: DayForecast, direction: Direction) -> tuple[int, ...]:
    """What a home could offer per interval, Wh. A stated synthetic assumption, `FLEXIBLE_SHARE_PPM`, not a measurement."""
    edge = min(forecast.load) if direction is Direction.UP else max(forecast.load)
    return tuple(abs(load - edge) * FLEXIBLE_SHARE_PPM // PPM for load in forecast.load)


def backtest(homes: Sequence[ReadingSeries], days: Sequence[int], is_working: Callable[[int], bool]) -> Backtest:
    """Forecasts each of `days` from what was known before it and compares with what came, on intervals where all three have a
    value."""
    first, last = min(home.first_day for home in homes), max(days) + 1
    load, pv = (_stack(homes, first, last, name) for name in ("load", "pv"))
    working = np.array([is_working(d) for d in range(first, last)])
    features = _features(np.sqrt(np.maximum(load, 0)), working)
    predicted = {name: np.full_like(load, np.nan) for name in ("load", "pv")}
    for day in days:
        at = day - first
        predicted["load"][:, at] = _predict_load(load, features, at)
        predicted["pv"][:, at] = _predict_pv(pv, at)
    chosen = np.array(sorted(days)) - first
    net = predicted["load"] - predicted["pv"]
    return Backtest(
        len(homes),
        len(chosen),
        _errors(predicted["load"], load, chosen),
        _errors(predicted["pv"], pv, chosen),
        _errors(net, load - pv, chosen),
    )


def _errors(predicted: Floats, real: Floats, days: NDArray[np.int64]) -> Errors:
    misses = [np.abs(guess - real)[:, days] for guess in (predicted, _shift(real, 1), _shift(real, 7))]
    both = ~np.isnan(np.stack(misses)).any(axis=0)
    return Errors(*(float(miss[both].mean()) for miss in misses))


def _stack(homes: Sequence[ReadingSeries], first: int, last: int, name: str) -> Floats:
    """Wh of all homes for days `first` to `last - 1`, shape (homes, days, intervals), NaN in gaps."""
    intervals = homes[0].load.shape[1]
    out = np.full((len(homes), last - first, intervals), np.nan)
    for i, home in enumerate(homes):
        if home.load.shape[1] != intervals:
            raise ForecastError(f"{home.meter}: expected {intervals} intervals a day like the others, got {home.load.shape[1]}")
        start, stop = max(home.first_day, first), min(home.days.stop, last)
        if start < stop:
            part = slice(start - home.first_day, stop - home.first_day)
            values: NDArray[np.int64] = getattr(home, name)
            out[i, start - first : stop - first] = np.where(home.valid[part], values[part], np.nan)
    return out


def _shift(values: Floats, days: int) -> Floats:
    """The values of `days` days before."""
    out = np.full_like(values, np.nan)
    out[:, days:] = values[:, :-days]
    return out


def _weighted_mean(values: Floats, half_life: float) -> Floats:
    """Per day the mean over all days before, weights halving every `half_life` days; NaN before the first value."""
    if not values.shape[1]:
        return values
    decay = 0.5 ** (1 / half_life)
    sums, weights = np.zeros_like(values[:, 0]), np.zeros_like(values[:, 0])
    out = np.empty_like(values)
    for day in range(values.shape[1]):
        out[:, day] = np.divide(sums, weights, out=np.full_like(sums, np.nan), where=weights > 0)
        known = ~np.isnan(values[:, day])
        sums = decay * sums + np.where(known, values[:, day], 0)
        weights = decay * weights + known
    return out


def _mean_of_type(values: Floats, working: NDArray[np.bool_], half_life: float) -> Floats:
    """`_weighted_mean` over days of the same type (working or not) only."""
    out = np.empty_like(values)
    for kind in (True, False):
        alike = np.flatnonzero(working == kind)
        out[:, alike] = _weighted_mean(values[:, alike], half_life)
    return out


def _neighbours(values: Floats) -> list[Floats]:
    """The interval before and the one after, of the same day."""
    return [values[..., np.r_[0, 0 : values.shape[2] - 1]], values[..., np.r_[1 : values.shape[2], values.shape[2] - 1]]]


def _features(roots: Floats, working: NDArray[np.bool_]) -> Floats:
    """Features of every (home, day, interval), shape (homes, days, intervals, features); only days before enter. NaN without
    history."""
    yesterday, smooth, short = _shift(roots, 1), _weighted_mean(roots, 10), _weighted_mean(roots, 4)
    level = np.broadcast_to(np.mean(_weighted_mean(roots, 7), axis=2, keepdims=True), roots.shape)
    evening = max(roots.shape[2] // 8, 1)
    filled = np.where(np.isnan(yesterday), smooth, yesterday)
    parts = [
        _weighted_mean(roots, 3),
        smooth,
        _mean_of_type(roots, working, 4),
        yesterday,
        _shift(roots, 7),
        *_neighbours(filled),
        *_neighbours(short),
        level,
        np.broadcast_to(filled.mean(axis=2, keepdims=True), roots.shape),
        np.broadcast_to(filled[..., -evening:].mean(axis=2, keepdims=True), roots.shape),
    ]
    return np.stack([np.where(np.isnan(part), smooth, part) for part in parts], axis=-1)


def _predict_load(load: Floats, features: Floats, at: int) -> Floats:
    """Load of the day at index `at`, Wh, shape (homes, intervals), learnt from the days before."""
    start = max(at - TRAINING_DAYS, 1)
    roots = np.sqrt(np.maximum(load[:, start:at], 0))
    fallback = np.nan_to_num(features[:, at, :, 1])
    known = ~np.isnan(load[:, :at])
    scale = np.sqrt(np.where(known, load[:, :at], 0)).sum(axis=(1, 2)) / np.maximum(known.sum(axis=(1, 2)), 1)
    scale = np.maximum(scale, 1.0)[:, None, None]
    ones = np.ones((*features.shape[:3], 1))
    inputs = np.concatenate([features / scale[..., None], ones], axis=-1)
    x = inputs[:, start:at].transpose(2, 0, 1, 3).reshape(load.shape[2], -1, inputs.shape[3])
    y = (roots / scale).transpose(2, 0, 1).reshape(load.shape[2], -1)
    usable = ~(np.isnan(x).any(axis=2) | np.isnan(y))
    x, y = np.where(usable[..., None], x, 0), np.where(usable, y, 0)
    # Shrunk towards the weighted mean rather than towards nothing: the regression learns what to add to it.
    y = y - x[..., 1]
    gram = x.transpose(0, 2, 1) @ x + _RIDGE * np.eye(x.shape[2])
    weights = np.linalg.solve(gram, x.transpose(0, 2, 1) @ y[..., None])
    today = np.nan_to_num(inputs[:, at])
    corrections = (today.transpose(1, 0, 2) @ weights)[..., 0].T * scale[:, :, 0]
    predicted: Floats = np.square(np.maximum(fallback + corrections, 0))
    return predicted


def _predict_pv(pv: Floats, at: int) -> Floats:
    """Production of the day at index `at`, Wh, shape (homes, intervals)."""
    recent = pv[:, max(at - _PV_DAYS, 0) : at]
    known: NDArray[np.bool_] = np.logical_not(np.isnan(recent).all(axis=1))
    usual = np.zeros_like(pv[:, at])
    if recent.shape[1]:
        usual[known] = np.nanpercentile(np.where(known[:, None], recent, 0), _PV_QUANTILE, axis=1)[known]
    yesterday = pv[:, at - 1] if at else usual
    return np.maximum(np.where(np.isnan(yesterday), usual, (usual + yesterday) / 2), 0)


def main() -> None:
    """Prints the backtest on the shipped homes, from their 101st day on."""
    homes = list(load_homes().values())
    days = range(homes[0].first_day + 100, homes[0].days.stop - 1)
    print(backtest(homes, days, lambda day: (day + 3) % 7 < 5))


if __name__ == "__main__":
    main()
