"""Zones coupled by limited transfers, for planning and comparison only: a contract checks each session by itself, so no coupled
result is enforced or settled on chain (docs/market.md).

Per interval a flow of whole Wh of the greatest welfare, and among those of the greatest volume. Matching goes by augmenting
paths: again and again the pair of a bid and an offer that gains most, among those between whose zones something can still be
moved. What is matched stays matched, only its way through the links changes, which is why the result is the best there is
(successive shortest paths: Ahuja, Magnanti and Orlin, Network Flows, section 9.7). Among equal limits the bids of zones named
earlier come first, then the offers of those, then the log of each zone decides.

Prices are what the flow allows: `lo` and `hi` are the lowest and the highest that suit every order and every link. A link that
could carry more asks only that the price behind it is no higher than the one before it, so the middle of each range, rounded
down, suits as well. Prices differ between linked zones only where a link is full.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from contracts.units import MAX_PRICE, Side
from market.errors import OrderError
from market.orders import OrderBook


@dataclass(frozen=True, slots=True)
class ZoneBook:
    """A zone's session: its log, and masks of the day's intervals that accounts sold before."""

    name: str
    book: OrderBook
    sold: Mapping[int, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Link:
    """What may be moved between two zones, given by their places: Wh per session interval, `None` where there is no limit."""

    source: int
    target: int
    forward: tuple[int | None, ...]
    backward: tuple[int | None, ...]


@dataclass(frozen=True, slots=True)
class ZoneResult:
    """One zone in one interval: the range of its prices (micro-euro per kWh), and what of its bids and offers is filled, Wh."""

    lo: int
    hi: int
    bids: int
    offers: int

    @property
    def middle(self) -> int:
        """The price at which the zone pays."""
        return (self.lo + self.hi) // 2

    @property
    def price(self) -> int | None:
        """The price, None where nobody in the zone trades."""
        return self.middle if self.bids or self.offers else None


@dataclass(frozen=True, slots=True)
class ZonalInterval:
    """One interval: a result of each zone, and Wh over each link, negative against its direction."""

    zones: tuple[ZoneResult, ...]
    flows: tuple[int, ...]

    @property
    def rent(self) -> int:
        """What buyers pay and no seller gets, because prices differ, Wh times micro-euro per kWh; never negative."""
        return sum(zone.middle * (zone.bids - zone.offers) for zone in self.zones)


@dataclass(frozen=True, slots=True)
class ZonalClearing:
    """`fills[z][i][j]`: Wh of the entry at position i of zone z's log in session interval j."""

    intervals: tuple[ZonalInterval, ...]
    fills: tuple[tuple[tuple[int, ...], ...], ...]
    welfare: int
    """What bids are worth less what offers ask, Wh times micro-euro per kWh."""

    @property
    def volume(self) -> int:
        """What all bids together take, Wh."""
        return sum(zone.bids for interval in self.intervals for zone in interval.zones)

    @property
    def rent(self) -> int:
        """Of all intervals, Wh times micro-euro per kWh."""
        return sum(interval.rent for interval in self.intervals)


Entry = tuple[int, int, int]
"""(limit, position, Wh)."""

Sides = Mapping[Side, Sequence[Entry]]
"""A zone's entries in one interval, best limit first, ties in log order."""


def clear(zones: Sequence[ZoneBook], links: Sequence[Link]) -> ZonalClearing:
    """Clears the zones together. Raises `OrderError` where they do not fit each other or a link does not fit them."""
    _require(zones, links)
    count = len(zones[0].book.terms.intervals)
    fills = [[[0] * count for _ in zone.book.orders] for zone in zones]
    intervals, welfare = [], 0
    for j in range(count):
        entries = [_entries(zone, j) for zone in zones]
        network = _Network(len(zones), links, j)
        taken = _match(entries, network)
        for z, sides in enumerate(entries):
            for side, steps in sides.items():
                left = taken[side][z]
                for limit, position, wh in steps:
                    got = min(wh, left)
                    left -= got
                    fills[z][position][j] += got
                    welfare += got * limit * (1 if side is Side.BID else -1)
        intervals.append(ZonalInterval(_prices(entries, taken, network), tuple(network.flows)))
    return ZonalClearing(tuple(intervals), tuple(tuple(tuple(row) for row in zone) for zone in fills), welfare)


def _entries(zone: ZoneBook, j: int) -> Sides:
    interval = zone.book.terms.intervals[j]
    found: dict[Side, list[Entry]] = {Side.BID: [], Side.OFFER: []}
    for position, order in zone.book.live:
        if order.side is Side.BID or not zone.sold.get(order.account, 0) >> interval & 1:
            found[order.side] += [(s.limits[j], position, s.quantities[j]) for s in order.steps if s.quantities[j]]
    found[Side.BID].sort(key=lambda entry: -entry[0])
    found[Side.OFFER].sort(key=lambda entry: entry[0])
    return found


class _Network:
    """The links of one interval with what flows over them, and which zone can still send to which."""

    def __init__(self, zones: int, links: Sequence[Link], j: int) -> None:
        self.links = [(link.source, link.target, link.forward[j], link.backward[j]) for link in links]
        self.flows = [0] * len(links)
        self.zones = zones
        self.refresh()

    def room(self, link: int, forward: bool) -> int | None:
        """Wh by which the flow of a link may still grow in one direction, None for any."""
        _, _, ahead, back = self.links[link]
        limit = ahead if forward else back
        return None if limit is None else limit - (self.flows[link] if forward else -self.flows[link])

    def refresh(self) -> None:
        """Finds for every pair of zones a way with the fewest links, the first named first."""
        around: list[list[tuple[int, int, bool]]] = [[] for _ in range(self.zones)]
        for number, (source, target, _, _) in enumerate(self.links):
            for here, there, forward in ((source, target, True), (target, source, False)):
                if self.room(number, forward) != 0:
                    around[here].append((there, number, forward))
        self.ways: list[dict[int, list[tuple[int, bool]]]] = []
        for start in range(self.zones):
            ways: dict[int, list[tuple[int, bool]]] = {start: []}
            queue = [start]
            for here in queue:
                for there, number, forward in around[here]:
                    if there not in ways:
                        ways[there] = [*ways[here], (number, forward)]
                        queue.append(there)
            self.ways.append(ways)

    def send(self, source: int, target: int, most: int) -> int:
        """Moves up to `most` Wh and returns how many."""
        way = self.ways[source][target]
        rooms = [room for number, forward in way if (room := self.room(number, forward)) is not None]
        wh = min([most, *rooms])
        changed = False
        for number, forward in way:
            opens = self.room(number, not forward) == 0
            self.flows[number] += wh if forward else -wh
            changed = changed or opens or self.room(number, forward) == 0
        if changed:
            self.refresh()
        return wh


def _match(entries: Sequence[Sides], network: _Network) -> dict[Side, list[int]]:
    """Wh of each zone's bids and offers that are filled, best first."""
    zones = range(len(entries))
    levels = {side: [_levels(entries[z][side]) for z in zones] for side in Side}
    at = {side: [0] * len(entries) for side in Side}
    taken = {side: [0] * len(entries) for side in Side}
    while True:
        best: tuple[int, int, int] | None = None
        for o in zones:
            if at[Side.OFFER][o] == len(levels[Side.OFFER][o]):
                continue
            asked = levels[Side.OFFER][o][at[Side.OFFER][o]][0]
            for b in network.ways[o]:
                if at[Side.BID][b] == len(levels[Side.BID][b]):
                    continue
                gain = levels[Side.BID][b][at[Side.BID][b]][0] - asked
                if gain >= 0 and (best is None or (-gain, b, o) < best):
                    best = (-gain, b, o)
        if best is None:
            return taken
        _, b, o = best
        bid, offer = levels[Side.BID][b][at[Side.BID][b]], levels[Side.OFFER][o][at[Side.OFFER][o]]
        wh = network.send(o, b, min(bid[1], offer[1]))
        for side, zone, level in ((Side.BID, b, bid), (Side.OFFER, o, offer)):
            level[1] -= wh
            taken[side][zone] += wh
            if not level[1]:
                at[side][zone] += 1


def _levels(steps: Sequence[Entry]) -> list[list[int]]:
    """[limit, Wh], best limit first."""
    levels: list[list[int]] = []
    for limit, _, wh in steps:
        if levels and levels[-1][0] == limit:
            levels[-1][1] += wh
        else:
            levels.append([limit, wh])
    return levels


def _prices(entries: Sequence[Sides], taken: Mapping[Side, Sequence[int]], network: _Network) -> tuple[ZoneResult, ...]:
    """Each zone's own price range, narrowed along every way that could still carry more."""
    lo, hi = [], []
    for z, sides in enumerate(entries):
        below, above = [0], [MAX_PRICE]
        for side in Side:
            left = taken[side][z]
            for limit, _, wh in sides[side]:
                if left > 0:
                    (above if side is Side.BID else below).append(limit)  # filled: no worse than its limit
                if wh > left:
                    (below if side is Side.BID else above).append(limit)  # not filled whole: no better than its limit
                left = max(0, left - wh)
        lo.append(max(below))
        hi.append(min(above))
    for source in range(len(entries)):
        for target in network.ways[source]:
            lo[source] = max(lo[source], lo[target])
            hi[target] = min(hi[target], hi[source])
    return tuple(ZoneResult(*values) for values in zip(lo, hi, taken[Side.BID], taken[Side.OFFER], strict=True))


def _require(zones: Sequence[ZoneBook], links: Sequence[Link]) -> None:
    if not zones:
        raise OrderError("zones", "at least one", "none")
    first = zones[0].book.terms
    for number, zone in enumerate(zones):
        terms = zone.book.terms
        for name in ("intervals", "kind", "direction"):
            if getattr(terms, name) != getattr(first, name):
                raise OrderError(
                    f"zones[{number}].{name}", f"those of the first zone, {getattr(first, name)}", getattr(terms, name)
                )
    for number, link in enumerate(links):
        for name, place in (("source", link.source), ("target", link.target)):
            if not 0 <= place < len(zones):
                raise OrderError(f"links[{number}].{name}", f"a zone, 0..{len(zones) - 1}", place)
        if link.source == link.target:
            raise OrderError(f"links[{number}].target", "another zone than the source", link.target)
        for name, limits in (("forward", link.forward), ("backward", link.backward)):
            if len(limits) != len(first.intervals):
                raise OrderError(
                    f"links[{number}].{name}", f"a limit for each of {len(first.intervals)} intervals", len(limits)
                )
            for j, limit in enumerate(limits):
                if limit is not None and limit < 0:
                    raise OrderError(f"links[{number}].{name}[{j}]", "Wh, not negative, or none", limit)
