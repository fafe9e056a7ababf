"""Clearing: entries (interval, quantity, limit) to certificates and result rows, 24 intervals, both sides, random limits."""

from __future__ import annotations

import random
import time

from bench import Row
from contracts.encoding import ScheduleOrder, Step
from contracts.units import Direction, Kind, Mode, Side
from market.clearing.uniform import clear
from market.orders import OrderBook
from market.session import SessionTerms, Zone

SIZES = {"ms_10k": (10_000, 5.0), "ms_100k": (100_000, 50.0), "ms_1m": (1_000_000, 600.0)}
INTERVALS = 24


def measure() -> list[Row]:
    """Best of several runs for each size, and whether a run repeated is the same bit for bit."""
    rows = []
    same = True
    for metric, (entries, target) in SIZES.items():
        book = _book(entries // INTERVALS)
        taken, results = [], []
        for _ in range(5 if entries < 1_000_000 else 2):
            started = time.perf_counter()
            result = clear(book)
            taken.append((time.perf_counter() - started) * 1000)
            results.append(result.certificate_hash)
        same = same and len(set(results)) == 1
        rows.append(
            Row(
                metric, round(min(taken), 2), "ms", target, f"{len(book.orders)} orders of {INTERVALS} intervals, rows included"
            )
        )
    rows.append(Row("deterministic", float(same), "", 1.0, "certificates of repeated runs are equal"))
    return rows


def _book(orders: int) -> OrderBook:
    rnd = random.Random(20_240_501)
    terms = SessionTerms(
        session=1,
        zone=Zone(1, 0, 60),
        kind=Kind.ELECTRICAL,
        direction=Direction.UP,
        mode=Mode.COMPETITIVE,
        day=20_000,
        mask=(1 << INTERVALS) - 1,
        gate_open=0,
        gate_close=1,
        exemption_deadline=20_002 * 86_400,
        proof_deadline=20_002 * 86_400,
        price_cap=1_000_000,
        min_quantity=1,
        collateral_ppm=500_000,
    )
    return OrderBook(
        terms,
        tuple(
            ScheduleOrder(
                account,
                Side.BID if account % 2 else Side.OFFER,
                (
                    Step(
                        tuple(rnd.randint(1, 5_000) for _ in range(INTERVALS)),
                        tuple(rnd.randint(1, 1_000_000) for _ in range(INTERVALS)),
                    ),
                ),
            )
            for account in range(1, orders + 1)
        ),
    )
