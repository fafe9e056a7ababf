"""A checker of pay-as-bid clearings that shares no code with the engine: plain Python, straight from docs/market.md.

That the trades are the right ones is `certificate`'s to say, which shares none with it either; here fills and money follow from
them, step by step.
"""

from __future__ import annotations

from collections.abc import Mapping

from contracts.encoding import ResultRow
from contracts.units import Side, ceil_div
from market.clearing.certificate import Verdict, check_interval
from market.clearing.pay_as_bid import PayAsBidClearing
from market.orders import OrderBook


def check_pay_as_bid(book: OrderBook, claim: PayAsBidClearing, sold: Mapping[int, int] | None = None) -> Verdict:
    """Whether `claim` is the one pay-as-bid clearing of a log. Of the book only terms, entries and exclusions are used."""
    terms, orders, taken = book.terms, book.orders, sold or {}
    for name, found, expected in (
        ("certificates", len(claim.certificates), len(terms.intervals)),
        ("sums of buyers", len(claim.buyers), len(terms.intervals)),
        ("sums of sellers", len(claim.sellers), len(terms.intervals)),
        ("rows", len(claim.rows), len(orders)),
    ):
        if found != expected:
            return Verdict(f"{found} {name} instead of {expected}")
    live: dict[tuple[int, int], int] = {}
    for position, order in enumerate(orders):
        live[order.account, order.side] = position
    for excluded in book.excluded:
        live.pop(excluded, None)
    fills = [[0] * len(terms.intervals) for _ in orders]
    gross = [[0] * len(terms.intervals) for _ in orders]
    for j, interval in enumerate(terms.intervals):
        entries: dict[Side, list[tuple[int, int, int]]] = {Side.BID: [], Side.OFFER: []}
        for position, order in enumerate(orders):
            if live.get((order.account, order.side)) != position:
                continue
            if order.side is Side.OFFER and taken.get(order.account, 0) >> interval & 1:
                continue
            entries[order.side] += [(position, s.limits[j], s.quantities[j]) for s in order.steps if s.quantities[j]]
        bids, offers = ([(limit, wh) for _, limit, wh in entries[side]] for side in (Side.BID, Side.OFFER))
        verdict = check_interval(bids, offers, claim.certificates[j])
        if not verdict.accepted:
            return Verdict(f"interval {interval}: {verdict.reason}")
        sums = {}
        for side, sign in ((Side.BID, -1), (Side.OFFER, 1)):
            left, sums[side] = claim.certificates[j].volume, 0
            for position, limit, wh in sorted(entries[side], key=lambda entry: sign * entry[1]):  # keeps log order at one limit
                wh = min(wh, left)
                left -= wh
                fills[position][j] += wh
                gross[position][j] += wh * limit
                sums[side] += wh * limit
        for name, found, expected in (
            ("buyers pay", claim.buyers[j], sums[Side.BID]),
            ("sellers get", claim.sellers[j], sums[Side.OFFER]),
        ):
            if found != expected:
                return Verdict(f"interval {interval}: {name} {found} instead of {expected}")
    for position, (order, row) in enumerate(zip(orders, claim.rows, strict=True)):
        counts = live.get((order.account, order.side)) == position
        right = ResultRow(
            account=order.account,
            payer=order.agent if order.agent_pays else order.account,
            side=order.side,
            live=counts,
            lock=order.lock(terms.price_cap, terms.collateral_ppm),
            cost=sum(ceil_div(value, 1000) for value in gross[position]) if order.side is Side.BID else 0,
            fills=tuple(fills[position]),
            gross=tuple(gross[position]) if any(fills[position]) else None,
            reserve=order.steps if counts and order.reserve else None,
            steps=len(order.steps),
            reserves=order.reserve,
        )
        if row != right:
            return Verdict(f"row {position} says {row} instead of {right}")
    return Verdict()
