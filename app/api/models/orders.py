"""Schedule orders: the signed batch that brings them, and the book that they make."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from pydantic import Field

from app.api.models.base import Address, Model, Uint256, Word


class Level(Model):
    price: int
    quantity_wh: int
    account: int


class BookInterval(Model):
    interval: int
    start: datetime
    bids: list[Level]
    offers: list[Level]


class Book(Model):
    intervals: list[BookInterval]


class StepModel(Model):
    quantities: list[int]
    limits: list[int]


class Parent(Model):
    """The live order without which a block is not accepted."""

    account: int
    side: Literal["bid", "offer"]


class Order(Model):
    position: int
    account: int
    label: str | None
    agent: int | None = Field(description="The account whose owner signed for this one.")
    payer: int = Field(description="The account whose money is locked: the account or its agent.")
    side: Literal["bid", "offer"]
    min_fill_ppm: int = Field(description="Least part of a block that is taken, ppm; 0 but in block sessions.")
    parent: Parent | None
    reserve: bool = Field(description="An offer of which what is not filled may take the place of a member that fails.")
    live: bool
    cancels: bool
    steps: list[StepModel]
    fills: list[int] | None
    lock: int
    status: Literal["pending", "confirmed", "failed"]
    tx: str | None


class OrderPage(Model):
    items: list[Order]


class SignedBatch(Model):
    """A batch of schedule orders signed once by EIP-712 (`OrderBatch`)."""

    signer: Address
    words: Annotated[list[Word], Field(min_length=2, max_length=4096)]
    nonce: Annotated[Uint256, Field(description="Decimal, below 2^256, used once per signer.", examples=["417"])]
    counter: Annotated[Uint256, Field(description="The signer's on chain (GET /signers), decimal.", examples=["0"])]
    deadline: Annotated[int, Field(gt=0, lt=2**63, description="Unix seconds of the chain's time.")]
    signature: Annotated[str, Field(pattern=r"^0x(?:[0-9a-fA-F]{2}){1,4096}$")]


class Submitted(Model):
    id: int
    status: Literal["pending", "confirmed", "failed"]
    tx: str | None
    positions: list[int] | None
    message: str | None
