"""The reserve list of a cleared session: what could take the place of a member that fails, cheapest first
(docs/protocol.md section 14).

A reserve stands in the list of an interval where its row has no fill, and its account has sold nothing: the contract lets it
take over nowhere else. Whom to ask, and for what, the list suggests; the contract holds a replacement to its own rules only.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from contracts.encoding import ResultRow
from market.orders import OrderBook


@dataclass(frozen=True, slots=True)
class ReserveStep:
    """One step of a reserve in one interval: Wh at a limit, micro-euro per kWh. `position` is its entry's place in the log."""

    account: int
    position: int
    limit: int
    quantity: int


def merit_order(
    book: OrderBook, rows: Sequence[ResultRow], sold: Mapping[int, int] | None = None
) -> tuple[tuple[ReserveStep, ...], ...]:
    """Per session interval the reserves' steps, lowest limit first, ties in log order. `rows` are those in force, `sold` maps
    accounts to masks of the day's intervals that they have sold before this session."""
    taken = sold or {}
    lists = []
    for j, interval in enumerate(book.terms.intervals):
        steps = [
            ReserveStep(row.account, position, step.limits[j], step.quantities[j])
            for position, row in enumerate(rows)
            if row.reserve is not None and not row.fills[j] and not taken.get(row.account, 0) >> interval & 1
            for step in row.reserve
            if step.quantities[j]
        ]
        lists.append(tuple(sorted(steps, key=lambda step: step.limit)))  # sorted() keeps log order among equals
    return tuple(lists)


def cover(steps: Sequence[ReserveStep], wanted: int) -> tuple[ReserveStep, ...]:
    """The first of an interval's list that together give `wanted` Wh, the last one in part; all of them where that is too
    little."""
    found = []
    for step in steps:
        if wanted <= 0:
            break
        wh = min(step.quantity, wanted)
        found.append(ReserveStep(step.account, step.position, step.limit, wh))
        wanted -= wh
    return tuple(found)
