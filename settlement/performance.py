"""What one promise in one interval came to: ratio, pay, what stays unpaid, penalty (docs/protocol.md section 10, exact
integers)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from contracts.units import PPM, ceil_div
from settlement.rules import RuleSet

LARGEST_RATIO = (1 << 32) - 1
"""A delivered ratio is cut here, ppm: more than 4294 times the promise."""


@dataclass(frozen=True, slots=True)
class Performance:
    """`delivered` in Wh (never below 0), `ratio_ppm` of the promise before tolerance, `paid_ppm` of the price; money in micro-
    euro.

    `earned + unpaid` is what the promise was worth; `penalty` is what the curve asks for, before the row's lock bounds it.
    """

    delivered: int
    ratio_ppm: int
    paid_ppm: int
    earned: int
    unpaid: int
    penalty: int


RATING_SCALE = 10_000
"""A rating is 1 plus this many parts of the promise that were delivered."""


def perform(rules: RuleSet, fill: int, gross: int, delivered: int) -> Performance:
    """A promise of `fill` > 0 Wh that is worth `gross` thousandths of a micro-euro (fill times price) against `delivered` Wh,
    which may be negative."""
    if fill <= 0:
        raise ValueError(f"fill: expected a promise above 0 Wh, got {fill}")
    given = max(delivered, 0)
    ratio = min(given * PPM // fill, LARGEST_RATIO)
    counted = rules.counted_ratio(ratio)
    paid = rules.pay.at(counted)
    earned = gross * paid // 10**9
    penalty = ceil_div(gross * rules.penalty.at(counted), 10**9)
    return Performance(given, ratio, paid, earned, gross // 1000 - earned, penalty)


def rating(promises: Iterable[tuple[int, int]]) -> int:
    """How faithfully (fill, delivered) Wh were delivered: 1 to 10001; 0 where there was no promise to rate."""
    kept = total = 0
    for fill, delivered in promises:
        total += fill
        kept += min(fill, max(delivered, 0))
    return 1 + RATING_SCALE * kept // total if total else 0
