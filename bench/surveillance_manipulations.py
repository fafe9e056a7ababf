"""Known manipulations, one at a time, in a clean year of bench/surveillance_year.py: who does what, from which session on.

All are SYNTHETIC. Each gives the sessions that it changed, who did it, and the loads as they would have been metered.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from bench.season import Behaviour, Floats, baseline, intervals
from bench.surveillance_year import Day, Sent, Year, event_bits, forecasts, order
from contracts.encoding import ScheduleOrder, Step
from contracts.units import Direction, Side
from market.surveillance.case import Loads
from market.surveillance.observed import Observed
from oracle.forecast import flexible_wh

FIRST_MADE_UP = 900
"""Accounts from here on belong to manipulators who are no homes."""


@dataclass(frozen=True)
class Injected:
    """A manipulation in a year: `sessions` as they were held then, by position in the year; `by` are the accounts behind it;
    `loads` what was metered then, where that differs."""

    kind: str
    sessions: dict[int, Observed]
    by: frozenset[int]
    loads: Loads | None = None

    @property
    def start(self) -> int:
        return min(self.sessions)


def price_spike(year: Year, at: int, rng: np.random.Generator) -> Injected:
    """Two to eight sellers ask for a multiple of what they usually do, in one session or two in a row."""
    sellers = _sellers(year, at, int(rng.integers(2, 9)), rng)
    factor = rng.uniform(1.4, 4.0)
    return _changed(
        "price_spike",
        year,
        range(at, at + int(rng.integers(1, 3))),
        frozenset(sellers),
        lambda sent: replace(sent, order=_dearer(sent.order, factor)),
    )


def slow_drift(year: Year, at: int, rng: np.random.Generator) -> Injected:
    """Four to nine sellers raise their limits by two to four per cent every session, for thirty sessions."""
    sellers = _sellers(year, at, int(rng.integers(4, 10)), rng)
    step = rng.uniform(0.02, 0.04)
    sessions = {}
    for k in range(30):
        made = _changed(
            "",
            year,
            [at + k],
            frozenset(sellers),
            lambda sent, f=(1 + step) ** (k + 1): replace(sent, order=_dearer(sent.order, f)),
        )
        sessions |= made.sessions
    return Injected("slow_drift", sessions, frozenset(sellers))


def withholding(year: Year, at: int, rng: np.random.Generator) -> Injected:
    """Two to six sellers hold back most or all of what they would offer, for three sessions."""
    sellers = frozenset(_sellers(year, at, int(rng.integers(2, 7)), rng))
    part = float(rng.choice([0.0, 0.1, 0.3]))

    def less(sent: Sent) -> Sent:
        (step,) = sent.order.steps
        if sent.order.cancels:
            return sent
        return replace(sent, order=order(sent.order.account, Side.OFFER, [q * part for q in step.quantities], max(step.limits)))

    return _changed("withholding", year, range(at, at + 3), sellers, less)


def self_trade(year: Year, at: int, rng: np.random.Generator) -> Injected:
    """A seller's owner buys through another account of his, above everybody, for two sessions."""
    (seller,) = _sellers(year, at, 1, rng)
    buyer = FIRST_MADE_UP
    sessions = {}
    for k in (at, at + 1):
        day = year.days[k].copy()
        can = rng.integers(300, 900, len(intervals())).tolist()
        day.sent = [sent for sent in day.sent if sent.order.account != seller]
        day.sent += [Sent(5000, order(seller, Side.OFFER, can, 60_000)), Sent(4900, order(buyer, Side.BID, can, 560_000))]
        day.owners |= {seller: "one", buyer: "one"}
        sessions[k] = day.observed()
    return Injected("self_trade", sessions, frozenset({seller, buyer}))


def circular_trade(year: Year, at: int, rng: np.random.Generator) -> Injected:
    """Three owners sell to each other in turn for eighteen sessions, at limits that nobody else is between."""
    ring = [FIRST_MADE_UP + k for k in range(3)]
    sessions = {}
    for k in range(18):
        day = year.days[at + k].copy()
        can = rng.integers(2500, 4000, len(intervals())).tolist()
        seller, buyer = ring[k % 3], ring[(k + 1) % 3]
        day.sent += [Sent(3000, order(seller, Side.OFFER, can, 1_000)), Sent(2900, order(buyer, Side.BID, can, 600_000))]
        sessions[at + k] = day.observed()
    return Injected("circular_trade", sessions, frozenset(ring))


def spoofing(year: Year, at: int, rng: np.random.Generator) -> Injected:
    """A seller's owner bids for a lot through another account, others follow the indicated price up, and the bid is gone
    minutes before the gate."""
    (seller,) = _sellers(year, at, 1, rng)
    buyer = FIRST_MADE_UP
    day = year.days[at].copy()
    can = rng.integers(3000, 6000, len(intervals())).tolist()
    bid = order(buyer, Side.BID, can, 590_000)
    nothing = ScheduleOrder(buyer, Side.BID, (Step((0,) * len(can), (0,) * len(can)),))
    factor = rng.uniform(1.3, 2.5)
    day.sent = [
        Sent(min(sent.before, 2500), _dearer(sent.order, factor))
        if sent.order.side is Side.OFFER and rng.random() < 0.5
        else sent
        for sent in day.sent
    ]
    day.sent += [Sent(20_000, bid), Sent(int(rng.integers(30, 1200)), nothing)]
    day.owners |= {seller: "one", buyer: "one"}
    return Injected("spoofing", {at: day.observed()}, frozenset({seller, buyer}))


def baseline_inflation(year: Year, at: int, rng: np.random.Generator) -> Injected:
    """One to six members raise their load in the session's hours on the fourteen days before and sell what that adds to their
    baseline, for five sessions. A heater or a car: 0.25 to 2 kW each."""
    members = _sellers(year, at, int(rng.integers(1, 7)), rng)
    raised = year.net.copy()
    hours = list(intervals())
    extra = float(np.exp(rng.uniform(np.log(250), np.log(2000))))
    first = year.days[at].day - 14
    for member in members:
        for day in range(first, year.days[at + 4].day):
            row = day - year.first_day
            raised[member - 1, row, hours] += extra * rng.uniform(0.7, 1.3, len(hours))
    sessions = {}
    for k in range(at, at + 5):
        held = year.days[k].copy()
        for member in members:
            held.sent = [_with_phantom(sent, year, raised, member, held) for sent in held.sent]
        sessions[k] = held.observed()
    return Injected("baseline_inflation", sessions, frozenset(members), year.loads(raised))


def _with_phantom(sent: Sent, year: Year, raised: Floats, member: int, held: Day) -> Sent:
    """A member's offer with what its inflated baseline adds, which it delivers by doing nothing."""
    if sent.order.account != member or sent.order.cancels:
        return sent
    index = held.day - year.first_day
    bits = event_bits(year.events[member - 1], held.day)
    hours = list(intervals())
    series = [np.rint(net[member - 1]).astype(np.int64) for net in (raised, year.net)]
    inflated, honest = (baseline(one, index, bits, held.day)[hours] for one in series)
    (step,) = sent.order.steps
    more = [q + max(int(a - b), 0) for q, a, b in zip(step.quantities, inflated, honest, strict=True)]
    return replace(sent, order=order(member, Side.OFFER, more, max(step.limits)))


def event_choice(year: Year, at: int, rng: np.random.Generator) -> Injected:
    """A member sells only on days on which it will use little anyway, for sixty sessions: those days leave its baseline."""
    return _choice("event_choice", year, at, rng, outages=False)


def outage_choice(year: Year, at: int, rng: np.random.Generator) -> Injected:
    """A member's meter fails for some hours on days of little load, for sixty sessions: incomplete days leave its baseline."""
    return _choice("outage_choice", year, at, rng, outages=True)


def _choice(kind: str, year: Year, at: int, rng: np.random.Generator, *, outages: bool) -> Injected:
    (member,) = _sellers(year, at, 1, rng)
    hours = list(intervals())
    means = year.expected[member - 1][:, hours].mean(axis=1)
    net, events = year.net.copy(), [set(days) for days in year.events]
    sessions: dict[int, Observed] = {}
    for k in range(at, at + 60):
        held = year.days[k].copy()
        row = held.day - year.first_day
        recent = means[row - 20 : row]
        low = means[row] < np.nanmedian(recent)
        if outages:
            if low:
                net[member - 1, row, rng.integers(0, 12) : rng.integers(12, 24)] = np.nan
        else:
            held.sent = [sent for sent in held.sent if sent.order.account != member]
            events[member - 1].discard(held.day)
            if low:
                behaviour: Behaviour = year.behaviours[member - 1]
                can = flexible_of(held.day, member)
                offer = order(member, Side.OFFER, [q * behaviour.share for q in can], behaviour.limit)
                held.sent.append(Sent(7000, offer))
                events[member - 1].add(held.day)
        sessions[k] = held.observed()
    return Injected(kind, sessions, frozenset({member}), year.loads(net, events))


def flexible_of(day: int, account: int) -> list[int]:
    """What was forecast to be flexible of a home in the session's hours."""
    made = flexible_wh(forecasts(day)[account - 1], Direction.UP)
    return [made[t] for t in intervals()]


MANIPULATIONS: dict[str, tuple[Callable[[Year, int, np.random.Generator], Injected], int]] = {
    "price_spike": (price_spike, 60),
    "baseline_inflation": (baseline_inflation, 60),
    "slow_drift": (slow_drift, 16),
    "withholding": (withholding, 40),
    "self_trade": (self_trade, 30),
    "circular_trade": (circular_trade, 16),
    "spoofing": (spoofing, 30),
    "event_choice": (event_choice, 12),
    "outage_choice": (outage_choice, 12),
}
"""Each manipulation and how often it is injected."""

LONGEST = 60
"""Sessions that the longest takes."""


def _sellers(year: Year, at: int, count: int, rng: np.random.Generator) -> list[int]:
    """Homes with an offer in the session, some by chance."""
    there = sorted({account for account, side in year.sessions[at].curves if side is Side.OFFER})
    if len(there) <= count:
        return there
    return sorted(int(account) for account in rng.choice(there, count, replace=False))


def _dearer(given: ScheduleOrder, factor: float) -> ScheduleOrder:
    if given.cancels:
        return given
    steps = tuple(replace(step, limits=tuple(min(int(p * factor), 600_000) for p in step.limits)) for step in given.steps)
    return replace(given, steps=steps)


def _changed(kind: str, year: Year, at: range | list[int], by: frozenset[int], change: Callable[[Sent], Sent]) -> Injected:
    sessions = {}
    for k in at:
        day = year.days[k].copy()
        day.sent = [change(sent) if sent.order.account in by else sent for sent in day.sent]
        sessions[k] = day.observed()
    return Injected(kind, sessions, by)
