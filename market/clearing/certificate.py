"""A checker of clearings that shares no code with the engine: plain Python, straight from docs/protocol.md section 7.

It takes the log's entries, what was claimed, and the verdicts on sold intervals, and says yes or gives the first reason to
refuse.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from contracts.encoding import IntervalCertificate, ResultRow
from contracts.units import MAX_PRICE, Side, ceil_div
from market.clearing.checked_log import CheckedLog, Entry, Verdict
from market.orders import OrderBook

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
    """Whether certificates and result rows are the ones of a log. `sold` maps accounts to masks of the day's intervals."""
    log = CheckedLog(book, sold)
    verdict = log.wrong_lengths(rows, certificates=len(certificates))
    if not verdict.accepted:
        return verdict
    costs = [0] * len(rows)
    for j, (interval, claim) in enumerate(zip(book.terms.intervals, certificates, strict=True)):
        entries = log.entries(j)
        bids, offers = ([(limit, wh) for _, limit, wh in entries[side]] for side in (Side.BID, Side.OFFER))
        verdict = check_interval(bids, offers, claim)
        if not verdict.accepted:
            return Verdict(f"interval {interval}: {verdict.reason}")
        fills = _fills(entries, claim)
        for position, row in enumerate(rows):
            fill = fills.get(position, 0)
            if row.fills[j] != fill:
                return Verdict(f"interval {interval}: row {position} fills {row.fills[j]} instead of {fill}")
            if fill and row.side is Side.BID:
                costs[position] += ceil_div(fill * ((claim.lo + claim.hi) // 2), 1000)
    return log.wrong_rows(rows, costs)


def _fills(entries: Mapping[Side, Sequence[Entry]], claim: IntervalCertificate) -> dict[int, int]:
    """Fill of each position: one pass in log order, the residuals run down."""
    fills: dict[int, int] = {}
    for side, edge, left in ((Side.BID, claim.hi, claim.rest_bids), (Side.OFFER, claim.lo, claim.rest_offers)):
        for position, limit, wh in entries[side]:
            if limit == edge:
                wh = min(wh, left)
                left -= wh
            elif (limit > edge) != (side is Side.BID):
                wh = 0
            fills[position] = fills.get(position, 0) + wh
    return fills
