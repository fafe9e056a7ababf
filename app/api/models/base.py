"""What every model of the API is, and values that several of them have."""

from __future__ import annotations

from datetime import date
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

Address = Annotated[str, Field(pattern=r"^0x[0-9a-fA-F]{40}$", examples=["0x70997970C51812dc3A010C7d01b50e0d17dc79C8"])]
Word = Annotated[str, Field(pattern=r"^0x[0-9a-fA-F]{1,64}$", description="A 256-bit word in hexadecimal.", examples=["0x07"])]
Date = Annotated[date, Field(ge=date(1970, 1, 2), le=date(9999, 12, 31))]
Hash = Annotated[str, Field(pattern=r"^0x[0-9a-fA-F]{64}$")]


class Model(BaseModel):
    """Unknown fields are refused, so that a misspelt one is not silently ignored."""

    model_config = ConfigDict(extra="forbid")


Why = Annotated[str, Field(min_length=1, max_length=500, description="Public, for ever.")]
DayIntervals = Annotated[list[Annotated[int, Field(ge=0, lt=96)]], Field(max_length=96)]


class Done(Model):
    """What an operator's action did."""

    done: list[str]
