"""The clearing of a session in whichever mode it has: engine and independent checker behind one name each.

Results of both modes have the same attributes for whoever sends, commits, compares or settles them: `certificates`, `rows`,
`certificate_words`, `certificate_hash`, `level_words` (empty in a competitive session), `volume`, `groups`, `group_hashes`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeAlias

from contracts.units import Mode
from market.clearing import cooperative, uniform
from market.clearing.certificate import check_clearing
from market.clearing.checked_log import Verdict
from market.clearing.checker import check_cooperative
from market.clearing.cooperative import CooperativeClearing
from market.clearing.uniform import Clearing
from market.errors import OrderError
from market.orders import OrderBook

AnyClearing: TypeAlias = Clearing | CooperativeClearing

CLEARED_FROM_LOG = (Mode.COMPETITIVE, Mode.COOPERATIVE)
"""Modes whose result follows from the order log alone."""


def clear(book: OrderBook, sold: Mapping[int, int] | None = None) -> AnyClearing:
    """The one right clearing of a book. `sold` maps accounts to masks of the day's intervals that they sold before."""
    if book.terms.mode is Mode.COMPETITIVE:
        return uniform.clear(book, sold)
    if book.terms.mode is Mode.COOPERATIVE:
        return cooperative.clear(book, sold)
    raise OrderError("mode", "competitive or cooperative", book.terms.mode.name.lower())


def check(book: OrderBook, clearing: AnyClearing, sold: Mapping[int, int] | None = None) -> Verdict:
    """Whether `clearing` is the one right clearing of a book, by code that shares nothing with the engines."""
    if isinstance(clearing, CooperativeClearing):
        if book.terms.mode is not Mode.COOPERATIVE:
            return Verdict(f"a cooperative clearing of a {book.terms.mode.name.lower()} session")
        return check_cooperative(book, clearing.certificates, clearing.levels, clearing.rows, sold)
    if book.terms.mode is not Mode.COMPETITIVE:
        return Verdict(f"a competitive clearing of a {book.terms.mode.name.lower()} session")
    return check_clearing(book, clearing.certificates, clearing.rows, sold)
