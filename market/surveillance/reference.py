"""What is usual: comparable sessions, robust scores against them, and each order's reference level.

Comparable are earlier sessions of the same product and day type (working day or not), within a season, that traded in the same
interval of the day. Without enough of them there is no reference, and no detector that needs one says anything.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

from contracts.units import PPM, Side
from market.surveillance.observed import Curve, History, Key, Observed
from market.surveillance.parameters import Reference

NORMAL = 0.6745
"""The 0.75 quantile of the standard normal distribution: makes a MAD comparable with a standard deviation (Iglewicz & Hoaglin,
How to Detect and Handle Outliers, 1993)."""

YEAR = 365


@dataclass(frozen=True, slots=True)
class Spread:
    """Centre and spread of comparable values, the spread not below its floor."""

    median: float
    mad: float
    count: int

    def score(self, value: float) -> float:
        """Modified z-score `0.6745 * (value - median) / MAD`."""
        return NORMAL * (value - self.median) / self.mad


def spread(values: Sequence[float], floor: float, floor_ppm: int = 0) -> Spread:
    """Median and median absolute deviation of values (at least one), with a floor above 0."""
    middle = float(median(values))
    return Spread(
        middle, max(float(median(abs(v - middle) for v in values)), floor, abs(middle) * floor_ppm / PPM), len(values)
    )


def comparable(observed: Observed, history: History, p: Reference, *, any_day: bool = False) -> list[Observed]:
    """The latest comparable sessions before this one, oldest first, whatever intervals they have; with `any_day` those of
    the other day type too."""
    day = observed.book.terms.day

    def alike(earlier: Observed) -> bool:
        apart = day - earlier.book.terms.day
        season = min(apart % YEAR, -apart % YEAR)
        return (
            earlier.session < observed.session
            and apart >= 0
            and season <= p.season_days
            and (any_day or earlier.working == observed.working)
            and earlier.product == observed.product
        )

    return [earlier for earlier in history if alike(earlier)][-p.max_history :]


def prices_before(observed: Observed, comparables: History, p: Reference) -> list[Spread | None]:
    """By session interval the spread of comparable prices; None where there are too few."""
    found: list[Spread | None] = []
    for t in observed.book.terms.intervals:
        values = []
        for earlier in comparables:
            j = earlier.position_of.get(t)
            if j is not None and (price := earlier.prices[j]) is not None and earlier.volumes[j] >= p.min_volume:
                values.append(float(price))
        found.append(spread(values, p.mad_floor, p.mad_floor_ppm) if len(values) >= p.min_history else None)
    return found


def scores(observed: Observed, spreads: Sequence[Spread | None], p: Reference) -> list[float | None]:
    """Robust z-score of the price of every session interval; None where there is no price or no reference."""
    return [
        known.score(price) if known is not None and price is not None and volume >= p.min_volume else None
        for known, price, volume in zip(spreads, observed.prices, observed.volumes, strict=True)
    ]


def session_score(values: Sequence[float | None]) -> float | None:
    """A session's score: the mean of its intervals'."""
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known else None


@dataclass(frozen=True, slots=True)
class Levels:
    """What is usual of one order by session interval: limits in micro-euro per kWh, quantities in Wh; None where not known.
    `own` tells whether it is the maker's own history, or its peers'. `presence` is the part of the comparable sessions in which
    it had an order."""

    limits: tuple[int | None, ...]
    quantities: tuple[int | None, ...]
    own: bool
    presence: float


def levels(observed: Observed, comparables: History, p: Reference) -> dict[Key, Levels]:
    """Reference levels of every order that is live now or was usual: medians of the maker's own comparable orders; of limits,
    where these are too few, the median of all other makers of its side. Quantities are those of sessions in which it had an
    order."""
    earlier: dict[Key, list[tuple[Observed, Curve]]] = {}
    for session in comparables:
        for key, curve in session.curves.items():
            earlier.setdefault(key, []).append((session, curve))
    found: dict[Key, Levels] = {}
    for key in sorted(set(earlier) | set(observed.curves)):
        pairs = earlier.get(key, [])
        limits: list[int | None] = []
        quantities: list[int | None] = []
        for t in observed.book.terms.intervals:
            at = [(curve.quantities[j], curve.limits[j]) for s, curve in pairs if (j := s.position_of.get(t)) is not None]
            asked = [limit for quantity, limit in at if quantity]
            limits.append(int(median(asked)) if len(asked) >= p.min_history else None)
            quantities.append(int(median(q for q, _ in at)) if len(at) >= p.min_history else None)
        own = any(limit is not None for limit in limits)
        found[key] = Levels(tuple(limits), tuple(quantities), own, len(pairs) / max(len(comparables), 1))
    return _with_peers(found)


def _with_peers(found: dict[Key, Levels]) -> dict[Key, Levels]:
    """A maker without a history of its own is held against the others of its side."""
    result = {}
    common: dict[Side, list[int | None]] = {}
    for side in Side:
        known = [level.limits for (_, s), level in found.items() if s is side and level.own]
        columns = zip(*known, strict=True) if known else ()
        common[side] = [int(median(v)) if (v := [x for x in column if x is not None]) else None for column in columns]
    for key, level in found.items():
        peers = common[key[1]]
        result[key] = level if level.own or not peers else Levels(tuple(peers), level.quantities, False, level.presence)
    return result


def away(limit: int, reference: int, side: Side, floor: int) -> int:
    """By how much a limit is worse for the market than its reference, ppm: dearer for an offer, cheaper for a bid. The floor,
    micro-euro per kWh, keeps small prices from making large parts."""
    worse = limit - reference if side is Side.OFFER else reference - limit
    return worse * PPM // max(reference, floor)
