"""Readings: what a meter measured, per day or as a series, the port through which they are stored, and the shipped homes.

Energy is whole Wh per interval of the zone's standard-time day (days since 1970-01-01). None, or a False in `valid`, is a gap:
an interval without a valid reading never reads as zero.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from importlib import resources
from typing import Protocol

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from zk.windows import INTERVALS, READING_OFFSET

MAX_READING = READING_OFFSET - 1
"""Largest reading either way, Wh per interval."""

HOMES_OFFSET = -8 * 3600
"""Standard-time offset of the shipped homes, seconds."""

HOMES_INTERVALS = 24
"""Intervals a day of the shipped homes."""

Wh = tuple[int | None, ...]


class ReadingError(ValueError):
    """A reading that no meter can have delivered; the message names the field, what was expected and what came."""


@dataclass(frozen=True, slots=True)
class DayReadings:
    """One meter's day: net load (import - export), and load and production where the home measures them, Wh per interval."""

    meter: str
    day: int
    net: Wh
    load: Wh | None = None
    pv: Wh | None = None

    def __post_init__(self) -> None:
        if len(self.net) not in INTERVALS:
            raise ReadingError(f"net: expected {', '.join(map(str, INTERVALS))} intervals, got {len(self.net)}")
        for name, values in (("net", self.net), ("load", self.load), ("pv", self.pv)):
            if values is None:
                continue
            if len(values) != len(self.net):
                raise ReadingError(f"{name}: expected {len(self.net)} intervals, got {len(values)}")
            for t, value in enumerate(values):
                if value is not None and not -MAX_READING <= value <= MAX_READING:
                    raise ReadingError(f"{name}[{t}]: expected at most {MAX_READING} Wh either way, got {value}")

    @property
    def complete(self) -> bool:
        """Whether every interval has a valid net load."""
        return None not in self.net


@dataclass(frozen=True)
class ReadingSeries:
    """A home's readings on consecutive days as arrays of shape (days, intervals): load and production in Wh, `valid` flags."""

    meter: str
    first_day: int
    load: NDArray[np.int64]
    pv: NDArray[np.int64]
    valid: NDArray[np.bool_]

    @property
    def days(self) -> range:
        """The days that the series covers."""
        return range(self.first_day, self.first_day + len(self.load))

    @property
    def net(self) -> NDArray[np.int64]:
        """Net load, Wh; without meaning where `valid` is False."""
        return self.load - self.pv

    def day(self, day: int) -> DayReadings:
        """One day of the series."""
        if day not in self.days:
            raise ReadingError(f"day: expected {self.days.start}..{self.days.stop - 1} for {self.meter}, got {day}")
        at = day - self.first_day
        valid = self.valid[at].tolist()

        def known(values: NDArray[np.int64]) -> Wh:
            return tuple(value if good else None for value, good in zip(values.tolist(), valid, strict=True))

        return DayReadings(self.meter, day, known(self.net[at]), known(self.load[at]), known(self.pv[at]))

    def until(self, day: int) -> ReadingSeries:
        """The part before `day`: what was known when that day began."""
        size = min(max(day - self.first_day, 0), len(self.load))
        return ReadingSeries(self.meter, self.first_day, self.load[:size], self.pv[:size], self.valid[:size])


def series_of(days: Iterable[DayReadings]) -> ReadingSeries:
    """A series from one meter's days, in any order; missing days become gaps, a day without load and production counts as
    load."""
    ordered = sorted(days, key=lambda item: item.day)
    if not ordered:
        raise ReadingError("days: expected at least one, got none")
    meter, intervals, first = ordered[0].meter, len(ordered[0].net), ordered[0].day
    shape = (ordered[-1].day - first + 1, intervals)
    load, pv = np.zeros(shape, dtype=np.int64), np.zeros(shape, dtype=np.int64)
    valid = np.zeros(shape, dtype=np.bool_)
    for item in ordered:
        if item.meter != meter or len(item.net) != intervals:
            raise ReadingError(f"days: expected {intervals} intervals of {meter}, got {len(item.net)} of {item.meter}")
        loads, made = (item.net, (0,) * intervals) if item.load is None or item.pv is None else (item.load, item.pv)
        for t, (used, produced) in enumerate(zip(loads, made, strict=True)):
            if used is not None and produced is not None:
                load[item.day - first, t], pv[item.day - first, t], valid[item.day - first, t] = used, produced, True
    return ReadingSeries(meter, first, load, pv, valid)


class ReadingStore(Protocol):
    """Where readings are kept. One `put` is stored whole or not at all; a day that is put again replaces the one before."""

    def put(self, days: Iterable[DayReadings]) -> None: ...

    def day(self, meter: str, day: int) -> DayReadings | None: ...

    def days(self, meter: str, first: int, last: int) -> list[DayReadings]:
        """Stored days from `first` to `last`, both included, ascending."""
        ...

    def meters(self) -> list[str]: ...


class MemoryReadings:
    """A `ReadingStore` in memory."""

    def __init__(self) -> None:
        self._days: dict[str, dict[int, DayReadings]] = {}

    def put(self, days: Iterable[DayReadings]) -> None:
        for item in list(days):
            self._days.setdefault(item.meter, {})[item.day] = item

    def day(self, meter: str, day: int) -> DayReadings | None:
        return self._days.get(meter, {}).get(day)

    def days(self, meter: str, first: int, last: int) -> list[DayReadings]:
        return [item for day, item in sorted(self._days.get(meter, {}).items()) if first <= day <= last]

    def meters(self) -> list[str]:
        return sorted(self._days)


@lru_cache(maxsize=1)
def load_homes() -> dict[str, ReadingSeries]:
    """The 17 shipped homes by name: hourly, one year, real (oracle/data/NOTICE). The first and last day are incomplete."""
    with resources.as_file(resources.files("oracle") / "data" / "homes17_60min.parquet") as path:
        table = pd.read_parquet(path)
    stamps = table["interval_start"].to_numpy().astype("datetime64[h]").astype(np.int64)
    days, hours = stamps // HOMES_INTERVALS, stamps % HOMES_INTERVALS
    first, size = int(days.min()), int(days.max() - days.min()) + 1
    homes = {}
    for meter in sorted(table["meter"].unique()):
        rows = (table["meter"] == meter).to_numpy()
        load, pv = np.zeros((2, size, HOMES_INTERVALS), dtype=np.int64)
        valid = np.zeros((size, HOMES_INTERVALS), dtype=np.bool_)
        at = (days[rows] - first, hours[rows])
        load[at], pv[at], valid[at] = table["load_wh"].to_numpy()[rows], table["pv_wh"].to_numpy()[rows], True
        homes[str(meter)] = ReadingSeries(str(meter), first, load, pv, valid)
    return homes
