"""Clearing: speed, memory, welfare and sameness of every mode on random books, and others on the same books (bench/peers)."""

from __future__ import annotations

import random
import time
import tracemalloc
from collections.abc import Callable
from dataclasses import replace
from typing import TypeVar

from bench import Row, books, peers
from contracts.units import Mode, Side
from market.clearing import cooperative, pay_as_bid, uniform, zonal
from market.clearing.blocks import clear_blocks
from market.clearing.blocks_check import check_blocks
from market.clearing.milp import Program
from market.clearing.zonal_check import check_zonal
from market.orders import OrderBook

SIZES = {"10k": (10_000, 5.0), "100k": (100_000, 50.0), "1m": (1_000_000, 600.0)}
"""Entries (interval, quantity, limit), and milliseconds to stay below."""

INTERVALS = 24
WELFARE_BOOKS = 500
PEER_SIZES = {"100": 100, "1k": 1_000, "10k": 10_000, "100k": 100_000}
PEER_SECONDS = 60.0
WELFARE_ORDERS = 10_000
"""Largest of these books whose optimum HiGHS is asked for."""

BLOCKS, BLOCK_SECONDS = 200, 45.0
ZONES = 3

T = TypeVar("T")


def measure() -> list[Row]:
    """Every figure; a result that its checker refuses ends the run."""
    return [*_speed(), _deterministic(), _welfare(), *_memory(), *_other_modes(), *_zonal(), *_blocks(), *_peers()]


def _timed(work: Callable[[], T], runs: int) -> tuple[float, T]:
    """Milliseconds of the fastest run, and the last result."""
    taken = []
    for _ in range(runs):
        started = time.perf_counter()
        result = work()
        taken.append((time.perf_counter() - started) * 1000)
    return min(taken), result


def _speed() -> list[Row]:
    rows = []
    for size, (entries, target) in SIZES.items():
        book = books.book(entries // INTERVALS, INTERVALS)
        ms, _ = _timed(lambda book=book: uniform.clear(book), max(4, 400_000 // entries))
        note = f"{len(book.orders)} orders of {INTERVALS} intervals, rows included"
        rows.append(Row(f"ms_{size}", round(ms, 2), "ms", target, note))
    return rows


def _deterministic() -> Row:
    """Repeated, and with the entries of the log in another order: the certificate never changes, nor does what anybody gets
    where no two limits are equal. Among equal limits the log decides, so there only the certificate is compared."""
    dice = random.Random(7)
    same = True
    for levels in (books.CAP, 10):
        book = books.book(400, INTERVALS, levels=levels)
        if levels == books.CAP:
            book = _distinct(book)
        first = uniform.clear(book)
        for _ in range(5):
            same = same and uniform.clear(book) == first
            order = list(book.orders)
            dice.shuffle(order)
            moved = uniform.clear(replace(book, orders=tuple(order)))
            same = same and moved.certificate_hash == first.certificate_hash
            if levels == books.CAP:
                same = same and sorted(moved.rows, key=lambda row: row.account) == list(first.rows)
    return Row(
        "deterministic", float(same), "", 1.0, "repeated, and permuted, bit for bit; 400 orders of 24 intervals, 5 times"
    )


def _distinct(book: OrderBook) -> OrderBook:
    """With limits of which no two in an interval are equal."""
    count = len(book.orders)
    return replace(
        book,
        orders=tuple(
            replace(o, steps=(replace(o.steps[0], limits=tuple(p // count * count + i for p in o.steps[0].limits)),))
            for i, o in enumerate(book.orders)
        ),
    )


def _welfare() -> Row:
    """The least share of the optimum, which a linear program finds in HiGHS."""
    least = 1.0
    dice = random.Random(11)
    for seed in range(WELFARE_BOOKS):
        book = books.book(dice.randint(2, 40), dice.randint(1, 4), seed=seed, levels=dice.choice([10, 1_000, books.CAP]))
        cleared = uniform.clear(book)
        ours = sum(
            (1 if order.side is Side.BID else -1) * wh * limit
            for order, row in zip(book.orders, cleared.rows, strict=True)
            for wh, limit in zip(row.fills, order.steps[0].limits, strict=True)
        )
        best = _optimum(book)
        if best:
            least = min(least, ours / best)
    note = f"{WELFARE_BOOKS} random books of up to 40 orders and 4 intervals against HiGHS"
    return Row("welfare_ratio_min", round(least, 9), "", 1.0, note)


def _optimum(book: OrderBook) -> int:
    program = Program()
    balance: list[dict[int, float]] = [{} for _ in book.terms.intervals]
    for order in book.orders:
        sign = 1 if order.side is Side.BID else -1
        for j, (wh, limit) in enumerate(zip(order.steps[0].quantities, order.steps[0].limits, strict=True)):
            balance[j][program.column(sign * limit, 0.0, wh)] = sign
    for row in balance:
        program.row(0.0, 0.0, row)
    answer = program.maximize(60.0, 0.0)
    if not answer.optimal:
        raise RuntimeError("HiGHS has not solved a linear program")
    return round(answer.bound)


def _memory() -> list[Row]:
    rows = []
    each = {}
    for size, (entries, _) in SIZES.items():
        book = books.book(entries // INTERVALS, INTERVALS)
        _ = book.last
        tracemalloc.start()
        cleared = uniform.clear(book)
        each[size] = tracemalloc.get_traced_memory()[1] / entries
        tracemalloc.stop()
        del cleared
        rows.append(
            Row(f"bytes_entry_{size}", round(each[size], 1), "byte", None, "peak of a clearing, rows included, per entry")
        )
    growth = each["1m"] / each["10k"]
    rows.append(Row("memory_growth", round(growth, 3), "", 1.2, "bytes an entry at 1m by those at 10k; 1 is linear"))
    return rows


def _other_modes() -> list[Row]:
    rows = []
    for name, mode, clear in (
        ("cooperative", Mode.COOPERATIVE, cooperative.clear),
        ("pay_as_bid", Mode.COMPETITIVE, pay_as_bid.clear),
    ):
        book = books.book(100_000 // INTERVALS, INTERVALS, mode)
        ms, _ = _timed(lambda book=book, clear=clear: clear(book), 5)
        rows.append(Row(f"ms_100k_{name}", round(ms, 2), "ms", None, f"{len(book.orders)} orders of {INTERVALS} intervals"))
    return rows


def _zonal() -> list[Row]:
    each = 10_000 // INTERVALS // ZONES
    zones = [zonal.ZoneBook(str(z), books.book(each, INTERVALS, seed=z)) for z in range(ZONES)]
    room = (20_000,) * INTERVALS
    links = [zonal.Link(z, z + 1, room, room) for z in range(ZONES - 1)]
    ms, cleared = _timed(lambda: zonal.clear(zones, links), 3)
    verdict = check_zonal(zones, links, cleared)
    if not verdict.accepted:
        raise RuntimeError(verdict.reason)
    note = f"{ZONES} zones in a row of {each} orders and {INTERVALS} intervals, 20 kWh an hour between them"
    return [Row("ms_10k_zonal", round(ms, 2), "ms", None, note)]


def _blocks() -> list[Row]:
    book = books.blocks(BLOCKS, INTERVALS)
    ms, found = _timed(lambda: clear_blocks(book, BLOCK_SECONDS, gap=1e-3), 1)
    verdict = check_blocks(book, found.solution)
    if not verdict.accepted:
        raise RuntimeError(verdict.reason)
    note = f"{BLOCKS} blocks over {INTERVALS} hours, half all or nothing, a tenth linked; at most {BLOCK_SECONDS:g} s"
    ended = "search ended" if found.complete else "time ran out"
    return [
        Row("s_blocks", round(ms / 1000, 2), "s", None, f"{note}; {ended}"),
        Row("gap_blocks", round(found.gap * 100, 3), "%", None, "of the bound on every feasible result that may be missing"),
    ]


def _peers() -> list[Row]:
    """One interval, half bids and half offers. A peer that has not done a size is not asked for a larger one."""
    rows = []
    lost: dict[str, str] = {}
    for size, orders in PEER_SIZES.items():
        book = books.book(orders, 1)
        ms, cleared = _timed(lambda book=book: uniform.clear(book), 5)
        sides: dict[Side, list[tuple[int, int]]] = {Side.BID: [], Side.OFFER: []}
        welfare = 0
        for order, row in zip(book.orders, cleared.rows, strict=True):
            limit = order.steps[0].limits[0]
            sides[order.side].append((limit, order.steps[0].quantities[0]))
            welfare += row.fills[0] * limit * (1 if order.side is Side.BID else -1)
        best = _optimum(book) if orders <= WELFARE_ORDERS else 0
        times, shares = {}, {}
        for name in peers.WAYS:
            if name in lost:
                continue
            found = peers.clear(name, sides[Side.BID], sides[Side.OFFER], 3 if orders <= 1_000 else 1, PEER_SECONDS)
            if found.missing:
                lost[name] = f"{name}: {found.missing}"
                continue
            times[name] = round(found.ms, 2)
            if best:
                shares[name] = round(found.welfare / best, 6)
        why = "".join(f"; {reason}" for reason in lost.values())
        note = f"{orders} orders of one interval{why}"
        rows.append(Row(f"ms_peers_{size}", round(ms, 3), "ms", None, note, times))
        if best:
            share = round(welfare / best, 6)
            rows.append(Row(f"welfare_peers_{size}", share, "", 1.0, f"share of what HiGHS finds, {note}", shares))
    return rows
