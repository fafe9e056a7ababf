"""What a guardian decides about a session."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from app.api.models.base import Hash, Model, Why


class Reason(Model):
    reason: Why


class ExcludedOrder(Model):
    account: Annotated[int, Field(gt=0, lt=2**32)]
    side: Literal["bid", "offer"]


class Exclusion(Model):
    """Orders of a session under review that are not traded, and the hash of what is to be said for it."""

    orders: Annotated[list[ExcludedOrder], Field(min_length=1, max_length=1000)]
    evidence: Hash


class NewExemption(Model):
    account: Annotated[int, Field(gt=0, lt=2**32)]
    intervals: Annotated[list[Annotated[int, Field(ge=0, lt=96)]], Field(min_length=1, max_length=96)]
    reason: Why
