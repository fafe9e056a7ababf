"""An order book as columns of integers, which all engines work on, and what all of them leave: rows, groups, hashes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from contracts.encoding import GROUP_ROWS, ResultRow, ScheduleOrder, groups_of, hash_words
from contracts.units import MAX_PRICE, MAX_QUANTITY, Side, ceil_div
from market.errors import OrderError
from market.orders import OrderBook

Integers = NDArray[np.int64]
Flags = NDArray[np.bool_]


@dataclass(frozen=True)
class Cleared:
    """What every engine leaves: a result row per entry of the log."""

    rows: tuple[ResultRow, ...]

    @property
    def groups(self) -> list[tuple[ResultRow, ...]]:
        """Rows by groups of 16, as `commit` and `settle` take them."""
        return [self.rows[at : at + GROUP_ROWS] for at in range(0, len(self.rows), GROUP_ROWS)]

    @cached_property
    def group_hashes(self) -> list[bytes]:
        return [hash_words(words) for words in groups_of(self.rows)]


@dataclass(frozen=True)
class BookColumns:
    """A book by entry (N) and by step (S): quantities in Wh and limits in micro-euro per kWh, both (K, S)."""

    quantities: Integers
    limits: Integers
    starts: NDArray[np.intp]
    """First step of each entry (N)."""
    live: Flags
    """Entries that count (N)."""
    bids: Flags
    """Entries that bid (N)."""
    locks: list[int]
    """Micro-euro (N)."""

    @classmethod
    def of(cls, book: OrderBook) -> BookColumns:
        """Raises `OrderError` where quantities or limits do not fit their words."""
        orders, terms = book.orders, book.terms
        quantities, limits, starts = _quantities_and_limits(orders, len(terms.intervals))
        live = np.zeros(len(orders), dtype=np.bool_)
        live[[position for position in book.last.values() if book.counts(position)]] = True
        bids = np.array([order.side is Side.BID for order in orders], dtype=np.bool_)
        locks = _locks(quantities, limits, starts, bids, terms.price_cap, terms.collateral_ppm)
        return cls(quantities, limits, starts, live, bids, locks)

    @property
    def steps(self) -> NDArray[np.intp]:
        """Steps of each entry (N)."""
        return np.diff(self.starts, append=self.quantities.shape[1])


def _quantities_and_limits(orders: Sequence[ScheduleOrder], intervals: int) -> tuple[Integers, Integers, NDArray[np.intp]]:
    """Quantities and limits (K, steps) of all entries in log order, and each entry's first step."""
    starts = np.cumsum([0] + [len(order.steps) for order in orders[:-1]], dtype=np.intp) if orders else np.zeros(0, np.intp)
    columns = []
    for name, largest in (("quantities", MAX_QUANTITY), ("limits", MAX_PRICE)):
        values = [getattr(step, name) for order in orders for step in order.steps]
        if any(len(row) != intervals for row in values):
            raise OrderError(f"steps.{name}", f"{intervals} values", "an entry of another length")
        column = np.ascontiguousarray(np.array(values, dtype=np.int64).reshape(len(values), intervals).T)
        if column.size and not 0 <= column.min() <= column.max() <= largest:
            raise OrderError(f"steps.{name}", f"0..{largest}", f"{column.min()}..{column.max()}")
        columns.append(column)
    return columns[0], columns[1], starts


def _locks(
    quantities: Integers, limits: Integers, starts: NDArray[np.intp], bids: Flags, price_cap: int, collateral_ppm: int
) -> list[int]:
    """Micro-euro locked by each entry: `ScheduleOrder.lock` on columns."""
    if not len(starts):
        return []
    payable = np.add.reduceat(-(-quantities * limits // 1000).sum(axis=0), starts)
    offered = np.add.reduceat(quantities.sum(axis=0), starts)
    rate = collateral_ppm * price_cap
    return [
        paid if is_bid else ceil_div(rate * wh, 10**9)
        for is_bid, paid, wh in zip(bids.tolist(), payable.tolist(), offered.tolist(), strict=True)
    ]


def withhold(asked: Integers, accounts: Integers, offers: Flags, sold: Mapping[int, int], intervals: tuple[int, ...]) -> None:
    """Sets offers over intervals that their account sold before to zero, in place."""
    masks = {account: [j for j, interval in enumerate(intervals) if mask >> interval & 1] for account, mask in sold.items()}
    affected = np.flatnonzero(offers & np.isin(accounts, list(masks)))
    for column in affected.tolist():
        asked[masks[int(accounts[column])], column] = 0
