"""Cooperative clearing of all intervals of a session (docs/protocol.md section 7).

The most Wh are matched that can be matched in pairs of which nobody goes beyond its limit, among those the ones with the
greatest surplus, and every filled Wh improves on its limit by the same.

Integers: sort keys and quantity sums as in `uniform`; fill * price of an entry stays below 2^59, and sums of them over a book,
which could pass 63 bits, are taken in two halves of the price.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from contracts.clearing_words import MAX_VOLUME, BookLevel, CooperativeCertificate, level_words
from contracts.encoding import hash_words, result_row
from contracts.units import MAX_PRICE, MAX_QUANTITY
from market.clearing.columns import BookColumns, Cleared, Flags, Integers, withhold
from market.errors import OrderError
from market.orders import OrderBook


@dataclass(frozen=True)
class CooperativeClearing(Cleared):
    """A cleared cooperative session: per interval a certificate and the book's levels, a result row per entry of the log."""

    certificates: tuple[CooperativeCertificate, ...]
    levels: tuple[tuple[BookLevel, ...], ...]

    @property
    def certificate_words(self) -> list[int]:
        return [word for certificate in self.certificates for word in certificate.words()]

    @cached_property
    def certificate_hash(self) -> bytes:
        return hash_words(self.certificate_words)

    @property
    def level_words(self) -> list[int]:
        """The book's levels as `clear` takes them."""
        return level_words(self.levels)

    @property
    def volume(self) -> int:
        """What is traded in all intervals together, Wh."""
        return sum(certificate.volume for certificate in self.certificates)


def clear(book: OrderBook, sold: Mapping[int, int] | None = None) -> CooperativeClearing:
    """Clears a book. `sold` maps accounts to masks of the day's intervals that they sold before; offers take no fill there.

    Raises `OrderError` where quantities or limits do not fit their words or an interval's volume passes 2^40-1 Wh.
    """
    orders, terms, columns = book.orders, book.terms, BookColumns.of(book)
    intervals = len(terms.intervals)
    quantities, limits, starts, live, bids = columns.quantities, columns.limits, columns.starts, columns.live, columns.bids
    steps = columns.steps
    asked = quantities * np.repeat(live, steps)
    step_bids = np.repeat(bids, steps)
    if sold:
        accounts = np.repeat(np.array([order.account for order in orders], dtype=np.int64), steps)
        withhold(asked, accounts, ~step_bids, sold, terms.intervals)
    volume = _volumes(step_bids, asked, limits)
    filled = np.zeros_like(asked)
    _best_first(filled, asked, limits, np.flatnonzero(step_bids), volume, -1)
    _best_first(filled, asked, limits, np.flatnonzero(~step_bids), volume, 1)

    if volume.size and int(volume.max()) > MAX_VOLUME:
        raise OrderError("volume", f"at most {MAX_VOLUME} Wh in an interval", int(volume.max()))
    certificates = []
    own = np.zeros_like(asked)
    for j in range(intervals):
        share = _share(filled[j], limits[j], step_bids)
        own[j] = np.where(step_bids, np.maximum(limits[j] - share, 0), limits[j] + share)
        certificates.append(_certificate(filled[j], limits[j], own[j], step_bids, share))
    worth = filled * own
    if len(starts) and len(starts) != filled.shape[1]:
        filled, worth = (np.add.reduceat(column, starts, axis=1) for column in (filled, worth))
    costs = np.where(bids, -(-worth // 1000).sum(axis=0), 0)
    rows = tuple(
        result_row(order, live=counts, lock=lock, cost=cost, fills=tuple(fills), gross=tuple(gross) if any(fills) else None)
        for order, counts, lock, cost, fills, gross in zip(
            orders, live.tolist(), columns.locks, costs.tolist(), filled.T.tolist(), worth.T.tolist(), strict=True
        )
    )
    levels = tuple(_levels(asked[j], limits[j], step_bids) for j in range(intervals))
    return CooperativeClearing(rows, tuple(certificates), levels)


def _volumes(bids: Flags, quantities: Integers, limits: Integers) -> Integers:
    """Per interval the most that can be matched: the least, over all prices, of bids from it on and offers below it."""
    if not quantities.shape[1]:
        return np.zeros(len(quantities), dtype=np.int64)
    keys = limits << 25 | quantities
    keys[:, bids] |= 1 << 24  # at one price offers come first, so that no place between equal prices is below the least
    keys.sort(axis=1)
    here = keys & MAX_QUANTITY
    is_bid = keys >> 24 & 1
    behind = np.cumsum(here * (1 - is_bid), axis=1)
    before = np.cumsum(here * is_bid, axis=1)
    asked = before[:, -1:]
    most: Integers = np.minimum((asked - before + behind).min(axis=1), asked[:, 0])
    return most


def _best_first(
    filled: Integers, quantities: Integers, limits: Integers, at: NDArray[np.intp], volume: Integers, sign: int
) -> None:
    """Fills one side up to the volume, in place: lowest limits first with `sign` 1, highest with -1, ties in log order."""
    amounts = quantities[:, at]
    order = np.argsort(sign * limits[:, at], axis=1, kind="stable")
    ranked = np.take_along_axis(amounts, order, axis=1)
    before = np.cumsum(ranked, axis=1) - ranked
    taken = np.clip(volume[:, None] - before, 0, ranked)
    fills = np.empty_like(amounts)
    np.put_along_axis(fills, order, taken, axis=1)
    filled[:, at] = fills


def _worth(filled: Integers, prices: Integers) -> int:
    """`sum filled * prices`, of any size."""
    return (int((filled * (prices >> 16)).sum()) << 16) + int((filled * (prices & 0xFFFF)).sum())


def _share(filled: Integers, limits: Integers, bids: Flags) -> int:
    """The largest whole improvement s that the surplus pays for: `sum min(s, limit) * fill` of bids, `V * s` of offers."""
    volume = int(filled[bids].sum())
    if not volume:
        return 0
    amounts, prices = filled[bids], limits[bids]
    surplus = _worth(amounts, prices) - _worth(filled[~bids], limits[~bids])
    least, most = surplus // (2 * volume), surplus // volume
    if least < int(prices[amounts > 0].min()):
        return least
    while least < most:
        middle = (least + most + 1) // 2
        if _worth(amounts, np.minimum(prices, middle)) + volume * middle <= surplus:
            least = middle
        else:
            most = middle - 1
    return least


def _certificate(filled: Integers, limits: Integers, own: Integers, bids: Flags, share: int) -> CooperativeCertificate:
    volume = int(filled[bids].sum())
    if not volume:
        return CooperativeCertificate(MAX_PRICE, 0, 0, 0, 0, 0, 0, 0)
    bid_edge = int(limits[bids & (filled > 0)].min())
    offer_edge = int(limits[~bids & (filled > 0)].max())
    return CooperativeCertificate(
        bid_edge,
        offer_edge,
        volume,
        int(filled[bids & (limits == bid_edge)].sum()),
        int(filled[~bids & (limits == offer_edge)].sum()),
        share,
        _worth(filled[bids], own[bids]),
        _worth(filled[~bids], own[~bids]),
    )


def _levels(quantities: Integers, limits: Integers, bids: Flags) -> tuple[BookLevel, ...]:
    """The distinct limits of an interval with what is wanted and offered there."""
    there = quantities > 0
    prices, place = np.unique(limits[there], return_inverse=True)
    sums = []
    for side in (bids[there], ~bids[there]):
        column = np.zeros(len(prices), dtype=np.int64)
        np.add.at(column, place, quantities[there] * side)
        sums.append(column.tolist())
    return tuple(BookLevel(*level) for level in zip(prices.tolist(), *sums, strict=True))
