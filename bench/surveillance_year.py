"""A year of daily sessions of the 17 shipped homes as a market would see it on quiet days: what bench/surveillance.py disturbs.

Real: load and production, the forecast and what follows of it, the clearing, the baseline R14, weekends and weather. SYNTHETIC:
which homes take part on a day, prices and how they wander, outages, orders changed or taken back for honest reasons, what
buyers ask for (scaled by the forecast load of the community), how homes deliver. Energy in Wh, prices in micro-euro per kWh.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache

import numpy as np

from app.demo import scenario
from bench.season import DEVICE_WH, Behaviour, Floats, Integers, baseline, deal, homes, intervals, is_working
from contracts.encoding import ScheduleOrder, Step
from contracts.units import PPM, Direction, Kind, Mode, Side
from market.orders import OrderBook
from market.session import SessionTerms, Zone
from market.surveillance.case import Loads
from market.surveillance.observed import Observed
from oracle.forecast import DayForecast, flexible_wh, forecast_day
from oracle.response import respond
from zk.windows import HISTORY_DAYS

WARM_UP = 28
"""Days of the year before the first session."""

GATE_SECONDS = 10 * 3600
"""How long a gate is open; it closes four hours before delivery."""

PRESENCE = (0.35, 0.75)
"""Part of the days on which a home takes part, by home."""


@dataclass(frozen=True)
class Sent:
    """An order as it was sent: seconds before the gate closed, and the order."""

    before: int
    order: ScheduleOrder


@dataclass
class Day:
    """One session before it is cleared: who sent what, and who stands behind which account."""

    number: int
    day: int
    sent: list[Sent]
    owners: dict[int, str] = field(default_factory=dict)

    def copy(self) -> Day:
        return Day(self.number, self.day, list(self.sent), dict(self.owners))

    def observed(self) -> Observed:
        """The session with its log in the order of time."""
        log = sorted(self.sent, key=lambda sent: -sent.before)
        made = terms(self.number, self.day)
        times = tuple(made.gate_close - sent.before for sent in log)
        return Observed(OrderBook(made, tuple(sent.order for sent in log)), times, owners=self.owners)


@dataclass
class Year:
    """A clean year: sessions as sent and as cleared, homes' metered net load with their responses in it, event days, and what
    was forecast of each home."""

    days: list[Day]
    sessions: list[Observed]
    original: Integers
    net: Floats
    expected: Floats
    events: list[set[int]]
    behaviours: list[Behaviour]
    first_day: int

    def loads(self, net: Floats | None = None, events: Sequence[set[int]] | None = None) -> Loads:
        """What an oracle that holds all readings would hand to the detectors."""
        series = self.net if net is None else net
        event_days = self.events if events is None else events
        return Loads(
            self.first_day,
            {h + 1: series[h] for h in range(len(series))},
            {h + 1: frozenset(event_days[h]) for h in range(len(series))},
            {h + 1: self.expected[h] for h in range(len(series))},
        )


@cache
def forecasts(day: int) -> tuple[DayForecast, ...]:
    """What was forecast of every home the day before."""
    return tuple(forecast_day(homes(), day, is_working))


def terms(number: int, day: int) -> SessionTerms:
    """Terms of the session of a day."""
    plan = scenario.load()
    zone = Zone(1, plan.zone.offset_seconds, plan.zone.interval_minutes)
    closes = zone.interval_start(day, intervals()[0]) - 4 * 3600
    return SessionTerms(
        session=number,
        zone=zone,
        kind=Kind.ELECTRICAL,
        direction=Direction.UP,
        mode=Mode.COMPETITIVE,
        day=day,
        mask=sum(1 << t for t in intervals()),
        gate_open=closes - GATE_SECONDS,
        gate_close=closes,
        exemption_deadline=zone.interval_start(day + 2, 0),
        proof_deadline=zone.interval_start(day + 2, 0),
        price_cap=plan.session.price_cap,
        min_quantity=plan.session.min_quantity_wh,
        collateral_ppm=500_000,
    )


def order(account: int, side: Side, quantities: Sequence[int], limit: int) -> ScheduleOrder:
    """An order of one step with one limit, quantities below the minimum left out."""
    least = scenario.load().session.min_quantity_wh
    kept = tuple(int(wh) if wh >= least else 0 for wh in quantities)
    return ScheduleOrder(account, side, (Step(kept, tuple(min(limit, 600_000) if wh else 0 for wh in kept)),))


def build(seed: int, until: int | None = None) -> Year:
    """A clean year from a seed; `until` ends it after so many sessions."""
    rng = np.random.default_rng(seed)
    span = homes()[0].days
    original = np.stack([home.net for home in homes()]).astype(np.int64)
    all_days = list(range(span.start + WARM_UP, span.stop - 1))[:until]
    expected = np.full((len(original), len(span), original.shape[2]), np.nan)
    for day in all_days:
        for h, made in enumerate(forecasts(day)):
            expected[h, day - span.start] = made.load
    year = Year([], [], original, original.astype(np.float64), expected, [set() for _ in original], deal(rng), span.start)
    _run(year, all_days, rng)
    return year


def _run(year: Year, all_days: Sequence[int], rng: np.random.Generator) -> None:
    """Holds every session, one after the other: each home's event days and responses shape what comes later."""
    count = len(year.original)
    presence = rng.uniform(*PRESENCE, count)
    wander, base = np.zeros(count), np.array([float(b.limit) for b in year.behaviours])
    demand = np.zeros(2)
    out_until = np.zeros(count)
    at = list(intervals())
    usual = np.nanmedian(np.nansum(year.expected[:, :, at], axis=(0, 2))[[d - year.first_day for d in all_days]])
    net = year.original.copy()
    for number, day in enumerate(all_days, 1):
        wander = 0.9 * wander + rng.normal(0, 0.03, count)
        base *= np.where(rng.random(count) < 0.004, rng.uniform(0.8, 1.25, count), 1.0)  # somebody thinks again
        demand = 0.8 * demand + rng.normal(0, 0.04, 2)
        fails = (rng.random(count) < 0.008) & (out_until < day)
        out_until = np.where(fails, day + rng.integers(1, 5, count), out_until)
        load = float(np.nansum(year.expected[:, day - year.first_day][:, at]) / usual)
        held = Day(number, day, _buyers(load, demand, rng))
        for h, behaviour in enumerate(year.behaviours):
            if out_until[h] >= day or rng.random() > presence[h]:
                continue
            limit = int(base[h] * np.exp(wander[h]) * rng.uniform(0.97, 1.03)) // 1000 * 1000
            can = np.rint(np.array(flexible_wh(forecasts(day)[h], Direction.UP))[at] * behaviour.share)
            held.sent += _changes(order(h + 1, Side.OFFER, can.tolist(), limit), rng)
        year.days.append(held)
        observed = held.observed()
        year.sessions.append(observed)
        _respond(year, net, day, observed)


def _buyers(load: float, wander: Floats, rng: np.random.Generator) -> list[Sent]:
    """The demonstration's buyers, who ask for more on days of more load; the second stays away at times."""
    found = []
    for i, buyer in enumerate(scenario.load().buyers):
        if i and rng.random() < 0.02:
            continue
        part = 0.55 * load * float(np.exp(rng.normal(0, 0.12)))
        steps = []
        for step in buyer.steps:
            limit = min(int(step.limit * np.exp(wander[i]) * rng.uniform(0.98, 1.02)) // 1000 * 1000, 600_000)
            quantities = tuple(int(q * part) for q in step.quantities)
            steps.append(Step(quantities, tuple(limit if q else 0 for q in quantities)))
        found.append(Sent(int(rng.integers(600, GATE_SECONDS)), ScheduleOrder(101 + i, Side.BID, tuple(steps))))
    return found


def _changes(final: ScheduleOrder, rng: np.random.Generator) -> list[Sent]:
    """How an honest home comes to its order: at once, in two goes, or, rarely, by taking it back again, even late."""
    first = int(rng.integers(3600, GATE_SECONDS))
    (step,) = final.steps
    chance = rng.random()
    if chance < 0.12:  # the forecast changed: more or less, at any time
        before = tuple(int(q * rng.uniform(0.5, 2.5)) for q in step.quantities)
        limits = tuple(max(step.limits) if q else 0 for q in before)
        earlier = ScheduleOrder(final.account, final.side, (Step(before, limits),))
        return [Sent(first, earlier), Sent(int(rng.integers(60, first)), final)]
    if chance < 0.16:  # the car is needed after all
        nothing = ScheduleOrder(final.account, final.side, (Step((0,) * len(step.quantities), (0,) * len(step.quantities)),))
        return [Sent(first, final), Sent(int(rng.integers(60, first)), nothing)]
    return [Sent(first, final)]


def _respond(year: Year, net: Integers, day: int, observed: Observed) -> None:
    """What homes metered on the day, by what they had sold; marks their event days."""
    plan, at = scenario.load(), list(intervals())
    for (account, side), fills in observed.fills.items():
        if side is not Side.OFFER or max(fills) == 0 or account > len(net):
            continue
        h, index = account - 1, day - year.first_day
        aim = baseline(net[h], index, event_bits(year.events[h], day), day)
        promise = {t: int(wh) for t, wh in zip(at, fills, strict=True) if wh}
        answered = respond(
            homes()[h].day(day),
            promise,
            Direction.UP,
            round(year.behaviours[h].delivers * PPM),
            envelope=DEVICE_WH,
            aim=tuple(aim.tolist()),
        )
        net[h, index] = [wh or 0 for wh in answered.altered.net]
        year.net[h, index] = net[h, index]
        if max(fills) >= plan.session.min_quantity_wh:
            year.events[h].add(day)


def event_bits(events: set[int], day: int) -> int:
    """Event days among the 14 before a day, bit k for day `day - 14 + k`."""
    return sum(1 << k for k in range(HISTORY_DAYS) if day - HISTORY_DAYS + k in events)
