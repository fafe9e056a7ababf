"""Sessions: their terms, what they cleared, what their transactions cost."""

from __future__ import annotations

from datetime import date, datetime
from typing import Annotated, Literal

from pydantic import Field

from app.api.models.base import Date, Hash, Model, Time, Word


class Zone(Model):
    id: int
    offset_seconds: int
    interval_minutes: Literal[15, 30, 60]


class SessionSummary(Model):
    id: int
    zone: Zone
    kind: Literal["electrical", "thermal", "comfort"]
    direction: Literal["UP", "DOWN"]
    mode: Literal["competitive", "cooperative", "block", "request"]
    state: Literal["Scheduled", "Open", "Closed", "Cleared", "UnderReview", "Delivering", "Settling", "Settled", "Cancelled"]
    day: int = Field(description="Days since 1970-01-01 in the zone's standard time.")
    date: date
    intervals: list[int]
    interval_starts: list[datetime]
    gate_open: datetime
    gate_close: datetime
    delivery_start: datetime
    delivery_end: datetime
    exemption_deadline: datetime
    proof_deadline: datetime
    price_cap: int
    min_quantity_wh: int
    collateral_ppm: int
    fee_ppm: int = Field(description="Part of what sellers earn that goes to `fee_account`.")
    fee_account: int | None
    intake_fee: int = Field(description="Micro-euro that every entry costs, to whom the one who completes the clearing names.")
    challenge_end: datetime | None = Field(description="Until when proposals for a block session are taken; else null.")
    orders: int = Field(description="Live schedule orders.")
    entries: int = Field(description="(interval, quantity, price) entries of the live orders.")
    volume_wh: int | None


class Cleared(Model):
    """Result of an interval. In a cooperative session `price` is what a buyer pays on average, and every filled Wh is `share`
    better than its limit; there is no range of prices `lo` to `hi`."""

    interval: int
    price: int | None
    lo: int | None
    hi: int | None
    share: int | None = Field(description="Micro-euro per kWh by which every order improves on its limit; cooperative only.")
    volume_wh: int


class Transaction(Model):
    kind: str
    hash: Hash
    gas: int
    block: int
    time: datetime


class SettlementTotals(Model):
    rewards: int
    penalties: int
    refunds: int
    fees: int = Field(description="Part of the rewards that goes to the session's fee account.")
    replacements: int = Field(description="What members who were replaced paid for it, beside the price that they passed on.")
    intake_fees: int = Field(description="What the entries of the order log cost; it goes to whoever had the clearing done.")
    rounding: int
    balanced: bool


class ProofCount(Model):
    """Deliveries that are to be proven, by how far they have come; what is in none of the counts waits for its window."""

    expected: int
    proving: int
    proven: int = Field(description="Proven here, and not on the chain yet.")
    verified: int = Field(description="Verified and recorded by the contract.")
    failed: int


class OutsideBand(Model):
    """A price that put a session under review: of an interval, or of several intervals of an hour the mean."""

    intervals: list[int]
    price: int
    low: int = Field(description="Least price of the band, micro-euro per kWh.")
    high: int


class Proposal(Model):
    """A proposal for a block session that was the best when it came. It was checked exactly; that none is better is what the
    challenge is for."""

    key: Word
    account: int = Field(description="The finder, whose bond is locked while its proposal is the best.")
    welfare: int = Field(description="Limits less limits of what is filled, micro-euro rounded down.")
    volume_wh: int
    gap: float | None = Field(description="Part of the welfare that may be missing, 0 to 1, where this marketplace found it.")
    complete: bool | None = Field(description="Whether that search came to its end.")
    best: bool
    accepted: bool
    inside_band: bool = Field(description="Whether its prices lie in the price guard's bands as these are now.")
    outside: list[OutsideBand]
    tx: str


class ProposalList(Model):
    """In chain order: the last is the best."""

    items: list[Proposal]


class SessionDetail(SessionSummary):
    cleared: list[Cleared]
    proposals: list[Proposal] = Field(description="Of a block session, in chain order; else empty.")
    outside: list[OutsideBand] = Field(description="Why the session is under review, as the bands are now; else empty.")
    transactions: list[Transaction]
    settlement: SettlementTotals | None
    proofs: ProofCount


class SessionPage(Model):
    items: list[SessionSummary]
    next_cursor: str | None


class NewSession(Model):
    """A session to open. Delivery start and end follow from the day and the intervals."""

    zone: Annotated[int, Field(gt=0, lt=2**16)] = 1
    kind: Literal["electrical", "thermal", "comfort"] = "electrical"
    direction: Literal["UP", "DOWN"] = "UP"
    mode: Literal["competitive", "cooperative", "block"] = "competitive"
    date: Date
    intervals: Annotated[list[Annotated[int, Field(ge=0, lt=96)]], Field(min_length=1, max_length=96)]
    gate_open: Time
    gate_close: Time
    exemption_deadline: Time
    proof_deadline: Time
    price_cap: Annotated[int, Field(gt=0, lt=2**32)]
    min_quantity_wh: Annotated[int, Field(gt=0, lt=2**24)]
    fee_ppm: Annotated[int, Field(ge=0, le=100_000, description="Of what sellers earn; the settings' without one.")] | None = (
        None
    )
    fee_account: Annotated[int, Field(ge=0, lt=2**32, description="Who gets it; the settings' without one.")] | None = None
    intake_fee: (
        Annotated[int, Field(ge=0, le=1_000_000, description="Micro-euro an entry; the settings' without one.")] | None
    ) = None
    challenge_end: Time | None = Field(
        None,
        description="Block sessions only: until when proposals are taken, after the gate closes and before delivery starts. "
        "Without one an hour after the gate, or halfway to delivery.",
    )
    rules: Annotated[str, Field(min_length=1, description="Name of a rule set in settlement/rules.")] = "default"
