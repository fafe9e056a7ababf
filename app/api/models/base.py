"""What every model of the API is, and values that several of them have."""

from __future__ import annotations

from datetime import date, datetime
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field
from pydantic_core import PydanticCustomError


def read_time(value: Any) -> datetime:
    """A time as JSON has it; numbers are none."""
    try:
        return datetime.fromisoformat(value)
    except (TypeError, ValueError):
        raise PydanticCustomError("time", "an ISO 8601 time with Z or an offset, such as 2017-07-12T10:00:00Z") from None


def _read_date(value: Any) -> date:
    try:
        return date.fromisoformat(value)
    except (TypeError, ValueError):
        raise PydanticCustomError("date", "an ISO 8601 date, such as 2017-07-12") from None


Address = Annotated[str, Field(pattern=r"^0x[0-9a-fA-F]{40}$", examples=["0x70997970C51812dc3A010C7d01b50e0d17dc79C8"])]
Word = Annotated[str, Field(pattern=r"^0x[0-9a-fA-F]{1,64}$", description="A 256-bit word in hexadecimal.", examples=["0x07"])]
Date = Annotated[date, BeforeValidator(_read_date), Field(ge=date(1970, 1, 2), le=date(9999, 12, 31))]
Time = Annotated[datetime, BeforeValidator(read_time)]
Uint256 = Annotated[str, Field(pattern=r"^(0|[1-9][0-9]{0,77})$", description="Decimal, below 2^256.")]
Hash = Annotated[str, Field(pattern=r"^0x[0-9a-fA-F]{64}$")]


class Model(BaseModel):
    """Unknown fields are refused, so that a misspelt one is not silently ignored; no value is taken for one of another type."""

    model_config = ConfigDict(extra="forbid", strict=True)


Why = Annotated[str, Field(min_length=1, max_length=500, description="Public, for ever.")]
DayIntervals = Annotated[list[Annotated[int, Field(ge=0, lt=96)]], Field(max_length=96)]


class Done(Model):
    """What an operator's action did."""

    done: list[str]
