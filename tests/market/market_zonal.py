"""Zonal clearing by brute force, from docs/market.md alone: every flow of whole Wh over every link, every volume in every zone,
every combination of prices. Tiny books only."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

from contracts.units import Side
from market.clearing.zonal import Link, ZoneBook

TOP = (1 << 32) - 1
Unit = tuple[int, int]  # (limit, position), one Wh


def units_of(zone: ZoneBook, j: int) -> dict[Side, list[Unit]]:
    """Every live Wh of a zone in interval j, best limit first, ties in log order."""
    orders, interval = zone.book.orders, zone.book.terms.intervals[j]
    found: dict[Side, list[Unit]] = {Side.BID: [], Side.OFFER: []}
    for i, order in enumerate(orders):
        key = (order.account, order.side)
        if key in zone.book.excluded or any((later.account, later.side) == key for later in orders[i + 1 :]):
            continue
        if order.side is Side.OFFER and zone.sold.get(order.account, 0) & 1 << interval:
            continue
        for step in order.steps:
            found[order.side] += [(step.limits[j], i)] * step.quantities[j]
    found[Side.BID].sort(key=lambda unit: -unit[0])
    found[Side.OFFER].sort(key=lambda unit: unit[0])
    return found


def best_of(units: Sequence[dict[Side, list[Unit]]], links: Sequence[Link], j: int) -> tuple[Any, list[tuple[int, int]], Any]:
    """((welfare, volume, rank), (bids, offers) of each zone, flows) of the best outcome, the first found among equals."""
    zones = len(units)
    most = sum(len(zone[Side.OFFER]) for zone in units)
    ranges = []
    for link in links:
        ahead, back = link.forward[j], link.backward[j]
        ranges.append(range(-(most if back is None else min(back, most)), (most if ahead is None else min(ahead, most)) + 1))
    best: tuple[Any, Any, Any] | None = None
    for flows in itertools.product(*ranges):
        inflow = [0] * zones
        for link, flow in zip(links, flows, strict=True):
            inflow[link.source] -= flow
            inflow[link.target] += flow
        total, picks = (0, 0, 0), []
        for z, zone in enumerate(units):
            found = []
            for bids in range(len(zone[Side.BID]) + 1):
                offers = bids - inflow[z]
                if 0 <= offers <= len(zone[Side.OFFER]):
                    worth = sum(p for p, _ in zone[Side.BID][:bids]) - sum(p for p, _ in zone[Side.OFFER][:offers])
                    found.append(((worth, bids, -(bids * z * zones + offers * z)), (bids, offers)))
            if not found:
                break
            value, pick = max(found)
            total = tuple(a + b for a, b in zip(total, value, strict=True))
            picks.append(pick)
        else:
            least = sum(map(abs, flows))
            if best is None or (total, -least) > (best[0], -sum(map(abs, best[2]))):
                best = (total, picks, flows)
    assert best is not None
    return best


def price_ranges(
    units: Sequence[dict[Side, list[Unit]]],
    links: Sequence[Link],
    picks: Sequence[tuple[int, int]],
    flows: Sequence[int],
    j: int,
) -> list[tuple[int, int]]:
    """The lowest and the highest price of each zone among all combinations that suit every Wh and every link."""
    candidates = sorted({0, TOP} | {p for zone in units for side in Side for p, _ in zone[side]})
    good = []
    for prices in itertools.product(candidates, repeat=len(units)):
        suits = True
        for zone, (bids, offers), price in zip(units, picks, prices, strict=True):
            suits = suits and all((p >= price) if i < bids else (p <= price) for i, (p, _) in enumerate(zone[Side.BID]))
            suits = suits and all((p <= price) if i < offers else (p >= price) for i, (p, _) in enumerate(zone[Side.OFFER]))
        for link, flow in zip(links, flows, strict=True):
            ahead, back = link.forward[j], link.backward[j]
            if ahead is None or flow < ahead:
                suits = suits and prices[link.target] <= prices[link.source]
            if back is None or -flow < back:
                suits = suits and prices[link.source] <= prices[link.target]
        if suits:
            good.append(prices)
    return [(min(p[z] for p in good), max(p[z] for p in good)) for z in range(len(units))]


def brute_zonal(zones: Sequence[ZoneBook], links: Sequence[Link]) -> dict[str, Any]:
    """Welfare, results by interval and fills as plain data."""
    count = len(zones[0].book.terms.intervals)
    fills = {zone.name: [[0] * count for _ in zone.book.orders] for zone in zones}
    welfare, intervals = 0, []
    for j in range(count):
        units = [units_of(zone, j) for zone in zones]
        (worth, _, _), picks, flows = best_of(units, links, j)
        welfare += worth
        for zone, sides, (bids, offers) in zip(zones, units, picks, strict=True):
            for _, position in sides[Side.BID][:bids] + sides[Side.OFFER][:offers]:
                fills[zone.name][position][j] += 1
        ranges = price_ranges(units, links, picks, flows, j)
        results = [
            {"lo": lo, "hi": hi, "bids": bids, "offers": offers} for (lo, hi), (bids, offers) in zip(ranges, picks, strict=True)
        ]
        intervals.append({"zones": results, "flows": list(flows)})
    return {"welfare": welfare, "intervals": intervals, "fills": fills}
