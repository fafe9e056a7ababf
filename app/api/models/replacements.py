"""Who takes over what another fails to deliver."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field

from app.api.models.base import Address, DayIntervals, Model


class TakenOver(Model):
    """A replacement that was made; `extra` is what it cost the member's lock, micro-euro."""

    account: int
    label: str | None
    reserve: int
    reserve_label: str | None
    intervals: list[int]
    extra: int
    consented: bool


class FailingMember(Model):
    """A seller whose records show too little in `intervals`; with `needed` of them it can be replaced without its consent, with
    null never."""

    account: int
    label: str | None
    intervals: list[int]
    needed: int | None
    replaceable: bool


class Replacements(Model):
    items: list[TakenOver]
    failing: list[FailingMember]


class StandIn(Model):
    """What `reserve` would take over, Wh in each of `intervals`, for `extra` micro-euro of the member's lock."""

    reserve: int
    intervals: list[int]
    wh: list[int]
    extra: int


class StandIns(Model):
    """In merit order."""

    items: list[StandIn]


class NewReplacement(Model):
    """Intervals that are left out are all that are still to come."""

    account: Annotated[int, Field(gt=0, lt=2**32)]
    intervals: DayIntervals = Field(default=[])


class ConsentDraft(Model):
    """What a member is asked to sign, as a wallet's `eth_signTypedData_v4` takes it; `most` micro-euro of its lock."""

    most: int
    typed_data: dict[str, Any]


class Consented(Model):
    """A member's signed word that a reserve takes over."""

    account: Annotated[int, Field(gt=0, lt=2**32)]
    reserve: Annotated[int, Field(gt=0, lt=2**32)]
    intervals: Annotated[DayIntervals, Field(min_length=1)]
    most: Annotated[int, Field(ge=0, lt=2**56)]
    nonce: Annotated[int, Field(ge=0, lt=2**53)]
    deadline: Annotated[int, Field(gt=0, lt=2**40, description="Unix seconds of the chain's time.")]
    signer: Address
    signature: Annotated[str, Field(pattern=r"^0x(?:[0-9a-fA-F]{2}){1,4096}$")]
