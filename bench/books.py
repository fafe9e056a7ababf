"""Random order books that benchmarks clear: the same from the same seed on any machine."""

from __future__ import annotations

import random
from collections.abc import Callable

from contracts.block_words import BlockBook
from contracts.encoding import LoggedOrder, ScheduleOrder, Step
from contracts.units import PPM, Direction, Kind, Mode, Side
from market.orders import OrderBook
from market.session import SessionTerms, Zone

CAP = 1_000_000
DAY = 20_000
COLLATERAL_PPM = 500_000


def terms(intervals: int, mode: Mode = Mode.COMPETITIVE) -> SessionTerms:
    """A session over the first `intervals` hours of a day."""
    start = DAY * 86_400
    return SessionTerms(
        session=1,
        zone=Zone(1, 0, 60),
        kind=Kind.ELECTRICAL,
        direction=Direction.UP,
        mode=mode,
        day=DAY,
        mask=(1 << intervals) - 1,
        gate_open=start - 7_200,
        gate_close=start - 3_600,
        exemption_deadline=start + 2 * 86_400,
        proof_deadline=start + 2 * 86_400,
        price_cap=CAP,
        min_quantity=1,
        collateral_ppm=COLLATERAL_PPM,
        challenge_end=start - 1_800 if mode is Mode.BLOCK else 0,
    )


def book(orders: int, intervals: int, mode: Mode = Mode.COMPETITIVE, seed: int = 20_240_501, levels: int = CAP) -> OrderBook:
    """Accounts bid and offer in turn, everywhere in the session, up to 5 kWh at one of `levels` limits from 1 to the cap."""
    dice = random.Random(seed)
    step = CAP // levels

    def limit() -> int:
        return dice.randint(1, levels) * step

    return OrderBook(terms(intervals, mode), tuple(_orders(orders, intervals, dice, limit)))


def _orders(orders: int, intervals: int, dice: random.Random, limit: Callable[[], int]) -> list[ScheduleOrder]:
    return [
        ScheduleOrder(
            account,
            Side.BID if account % 2 else Side.OFFER,
            (
                Step(
                    tuple(dice.randint(1, 5_000) for _ in range(intervals)),
                    tuple(limit() for _ in range(intervals)),
                ),
            ),
        )
        for account in range(1, orders + 1)
    ]


def blocks(orders: int, intervals: int, seed: int = 20_240_501) -> BlockBook:
    """Blocks over three to eight hours in a row at one limit each: half all or nothing, a tenth linked to the one before."""
    dice = random.Random(seed)
    entries: list[LoggedOrder] = []
    for account in range(1, orders + 1):
        side = Side(dice.randint(0, 1))
        length = dice.randint(3, 8)
        start = dice.randint(0, intervals - length)
        inside = range(start, start + length)
        price = dice.randint(60_000, 160_000) if side is Side.BID else dice.randint(40_000, 140_000)
        linked = bool(entries) and dice.random() < 0.1
        above = entries[-1].order if linked else None
        order = ScheduleOrder(
            account,
            side,
            (
                Step(
                    tuple(dice.randint(200, 5_000) if j in inside else 0 for j in range(intervals)),
                    tuple(price if j in inside else 0 for j in range(intervals)),
                ),
            ),
            agent=orders + 1,
            agent_pays=True,
            min_fill_ppm=PPM if dice.random() < 0.5 else dice.choice([0, 300_000]),
            parent=None if above is None else (above.account, above.side),
        )
        entries.append(LoggedOrder(order, order.lock(CAP, COLLATERAL_PPM)))
    return BlockBook(tuple(entries), tuple(range(intervals)), CAP)
