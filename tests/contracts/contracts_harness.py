"""The pure libraries on a chain: many cases a call."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from contracts_twin import ClearedBook, clear_book
from contracts_world import key_of

from contracts.artifacts import load
from contracts.chain import Chain, open_chain
from contracts.encoding import ScheduleOrder, StatedTerms, batch_words
from contracts.orderlog import OrderLog


@dataclass(frozen=True)
class Rules:
    intervals: int
    price_cap: int = 2**32 - 1
    min_quantity: int = 0
    collateral_ppm: int = 500_000

    def values(self) -> tuple[int, int, int, int, bool]:
        return self.intervals, self.price_cap, self.min_quantity, self.collateral_ppm, False


@dataclass(frozen=True)
class Book:
    """A log for the harness."""

    orders: Sequence[ScheduleOrder]
    rules: Rules
    mask: int = 0
    sold: Mapping[int, int] = field(default_factory=dict)

    @property
    def day_mask(self) -> int:
        return self.mask or (1 << self.rules.intervals) - 1

    @property
    def log(self) -> OrderLog:
        terms = StatedTerms((1 << self.rules.intervals) - 1, self.rules.price_cap, self.rules.collateral_ppm)
        return OrderLog.of([batch_words(self.orders, terms)] if self.orders else [], self.rules.intervals)

    def cleared(self) -> ClearedBook:
        intervals = [t for t in range(96) if self.day_mask >> t & 1]
        return clear_book(self.log, intervals, self.rules.price_cap, self.rules.collateral_ppm, self.sold)

    def values(self, live: Sequence[int] | None = None, hints: Sequence[int] | None = None) -> tuple[Any, ...]:
        own_live, own_hints = self.log.table()
        return (
            self.day_mask,
            self.rules.values(),
            len(self.orders),
            self.log.words,
            own_live if live is None else live,
            own_hints if hints is None else hints,
            [x for pair in self.sold.items() for x in pair],
        )


class Harness:
    """LibraryHarness on a chain."""

    def __init__(self, backend: str) -> None:
        self.chain: Chain = open_chain(backend, 1_500_000_000)
        from eth_account import Account

        self.chain.fund(Account.from_key(key_of("deployer")).address)
        self.artifact = load("test/LibraryHarness")
        created = self.chain.transact(None, self.artifact.creation(), key_of("deployer")).contract
        assert created
        self.address = created

    def call(self, function: str, *values: Any) -> Any:
        entry = self.artifact.functions[function]
        return entry.result(self.chain.call(self.address, entry.call(*values)))

    def accepted(self, books: Sequence[Book], certificates: Sequence[Sequence[int]]) -> list[list[bool]]:
        """Per book and certificate (K words each, one after the other): does it pass?"""
        return list(self.call("clearMany", [book.values() for book in books], certificates))

    def groups(self, book: Book, certificate: Sequence[int], **table: Sequence[int]) -> list[bytes]:
        """Group hashes of a book's clearing; raises `ContractRefusal`."""
        return list(self.call("check", book.values(**table), certificate))
