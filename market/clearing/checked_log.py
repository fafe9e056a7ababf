"""A log as checkers read it: which entries are live, what they ask for and offer in an interval, which row each leaves.
Checkers share this among themselves and nothing with the engines, which find it out by other means."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from contracts.encoding import ResultRow
from contracts.units import Side
from market.orders import OrderBook

Entry = tuple[int, int, int]
"""(position, limit in micro-euro per kWh, Wh), in log order."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """`reason` is empty where the clearing is right."""

    reason: str = ""

    def __str__(self) -> str:
        return self.reason or "accepted"

    @property
    def accepted(self) -> bool:
        return not self.reason


class CheckedLog:
    """Of the book only its terms, its entries and what is excluded are used. `sold` maps accounts to masks of the day's
    intervals that they sold before."""

    def __init__(self, book: OrderBook, sold: Mapping[int, int] | None = None) -> None:
        self._terms, self._orders, self._sold = book.terms, book.orders, sold or {}
        self._live: dict[tuple[int, Side], int] = {}
        for position, order in enumerate(book.orders):
            if (order.account, order.side) not in book.excluded:
                self._live[order.account, order.side] = position

    def counts(self, position: int) -> bool:
        """Whether the entry is live."""
        order = self._orders[position]
        return self._live.get((order.account, order.side)) == position

    def entries(self, j: int) -> dict[Side, list[Entry]]:
        """What live entries ask for and offer in session interval j; nothing that their account has sold before."""
        interval = self._terms.intervals[j]
        found: dict[Side, list[Entry]] = {Side.BID: [], Side.OFFER: []}
        for position, order in enumerate(self._orders):
            withheld = order.side is Side.OFFER and self._sold.get(order.account, 0) >> interval & 1
            if self.counts(position) and not withheld:
                found[order.side] += [(position, s.limits[j], s.quantities[j]) for s in order.steps if s.quantities[j]]
        return found

    def wrong_lengths(self, rows: Sequence[ResultRow], **by_interval: int) -> Verdict:
        """Whether there is a row for every entry, and in it, and of everything else, one for every interval."""
        for name, found in by_interval.items():
            if found != len(self._terms.intervals):
                return Verdict(f"{found} {name} instead of {len(self._terms.intervals)}")
        if len(rows) != len(self._orders):
            return Verdict(f"{len(rows)} rows instead of {len(self._orders)}")
        for position, row in enumerate(rows):
            if len(row.fills) != len(self._terms.intervals):
                return Verdict(f"row {position} has {len(row.fills)} fills instead of {len(self._terms.intervals)}")
        return Verdict()

    def wrong_rows(
        self, rows: Sequence[ResultRow], costs: Sequence[int], gross: Sequence[tuple[int, ...] | None] | None = None
    ) -> Verdict:
        """Whether every row has what follows from its entry, with `costs` (of bids) and `gross` (of priced rows) as given.
        Fills have been looked at before."""
        for position, (order, row) in enumerate(zip(self._orders, rows, strict=True)):
            counts = self.counts(position)
            right = ResultRow(
                account=order.account,
                payer=order.agent if order.agent_pays else order.account,
                side=order.side,
                live=counts,
                lock=order.lock(self._terms.price_cap, self._terms.collateral_ppm),
                cost=costs[position] if order.side is Side.BID else 0,
                fills=row.fills,
                gross=gross[position] if gross is not None else None,
                reserve=order.steps if counts and order.reserve else None,
                steps=len(order.steps),
                reserves=order.reserve,
            )
            if row != right:
                return Verdict(f"row {position} says {row} instead of {right}")
        return Verdict()
