"""A checker of clearings that shares no code with the engine: plain Python, straight from docs/protocol.md section 7.

It takes the log's entries, what was claimed, and the verdicts on sold intervals, and says yes or gives the first reason to
refuse.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from contracts.encoding import IntervalCertificate, ResultRow, ScheduleOrder
from contracts.units import MAX_PRICE, Side, ceil_div
from market.orders import OrderBook
from market.session import SessionTerms


@dataclass(frozen=True, slots=True)
class Verdict:
    """`reason` is empty where the clearing is right."""

    reason: str = ""

    def __str__(self) -> str:
        return self.reason or "accepted"

    @property
    def accepted(self) -> bool:
        return not self.reason


Levels = Sequence[tuple[int, int]]
"""Entries of one side of one interval: (limit in micro-euro per kWh, Wh), in log order."""


def check_interval(bids: Levels, offers: Levels, claim: IntervalCertificate) -> Verdict:
    """Whether `claim` is the one certificate of an interval's entries."""
    lo, hi, volume = claim.lo, claim.hi, claim.volume
    if not 0 <= lo <= hi <= MAX_PRICE:
        return Verdict(f"lo {lo} and hi {hi} are no price range")

    def asked(price: int, strictly: bool) -> int:
        return sum(wh for limit, wh in bids if limit > price or (limit == price and not strictly))

    def offered(price: int, strictly: bool) -> int:
        return sum(wh for limit, wh in offers if limit < price or (limit == price and not strictly))

    for name, price in (("lo", lo), ("hi", hi)):
        possible = min(asked(price, False), offered(price, False))
        if possible != volume:
            return Verdict(f"volume {volume} is not what can trade at {name}, {possible}")
    if asked(lo, True) > volume:
        return Verdict(f"bids above lo ask for {asked(lo, True)}, more than the volume {volume}")
    if offered(hi, True) > volume:
        return Verdict(f"offers below hi give {offered(hi, True)}, more than the volume {volume}")
    if lo > 0 and asked(lo, False) <= volume and offered(lo, True) >= volume:
        return Verdict(f"lo {lo} is not the lowest price that clears {volume}")
    if hi < MAX_PRICE and asked(hi, True) >= volume and offered(hi, False) <= volume:
        return Verdict(f"hi {hi} is not the highest price that clears {volume}")
    if claim.rest_bids != volume - asked(hi, True):
        return Verdict(f"rest_bids {claim.rest_bids} is not {volume - asked(hi, True)}")
    if claim.rest_offers != volume - offered(lo, True):
        return Verdict(f"rest_offers {claim.rest_offers} is not {volume - offered(lo, True)}")
    return Verdict()


def check_clearing(
    book: OrderBook,
    certificates: Sequence[IntervalCertificate],
    rows: Sequence[ResultRow],
    sold: Mapping[int, int] | None = None,
) -> Verdict:
    """Whether certificates and result rows are the ones of a log. `sold` maps accounts to masks of the day's intervals.

    Of the book only its terms, its entries and what is excluded are used; which entries are live is found out here once more.
    """
    terms, orders = book.terms, book.orders
    intervals = terms.intervals
    if len(certificates) != len(intervals):
        return Verdict(f"{len(certificates)} certificates for {len(intervals)} intervals")
    if len(rows) != len(orders):
        return Verdict(f"{len(rows)} rows for {len(orders)} entries")
    live: dict[tuple[int, int], int] = {}
    for position, order in enumerate(orders):
        if (order.account, order.side) not in book.excluded:
            live[order.account, order.side] = position
    taken = sold or {}

    costs = [0] * len(orders)
    for j, (interval, claim) in enumerate(zip(intervals, certificates, strict=True)):
        entries: dict[Side, list[tuple[int, int]]] = {Side.BID: [], Side.OFFER: []}
        counted: list[tuple[int, ScheduleOrder]] = []
        for position, order in enumerate(orders):
            withheld = order.side is Side.OFFER and taken.get(order.account, 0) >> interval & 1
            if live.get((order.account, order.side)) == position and not withheld:
                counted.append((position, order))
                entries[order.side] += [(step.limits[j], step.quantities[j]) for step in order.steps if step.quantities[j]]
        verdict = check_interval(entries[Side.BID], entries[Side.OFFER], claim)
        if not verdict.accepted:
            return Verdict(f"interval {interval}: {verdict.reason}")
        fills = _fills(counted, j, claim)
        for position, row in enumerate(rows):
            fill = fills.get(position, 0)
            if row.fills[j] != fill:
                return Verdict(f"interval {interval}: row {position} fills {row.fills[j]} instead of {fill}")
            if fill and row.side is Side.BID:
                costs[position] += ceil_div(fill * ((claim.lo + claim.hi) // 2), 1000)
    return _check_rows(terms, orders, rows, live, costs)


def _fills(counted: Sequence[tuple[int, ScheduleOrder]], j: int, claim: IntervalCertificate) -> dict[int, int]:
    """Fill of each position in interval j: one pass in log order, the residuals run down."""
    left = {Side.BID: claim.rest_bids, Side.OFFER: claim.rest_offers}
    fills: dict[int, int] = {}
    for position, order in counted:
        total = 0
        for step in order.steps:
            wh, limit = step.quantities[j], step.limits[j]
            if not wh:
                continue
            edge = claim.hi if order.side is Side.BID else claim.lo
            if limit == edge:
                wh = min(wh, left[order.side])
                left[order.side] -= wh
                total += wh
            elif (limit > edge) == (order.side is Side.BID):
                total += wh
        fills[position] = total
    return fills


def _check_rows(
    terms: SessionTerms,
    orders: Sequence[ScheduleOrder],
    rows: Sequence[ResultRow],
    live: Mapping[tuple[int, int], int],
    costs: Sequence[int],
) -> Verdict:
    for position, (order, row) in enumerate(zip(orders, rows, strict=True)):
        counts = live.get((order.account, order.side)) == position
        right = ResultRow(
            account=order.account,
            payer=order.agent if order.agent_pays else order.account,
            side=order.side,
            live=counts,
            lock=order.lock(terms.price_cap, terms.collateral_ppm),
            cost=costs[position],
            fills=row.fills,
            reserve=order.steps if counts and order.reserve else None,
            steps=len(order.steps),
            reserves=order.reserve,
        )
        if row != right:
            return Verdict(f"row {position} says {row} instead of {right}")
    return Verdict()
