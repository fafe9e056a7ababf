"""Clearing by brute force, from the words of docs/protocol.md section 7 alone: every candidate price is tried, every Wh handed
out one entry at a time. Slow on purpose, and without a line of the engine. Also builds session terms for the tests.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence
from dataclasses import asdict
from typing import Any

from contracts.encoding import ResultRow, ScheduleOrder
from contracts.units import Direction, Kind, Mode, Side
from market.session import SessionTerms, Zone

TOP = (1 << 32) - 1

Entry = tuple[int, int]  # (limit, Wh)


def terms_for(mask: int, *, minutes: int = 60, cap: int = TOP, minimum: int = 1, collateral_ppm: int = 500_000) -> SessionTerms:
    """Terms of a session on day 20000 of a zone at UTC+1."""
    zone = Zone(1, 3600, minutes)
    first = (mask & -mask).bit_length() - 1
    start = zone.interval_start(20000, first)
    end = zone.interval_start(20000, zone.intervals)
    return SessionTerms(
        session=1,
        zone=zone,
        kind=Kind.ELECTRICAL,
        direction=Direction.UP,
        mode=Mode.COMPETITIVE,
        day=20000,
        mask=mask,
        gate_open=start - 7200,
        gate_close=start - 3600,
        exemption_deadline=end + 3600,
        proof_deadline=end + 7200,
        price_cap=cap,
        min_quantity=minimum,
        collateral_ppm=collateral_ppm,
    )


def best_range(bids: Sequence[Entry], offers: Sequence[Entry]) -> tuple[int, int, int]:
    """(volume, lo, hi): the largest volume and the range of its prices at which nobody beyond the price is left out."""
    prices = {0, TOP}
    for limit, _ in [*bids, *offers]:
        prices |= {p for p in (limit - 1, limit, limit + 1) if 0 <= p <= TOP}

    def tradable(p: int) -> int:
        return min(sum(q for x, q in bids if x >= p), sum(q for x, q in offers if x <= p))

    volume = max(tradable(p) for p in prices)
    good = [
        p
        for p in prices
        if tradable(p) == volume and sum(q for x, q in bids if x > p) <= volume and sum(q for x, q in offers if x < p) <= volume
    ]
    return volume, min(good), max(good)


def brute_clear(
    orders: Sequence[ScheduleOrder],
    mask: int,
    sold: dict[int, int],
    cap: int,
    collateral_ppm: int,
    excluded: Collection[tuple[int, Side]] = (),
) -> dict[str, Any]:
    """Certificates and rows of a log as plain data."""
    intervals = [t for t in range(96) if mask >> t & 1]
    replaced = [
        any(later.account == order.account and later.side == order.side for later in orders[i + 1 :])
        or (order.account, order.side) in excluded
        for i, order in enumerate(orders)
    ]
    certificates = []
    fills = [[0] * len(intervals) for _ in orders]
    costs = [0] * len(orders)
    for j, interval in enumerate(intervals):
        entries = []  # (position, side, limit, Wh) in log order
        for i, order in enumerate(orders):
            if replaced[i] or (order.side == Side.OFFER and sold.get(order.account, 0) & (1 << interval)):
                continue
            entries += [(i, order.side, step.limits[j], step.quantities[j]) for step in order.steps if step.quantities[j] > 0]
        bids = [(p, q) for _, side, p, q in entries if side == Side.BID]
        offers = [(p, q) for _, side, p, q in entries if side == Side.OFFER]
        volume, lo, hi = best_range(bids, offers)
        for side, ranked in (
            (Side.BID, sorted((e for e in entries if e[1] == Side.BID), key=lambda e: -e[2])),
            (Side.OFFER, sorted((e for e in entries if e[1] == Side.OFFER), key=lambda e: e[2])),
        ):
            left = volume
            for i, _, _, q in ranked:  # sorted() keeps log order among equals
                got = min(left, q)
                fills[i][j] += got
                left -= got
            assert left == 0, (side, volume)
        price = (lo + hi) // 2
        for i, order in enumerate(orders):
            if order.side == Side.BID:
                costs[i] += (fills[i][j] * price + 999) // 1000
        certificates.append(
            {
                "lo": lo,
                "hi": hi,
                "volume": volume,
                "rest_bids": volume - sum(q for p, q in bids if p > hi),
                "rest_offers": volume - sum(q for p, q in offers if p < lo),
            }
        )
    rows = []
    for i, order in enumerate(orders):
        if order.side == Side.BID:
            lock = sum((q * p + 999) // 1000 for s in order.steps for q, p in zip(s.quantities, s.limits, strict=True))
        else:
            exact = collateral_ppm * cap * sum(sum(s.quantities) for s in order.steps)
            lock = exact // 10**9 + (exact % 10**9 > 0)
        rows.append(
            {
                "account": order.account,
                "payer": order.agent if order.agent_pays else order.account,
                "side": int(order.side),
                "live": not replaced[i],
                "lock": lock,
                "cost": costs[i],
                "fills": fills[i],
                "gross": None,
                "reserve": plain([asdict(step) for step in order.steps]) if order.reserve and not replaced[i] else None,
                "steps": len(order.steps),
                "reserves": order.reserve,
            }
        )
    return {"certificates": certificates, "rows": rows}


def plain(value: Any) -> Any:
    """`value` as JSON gives it back."""
    return json.loads(json.dumps(value))


def plain_rows(rows: Sequence[ResultRow]) -> Any:
    """Result rows as `brute_clear` gives them."""
    return plain([asdict(row) for row in rows])
