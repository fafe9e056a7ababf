"""What there is on development chains only."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from pydantic import Field

from app.api.models.base import Address, Date, Model


class Holidays(Model):
    """Days that count as no working days; they must lie in the future."""

    dates: Annotated[list[Date], Field(min_length=1, max_length=100)]


class Funds(Model):
    account: Annotated[int, Field(gt=0, lt=2**32)]
    amount: Annotated[int, Field(gt=0, le=10**12, description="micro-euro")]


class Advance(Model):
    """Where to move a development chain's clock: a moment of a session, or a time."""

    session: Annotated[int, Field(ge=1, lt=2**53)] | None = None
    to: Literal["gate_open", "gate_close", "delivery_start", "delivery_end", "settled"] | datetime
    only_clock: bool = Field(False, description="Move the clock and do nothing else.")


class Advanced(Model):
    time: datetime
    done: list[str]


class DevWallet(Model):
    private_key: str
    address: Address
    account: int | None
    warning: str
