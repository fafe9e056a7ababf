"""A small market for the detectors' tests: sessions of two hours, one buyer, a few sellers, figures that a test chooses."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache

from contracts.encoding import ScheduleOrder, Step
from contracts.units import Direction, Kind, Mode, Side
from market.orders import OrderBook
from market.session import SessionTerms, Zone
from market.surveillance import parameters
from market.surveillance.case import Case, Loads
from market.surveillance.evidence import Detector, Finding
from market.surveillance.observed import Observed

FIRST_DAY = 17_350
HOURS = (17, 18)
ZONE = Zone(1, 0, 60)
PARAMETERS = parameters.load()

BUYER = 90
Sent = tuple[int, ScheduleOrder]
"""Seconds before the gate, and the order."""


def terms(number: int, mode: Mode = Mode.COMPETITIVE, day: int | None = None) -> SessionTerms:
    day = FIRST_DAY + number if day is None else day
    start = ZONE.interval_start(day, HOURS[0])
    return SessionTerms(
        session=number,
        zone=ZONE,
        kind=Kind.ELECTRICAL,
        direction=Direction.UP,
        mode=mode,
        day=day,
        mask=sum(1 << t for t in HOURS),
        gate_open=start - 50_000,
        gate_close=start - 3600,
        exemption_deadline=start + 10 * 86_400,
        proof_deadline=start + 10 * 86_400,
        price_cap=1_000_000,
        min_quantity=1,
        collateral_ppm=500_000,
    )


def order(account: int, side: Side, quantity: int, limit: int, *, agent: int = 0) -> ScheduleOrder:
    """The same quantity and limit in both hours; without a quantity it cancels."""
    limits = (limit if quantity else 0,) * len(HOURS)
    return ScheduleOrder(account, side, (Step((quantity,) * len(HOURS), limits),), agent=agent)


def offer(account: int, quantity: int, limit: int) -> ScheduleOrder:
    return order(account, Side.OFFER, quantity, limit)


def bid(account: int, quantity: int, limit: int) -> ScheduleOrder:
    return order(account, Side.BID, quantity, limit)


def session(
    number: int,
    orders: Sequence[ScheduleOrder | Sent],
    owners: Mapping[int, str] | None = None,
    mode: Mode = Mode.COMPETITIVE,
) -> Observed:
    """A session from its orders, those without a time an hour or more before the gate."""
    made = terms(number, mode)
    sent = [entry if isinstance(entry, tuple) else (40_000 - i, entry) for i, entry in enumerate(orders)]
    sent.sort(key=lambda entry: -entry[0])
    book = OrderBook(made, tuple(entry[1] for entry in sent))
    return Observed(book, tuple(made.gate_close - entry[0] for entry in sent), owners=owners or {})


SELLERS = {1: 100_000, 2: 140_000, 3: 180_000, 4: 220_000, 5: 260_000}
"""Sellers of a quiet session with their limits; each offers a kilowatt-hour an hour, and the buyer wants four."""


@cache
def quiet(number: int, mode: Mode = Mode.COMPETITIVE) -> Observed:
    """A session in which nothing is unusual: the price moves a little from day to day."""
    shift = (number * 7919) % 5 * 2_000
    orders: list[ScheduleOrder] = [offer(a, 1000 + (number * 37 * a) % 60, limit + shift) for a, limit in SELLERS.items()]
    return session(number, [*orders, bid(BUYER, 3500, 500_000)], mode=mode)


def history(until: int = 60) -> list[Observed]:
    return [quiet(number) for number in range(1, until)]


def case(observed: Observed, before: Sequence[Observed] | None = None, loads: Loads | None = None) -> Case:
    return Case(observed, history(observed.session) if before is None else before, PARAMETERS, loads)


def names(found: Sequence[Finding]) -> set[Detector]:
    return {finding.detector for finding in found}
