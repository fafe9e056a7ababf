"""Small block books at random, and the best result of each by trying everything, from docs/protocol.md section 12 alone."""

from __future__ import annotations

import itertools
import random
from typing import Any

from contracts.block_words import BlockBook
from contracts.encoding import LoggedOrder, ScheduleOrder, Step
from contracts.units import PPM, Side

CAP = 6
COLLATERAL = 600_000


def logged(order: ScheduleOrder, cap: int = CAP) -> LoggedOrder:
    return LoggedOrder(order, order.lock(cap, COLLATERAL))


def random_book(
    dice: random.Random, *, whole: bool, most: int, largest: int = 3, cap: int = CAP, most_intervals: int = 2
) -> BlockBook:
    """A log of up to `most` entries of five accounts.

    `whole`: all or nothing only. Some entries replace or cancel earlier ones, name no live parent or one of another payer.
    """
    intervals = dice.randint(1, most_intervals)
    entries: list[LoggedOrder] = []
    for _ in range(dice.randint(2, most)):
        side = Side(dice.randint(0, 1))
        agent = dice.choice([0, 0, 9])
        quantities = [0 if dice.random() < 0.2 else dice.randint(1, largest) for _ in range(intervals)]
        if dice.random() < 0.08:
            quantities = [0] * intervals
        limits = [dice.randint(0, cap) if wh else 0 for wh in quantities]
        parent = None
        if entries and dice.random() < 0.3:
            other = dice.choice(entries).order
            parent = (other.account, other.side)
        account = dice.randint(1, 5) if largest <= 3 else len(entries) + 1
        if account == agent:
            agent = 0
        least = PPM if whole else dice.choice([0, 0, 300_000, 500_000, PPM])
        cancels = not any(quantities)
        order = ScheduleOrder(
            account=account,
            side=side,
            steps=(Step(tuple(quantities), tuple(limits)),),
            agent=agent,
            agent_pays=bool(agent),
            min_fill_ppm=0 if cancels else least,
            parent=None if cancels else parent,
        )
        if parent == (order.account, order.side):
            continue
        entries.append(logged(order, cap))
    days = tuple(range(7, 7 + intervals))
    sold = {1: 1 << 7} if dice.random() < 0.3 else {}
    return BlockBook(tuple(entries), days, cap, sold)


def best_welfare(book: BlockBook) -> int:
    """The most welfare of any feasible proposal. Every fill and every price is tried."""
    return int(best_fills(book)["welfare"])


def best_fills(book: BlockBook) -> dict[str, Any]:
    """The most welfare, and the fills of every entry at which it is reached first."""
    live = sorted(book.live.values())
    options = [_options(book, position) for position in live]
    best = 0
    fills_of = [[0] * len(book.intervals) for _ in book.entries]
    for picked in itertools.product(*options):
        intervals = len(book.intervals)
        sums = [0] * intervals
        welfare = 0
        for position, (fills, _, _) in zip(live, picked, strict=True):
            order = book.entries[position].order
            sign = 1 if order.side is Side.BID else -1
            for j, wh in enumerate(fills):
                sums[j] += sign * wh
                welfare += sign * wh * order.steps[0].limits[j]
        if any(sums) or welfare <= best:
            continue
        if _linked(book, live, picked) and _priced(book, live, picked):
            best = welfare
            chosen = dict(zip(live, picked, strict=True))
            fills_of = [list(chosen[i][0]) if i in chosen else [0] * len(book.intervals) for i in range(len(book.entries))]
    return {"welfare": best, "fills": fills_of}


Option = tuple[tuple[int, ...], int, int]
"""Fills, and the lowest and highest ratio that allow them."""


def _options(book: BlockBook, position: int) -> list[Option]:
    order = book.entries[position].order
    taken = book.sold.get(order.account, 0) if order.side is Side.OFFER else 0
    asked = [0 if taken >> t & 1 else wh for t, wh in zip(book.intervals, order.steps[0].quantities, strict=True)]
    found: list[Option] = [((0,) * len(asked), 0, 0)]
    for fills in itertools.product(*[range(wh + 1) for wh in asked]):
        low, high = max(1, order.min_fill_ppm), PPM
        for wh, fill in zip(asked, fills, strict=True):
            if wh:  # |10^6 fill - wh ratio| < 10^6
                low = max(low, ((fill - 1) * PPM) // wh + 1)
                high = min(high, -((-(fill + 1) * PPM) // wh) - 1)
        if any(fills) and low <= high:
            found.append((fills, low, high))
    return found


def _linked(book: BlockBook, live: list[int], picked: tuple[Option, ...]) -> bool:
    """Whether ratios that allow the fills go together: each as high as it can be, but no higher than the parent's."""
    chosen = dict(zip(live, picked, strict=True))
    ratios = {position: high for position, (_, _, high) in chosen.items()}
    while True:
        before = dict(ratios)
        for position, (fills, _, _) in chosen.items():
            order = book.entries[position].order
            if order.parent is None or not any(fills):
                continue
            above = book.live.get(order.parent)
            if above is None or book.entries[above].order.payer != order.payer:
                return False
            ratios[position] = min(ratios[position], ratios[above])
        if ratios == before:
            return all(ratios[position] >= low for position, (_, low, _) in chosen.items())


def _priced(book: BlockBook, live: list[int], picked: tuple[Option, ...]) -> bool:
    for prices in itertools.product(range(book.price_cap + 1), repeat=len(book.intervals)):
        for position, (fills, _, _) in zip(live, picked, strict=True):
            order = book.entries[position].order
            gain = sum(wh * (limit - p) for wh, limit, p in zip(fills, order.steps[0].limits, prices, strict=True))
            if gain * (1 if order.side is Side.BID else -1) < 0:
                break
        else:
            return True
    return False
