"""Supply and demand of one interval as steps, for people and plots: the book's levels with their running sums."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from contracts.units import Side
from market.orders import OrderBook


@dataclass(frozen=True, slots=True)
class Level:
    """All live quantity (Wh) at one price (micro-euro per kWh), and the running sum up to and with it, best price first."""

    price: int
    quantity: int
    cumulative: int


@dataclass(frozen=True, slots=True)
class IntervalLevels:
    """Both curves of one interval of the day: bids from the highest price down, offers from the lowest up."""

    interval: int
    bids: tuple[Level, ...]
    offers: tuple[Level, ...]


def book_levels(book: OrderBook, sold: Mapping[int, int] | None = None) -> list[IntervalLevels]:
    """Levels of every session interval. `sold` maps accounts to masks of the day's intervals where their offers do not
    count."""
    taken = sold or {}
    out = []
    for j, interval in enumerate(book.terms.intervals):
        sums: dict[Side, dict[int, int]] = {Side.BID: {}, Side.OFFER: {}}
        for _, order in book.live:
            if order.side is Side.OFFER and taken.get(order.account, 0) >> interval & 1:
                continue
            for step in order.steps:
                if step.quantities[j]:
                    at = sums[order.side]
                    at[step.limits[j]] = at.get(step.limits[j], 0) + step.quantities[j]
        out.append(IntervalLevels(interval, _levels(sums[Side.BID], True), _levels(sums[Side.OFFER], False)))
    return out


def _levels(sums: Mapping[int, int], descending: bool) -> tuple[Level, ...]:
    levels, total = [], 0
    for price in sorted(sums, reverse=descending):
        total += sums[price]
        levels.append(Level(price, sums[price], total))
    return tuple(levels)
