"""What there is on development chains only."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal, get_args

from pydantic import BeforeValidator, Field
from pydantic_core import PydanticCustomError

from app.api.models.base import Address, Date, Model, read_time

Moment = Literal["gate_open", "gate_close", "delivery_start", "delivery_end", "settled"]


def _moment(value: Any) -> Any:
    moments = get_args(Moment)
    try:
        return value if value in moments else read_time(value)
    except PydanticCustomError as error:
        raise PydanticCustomError("moment", f"{', '.join(moments)}, or {error.message()}") from None  # type: ignore[misc]


class Holidays(Model):
    """Days that count as no working days; they must lie in the future."""

    dates: Annotated[list[Date], Field(min_length=1, max_length=100)]


class Funds(Model):
    account: Annotated[int, Field(gt=0, lt=2**32)]
    amount: Annotated[int, Field(gt=0, le=10**12, description="micro-euro")]


class Advance(Model):
    """Where to move a development chain's clock: a moment of a session, or a time."""

    session: Annotated[int, Field(ge=1, lt=2**53)] | None = None
    to: Annotated[Moment | datetime, BeforeValidator(_moment)]
    only_clock: bool = Field(False, description="Move the clock and do nothing else.")


class Advanced(Model):
    time: datetime
    done: list[str]


class DevWallet(Model):
    private_key: str
    address: Address
    account: int | None
    warning: str
