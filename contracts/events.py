"""Events of the contracts as typed values. Field names are the contracts' in snake case; units as in docs/protocol.md."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
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
    delegate: int
    """The account whose owner may act; 0 for nobody's."""


@dataclass(frozen=True, slots=True)
class EnvelopeSet:
    account: int
    wh: int


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
class CounterIncremented:
    signer: str
    counter: int


@dataclass(frozen=True, slots=True)
class ResultsSet:
    mode: int
    results: str


@dataclass(frozen=True, slots=True)
class ReviewBegun:
    session: int


@dataclass(frozen=True, slots=True)
class PutUnderReview:
    session: int


@dataclass(frozen=True, slots=True)
class PriceRecorded:
    session: int
    product: int
    hour_type: int
    day: int
    price: int
    volume: int


@dataclass(frozen=True, slots=True)
class ProposalContinued:
    session: int
    key: bytes
    state: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Proposed:
    session: int
    key: bytes
    account: int
    welfare: int
    certificate: tuple[int, ...]
    table: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Outbid:
    session: int
    account: int
    by: int
    bond: int


@dataclass(frozen=True, slots=True)
class BondReturned:
    session: int
    account: int
    bond: int


@dataclass(frozen=True, slots=True)
class RequestOpened:
    session: int
    account: int
    tolerance_ppm: int
    target: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Awarded:
    session: int
    submitter: str
    list: tuple[int, ...]
    certificate: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Released:
    session: int
    reason: str


@dataclass(frozen=True, slots=True)
class Excluded:
    session: int
    excluded: tuple[int, ...]
    """Words `account:32 | side:1`."""
    evidence: bytes


@dataclass(frozen=True, slots=True)
class IntakeFeesPaid:
    session: int
    account: int
    amount: int


@dataclass(frozen=True, slots=True)
class ClearingContinued:
    session: int
    key: bytes
    state: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Cleared:
    session: int
    submitter: str
    key: bytes
    certificate: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class GroupCommitted:
    session: int
    group: int


@dataclass(frozen=True, slots=True)
class GroupAmended:
    session: int
    group: int
    hash: bytes


@dataclass(frozen=True, slots=True)
class Replaced:
    session: int
    account: int
    reserve: int
    intervals: int
    extra: int
    """Micro-euro that the replaced member's lock pays beside the price."""
    consented: bool


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
class Joined:
    """Several records of the account count as this one, too."""

    session: int
    account: int
    entry: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class ConsentVoided:
    """A consent to a replacement that can be used no more."""

    signer: str
    nonce: int


@dataclass(frozen=True, slots=True)
class Exempted:
    session: int
    account: int
    intervals: int
    reason: str


@dataclass(frozen=True, slots=True)
class Decided:
    session: int
    alert: bytes
    """Hash of the alert's evidence."""
    outcome: int
    """0 dismissed, 1 confirmed."""
    reason: str


@dataclass(frozen=True, slots=True)
class SellersSettled:
    session: int
    rows: tuple[int, ...]
    """A word a row."""

    @property
    def payments(self) -> tuple[SellerPayment, ...]:
        """The rows."""
        return tuple(map(SellerPayment.from_word, self.rows))


@dataclass(frozen=True, slots=True)
class BuyersSettled:
    session: int
    rows: tuple[int, ...]
    """A word a row."""

    @property
    def payments(self) -> tuple[BuyerPayment, ...]:
        """The rows."""
        return tuple(map(BuyerPayment.from_word, self.rows))


@dataclass(frozen=True, slots=True)
class Settled:
    session: int
    rounding: int


Event: TypeAlias = (
    ZoneAdded | HolidaySet | AccountRegistered | DelegateSet | EnvelopeSet | MeterBound | KeySuspended | ForkReported
    | FlexibilityTargetSet | Deposited | Withdrawn | SessionOpened | SessionCancelled | AuctionReleased | IntakePaused
    | IntakeResumed | ResultsSet | Orders | NoncesInvalidated | CounterIncremented | ClearingContinued | Cleared | ReviewBegun
    | PutUnderReview | Released | Excluded | PriceRecorded | ProposalContinued | Proposed | Outbid | BondReturned
    | RequestOpened | Awarded | IntakeFeesPaid | GroupCommitted | GroupAmended | Replaced | LocksReleased | Delivered | Joined
    | ConsentVoided | Exempted | Decided | SellersSettled | BuyersSettled | Settled
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class SellerPayment:
    """What a settled seller row came to, micro-euro; `rating` is 0 where there was nothing to rate."""

    account: int
    payer: int
    earned: int
    unpaid: int
    penalty: int
    rating: int

    @classmethod
    def from_word(cls, word: int) -> SellerPayment:
        """`account:32 | payer:32 | earned:56 | unpaid:56 | penalty:56 | rating:16`"""
        account, payer, earned, unpaid, penalty, rating = _fields(word, (32, 32, 56, 56, 56, 16))
        return cls(account, payer, earned, unpaid, penalty, rating)


@dataclass(frozen=True, slots=True)
class BuyerPayment:
    """What a settled buyer row cost and got back, micro-euro."""

    account: int
    payer: int
    cost: int
    refund: int

    @classmethod
    def from_word(cls, word: int) -> BuyerPayment:
        """`account:32 | payer:32 | cost:64 | refund:64`"""
        account, payer, cost, refund = _fields(word, (32, 32, 64, 64))
        return cls(account, payer, cost, refund)


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


def _fields(word: int, widths: Sequence[int]) -> list[int]:
    found = []
    for width in widths:
        found.append(word & (1 << width) - 1)
        word >>= width
    if word:
        raise ValueError(f"event word: expected {sum(widths)} bits, got more")
    return found


def _snake(name: str) -> str:
    return "from_" if name == "from" else re.sub("([A-Z])", lambda m: "_" + m[1].lower(), name)


def _plain(name: str, value: Any) -> Any:
    if name == "terms":
        return Terms.from_abi(value)
    return tuple(value) if isinstance(value, list) else value
