"""A checker of cooperative clearings that shares no code with the engine: plain Python, straight from docs/protocol.md
section 7. The one of competitive clearings is `certificate`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from contracts.clearing_words import BookLevel, CooperativeCertificate
from contracts.encoding import ResultRow
from contracts.units import MAX_PRICE, Side, ceil_div
from market.clearing.checked_log import CheckedLog, Entry, Verdict
from market.orders import OrderBook


def check_cooperative(
    book: OrderBook,
    certificates: Sequence[CooperativeCertificate],
    levels: Sequence[Sequence[BookLevel]],
    rows: Sequence[ResultRow],
    sold: Mapping[int, int] | None = None,
) -> Verdict:
    """Whether certificates, levels and result rows are the ones of a log. `sold` as `CheckedLog` takes it."""
    log = CheckedLog(book, sold)
    verdict = log.wrong_lengths(rows, certificates=len(certificates), levels=len(levels))
    if not verdict.accepted:
        return verdict
    grosses: list[list[int]] = [[] for _ in rows]
    for j, interval in enumerate(book.terms.intervals):
        entries = log.entries(j)
        reason = check_interval(entries[Side.BID], entries[Side.OFFER], certificates[j], levels[j])
        if reason:
            return Verdict(f"interval {interval}: {reason}")
        fills, gross = _fills(entries, certificates[j])
        for position, row in enumerate(rows):
            if row.fills[j] != fills.get(position, 0):
                return Verdict(f"interval {interval}: row {position} fills {row.fills[j]} instead of {fills.get(position, 0)}")
            grosses[position].append(gross.get(position, 0))
    costs = [sum(ceil_div(value, 1000) for value in gross) for gross in grosses]
    priced = [tuple(gross) if any(row.fills) else None for row, gross in zip(rows, grosses, strict=True)]
    return log.wrong_rows(rows, costs, priced)


def check_interval(
    bids: Sequence[Entry], offers: Sequence[Entry], claim: CooperativeCertificate, levels: Sequence[BookLevel]
) -> str:
    """Why `claim` and `levels` are not those of an interval's entries; empty where they are."""
    prices = sorted({limit for _, limit, _ in [*bids, *offers]})
    for price in prices:
        right = BookLevel(price, sum(q for _, p, q in bids if p == price), sum(q for _, p, q in offers if p == price))
        if right not in levels:
            return f"the levels lack {right}"
    if [level.price for level in levels] != prices:
        return f"levels at {[level.price for level in levels]} instead of {prices}"

    def most(price: int) -> int:
        return sum(q for _, p, q in bids if p >= price) + sum(q for _, p, q in offers if p < price)

    volume = min(most(price) for price in [0, *prices, MAX_PRICE + 1])
    if claim.volume != volume:
        return f"volume {claim.volume} is not the most that can be matched, {volume}"
    if not volume:
        nothing = CooperativeCertificate(MAX_PRICE, 0, 0, 0, 0, 0, 0, 0)
        return "" if claim == nothing else f"{claim} where nothing is matched"
    taken_bids = _first(sorted(bids, key=lambda entry: -entry[1]), volume)
    taken_offers = _first(sorted(offers, key=lambda entry: entry[1]), volume)
    bid_edge, offer_edge = taken_bids[-1][1], taken_offers[-1][1]
    paying = sum(q for _, p, q in taken_bids if p > claim.share)
    buyers = sum(q * max(p - claim.share, 0) for _, p, q in taken_bids)
    sellers = sum(q * (p + claim.share) for _, p, q in taken_offers)
    if not sellers <= buyers < sellers + volume + paying:
        return f"share {claim.share} is not the largest that buyers, {buyers}, can pay sellers, {sellers}"
    right_claim = CooperativeCertificate(
        bid_edge,
        offer_edge,
        volume,
        sum(q for _, p, q in taken_bids if p == bid_edge),
        sum(q for _, p, q in taken_offers if p == offer_edge),
        claim.share,
        buyers,
        sellers,
    )
    return "" if claim == right_claim else f"{claim} instead of {right_claim}"


def _first(ranked: Sequence[Entry], volume: int) -> list[Entry]:
    """What of the entries, best first, the volume takes."""
    taken = []
    for position, limit, wh in ranked:
        if volume:
            taken.append((position, limit, min(wh, volume)))
            volume -= taken[-1][2]
    return taken


def _fills(entries: Mapping[Side, Sequence[Entry]], claim: CooperativeCertificate) -> tuple[dict[int, int], dict[int, int]]:
    """Fill (Wh) and gross of each position: one pass in log order, the residuals run down."""
    fills: dict[int, int] = {}
    gross: dict[int, int] = {}
    for side, edge, left in ((Side.BID, claim.bid_edge, claim.rest_bids), (Side.OFFER, claim.offer_edge, claim.rest_offers)):
        for position, limit, wh in entries[side]:
            if limit == edge:
                wh = min(wh, left)
                left -= wh
            elif (limit > edge) != (side is Side.BID):
                wh = 0
            price = max(limit - claim.share, 0) if side is Side.BID else limit + claim.share
            fills[position] = fills.get(position, 0) + wh
            gross[position] = gross.get(position, 0) + wh * price
    return fills, gross
