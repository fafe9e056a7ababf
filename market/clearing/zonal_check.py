"""A checker of zonal clearings that shares no code with the engine: plain Python, from docs/market.md.

Feasible: fills, flows and limits. Best: in what is left of the network (what of each order could still be filled or taken back,
what each link could still carry) there is no circle that gains, counted in welfare, then in volume, then by the order of zones
(Klein 1967). Prices: lo and hi suit every order and link (complementary slackness), and no lower or higher ones do.
"""

from __future__ import annotations

from collections.abc import Sequence

from contracts.units import MAX_PRICE, Side
from market.clearing.checked_log import CheckedLog, Verdict
from market.clearing.zonal import Link, ZonalClearing, ZonalInterval, ZoneBook

Gain = tuple[int, int]
"""Micro-euro per kWh, then the rank among ties; compared in this order."""

Entry = tuple[int, Side, int, int, int]
"""(zone, side, limit, Wh, fill) of a step."""


def check_zonal(zones: Sequence[ZoneBook], links: Sequence[Link], claim: ZonalClearing) -> Verdict:
    """Whether `claim` is a right clearing of the zones. Of the books only terms, entries and what is excluded are used. Several
    flows can be right where links form a circle; fills and prices then are the same but for ties between zones."""
    intervals = zones[0].book.terms.intervals
    if len(claim.intervals) != len(intervals):
        return Verdict(f"{len(claim.intervals)} intervals instead of {len(intervals)}")
    if [len(rows) for rows in claim.fills] != [len(zone.book.orders) for zone in zones]:
        return Verdict("fills are not one row for each entry of each zone")
    if any(len(row) != len(intervals) for rows in claim.fills for row in rows):
        return Verdict("fills are not one value for each interval")
    welfare = 0
    for j, interval in enumerate(intervals):
        reason, gained = _check_interval(zones, links, claim, j)
        if reason:
            return Verdict(f"interval {interval}: {reason}")
        welfare += gained
    if welfare != claim.welfare:
        return Verdict(f"welfare {claim.welfare} instead of {welfare}")
    return Verdict()


def _check_interval(zones: Sequence[ZoneBook], links: Sequence[Link], claim: ZonalClearing, j: int) -> tuple[str, int]:
    """The first reason to refuse, empty where there is none, and the interval's welfare."""
    part = claim.intervals[j]
    if len(part.zones) != len(zones) or len(part.flows) != len(links):
        return f"{len(part.zones)} zones and {len(part.flows)} flows instead of {len(zones)} and {len(links)}", 0
    entries: list[Entry] = []
    for z, zone in enumerate(zones):
        found, reason = _steps(z, zone, [row[j] for row in claim.fills[z]], j)
        if reason:
            return reason, 0
        entries += found
    inflow = [0] * len(zones)
    for number, (link, flow) in enumerate(zip(links, part.flows, strict=True)):
        ahead, back = link.forward[j], link.backward[j]
        if (ahead is not None and flow > ahead) or (back is not None and -flow > back):
            return f"link {number} carries {flow}, beyond its limits {ahead} and {back}", 0
        inflow[link.source] -= flow
        inflow[link.target] += flow
    for z, result in enumerate(part.zones):
        for side, told in ((Side.BID, result.bids), (Side.OFFER, result.offers)):
            total = sum(fill for zone, kind, _, _, fill in entries if zone == z and kind is side)
            if total != told:
                return f"zone {z} fills {total} Wh of its {side.name.lower()}s, not {told}", 0
        if result.bids - result.offers != inflow[z]:
            return f"zone {z} takes in {result.bids - result.offers} Wh, the links bring {inflow[z]}", 0
    reason = _gaining_circle(len(zones), entries, links, part, j) or _wrong_prices(len(zones), entries, links, part, j)
    return reason, sum(fill * limit * (1 if side is Side.BID else -1) for _, side, limit, _, fill in entries)


def _steps(z: int, zone: ZoneBook, fills: Sequence[int], j: int) -> tuple[list[Entry], str]:
    """The steps of a zone's live entries with the fill of each: an entry's cheaper steps fill first, and so do earlier entries
    at one limit."""
    orders, interval = zone.book.orders, zone.book.terms.intervals[j]
    log = CheckedLog(zone.book)
    entries: list[Entry] = []
    for position, order in enumerate(orders):
        left = fills[position]
        counts = log.counts(position)
        if order.side is Side.OFFER and zone.sold.get(order.account, 0) >> interval & 1:
            counts = False
        if left < 0 or (left and not counts):
            return [], f"zone {z}: entry {position} fills {left}"
        if not counts:
            continue
        sign = -1 if order.side is Side.BID else 1
        for step in sorted(order.steps, key=lambda step: sign * step.limits[j]):
            got = min(left, step.quantities[j])
            left -= got
            if step.quantities[j]:
                entries.append((z, order.side, step.limits[j], step.quantities[j], got))
        if left:
            return [], f"zone {z}: entry {position} fills {left} Wh more than it has"
    unfilled: set[tuple[Side, int]] = set()
    for _, side, limit, wh, fill in entries:
        if fill and (side, limit) in unfilled:
            return [], f"zone {z}: a later {side.name.lower()} at {limit} fills before an earlier one"
        if fill < wh:
            unfilled.add((side, limit))
    return entries, ""


def _gaining_circle(zones: int, entries: Sequence[Entry], links: Sequence[Link], part: ZonalInterval, j: int) -> str:
    """Bellman and Ford over the zones and the outside, whither bids take and whence offers come."""
    outside = zones
    arcs: dict[tuple[int, int], Gain] = {}

    def arc(source: int, target: int, gain: Gain) -> None:
        arcs[source, target] = max(gain, arcs.get((source, target), gain))

    for z, side, limit, wh, fill in entries:
        if side is Side.BID:
            gain = (limit, zones * zones - z * zones)
            into, out = (z, outside), (outside, z)
        else:
            gain = (-limit, zones * zones - z)
            into, out = (outside, z), (z, outside)
        if fill < wh:
            arc(*into, gain)
        if fill:
            arc(*out, (-gain[0], -gain[1]))
    for link, flow in zip(links, part.flows, strict=True):
        ahead, back = link.forward[j], link.backward[j]
        if ahead is None or flow < ahead:
            arc(link.source, link.target, (0, 0))
        if back is None or -flow < back:
            arc(link.target, link.source, (0, 0))
    most: list[Gain] = [(0, 0)] * (zones + 1)
    for _ in range(zones + 1):
        changed = False
        for (source, target), gain in arcs.items():
            better = (most[source][0] + gain[0], most[source][1] + gain[1])
            if better > most[target]:
                most[target], changed = better, True
        if not changed:
            return ""
    return "something could be traded instead that is worth more, is more, or comes first"


def _wrong_prices(zones: int, entries: Sequence[Entry], links: Sequence[Link], part: ZonalInterval, j: int) -> str:
    lo, hi = [0] * zones, [MAX_PRICE] * zones
    for z, side, limit, wh, fill in entries:
        if (fill and side is Side.BID) or (fill < wh and side is Side.OFFER):
            hi[z] = min(hi[z], limit)
        if (fill and side is Side.OFFER) or (fill < wh and side is Side.BID):
            lo[z] = max(lo[z], limit)
    for _ in range(zones):
        for link, flow in zip(links, part.flows, strict=True):
            ahead, back = link.forward[j], link.backward[j]
            for source, target, most, sent in (
                (link.source, link.target, ahead, flow),
                (link.target, link.source, back, -flow),
            ):
                if most is None or sent < most:  # not full: the price behind it is no higher
                    lo[source] = max(lo[source], lo[target])
                    hi[target] = min(hi[target], hi[source])
    for z, result in enumerate(part.zones):
        if (result.lo, result.hi) != (lo[z], hi[z]):
            return f"zone {z} has prices {result.lo} to {result.hi} instead of {lo[z]} to {hi[z]}"
    return ""
