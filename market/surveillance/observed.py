"""A session as surveillance sees it: terms, log with times, result, and who stands behind each account."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TypeAlias

from contracts.clearing_words import CooperativeCertificate
from contracts.encoding import IntervalCertificate, ScheduleOrder
from contracts.units import Side
from market.clearing.engine import AnyClearing, clear
from market.errors import FieldError
from market.guard import product_of
from market.orders import OrderBook
from market.surveillance import budget

Key: TypeAlias = tuple[int, Side]
"""An order in a session's book: account and side."""


def certificates_of(clearing: AnyClearing) -> tuple[IntervalCertificate | CooperativeCertificate, ...]:
    """A clearing's certificates, by session interval."""
    return clearing.certificates


class ObservedError(FieldError):
    """Values that do not make up a session."""


@dataclass(frozen=True)
class Curve:
    """A live order by session interval: quantities in Wh, and mean limits in micro-euro per kWh weighted by them."""

    quantities: tuple[int, ...]
    limits: tuple[int, ...]

    @classmethod
    def of(cls, order: ScheduleOrder) -> Curve:
        quantities = tuple(map(sum, zip(*(step.quantities for step in order.steps), strict=True)))
        worth = [
            sum(step.quantities[j] * step.limits[j] for step in order.steps) for j in range(len(order.steps[0].quantities))
        ]
        return cls(quantities, tuple(w // q if q else 0 for w, q in zip(worth, quantities, strict=True)))


@dataclass(frozen=True)
class Observed:
    """One session after its gate: the book of its whole log, the time at which each entry came in (UNIX seconds), the masks of
    what accounts had sold before, and the owner behind each account (an account that is not named stands for itself)."""

    book: OrderBook
    times: tuple[int, ...]
    sold: Mapping[int, int] = field(default_factory=dict)
    owners: Mapping[int, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if len(self.times) != len(self.book.orders):
            raise ObservedError("times", f"one for each of the {len(self.book.orders)} entries", len(self.times))
        if any(a > b for a, b in zip(self.times, self.times[1:], strict=False)):
            raise ObservedError("times", "the log's order", "a later entry with an earlier time")

    @property
    def session(self) -> int:
        return self.book.terms.session

    @cached_property
    def product(self) -> int:
        """Zone, kind, direction and mode as one number."""
        terms = self.book.terms
        return product_of(terms.zone.number, int(terms.kind), int(terms.direction), int(terms.mode))

    @cached_property
    def working(self) -> bool:
        return self.book.terms.zone.is_working_day(self.book.terms.day)

    @cached_property
    def clearing(self) -> AnyClearing:
        """The one right clearing of the book. Raises `OutOfTime` like everything that is made of it."""
        budget.check()
        return clear(self.book, self.sold)

    @cached_property
    def certificates(self) -> tuple[IntervalCertificate | CooperativeCertificate, ...]:
        return certificates_of(self.clearing)

    @cached_property
    def prices(self) -> tuple[int | None, ...]:
        """Micro-euro per kWh by session interval, None where nothing cleared."""
        return tuple(certificate.price for certificate in self.certificates)

    @cached_property
    def volumes(self) -> tuple[int, ...]:
        """Wh by session interval."""
        return tuple(certificate.volume for certificate in self.certificates)

    @cached_property
    def live(self) -> dict[Key, ScheduleOrder]:
        """Live orders by account and side, in log order."""
        return {(order.account, order.side): order for _, order in self.book.live}

    @cached_property
    def curves(self) -> dict[Key, Curve]:
        return {key: Curve.of(order) for key, order in self.live.items()}

    @cached_property
    def fills(self) -> dict[Key, tuple[int, ...]]:
        """Wh by session interval of every live order."""
        return {
            (row.account, row.side): row.fills
            for row in self.clearing.rows
            if row.live and (row.account, row.side) in self.live
        }

    @cached_property
    def position_of(self) -> dict[int, int]:
        """Session interval of each interval of the day."""
        return {t: j for j, t in enumerate(self.book.terms.intervals)}

    def owner(self, account: int) -> str:
        """Who stands behind an account."""
        return self.owners.get(account, f"account {account}")

    def controllers(self, order: ScheduleOrder) -> frozenset[str]:
        """Who decides over an order or pays for it: the account's owner, the agent's, the payer's."""
        accounts = {order.account, order.payer} | ({order.agent} if order.agent else set())
        return frozenset(self.owner(account) for account in accounts)

    @cached_property
    def late_cuts(self) -> dict[Key, list[tuple[int, int, int]]]:
        """By account and side, every entry that takes quantity back: (seconds before the gate, Wh before, Wh after)."""
        found: dict[Key, list[tuple[int, int, int]]] = {}
        standing: dict[Key, int] = {}
        for order, time in zip(self.book.orders, self.times, strict=True):
            key = (order.account, order.side)
            quantity = sum(sum(step.quantities) for step in order.steps)
            if key in standing and quantity < standing[key]:
                found.setdefault(key, []).append((self.book.terms.gate_close - time, standing[key], quantity))
            standing[key] = quantity
        return found


History: TypeAlias = Sequence[Observed]
"""Earlier sessions, oldest first; sessions of other products may be among them."""
