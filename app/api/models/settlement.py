"""What was promised, delivered, paid and forfeited."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from app.api.models.base import Model


class Delivery(Model):
    account: int
    label: str | None
    promised: list[int]
    delivered: list[int] | None
    deviations: list[int] | None
    state: Literal["waiting", "proving", "verified", "failed"]
    error: str | None
    tx: str | None
    batch: int | None = Field(
        description="Number of the session's proof that the account was recorded by; others may share it."
    )
    verify_gas: int | None = Field(description="Gas of the transaction, divided by the accounts that it recorded.")
    witness_ms: float | None = Field(description="Milliseconds for the whole proof.")
    prove_ms: float | None = Field(description="Milliseconds for the whole proof.")
    constraints: int | None


class DeliveryPage(Model):
    items: list[Delivery]


class StatementLine(Model):
    interval: int
    fill_wh: int
    price: int
    delivered_wh: int | None
    ratio_ppm: int | None
    paid_ppm: int | None
    earned: int
    unpaid: int
    penalty: int
    refund: int
    exempted: bool = Field(False, description="The guardian has exempted the interval: no penalty, no rating.")


class Statement(Model):
    account: int
    label: str | None
    role: Literal["seller", "buyer"]
    payer: int = Field(description="The account whose money it is: the account or its agent.")
    final: bool = Field(description="Whether the contract has settled it; until then the figures are as if nothing more came.")
    earned: int
    unpaid: int
    penalty: int
    fee: int = Field(description="Part of what was earned that goes to the session's fee account.")
    rating: int = Field(description="1 + what was delivered of what was sold, in ten-thousandths; 0 where nothing is to rate.")
    cost: int
    refund: int
    net: int
    lines: list[StatementLine]


class StatementPage(Model):
    items: list[Statement]
