"""Members: their account, who may sign for it, their forecast."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from pydantic import AfterValidator, Field
from pydantic_core import PydanticCustomError

from app.api.models.base import Address, Model


class Delegate(Model):
    """The account whose owner may place orders for another account, and who that owner is."""

    account: int
    owner: Address


class Account(Model):
    index: int
    owner: Address
    delegate: Delegate | None
    label: str | None
    meter: Literal["none", "bound", "suspended"] = Field(
        description="State of the newest key version. Only with a bound one the account offers; a suspended one signed two "
        "histories."
    )
    envelope_wh: int = Field(description="The most that it may offer in an interval of a cooperative session; 0 without one.")
    available: int
    locked: int
    reputation: int = Field(description="0: never rated; otherwise 1 + what it delivers of what it sells, in ten-thousandths.")


class Signer(Model):
    """Someone who signs orders. What was signed under an earlier counter can be used no more."""

    address: Address
    counter: str = Field(description="Decimal, below 2^256.")


class AccountPage(Model):
    items: list[Account]
    next_cursor: str | None


def _printable(value: str) -> str:
    """Without the blanks around it; control and direction characters would show another text than there is."""
    trimmed = value.strip()
    if not trimmed or not trimmed.isprintable():
        raise PydanticCustomError("label", "printable characters, at least one that is not blank")
    return trimmed


class NewAccount(Model):
    owner: Address
    label: Annotated[str, Field(max_length=40, description="Printable characters."), AfterValidator(_printable)] | None = None


class DayLoad(Model):
    net_load_wh: list[int]


class Forecast(Model):
    intervals: list[int]
    starts: list[datetime]
    load_wh: list[int]
    pv_wh: list[int]
    net_load_wh: list[int]
    baseline_wh: list[int] | None
    flexible_wh: list[int]
    method: str
    day: DayLoad
