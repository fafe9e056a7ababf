"""Plain Python twins of the contracts' rules, written from docs/protocol.md and from nothing else: slow, obvious, for tests."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise
from math import ceil, floor

from contracts.encoding import IntervalCertificate, ResultRow, ScheduleOrder, decode_entries
from contracts.orderlog import OrderLog
from contracts.units import Side

MAX = 2**32 - 1


@dataclass(frozen=True)
class ClearedBook:
    """The clearing of a session's log."""

    certificates: tuple[IntervalCertificate, ...]
    rows: tuple[ResultRow, ...]

    @property
    def certificate(self) -> list[int]:
        return [c.word() for c in self.certificates]

    @property
    def prices(self) -> list[int]:
        return [(c.lo + c.hi) // 2 for c in self.certificates]


def curves(bids: Sequence[tuple[int, int]], offers: Sequence[tuple[int, int]], p: int) -> tuple[int, int, int, int]:
    """B>(p), B>=(p), S<(p), S<=(p) of entries (limit, quantity)."""
    return (
        sum(q for limit, q in bids if limit > p),
        sum(q for limit, q in bids if limit >= p),
        sum(q for limit, q in offers if limit < p),
        sum(q for limit, q in offers if limit <= p),
    )


def clear_interval(bids: Sequence[tuple[int, int]], offers: Sequence[tuple[int, int]]) -> IntervalCertificate:
    """The largest volume, and the whole range of prices at which it clears, by trying every price that could end it."""
    limits = {limit for limit, _ in (*bids, *offers)}
    prices = sorted({0, MAX} | {p for limit in limits for p in (limit - 1, limit, limit + 1) if 0 <= p <= MAX})
    at = {p: curves(bids, offers, p) for p in prices}
    volume = max(min(b, s) for _, b, _, s in at.values())
    good = [p for p, (b_, b, s_, s) in at.items() if min(b, s) == volume and b_ <= volume and s_ <= volume]
    lo, hi = good[0], good[-1]
    assert good == [p for p in prices if lo <= p <= hi], "the range has a hole"
    return IntervalCertificate(lo, hi, volume, volume - at[hi][0], volume - at[lo][2])


def clear_book(log: OrderLog, intervals: Sequence[int], cap: int, collateral_ppm: int, sold: Mapping[int, int]) -> ClearedBook:
    """Certificate and result rows of a log; `sold` holds bits of the day's intervals by account."""
    entries = [entry.order for batch in log.batches for entry in decode_entries(batch, log.intervals)]
    last = {(e.account, e.side): position for position, e in enumerate(entries)}
    live = [last[e.account, e.side] == position for position, e in enumerate(entries)]
    fills = [[0] * log.intervals for _ in entries]
    certificates = []
    for j, t in enumerate(intervals):
        parts: dict[Side, list[tuple[int, int, int]]] = {Side.BID: [], Side.OFFER: []}
        for position, entry in enumerate(entries):
            if live[position] and not (entry.side is Side.OFFER and sold.get(entry.account, 0) >> t & 1):
                parts[entry.side] += [(position, s.limits[j], s.quantities[j]) for s in entry.steps if s.quantities[j]]
        bids, offers = ([(limit, q) for _, limit, q in parts[side]] for side in (Side.BID, Side.OFFER))
        c = clear_interval(bids, offers)
        certificates.append(c)
        rests = {Side.BID: c.rest_bids, Side.OFFER: c.rest_offers}
        for side, marginal, better in ((Side.BID, c.hi, 1), (Side.OFFER, c.lo, -1)):
            for position, limit, quantity in parts[side]:
                if better * (limit - marginal) > 0:
                    fills[position][j] += quantity
                elif limit == marginal:
                    taken = min(quantity, rests[side])
                    rests[side] -= taken
                    fills[position][j] += taken
    rows = tuple(_row(entry, live[i], fills[i], certificates, cap, collateral_ppm) for i, entry in enumerate(entries))
    return ClearedBook(tuple(certificates), rows)


def _row(
    entry: ScheduleOrder,
    live: bool,
    fills: Sequence[int],
    certificates: Sequence[IntervalCertificate],
    cap: int,
    collateral_ppm: int,
) -> ResultRow:
    cost = 0
    if live and entry.side is Side.BID:
        cost = sum(ceil(Fraction(fill * ((c.lo + c.hi) // 2), 1000)) for fill, c in zip(fills, certificates, strict=True))
    return ResultRow(
        account=entry.account,
        payer=entry.agent if entry.agent_pays else entry.account,
        side=entry.side,
        live=live,
        lock=entry.lock(cap, collateral_ppm),
        cost=cost,
        fills=tuple(fills),
        reserve=entry.steps if live and entry.reserve else None,
        steps=len(entry.steps),
        reserves=entry.reserve,
    )


@dataclass(frozen=True)
class Rules:
    """A rule set with its curves as points (x, y) in ppm."""

    pay: tuple[tuple[int, int], ...]
    penalty: tuple[tuple[int, int], ...]
    tolerance: int

    @classmethod
    def of(cls, words: Sequence[int]) -> Rules:
        pay = words[0] >> 8 & 0xFF
        points = [(w & 0xFFFFFFFF, w >> 32) for w in words[1:]]
        return cls(tuple(points[:pay]), tuple(points[pay:]), words[0] >> 32 & 0xFFFFFFFF)


def curve(points: Sequence[tuple[int, int]], x: int) -> int:
    for (x0, y0), (x1, y1) in pairwise(points):
        if x0 <= x < x1:
            return floor(Fraction(y0 * (x1 - x) + y1 * (x - x0), x1 - x0))
    return points[-1][1]


def settle_interval(rules: Rules, fill: int, price: int, delivered: int) -> tuple[int, int, int]:
    """earned, unpaid and penalty (before the lock's limit) of one seller in one interval."""
    x = min(delivered * 10**6 // fill, 2**32 - 1)
    if x + rules.tolerance >= 10**6:
        x = max(x, 10**6)
    earned = fill * price * curve(rules.pay, x) // 10**9
    return earned, fill * price // 1000 - earned, ceil(Fraction(fill * price * curve(rules.penalty, x), 10**9))


@dataclass(frozen=True)
class Settled:
    """What a session comes to."""

    sellers: dict[int, tuple[int, int, int]]
    """Position: earned, unpaid, penalty."""
    buyers: dict[int, tuple[int, int]]
    """Position: cost, refund."""
    rounding: int


def settle_book(book: ClearedBook, rules: Rules, delivered: Mapping[int, Sequence[int]]) -> Settled:
    """Settles every row. `delivered` gives Wh (0 where nothing was proven) per session interval by account."""
    refunds = [0] * len(book.certificates)
    sellers = {}
    buyers = {}
    escrow = 0
    for position, row in enumerate(book.rows):
        if row.live and row.side is Side.OFFER and any(row.fills):
            sums = [0, 0, 0]
            for j, fill in enumerate(row.fills):
                if fill:
                    earned, unpaid, penalty = settle_interval(rules, fill, book.prices[j], max(0, delivered[row.account][j]))
                    penalty = min(penalty, row.lock - sums[2])
                    sums = [sums[0] + earned, sums[1] + unpaid, sums[2] + penalty]
                    refunds[j] += unpaid + penalty
            sellers[position] = (sums[0], sums[1], sums[2])
            escrow += sums[2] - sums[0]
    for position, row in enumerate(book.rows):
        if row.live and row.side is Side.BID and row.cost:
            shares = [refunds[j] * fill // book.certificates[j].volume for j, fill in enumerate(row.fills) if fill]
            buyers[position] = (row.cost, sum(shares))
            escrow += row.cost - sum(shares)
    return Settled(sellers, buyers, escrow)


def admissible(day: int, from_day: int, working: Mapping[int, bool], events: set[int]) -> int:
    """R14: the days that may make up the baseline, bit k for `day - 14 + k`."""
    alike = [d for d in range(day - 14, day) if working[d] == working[day] and d >= from_day]
    chosen = [d for d in alike if d not in events]
    for d in sorted((d for d in alike if d in events), reverse=True):
        if len(chosen) < 3:
            chosen.append(d)
    return sum(1 << (d - day + 14) for d in chosen)
