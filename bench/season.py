"""A season of sessions of the 17 shipped homes, as the chain shows it and as it really was: what bench/linkage.py attacks.

Real: load and production, the forecast, the clearing, the baseline R14. SYNTHETIC, as in the demonstration: what a home calls
flexible, its price, how faithfully it delivers (taken from the demonstration's homes and dealt out anew for every season), and
the response of its devices. Energy in Wh, arrays of shape (sessions, homes, intervals of the session).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from app.demo import scenario
from contracts.encoding import ScheduleOrder, Step
from contracts.units import PPM, Direction, Kind, Mode, Side
from market.clearing.uniform import clear
from market.orders import OrderBook
from market.session import SessionTerms, Zone
from oracle.baseline import admissible_days
from oracle.forecast import flexible_wh, forecast_day
from oracle.readings import DayReadings, ReadingSeries, load_homes
from oracle.response import respond
from zk.windows import HISTORY_DAYS

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

SESSIONS = 30
DEVICE_WH = 3000
_BLOCK = 3


@dataclass(frozen=True, slots=True)
class Behaviour:
    """The synthetic part of a home: share of the flexible energy that it offers, its price in micro-euro per kWh, the part of
    the way to its promise that it goes."""

    share: float = 1.0
    limit: int = 150_000
    delivers: float = 1.0


@dataclass(frozen=True, slots=True)
class Variant:
    """What a season does differently. `steered`: devices aim at baseline less promise, else they take the promise off what the
    home would have used. `round_wh`: offers are multiples of it. `flat`: one quantity for blocks of three hours."""

    steered: bool = True
    round_wh: int = 1
    flat: bool = False


@dataclass(frozen=True)
class Season:
    """What the chain shows: offers with their prices, fills, `delivered = baseline - metered` at every interval of the session
    (the attack masks what was not proven), and per home and session its event days among the 14 before (bits). Private, for
    the attacker who meters from outside: `net` (homes, days, intervals of the day), with the responses in it."""

    days: tuple[int, ...]
    offered: Integers
    limits: Integers
    fills: Integers
    delivered: Integers
    events: Integers
    net: Integers
    first_day: int


@cache
def intervals() -> tuple[int, ...]:
    """Intervals of the day that every session is about."""
    return tuple(scenario.load().session.intervals)


def is_working(day: int) -> bool:
    """Monday to Friday."""
    return (day + 3) % 7 < 5


@cache
def homes() -> tuple[ReadingSeries, ...]:
    """The shipped homes, in the order of their names."""
    return tuple(load_homes().values())


@cache
def flexible(day: int) -> tuple[tuple[int, ...], ...]:
    """What each home could offer upwards in each interval of a day, from the forecast of the day before."""
    made = forecast_day(homes(), day, is_working)
    return tuple(flexible_wh(item, Direction.UP) for item in made)


def candidate_days(half: int) -> list[int]:
    """Every second working day of the first (0) or second (1) half of the recorded year."""
    span = homes()[0].days
    middle = (span.start + span.stop) // 2
    first, last = (span.start + HISTORY_DAYS + 7, middle) if half == 0 else (middle, span.stop - 1)
    return [day for day in range(first, last) if is_working(day)][::2]


def deal(rng: np.random.Generator) -> list[Behaviour]:
    """The demonstration's behaviours, dealt to the homes by chance."""
    known = [Behaviour(home.share, home.limit, home.delivers) for home in scenario.load().homes.values()]
    return [known[i] for i in rng.permutation(len(known))]


def hold(
    days: Sequence[int], behaviours: Sequence[Behaviour], rng: np.random.Generator, variant: Variant | None = None
) -> Season:
    """Holds a session on each of `days`, ascending, one after the other: each home's event days shape its later baselines."""
    variant = variant or Variant()
    plan = scenario.load()
    at = list(intervals())
    span = homes()[0].days
    net = np.stack([home.net for home in homes()]).copy()
    shape = (len(days), len(net), len(at))
    offered, fills, delivered = (np.zeros(shape, dtype=np.int64) for _ in range(3))
    limits, events = (np.zeros(shape[:2], dtype=np.int64) for _ in range(2))
    event_days: list[set[int]] = [set() for _ in net]
    for s, day in enumerate(days):
        offered[s] = _offers(day, at, behaviours, plan.session.min_quantity_wh, variant)
        for h, behaviour in enumerate(behaviours):
            limits[s, h] = int(behaviour.limit * rng.uniform(0.95, 1.05)) // 1000 * 1000
        fills[s] = _fills(day, plan, offered[s], limits[s])
        for h, behaviour in enumerate(behaviours):
            events[s, h] = sum(1 << k for k in range(HISTORY_DAYS) if day - HISTORY_DAYS + k in event_days[h])
            aim = baseline(net[h], day - span.start, int(events[s, h]), day)
            promise = {t: int(wh) for t, wh in zip(at, fills[s, h], strict=True) if wh}
            original: DayReadings = homes()[h].day(day)
            answered = respond(
                original,
                promise,
                Direction.UP,
                round(behaviour.delivers * PPM),
                envelope=DEVICE_WH,
                aim=tuple(aim.tolist()) if variant.steered else None,
            )
            net[h, day - span.start] = [wh or 0 for wh in answered.altered.net]
            delivered[s, h] = aim[at] - net[h, day - span.start, at]
            if fills[s, h].max(initial=0) >= plan.session.min_quantity_wh:
                event_days[h].add(day)
    return Season(tuple(days), offered, limits, fills, delivered, events, net, span.start)


def baseline(net: Integers, at: int, event_bits: int, day: int) -> Integers:
    """R14 on a series without gaps, whole day: `net` has shape (..., days, intervals), `at` is the day's index in it."""
    admissible = admissible_days(day, is_working, event_bits, 0)
    counted = [at - HISTORY_DAYS + k for k in range(HISTORY_DAYS) if admissible >> k & 1]
    result: Integers = net[..., counted, :].sum(axis=-2) // len(counted)
    return result


def _offers(day: int, at: list[int], behaviours: Sequence[Behaviour], minimum: int, variant: Variant) -> Integers:
    can = np.array(flexible(day))[:, at]
    share = np.array([behaviour.share for behaviour in behaviours])
    made = np.rint(can * share[:, None]).astype(np.int64)
    if variant.flat:
        blocks = made.reshape(len(made), -1, _BLOCK).min(axis=2)
        made = np.repeat(blocks, _BLOCK, axis=1)
    made = made // variant.round_wh * variant.round_wh
    return np.where(made >= minimum, made, 0)


def _fills(day: int, plan: scenario.Scenario, offered: Integers, limits: Integers) -> Integers:
    """Clears the homes' offers against the demonstration's buyers; homes have the first account numbers."""
    orders = [buyer.order(len(offered) + 1 + i, len(intervals())) for i, buyer in enumerate(plan.buyers)]
    for h, (quantities, limit) in enumerate(zip(offered.tolist(), limits.tolist(), strict=True)):
        prices = tuple(limit if wh else 0 for wh in quantities)
        orders.append(ScheduleOrder(h + 1, Side.OFFER, (Step(tuple(quantities), prices),)))
    result = np.zeros_like(offered)
    for row in clear(OrderBook(_terms(day, plan), tuple(orders))).rows:
        if row.side is Side.OFFER:
            result[row.account - 1] = row.fills
    return result


def _terms(day: int, plan: scenario.Scenario) -> SessionTerms:
    return SessionTerms(
        session=1,
        zone=Zone(1, plan.zone.offset_seconds, plan.zone.interval_minutes),
        kind=Kind.ELECTRICAL,
        direction=Direction.UP,
        mode=Mode.COMPETITIVE,
        day=day,
        mask=sum(1 << t for t in intervals()),
        gate_open=0,
        gate_close=1,
        exemption_deadline=(day + 2) * 86_400,
        proof_deadline=(day + 2) * 86_400,
        price_cap=plan.session.price_cap,
        min_quantity=plan.session.min_quantity_wh,
        collateral_ppm=500_000,
    )
