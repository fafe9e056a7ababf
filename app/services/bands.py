"""The price guard's bands for a session (docs/protocol.md section 11): which prices lie outside, and where the middle is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from app.context import Context
from market import guard
from market.session import SessionTerms
from settlement.statements import IntervalResult


@dataclass(frozen=True, slots=True)
class Outside:
    """A price outside the guard's band: an interval's, or the mean of an hour where `intervals` are several. Micro-euro per
    kWh, both ends of the band included."""

    intervals: tuple[int, ...]
    price: int
    low: int
    high: int


def outside(ctx: Context, terms: SessionTerms, results: Sequence[IntervalResult]) -> list[Outside]:
    """Prices that lie outside their bands, as these are now; `results` are one per interval of the session."""
    least = ctx.client.guarded_volume()
    by_hour: dict[int, dict[int, tuple[int, int]]] = {}
    for t, result in zip(terms.intervals, results, strict=True):
        if result.price is not None and result.volume:
            by_hour.setdefault(_hour(terms, t), {})[t] = (result.price, result.volume)
    found = []
    for hour, traded in by_hour.items():
        band = _band(ctx, terms, hour)
        volume = sum(volume for _, volume in traded.values())
        if band is None or volume < least:
            continue
        limits = guard.Band(*band)
        prices: dict[tuple[int, ...], int] = {(t,): price for t, (price, volume) in traded.items() if volume >= least}
        prices.setdefault(tuple(traded), sum(price * volume for price, volume in traded.values()) // volume)
        found += [Outside(ts, price, *band) for ts, price in prices.items() if not limits.holds(price)]
    return found


def middles(ctx: Context, terms: SessionTerms) -> list[int | None]:
    """Per interval of the session the middle of its band, micro-euro per kWh; None where there is no band."""
    hours = {hour: _band(ctx, terms, hour) for hour in {_hour(terms, t) for t in terms.intervals}}
    return [None if (band := hours[_hour(terms, t)]) is None else sum(band) // 2 for t in terms.intervals]


def _hour(terms: SessionTerms, interval: int) -> int:
    return interval * guard.HOURS // terms.zone.intervals


def _band(ctx: Context, terms: SessionTerms, hour: int) -> tuple[int, int] | None:
    product = guard.product_of(terms.zone.number, int(terms.kind), int(terms.direction), int(terms.mode))
    return ctx.client.band(product, guard.hour_type(terms.zone.is_working_day(terms.day), hour))
