"""Alerts with their evidence, and why a price is what it is."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from pydantic import Field

from app.api.models.base import Hash, Model, Why
from app.api.models.guardian import ExcludedOrder, Exclusion


class AlertImpact(Model):
    """The session cleared again with the suspect orders at their reference level, or without them; positive where they
    raised the price."""

    ppm: int = Field(description="Part by which the price as cleared is above the other one.")
    money: int = Field(description="What buyers paid more, micro-euro.")
    prices: list[int | None]
    prices_without: list[int | None]
    volumes_wh: list[int]
    volumes_without_wh: list[int]


class Evidence(Model):
    """What a detector found, exactly as it is hashed: keccak-256 of this as JSON with sorted keys and no spaces. The salt keeps
    others from trying what a hash on chain stands for."""

    version: int
    detector: str
    severity: Literal["notice", "alert"]
    session: int
    intervals: list[int]
    accounts: list[int]
    suspects: list[ExcludedOrder]
    figures: dict[str, int]
    impact: AlertImpact | None
    parameters: Hash
    salt: Hash


class AlertDecision(Model):
    outcome: Literal["dismissed", "confirmed"]
    reason: str
    transaction: str


class Alert(Model):
    id: int
    session: int
    detector: str
    severity: Literal["notice", "alert"] = Field(description="A notice accuses nobody.")
    open: bool = Field(description="Nobody has decided about it.")
    made: datetime
    hash: Hash
    evidence: Evidence
    exclusion: Exclusion | None = Field(description="What the guardian could exclude by it while the session is under review.")
    decisions: list[AlertDecision] = Field(description="In the order of the chain; a later one takes none back.")


class AlertPage(Model):
    items: list[Alert]
    next_cursor: str | None


class NewDecision(Model):
    outcome: Literal["dismissed", "confirmed"]
    reason: Why


class MarginalOrder(Model):
    account: int
    side: Literal["bid", "offer"]
    limit: int
    quantity_wh: int
    filled_wh: int = Field(description="Of the whole order in the interval.")


class WithoutAccount(Model):
    account: int
    price: int | None
    volume_wh: int


class IntervalExplanation(Model):
    """`low` and `high` are the ends of the range of prices that clear the volume."""

    interval: int
    price: int | None
    volume_wh: int
    low: int
    high: int
    marginal: list[MarginalOrder] = Field(description="Steps of orders with a limit at either end.")
    without: list[WithoutAccount] = Field(description="The interval without each participant, those that trade most first.")


class Explanation(Model):
    intervals: list[IntervalExplanation]
    participants_left_out: int
