"""Energy, price, money, ratio and direction as small immutable integer types (docs/protocol.md section 1).

A bare `int` crosses a boundary (JSON, calldata, database) through `.value`; inside, mixing units is a `TypeError`.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from functools import total_ordering
from typing import Self

PPM = 1_000_000
"""Parts per million in one."""

MAX_QUANTITY = (1 << 24) - 1
"""Largest quantity of one order entry, Wh."""

MAX_PRICE = (1 << 32) - 1
"""Largest price, micro-euro per kWh."""


class Side(IntEnum):
    """Side of an order. A bid buys flexibility, an offer sells it."""

    BID = 0
    OFFER = 1


class Direction(IntEnum):
    """Direction of regulation: UP is less net consumption, DOWN is more."""

    UP = 0
    DOWN = 1

    @property
    def sign(self) -> int:
        """+1 for UP, -1 for DOWN: `delivered = sign * (baseline - metered)`."""
        return 1 if self is Direction.UP else -1


class Kind(IntEnum):
    """Kind of flexibility."""

    ELECTRICAL = 0
    THERMAL = 1
    COMFORT = 2


class Mode(IntEnum):
    """How a session is cleared."""

    COMPETITIVE = 0
    COOPERATIVE = 1
    BLOCK = 2
    REQUEST = 3


class SessionState(IntEnum):
    """States of a session, numbered as in the contract (docs/protocol.md section 5)."""

    SCHEDULED = 0
    OPEN = 1
    CLOSED = 2
    CLEARED = 3
    UNDER_REVIEW = 4
    DELIVERING = 5
    SETTLING = 6
    SETTLED = 7
    CANCELLED = 8


@total_ordering
@dataclass(frozen=True, slots=True)
class _Unit:
    value: int

    def __post_init__(self) -> None:
        if type(self.value) is not int:
            raise TypeError(f"{type(self).__name__} takes a whole number, got {self.value!r}")

    def _same(self, other: object) -> int:
        if type(other) is not type(self):
            raise TypeError(f"cannot combine {type(self).__name__} with {type(other).__name__}")
        return other.value  # type: ignore[attr-defined, no-any-return]

    def __add__(self, other: Self) -> Self:
        return type(self)(self.value + self._same(other))

    def __sub__(self, other: Self) -> Self:
        return type(self)(self.value - self._same(other))

    def __neg__(self) -> Self:
        return type(self)(-self.value)

    def __lt__(self, other: Self) -> bool:
        return self.value < self._same(other)

    def __int__(self) -> int:
        return self.value


class Energy(_Unit):
    """Energy in Wh (signed where it is a deviation or a net load)."""

    def __str__(self) -> str:
        return f"{self.value / 1000:,.3f} kWh"


class Price(_Unit):
    """Price in micro-euro per kWh, 0 to 2^32-1."""

    def __post_init__(self) -> None:
        _Unit.__post_init__(self)
        if not 0 <= self.value <= MAX_PRICE:
            raise ValueError(f"price must lie in 0..{MAX_PRICE} micro-euro per kWh, got {self.value}")

    def __str__(self) -> str:
        return f"{self.value / 1_000_000:.4f} EUR/kWh"


class Money(_Unit):
    """Money in micro-euro, signed."""

    def __str__(self) -> str:
        return f"{self.value / 1_000_000:,.6f} EUR"


def ceil_div(numerator: int, denominator: int) -> int:
    """`numerator / denominator` rounded up, for a non-negative numerator and a positive denominator."""
    return -(-numerator // denominator)


def received(energy: Energy, price: Price) -> Money:
    """What a participant receives for `energy` at `price`: rounded down."""
    return Money(energy.value * price.value // 1000)


def paid(energy: Energy, price: Price) -> Money:
    """What a participant pays for `energy` at `price`: rounded up."""
    return Money(ceil_div(energy.value * price.value, 1000))
