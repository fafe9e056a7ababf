"""Events of the contracts as typed values. Field names are the contracts' in snake case; units as in docs/protocol.md."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, fields
from functools import cache
from typing import Any, TypeAlias

from contracts.abi import decode
from contracts.artifacts import load, names
from contracts.chain import Log
from contracts.sessions import Terms


@dataclass(frozen=True, slots=True)
class ZoneAdded:
    zone: int
    offset: int
    interval_minutes: int


@dataclass(frozen=True, slots=True)
class HolidaySet:
    zone: int
    day: int
    holiday: bool


@dataclass(frozen=True, slots=True)
class AccountRegistered:
    account: int
    owner: str


@dataclass(frozen=True, slots=True)
class DelegateSet:
    account: int
    delegate: str


@dataclass(frozen=True, slots=True)
class MeterBound:
    account: int
    zone: int
    key: int
    from_day: int


@dataclass(frozen=True, slots=True)
class KeySuspended:
    account: int
    key: int


@dataclass(frozen=True, slots=True)
class ForkReported:
    key: int
    day: int
    t: int
    """The interval; the number of intervals of a day where the heads differ as a whole."""
    reporter: str


@dataclass(frozen=True, slots=True)
class FlexibilityTargetSet:
    session: int
    account: int
    commitment: int
    target: tuple[int, ...]
    """Words of 32-bit Wh, eight a word."""


@dataclass(frozen=True, slots=True)
class Deposited:
    account: int
    from_: str
    amount: int


@dataclass(frozen=True, slots=True)
class Withdrawn:
    account: int
    to: str
    amount: int


@dataclass(frozen=True, slots=True)
class SessionOpened:
    session: int
    terms: Terms
    rules: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class SessionCancelled:
    session: int
    reason: str


@dataclass(frozen=True, slots=True)
class AuctionReleased:
    session: int


@dataclass(frozen=True, slots=True)
class IntakePaused:
    pass


@dataclass(frozen=True, slots=True)
class IntakeResumed:
    pass


@dataclass(frozen=True, slots=True)
class Orders:
    session: int
    signer: str
    first: int
    """Position of the batch's first entry."""
    words: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class NoncesInvalidated:
    signer: str
    word: int
    bits: int


@dataclass(frozen=True, slots=True)
class Cleared:
    session: int
    submitter: str
    certificate: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class GroupCommitted:
    session: int
    group: int


@dataclass(frozen=True, slots=True)
class LocksReleased:
    session: int
    previous: bytes


@dataclass(frozen=True, slots=True)
class Delivered:
    session: int
    chain: int
    """C."""
    recorded: int
    """A bit per entry: recorded by this proof; the others were recorded before."""
    entries: tuple[int, ...]
    proof: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class SellerSettled:
    session: int
    account: int
    earned: int
    unpaid: int
    penalty: int


@dataclass(frozen=True, slots=True)
class BuyerSettled:
    session: int
    account: int
    cost: int
    refund: int


@dataclass(frozen=True, slots=True)
class Settled:
    session: int
    rounding: int


Event: TypeAlias = (
    ZoneAdded | HolidaySet | AccountRegistered | DelegateSet | MeterBound | KeySuspended | ForkReported | FlexibilityTargetSet
    | Deposited | Withdrawn | SessionOpened | SessionCancelled | AuctionReleased | IntakePaused | IntakeResumed | Orders
    | NoncesInvalidated | Cleared | GroupCommitted | LocksReleased | Delivered | SellerSettled | BuyerSettled | Settled
)  # fmt: skip

EVENTS: Mapping[str, type[Any]] = {kind.__name__: kind for kind in Event.__args__}


@cache
def _known() -> Mapping[bytes, tuple[type[Any], Mapping[str, Any]]]:
    found = {}
    for name in names():
        for topic, entry in load(name).events.items():
            if entry["name"] in EVENTS:
                found[topic] = (EVENTS[entry["name"]], entry)
    return found


def decode_event(log: Log) -> Event | None:
    """The typed event of `log`; None for events that are not Wattproof's own (token transfers, roles)."""
    known = _known().get(log.topics[0]) if log.topics else None
    if known is None:
        return None
    kind, entry = known
    indexed = [p for p in entry["inputs"] if p["indexed"]]
    plain = [p for p in entry["inputs"] if not p["indexed"]]
    values = {p["name"]: decode([p], topic)[0] for p, topic in zip(indexed, log.topics[1:], strict=True)}
    values |= dict(zip([p["name"] for p in plain], decode(plain, log.data), strict=True))
    return kind(**{_snake(name): _plain(name, value) for name, value in values.items()})  # type: ignore[no-any-return]


def topics_of(*kinds: type[Any]) -> list[bytes]:
    """First topics of the given event types, to filter logs."""
    return [topic for topic, (kind, _) in _known().items() if kind in kinds]


def field_names(kind: type[Any]) -> list[str]:
    return [field.name for field in fields(kind)]


def _snake(name: str) -> str:
    return "from_" if name == "from" else re.sub("([A-Z])", lambda m: "_" + m[1].lower(), name)


def _plain(name: str, value: Any) -> Any:
    if name == "terms":
        return Terms.from_abi(value)
    return tuple(value) if isinstance(value, list) else value
