"""Numbers that name things: bounded at the door, so that none of them reaches the database or the chain too large."""

from __future__ import annotations

from typing import Annotated

from fastapi import Path, Query

SessionId = Annotated[int, Path(ge=1, lt=2**53, description="A session's number.")]
SessionQuery = Annotated[int, Query(ge=1, lt=2**53, description="A session's number.")]
AccountIndex = Annotated[int, Path(ge=1, lt=2**32, description="An account's index.")]
ZoneId = Annotated[int, Path(ge=1, lt=2**16, description="A zone's number.")]
SignerAddress = Annotated[str, Path(pattern=r"^0x[0-9a-fA-F]{40}$", description="An address.")]
OrderId = Annotated[int, Path(ge=1, lt=2**53, description="Number of a submission.")]
