"""A checker of pay-as-bid clearings that shares no code with the engine: plain Python, straight from docs/market.md.

That the trades are the right ones is `certificate`'s to say, which shares none with it either; here fills and money follow from
them, step by step.
"""

from __future__ import annotations

from collections.abc import Mapping

from contracts.units import Side, ceil_div
from market.clearing.certificate import check_interval
from market.clearing.checked_log import CheckedLog, Verdict
from market.clearing.pay_as_bid import PayAsBidClearing
from market.orders import OrderBook


def check_pay_as_bid(book: OrderBook, claim: PayAsBidClearing, sold: Mapping[int, int] | None = None) -> Verdict:
    """Whether `claim` is the one pay-as-bid clearing of a log."""
    log, intervals = CheckedLog(book, sold), book.terms.intervals
    verdict = log.wrong_lengths(
        claim.rows, certificates=len(claim.certificates), buyers=len(claim.buyers), sellers=len(claim.sellers)
    )
    if not verdict.accepted:
        return verdict
    fills = [[0] * len(intervals) for _ in claim.rows]
    gross = [[0] * len(intervals) for _ in claim.rows]
    for j, interval in enumerate(intervals):
        entries = log.entries(j)
        bids, offers = ([(limit, wh) for _, limit, wh in entries[side]] for side in (Side.BID, Side.OFFER))
        verdict = check_interval(bids, offers, claim.certificates[j])
        if not verdict.accepted:
            return Verdict(f"interval {interval}: {verdict.reason}")
        for side, sign, name, told in (
            (Side.BID, -1, "buyers pay", claim.buyers[j]),
            (Side.OFFER, 1, "sellers get", claim.sellers[j]),
        ):
            left, right = claim.certificates[j].volume, 0
            for position, limit, wh in sorted(entries[side], key=lambda entry: sign * entry[1]):  # keeps log order at one limit
                wh = min(wh, left)
                left -= wh
                fills[position][j] += wh
                gross[position][j] += wh * limit
                right += wh * limit
            if told != right:
                return Verdict(f"interval {interval}: {name} {told} instead of {right}")
    for position, row in enumerate(claim.rows):
        if row.fills != tuple(fills[position]):
            return Verdict(f"row {position} fills {row.fills} instead of {tuple(fills[position])}")
    costs = [sum(ceil_div(value, 1000) for value in values) for values in gross]
    return log.wrong_rows(claim.rows, costs, [tuple(g) if any(f) else None for f, g in zip(fills, gross, strict=True)])
