"""Cooperative clearing by brute force: single Wh, matched by augmenting paths, without the formula of engine and contract."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from contracts.encoding import ScheduleOrder
from contracts.units import Side

Unit = tuple[int, int]  # (limit, position)


def most_pairs(bids: Sequence[Unit], offers: Sequence[Unit]) -> int:
    """The largest number of pairs of a bid and an offer not above it."""
    partner: dict[int, int] = {}

    def augment(b: int, seen: set[int]) -> bool:
        for o, (limit, _) in enumerate(offers):
            if o in seen or bids[b][0] < limit:
                continue
            seen.add(o)
            if o not in partner or augment(partner[o], seen):
                partner[o] = b
                return True
        return False

    return sum(augment(b, set()) for b in range(len(bids)))


def brute_interval(orders: Sequence[ScheduleOrder], counted: Sequence[int], j: int) -> dict[str, Any]:
    """Everything of one interval: `counted` are the positions that take part."""
    units: dict[Side, list[Unit]] = {Side.BID: [], Side.OFFER: []}
    for position in counted:
        for step in orders[position].steps:
            units[orders[position].side] += [(step.limits[j], position)] * step.quantities[j]
    volume = most_pairs(units[Side.BID], units[Side.OFFER])
    bids = sorted(units[Side.BID], key=lambda unit: -unit[0])[:volume]
    offers = sorted(units[Side.OFFER], key=lambda unit: unit[0])[:volume]
    surplus = sum(limit for limit, _ in bids) - sum(limit for limit, _ in offers)
    share = 0
    while volume and sum(min(limit, share + 1) for limit, _ in bids) + volume * (share + 1) <= surplus:
        share += 1
    fills: dict[int, int] = {}
    gross: dict[int, int] = {}
    for taken, sign in ((bids, -1), (offers, 1)):
        for limit, position in taken:
            fills[position] = fills.get(position, 0) + 1
            gross[position] = gross.get(position, 0) + max(limit + sign * share, 0)
    prices = sorted({limit for side in units.values() for limit, _ in side})
    return {
        "volume": volume,
        "share": share,
        "fills": fills,
        "gross": gross,
        "levels": [(p, *(sum(limit == p for limit, _ in units[side]) for side in Side)) for p in prices],
    }
