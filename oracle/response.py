"""SYNTHETIC: how a home's load would answer an activation, for demonstrations on recorded data.

Nobody was activated in the shipped data. Whatever shows a result of this module must say so and keep the original beside it,
which is why `Response` carries both. Two ways of answering:

- without an aim, the home takes `faithfulness` of its promise off (UP) or onto (DOWN) what it would have used;
- with an aim (its own baseline), a controller steers it: the home closes the share `faithfulness` of the way from what it would
have used to `aim - sign * promise`, so that whims of the day are levelled out as well.

Load never falls below zero and changes by at most `envelope` Wh an interval. Production stays as it was.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from contracts.units import PPM, Direction
from oracle.readings import DayReadings


@dataclass(frozen=True, slots=True)
class Response:
    """The recorded day and the synthetic one; `changed` is the change of load in Wh per interval (0 where nothing was
    promised)."""

    original: DayReadings
    altered: DayReadings
    changed: tuple[int, ...]

    synthetic = True


def respond(
    original: DayReadings,
    promise: Mapping[int, int],
    direction: Direction,
    faithfulness_ppm: int,
    *,
    envelope: int,
    aim: Sequence[int] | None = None,
) -> Response:
    """The synthetic day of a home that promised `promise` (Wh >= 0 by interval of the day).

    `faithfulness_ppm` is 10^6 for a home that does what it promised and 0 for one that ignores it; `envelope` is the most its
    devices can shift in an interval, Wh. Intervals without a reading stay without. Raises `ValueError` on values out of range.
    """
    intervals = len(original.net)
    if faithfulness_ppm < 0:
        raise ValueError(f"faithfulness_ppm: expected at least 0, got {faithfulness_ppm}")
    if envelope < 0:
        raise ValueError(f"envelope: expected at least 0 Wh, got {envelope}")
    if aim is not None and len(aim) != intervals:
        raise ValueError(f"aim: expected {intervals} intervals, got {len(aim)}")
    changed = [0] * intervals
    for t, amount in promise.items():
        if not 0 <= t < intervals:
            raise ValueError(f"promise: expected intervals 0..{intervals - 1}, got {t}")
        if amount < 0:
            raise ValueError(f"promise[{t}]: expected at least 0 Wh, got {amount}")
        net = original.net[t]
        if net is None or not amount:
            continue
        wanted = -direction.sign * amount
        if aim is not None:
            wanted += aim[t] - net
        step = abs(wanted) * faithfulness_ppm // PPM
        step = min(step, envelope) if wanted > 0 else -min(step, envelope)
        load = original.load[t] if original.load is not None else None
        used = max(net, 0) if load is None else load
        changed[t] = max(step, -used)
    return Response(original, _changed(original, changed), tuple(changed))


def _changed(original: DayReadings, changed: Sequence[int]) -> DayReadings:
    def plus(values: Sequence[int | None]) -> tuple[int | None, ...]:
        return tuple(None if value is None else value + change for value, change in zip(values, changed, strict=True))

    load = None if original.load is None else plus(original.load)
    return DayReadings(original.meter, original.day, plus(original.net), load, original.pv)
