"""Meters: their keys, their signed windows, forks of their logs."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from app.api.models.base import Model, Uint256, Word


class NewMeter(Model):
    """A meter's public key (BabyJubJub), the next version of an account's, in force from a day on."""

    account: Annotated[int, Field(gt=0, lt=2**32)]
    zone: Annotated[int, Field(gt=0, lt=2**16)] = 1
    x: Uint256
    y: Uint256
    from_day: Annotated[int, Field(gt=0, lt=2**32)]


class MeterKey(Model):
    """A version of an account's meter key, in force from `from_day` until the next version's."""

    account: int
    key: Word
    zone: int
    from_day: int
    state: Literal["bound", "suspended"]


class MeterKeyList(Model):
    items: list[MeterKey]


class SignedWindow(Model):
    """One meter-day as the meter signed it (docs/protocol.md section 8)."""

    account: Annotated[int, Field(gt=0, lt=2**32)]
    key: Annotated[Uint256, Field(description="Word of the key version, decimal.")] | None = None
    window: dict[str, object]


class Fork(Model):
    """Two contradicting windows that a meter signed for a day, and what became of their report to the chain."""

    account: int | None = Field(description="Holder of the key; null where the chain has it no longer.")
    key: Word
    day: int
    interval: int = Field(description="The first in which they differ; the number of intervals where two final heads differ.")
    status: Literal["kept", "failed", "sent", "suspended"]
    error: str | None
    tx: str | None


class ForkList(Model):
    items: list[Fork]
