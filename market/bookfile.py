"""Order books as files, for auditors and planners: JSON in the form of the golden cases (docs/market.md), read without trust.

What is not in the form is refused with its field: nothing is skipped, rounded or clipped. An order is checked as at the door.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from contracts.block_words import BlockBook
from contracts.encoding import MAX_STEPS, LoggedOrder, ScheduleOrder, Step, intervals_of
from contracts.units import MAX_PRICE, MAX_QUANTITY, PPM, Direction, Kind, Mode, Side
from market.clearing.zonal import Link, ZoneBook
from market.errors import OrderError
from market.fields import Fields, FileError, Object, array_of, choice, load, shown, whole
from market.orders import OrderBook, validate
from market.session import INTERVAL_MINUTES, SessionTerms, Zone

MAX_ZONES, MAX_LINKS = 64, 256
DAY = 20_000
"""The day of a file's session, which has none of its own: times play no part in a clearing."""

FILE_MODES = {
    "competitive": Mode.COMPETITIVE,
    "pay-as-bid": Mode.COMPETITIVE,
    "cooperative": Mode.COOPERATIVE,
    "block": Mode.BLOCK,
}
"""What a file may ask for, and the mode at whose door its orders are checked."""

_MAX_ACCOUNT = (1 << 32) - 1
_MAX_TRANSFER = (1 << 40) - 1


@dataclass(frozen=True, slots=True)
class BookFile:
    """A book with its session's terms, masks of the day's intervals that accounts sold before, and what it asks for."""

    book: OrderBook
    sold: Mapping[int, int]
    mode: str

    def in_mode(self, mode: Mode) -> BookFile:
        """The same log in a session of another mode. Raises `OrderError` where one of its orders would not have been taken."""
        terms = _in_mode(self.book.terms, mode)
        _validate(self.book.orders, terms, "log")
        return replace(self, book=replace(self.book, terms=terms))

    @property
    def blocks(self) -> BlockBook:
        """The book of a block session."""
        terms = self.book.terms
        entries = tuple(LoggedOrder(o, o.lock(terms.price_cap, terms.collateral_ppm)) for o in self.book.orders)
        return BlockBook(entries, terms.intervals, terms.price_cap, self.sold)


@dataclass(frozen=True, slots=True)
class ZonalFile:
    """Zones and the links between them."""

    zones: tuple[ZoneBook, ...]
    links: tuple[Link, ...]


def read_book(path: Path) -> BookFile:
    """The order book in a file. Raises `FileError` or `OrderError` with the field, `OSError` where it cannot be read."""
    top = Fields(load(path), "")
    if "zones" in top.values and "log" not in top.values:
        raise FileError("zones", "a book of one `log` (this file has zones: use `wattproof market zonal`)", "zones")
    terms = _terms(top)
    book, sold = _book(top, terms, "")
    top.done()
    return BookFile(book, sold, top.values.get("mode", "competitive"))


def read_zones(path: Path) -> ZonalFile:
    """Zones and links in a file. Raises as `read_book` does."""
    top = Fields(load(path), "")
    if "log" in top.values and "zones" not in top.values:
        raise FileError("log", "`zones` (this file has one book: use `wattproof market clear` or `compare`)", "a log")
    terms = _terms(top)
    if top.values.get("mode", "competitive") != "competitive":
        raise FileError("mode", "competitive, or none, where zones are coupled", top.values["mode"])
    zones: dict[str, ZoneBook] = {}
    for number, raw in enumerate(top.array("zones", 1, MAX_ZONES)):
        fields = Fields(raw, f"zones[{number}]")
        name = fields.text("name")
        if name in zones:
            raise FileError(f"zones[{number}].name", "another name than the zones before", name)
        zones[name] = ZoneBook(name, *_book(fields, terms, f"zones[{number}]."))
        fields.done()
    places = {name: place for place, name in enumerate(zones)}
    links = []
    for number, raw in enumerate(top.array("links", 0, MAX_LINKS, missing=[])):
        fields = Fields(raw, f"links[{number}]")
        source, target = (fields.one_of(name, places) for name in ("from", "to"))
        if source == target:
            raise FileError(f"links[{number}].to", "another zone than the link's first", fields.values["to"])
        limits = [fields.limits(name, len(terms.intervals), _MAX_TRANSFER) for name in ("forward", "backward")]
        fields.done()
        links.append(Link(source, target, *limits))
    top.done()
    return ZonalFile(tuple(zones.values()), tuple(links))


def written(book: OrderBook, sold: Mapping[int, int], why: str = "") -> str:
    """A book as a file that `read_book` reads, an order a line. Of its session the day, the zone and the times are not in it.

    Raises `FileError` where the book is a request's, which has no orders."""
    terms = book.terms
    if terms.mode is Mode.REQUEST:
        raise FileError("mode", "one of " + ", ".join(FILE_MODES), "request")
    head: dict[str, Any] = {
        "why": why,
        "mode": terms.mode.name.lower(),
        "kind": terms.kind.name.lower(),
        "direction": terms.direction.name.lower(),
        "minutes": terms.zone.interval_minutes,
        "intervals": list(terms.intervals),
        "price_cap": terms.price_cap,
        "min_quantity": terms.min_quantity,
        "collateral_ppm": terms.collateral_ppm,
        "sold": {str(account): intervals_of(mask) for account, mask in sorted(sold.items()) if mask},
        "excluded": [[account, side.name.lower()] for account, side in sorted(book.excluded)],
    }
    lines = [f" {json.dumps(name)}: {json.dumps(value)}" for name, value in head.items()]
    lines.append(' "log": [\n  ' + ",\n  ".join(json.dumps(_plain(order)) for order in book.orders) + "]")
    return "{\n" + ",\n".join(lines) + "}\n"


def _plain(order: ScheduleOrder) -> dict[str, Any]:
    made: dict[str, Any] = {
        "account": order.account,
        "side": order.side.name.lower(),
        "steps": [list(zip(step.quantities, step.limits, strict=True)) for step in order.steps],
    }
    parent = None if order.parent is None else [order.parent[0], order.parent[1].name.lower()]
    more = {
        "agent": order.agent,
        "agent_pays": order.agent_pays,
        "reserve": order.reserve,
        "min_fill_ppm": order.min_fill_ppm,
        "parent": parent,
    }
    return {**made, **{name: value for name, value in more.items() if value}}


# ----------------------------------------------------------------------------------------------------------------------- values


def _names(members: Any) -> dict[str, Any]:
    return {member.name.lower(): member for member in members}


def _terms(top: Fields) -> SessionTerms:
    top.take("why", "")
    minutes = top.number("minutes", min(INTERVAL_MINUTES), max(INTERVAL_MINUTES), missing=60)
    if minutes not in INTERVAL_MINUTES:
        raise FileError("minutes", " or ".join(map(str, INTERVAL_MINUTES)), minutes)
    zone = Zone(1, 0, minutes)
    intervals = [
        whole(t, 0, zone.intervals - 1, f"intervals[{j}]") for j, t in enumerate(top.array("intervals", 1, zone.intervals))
    ]
    if intervals != sorted(set(intervals)):
        raise FileError("intervals", "each once and ascending", intervals)
    start, end = zone.interval_start(DAY, intervals[0]), zone.interval_start(DAY, zone.intervals)
    terms = SessionTerms(
        session=1,
        zone=zone,
        kind=top.one_of("kind", _names(Kind), missing="electrical"),
        direction=top.one_of("direction", _names(Direction), missing="up"),
        mode=Mode.COMPETITIVE,
        day=DAY,
        mask=sum(1 << t for t in intervals),
        gate_open=start - 7200,
        gate_close=start - 3600,
        exemption_deadline=end,
        proof_deadline=end,
        price_cap=top.number("price_cap", 0, MAX_PRICE),
        min_quantity=top.number("min_quantity", 0, MAX_QUANTITY),
        collateral_ppm=top.number("collateral_ppm", 0, (1 << 32) - 1),
    )
    return _in_mode(terms, top.one_of("mode", FILE_MODES, missing="competitive"))


def _in_mode(terms: SessionTerms, mode: Mode) -> SessionTerms:
    return replace(terms, mode=mode, challenge_end=terms.gate_close + 1800 if mode is Mode.BLOCK else 0)


def _book(fields: Fields, terms: SessionTerms, path: str) -> tuple[OrderBook, dict[int, int]]:
    """The log, the sold intervals and the excluded orders among `fields`."""
    orders = tuple(
        _order(raw, len(terms.intervals), f"{path}log[{row}]") for row, raw in enumerate(fields.array("log", 0, 1 << 31))
    )
    _validate(orders, terms, f"{path}log")
    sold: dict[int, int] = {}
    inside = Fields(fields.take("sold", Object()), fields.at("sold"))
    for name in inside.values:
        if not re.fullmatch(r"[1-9]\d{0,9}", name):
            raise FileError(inside.at(name), f"an account, 1 to {_MAX_ACCOUNT}", shown(name))
        account = whole(int(name), 1, _MAX_ACCOUNT, inside.at(name))
        days = terms.zone.intervals
        sold[account] = sum(
            1 << t
            for t in {whole(t, 0, days - 1, f"{inside.at(name)}[{i}]") for i, t in enumerate(inside.array(name, 0, days))}
        )
    excluded = frozenset(_maker(raw, f"{path}excluded[{i}]") for i, raw in enumerate(fields.array("excluded", 0, 1 << 20, [])))
    return OrderBook(terms, orders, excluded), sold


def _maker(raw: object, path: str) -> tuple[int, Side]:
    """[account, side]."""
    pair = array_of(raw, 2, 2, path)
    return whole(pair[0], 1, _MAX_ACCOUNT, f"{path}[0]"), choice(pair[1], _names(Side), f"{path}[1]")


def _order(raw: object, intervals: int, path: str) -> ScheduleOrder:
    fields = Fields(raw, path)
    steps = []
    for k, step in enumerate(fields.array("steps", 1, MAX_STEPS)):
        quantities, limits = [], []
        for j, pair in enumerate(array_of(step, intervals, intervals, f"{path}.steps[{k}]")):
            at = f"{path}.steps[{k}]"  # a value has one path, here and where the order is checked
            quantity, limit = array_of(pair, 2, 2, f"{at}[{j}]")
            quantities.append(whole(quantity, 0, MAX_QUANTITY, f"{at}.quantities[{j}]"))
            limits.append(whole(limit, 0, MAX_PRICE, f"{at}.limits[{j}]"))
        steps.append(Step(tuple(quantities), tuple(limits)))
    parent = fields.take("parent", None)
    order = ScheduleOrder(
        fields.number("account", 1, _MAX_ACCOUNT),
        fields.one_of("side", _names(Side)),
        tuple(steps),
        agent=fields.number("agent", 0, _MAX_ACCOUNT, missing=0),
        agent_pays=fields.flag("agent_pays"),
        reserve=fields.flag("reserve"),
        min_fill_ppm=fields.number("min_fill_ppm", 0, PPM, missing=0),
        parent=None if parent is None else _maker(parent, f"{path}.parent"),
    )
    fields.done()
    return order


def _validate(orders: tuple[ScheduleOrder, ...], terms: SessionTerms, path: str) -> None:
    """As at the door, as far as a file can tell: who owns an account is not in it, so each payer stands for itself."""
    sides: dict[int, set[Side]] = {}
    for row, order in enumerate(orders):
        taken = sides.setdefault(order.payer, set())
        try:
            validate(order, terms, sides=taken)
        except OrderError as error:
            raise OrderError(f"{path}[{row}].{error.field}", error.expected, error.got) from None
        if not order.cancels:
            taken.add(order.side)
