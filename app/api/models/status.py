"""The marketplace itself: its chain and its data."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from pydantic import Field

from app.api.models.base import Address, Hash, Model


class ChainStatus(Model):
    backend: Literal["anvil", "tester", "node"]
    chain_id: int
    genesis: Hash
    block: int
    time: datetime = Field(description="The chain's time, which is the market's time.")
    simulated: bool = Field(description="True where the chain's clock is moved by hand.")
    development: bool
    contracts: dict[str, Address]


class DataStatus(Model):
    source: str
    homes: int
    synthetic: list[str]


class Status(Model):
    version: str
    chain: ChainStatus
    data: DataStatus | None
    message: str | None
