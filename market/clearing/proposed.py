"""The clearing of a block session as an accepted proposal states it (docs/protocol.md section 12): checked, not searched."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from contracts.block_words import BlockBook, BlockSolution
from contracts.encoding import IntervalCertificate, LoggedOrder
from market.clearing.blocks_check import check_blocks
from market.clearing.uniform import Clearing
from market.errors import OrderError
from market.orders import OrderBook


@dataclass(frozen=True)
class ProposedClearing(Clearing):
    """What a feasible proposal comes to; `welfare` in Wh times micro-euro per kWh."""

    welfare: int


def block_book(book: OrderBook, sold: Mapping[int, int] | None = None) -> BlockBook:
    """A session's book as the search and the checker of blocks take it."""
    entries = tuple(LoggedOrder(order, lock) for order, lock in zip(book.orders, book.locks(), strict=True))
    return BlockBook(entries, book.terms.intervals, book.terms.price_cap, dict(sold or {}))


def proposed(book: OrderBook, solution: BlockSolution, sold: Mapping[int, int] | None = None) -> ProposedClearing:
    """The clearing that `solution` is; raises `OrderError` where it is not feasible. That there is none better, nobody can
    say: for that there was the challenge."""
    verdict = check_blocks(block_book(book, sold), solution)
    if not verdict.accepted:
        raise OrderError("proposal", "a feasible one", verdict.reason)
    certificates = tuple(IntervalCertificate.from_word(word) for word in solution.certificate())
    return ProposedClearing(verdict.rows, certificates, verdict.welfare)
