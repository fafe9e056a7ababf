"""Baseline R14: the mean of the comparable complete days among the 14 before (docs/protocol.md section 9).

The twin of what the contract admits and the circuit proves, on plain readings: for forecasts, views, and before any proof is
made.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from zk.statement import MAX_INCOMPLETE_DAYS, MIN_COUNTED_DAYS
from zk.windows import HISTORY_DAYS, offset_readings


@dataclass(frozen=True, slots=True)
class Baseline:
    """`wh` per interval of the day (signed net load), `counted` days it is the mean of, and the days that were `admissible` as
    14 bits."""

    wh: tuple[int, ...]
    counted: tuple[int, ...]
    admissible: int

    @property
    def accepted(self) -> bool:
        """Whether the contract takes a proof with it: enough counted days, few admissible ones incomplete."""
        count = len(self.counted)
        return count >= MIN_COUNTED_DAYS and self.admissible.bit_count() - count <= MAX_INCOMPLETE_DAYS


def admissible_days(day: int, is_working: Callable[[int], bool], event_bits: int, from_day: int) -> int:
    """The mask of admissible days, bit k for day `day - 14 + k`.

    `is_working` tells working days of the zone, `event_bits` has bit k where day `day - 14 + k` was an event day, `from_day` is
    the first day of the meter key in force on `day`.
    """
    alike = [
        k
        for k in range(HISTORY_DAYS)
        if day - HISTORY_DAYS + k >= from_day and is_working(day - HISTORY_DAYS + k) == is_working(day)
    ]
    chosen = [k for k in alike if not event_bits >> k & 1]
    for k in reversed(alike):
        if len(chosen) >= MIN_COUNTED_DAYS:
            break
        if event_bits >> k & 1:
            chosen.append(k)
    return sum(1 << k for k in chosen)


def baseline_of(history: Sequence[Sequence[int | None]], admissible: int, day: int) -> Baseline | None:
    """The baseline from the readings of the 14 days before `day`, oldest first; None where no admissible day is complete.

    The mean is rounded down on readings + 2^23, as in the circuit.
    """
    if len(history) != HISTORY_DAYS:
        raise ValueError(f"history: expected the {HISTORY_DAYS} days before day {day}, got {len(history)}")
    counted = [k for k in range(HISTORY_DAYS) if admissible >> k & 1 and None not in history[k]]
    if not counted:
        return None
    zero = offset_readings((0,))[0]
    sums = [sum(values) for values in zip(*(offset_readings(history[k]) for k in counted), strict=True)]
    wh = tuple(total // len(counted) - zero for total in sums)
    return Baseline(wh, tuple(day - HISTORY_DAYS + k for k in counted), admissible)
