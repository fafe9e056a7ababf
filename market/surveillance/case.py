"""One session in front of the detectors, with what they all ask of its history worked out once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from statistics import median

import numpy as np
from numpy.typing import NDArray

from contracts.units import PPM, Side
from market.surveillance import reference
from market.surveillance.impact import Impact, group_impact
from market.surveillance.observed import History, Key, Observed, ObservedError
from market.surveillance.parameters import Parameters

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Loads:
    """Metered net load of accounts, which only who may read it can give: per account an array (days, intervals of the day) in
    Wh, NaN where nothing was read, its first row being day `first_day`. `events` are each account's event days, and `expected`
    what was forecast of it, of the same shape, where there is one."""

    first_day: int
    net: Mapping[int, Floats]
    events: Mapping[int, frozenset[int]]
    expected: Mapping[int, Floats]

    def __post_init__(self) -> None:
        shapes = {series.shape for group in (self.net, self.expected) for series in group.values()}
        if len(shapes) > 1 or any(len(shape) != 2 for shape in shapes):
            raise ObservedError("loads", "arrays of one shape (days, intervals)", sorted(map(str, shapes)))
        if unknown := sorted(set(self.events) - set(self.net)) or sorted(set(self.expected) - set(self.net)):
            raise ObservedError("loads", "event days and forecasts of metered accounts", unknown[0])


@dataclass(frozen=True)
class Case:
    """`history` are earlier sessions, oldest first; later ones and the session itself are passed over."""

    observed: Observed
    history: History
    parameters: Parameters
    loads: Loads | None = None

    @cached_property
    def comparables(self) -> list[Observed]:
        return reference.comparable(self.observed, self.history, self.parameters.reference)

    @cached_property
    def before(self) -> list[Observed]:
        """Earlier sessions of the product, whatever day or season."""
        o = self.observed
        return [s for s in self.history if s.session < o.session and s.product == o.product]

    @cached_property
    def spreads(self) -> list[reference.Spread | None]:
        return reference.prices_before(self.observed, self.comparables, self.parameters.reference)

    @cached_property
    def scores(self) -> list[float | None]:
        return reference.scores(self.observed, self.spreads, self.parameters.reference)

    @cached_property
    def score(self) -> float | None:
        return reference.session_score(self.scores)

    @cached_property
    def levels(self) -> dict[Key, reference.Levels]:
        """Reference levels of orders, from sessions of either day type: what a seller asks for does not go by it."""
        p = self.parameters.reference
        return reference.levels(self.observed, reference.comparable(self.observed, self.history, p, any_day=True), p)

    @property
    def floor(self) -> int:
        return self.parameters.reference.mad_floor

    def away(self, key: Key, level: reference.Levels | None = None) -> int | None:
        """By how much an order's limits are worse than its (or another) reference level, ppm, the mean over its quantities;
        None where it has no reference level."""
        curve, level = self.observed.curves[key], level or self.levels[key]
        known = [
            (q, reference.away(limit, usual, key[1], self.floor))
            for q, limit, usual in zip(curve.quantities, curve.limits, level.limits, strict=True)
            if q and usual is not None
        ]
        total = sum(q for q, _ in known)
        return sum(q * ppm for q, ppm in known) // total if total else None

    @cached_property
    def parts(self) -> dict[Key, float]:
        """Per offer with a reference level, how much of its usual quantity it has."""
        found = {}
        for key, level in self.levels.items():
            curve = self.observed.curves.get(key)
            usual = [q for q in level.quantities if q is not None]
            if curve is not None and key[1] is Side.OFFER and len(usual) == len(level.quantities) and any(usual):
                found[key] = sum(curve.quantities) / sum(usual)
        return found

    @cached_property
    def weather(self) -> float | None:
        """How much of their usual quantity sellers offer in this session, the median; None of fewer than three."""
        return median(self.parts.values()) if len(self.parts) >= 3 else None

    def misbehaving(self, conduct_ppm: int, side: Side | None = None) -> list[Key]:
        """Live orders whose limits are worse than their reference level by more than a part."""
        found = []
        for key in self.observed.curves:
            if side is None or key[1] is side:
                ppm = self.away(key)
                if ppm is not None and ppm >= conduct_ppm:
                    found.append(key)
        return sorted(found)

    def judged(self, suspects: list[Key], least_ppm: int) -> tuple[list[Key], Impact] | None:
        """The suspects that matter, and what they did together, where that is at least a part of the price: who changes nothing
        is no suspect."""
        if not suspects:
            return None
        together = group_impact(self.observed, suspects, self.levels)
        if abs(together.ppm) < least_ppm:
            return None
        worst = [
            key
            for key in suspects
            if len(suspects) == 1
            or not group_impact(self.observed, [key], self.levels).nothing
            or group_impact(self.observed, [k for k in suspects if k != key], self.levels).without != together.without
        ]
        return worst, together


def share_ppm(part: float, whole: float) -> int:
    """A part of a whole in ppm, 0 of nothing."""
    return int(part * PPM / whole) if whole else 0


def milli(score: float) -> int:
    """A score in thousandths."""
    return round(score * 1000)
