"""Uniform-price clearing of all intervals of a session at once (docs/protocol.md section 7).

Per interval all orders are sorted by price, at one price offers before bids. Walking up that merit order, `supply` grows and
`demand` (what bids beyond the walked price still ask for) shrinks; the largest of `min(supply, demand)` is the volume, and the
ends of the price range are the first prices at which a monotone condition on supply or demand turns true. One sort and two
running sums do it for every interval together.

Integers: a sort key holds `price:32 | is bid:1 | quantity:24` in 57 bits; a quantity sum of 2^38 entries fits 63 bits; a fill
of one entry is below 2^26, so that fill * price stays below 2^58. Collateral can pass 64 bits and is computed on Python
integers.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from contracts.encoding import IntervalCertificate, hash_words, result_row
from contracts.units import MAX_PRICE, MAX_QUANTITY
from market.clearing.columns import BookColumns, Cleared, Flags, Integers, withhold
from market.errors import OrderError
from market.orders import OrderBook

MAX_VOLUME = (1 << 40) - 1
"""Largest volume of one interval that the certificate can hold, Wh."""


@dataclass(frozen=True)
class Auction:
    """Result of the engine: per interval (shape K) the price range in micro-euro per kWh, volume and rests in Wh; fills (K, N)
    in Wh."""

    lo: Integers
    hi: Integers
    volume: Integers
    rest_bids: Integers
    rest_offers: Integers
    fills: Integers

    @property
    def price(self) -> Integers:
        """Clearing price, micro-euro per kWh; 0 where nothing cleared."""
        return np.where(self.volume > 0, (self.lo + self.hi) // 2, 0)

    def certificates(self) -> tuple[IntervalCertificate, ...]:
        """Raises `OrderError` where a volume passes 2^40-1 Wh."""
        if self.volume.size and int(self.volume.max()) > MAX_VOLUME:
            raise OrderError("volume", f"at most {MAX_VOLUME} Wh in an interval", int(self.volume.max()))
        columns = (self.lo, self.hi, self.volume, self.rest_bids, self.rest_offers)
        return tuple(IntervalCertificate(*values) for values in zip(*(column.tolist() for column in columns), strict=True))


@dataclass(frozen=True)
class Clearing(Cleared):
    """A cleared session: a certificate per session interval and a result row per entry of the log."""

    certificates: tuple[IntervalCertificate, ...]

    @property
    def certificate_words(self) -> list[int]:
        return [certificate.word() for certificate in self.certificates]

    @cached_property
    def certificate_hash(self) -> bytes:
        return hash_words(self.certificate_words)

    @property
    def level_words(self) -> list[int]:
        """The book's levels, which a certificate of one price does not need."""
        return []

    @property
    def volume(self) -> int:
        """What is traded in all intervals together, Wh."""
        return sum(certificate.volume for certificate in self.certificates)


def clear(book: OrderBook, sold: Mapping[int, int] | None = None) -> Clearing:
    """Clears a book. `sold` maps accounts to masks of the day's intervals that they sold before; offers take no fill there.

    Raises `OrderError` where quantities or limits do not fit their words or an interval's volume passes 2^40-1 Wh.
    """
    orders, columns = book.orders, BookColumns.of(book)
    auction = auction_of(book, columns, sold)
    filled, starts, live, bids = auction.fills, columns.starts, columns.live, columns.bids
    fills = filled if len(starts) == filled.shape[1] else np.add.reduceat(filled, starts, axis=1)
    costs = np.where(bids, -(-fills * auction.price[:, None] // 1000).sum(axis=0), 0)

    rows = tuple(
        result_row(order, live=counts, lock=lock, cost=cost, fills=tuple(row))
        for order, counts, lock, cost, row in zip(
            orders, live.tolist(), columns.locks, costs.tolist(), fills.T.tolist(), strict=True
        )
    )
    return Clearing(rows, auction.certificates())


def auction_of(book: OrderBook, columns: BookColumns, sold: Mapping[int, int] | None = None) -> Auction:
    """The auction of a book whose `columns` these are, with a fill for every step of the log, live or not."""
    steps = columns.steps
    alive = np.repeat(columns.live, steps)
    step_bids = np.repeat(columns.bids, steps)
    whole = bool(alive.all())
    asked = columns.quantities if whole else columns.quantities[:, alive]
    if sold:
        asked = asked.copy()
        accounts = np.repeat(np.array([order.account for order in book.orders], dtype=np.int64), steps)[alive]
        withhold(asked, accounts, ~step_bids[alive], sold, book.terms.intervals)
    auction = auction_columns(step_bids[alive], asked, columns.limits if whole else columns.limits[:, alive])
    if whole:
        return auction
    filled = np.zeros_like(columns.quantities)
    filled[:, alive] = auction.fills
    return replace(auction, fills=filled)


def auction_columns(bids: Flags, quantities: Integers, limits: Integers) -> Auction:
    """The engine on columns: `bids` (N,) tells the sides; `quantities` in Wh and `limits` in micro-euro per kWh, both (K, N),
    in log order."""
    intervals, entries = quantities.shape
    zeros = np.zeros(intervals, dtype=np.int64)
    if not entries:
        return Auction(zeros, zeros + MAX_PRICE, zeros, zeros, zeros, quantities)
    lo, hi, volume = _price_ranges(bids, quantities, limits)
    fills = np.empty_like(quantities)
    bid_at, offer_at = np.flatnonzero(bids), np.flatnonzero(~bids)
    rest_bids = _fill(fills, quantities, limits, bid_at, hi, volume, above=True)
    rest_offers = _fill(fills, quantities, limits, offer_at, lo, volume, above=False)
    return Auction(lo, hi, volume, rest_bids, rest_offers, fills)


def _price_ranges(bids: Flags, quantities: Integers, limits: Integers) -> tuple[Integers, Integers, Integers]:
    """`lo`, `hi` and volume of every interval."""
    keys = limits << 25
    keys |= quantities
    keys[:, bids] |= 1 << 24
    keys.sort(axis=1)
    prices = keys >> 25
    supply = keys & MAX_QUANTITY
    walked = supply * (keys >> 24 & 1)
    supply -= walked
    np.cumsum(supply, axis=1, out=supply)
    asked = walked.sum(axis=1)
    demand = np.cumsum(walked, axis=1, out=walked)
    np.subtract(asked[:, None], demand, out=demand)
    volume = np.minimum(supply, demand).max(axis=1)

    trades = volume > 0
    line = volume[:, None]
    # The lowest price: enough is offered (supply >= volume), and bids beyond it ask for no more than the volume.
    enough = np.where(trades, _price_where(prices, supply < line, 0), 0)
    quiet = np.where(asked <= volume, 0, _price_where(prices, demand > line, 0))
    # The highest price: enough is asked for (demand >= volume up to it), and offers below it give no more than the volume.
    wanted = np.where(trades, _price_where(prices, demand >= line, MAX_PRICE), MAX_PRICE)
    modest = _price_where(prices, supply <= line, MAX_PRICE)
    return np.maximum(enough, quiet), np.minimum(wanted, modest), volume


def _price_where(prices: Integers, holding: Flags, beyond: int) -> Integers:
    """Per row the price at which a condition that holds from the left stops holding; `beyond` where it never stops."""
    stops = np.count_nonzero(holding, axis=1)
    last = prices.shape[1] - 1
    return np.where(stops > last, beyond, prices[np.arange(len(prices)), np.minimum(stops, last)])


def _fill(
    fills: Integers,
    quantities: Integers,
    limits: Integers,
    at: NDArray[np.intp],
    edge: Integers,
    volume: Integers,
    *,
    above: bool,
) -> Integers:
    """Fills one side: whole beyond the edge price, at it what is left of the volume in log order. Returns what was left."""
    amounts, prices = quantities[:, at], limits[:, at]
    beyond = amounts * (prices > edge[:, None] if above else prices < edge[:, None])
    marginal = amounts * (prices == edge[:, None])
    rest: Integers = volume - beyond.sum(axis=1)
    before = np.cumsum(marginal, axis=1)
    before -= marginal
    np.subtract(rest[:, None], before, out=before)
    np.maximum(before, 0, out=before)
    np.minimum(before, marginal, out=before)
    before += beyond
    fills[:, at] = before
    return rest
