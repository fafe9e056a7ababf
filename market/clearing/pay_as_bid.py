"""Pay-as-bid clearing of a session, for comparison only: no contract settles it (docs/market.md).

The trades are those of the uniform price. Every filled Wh is paid at its own limit: a bid pays what it offered to pay, an offer
gets what it asked for, and the whole surplus is left over. Whoever knows that it is paid its own limit would state another one,
so a comparison on one book says what these orders would have cost, not what people would have done.

Integers: fill * limit of a step stays below 2^56, of an entry below 2^58; sums over a book are taken on Python integers.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from contracts.encoding import IntervalCertificate, result_row
from market.clearing.columns import BookColumns, Cleared
from market.clearing.uniform import auction_of
from market.orders import OrderBook


@dataclass(frozen=True)
class PayAsBidClearing(Cleared):
    """Per interval the certificate of the trades, and what bids pay and offers get, Wh times micro-euro per kWh. Each row's
    `gross` is its sum of fill * own limit per interval."""

    certificates: tuple[IntervalCertificate, ...]
    buyers: tuple[int, ...]
    sellers: tuple[int, ...]

    @property
    def volume(self) -> int:
        """What is traded in all intervals together, Wh."""
        return sum(certificate.volume for certificate in self.certificates)

    @property
    def left_over(self) -> int:
        """What buyers pay and nobody gets, Wh times micro-euro per kWh: the surplus."""
        return sum(self.buyers) - sum(self.sellers)


def clear(book: OrderBook, sold: Mapping[int, int] | None = None) -> PayAsBidClearing:
    """Clears a book. `sold` maps accounts to masks of the day's intervals that they sold before; offers take no fill there.

    Raises `OrderError` as the uniform clearing does.
    """
    columns = BookColumns.of(book)
    auction = auction_of(book, columns, sold)
    filled, worth = auction.fills, auction.fills * columns.limits
    starts, bids = columns.starts, columns.bids
    if len(starts) and len(starts) != filled.shape[1]:
        filled, worth = (np.add.reduceat(column, starts, axis=1) for column in (filled, worth))
    costs = np.where(bids, -(-worth // 1000).sum(axis=0), 0)
    rows = tuple(
        result_row(order, live=counts, lock=lock, cost=cost, fills=tuple(fills), gross=tuple(gross) if any(fills) else None)
        for order, counts, lock, cost, fills, gross in zip(
            book.orders, columns.live.tolist(), columns.locks, costs.tolist(), filled.T.tolist(), worth.T.tolist(), strict=True
        )
    )
    buyers, sellers = (tuple(sum(values) for values in worth[:, side].tolist()) for side in (bids, ~bids))
    return PayAsBidClearing(rows, auction.certificates(), buyers, sellers)
