"""What goes in and out of `/api/v1`. Energy is integer Wh, prices integer micro-euro per kWh, money integer micro-euro,
times UTC.
"""

from __future__ import annotations

from datetime import date, datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

Address = Annotated[str, Field(pattern=r"^0x[0-9a-fA-F]{40}$", examples=["0x70997970C51812dc3A010C7d01b50e0d17dc79C8"])]
Word = Annotated[str, Field(pattern=r"^0x[0-9a-fA-F]{1,64}$", description="A 256-bit word in hexadecimal.", examples=["0x07"])]
Date = Annotated[date, Field(ge=date(1970, 1, 2), le=date(9999, 12, 31))]
Hash = Annotated[str, Field(pattern=r"^0x[0-9a-fA-F]{64}$")]


class Model(BaseModel):
    """Unknown fields are refused, so that a misspelt one is not silently ignored."""

    model_config = ConfigDict(extra="forbid")


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
    nonce: Annotated[
        str, Field(pattern=r"^\d{1,78}$", description="Decimal, below 2^256, used once per signer.", examples=["417"])
    ]
    counter: Annotated[
        str, Field(pattern=r"^\d{1,78}$", description="The signer's on chain (GET /signers), decimal.", examples=["0"])
    ]
    deadline: Annotated[int, Field(gt=0, lt=2**63, description="Unix seconds of the chain's time.")]
    signature: Annotated[str, Field(pattern=r"^0x(?:[0-9a-fA-F]{2}){1,4096}$")]


class Submitted(Model):
    id: int
    status: Literal["pending", "confirmed", "failed"]
    tx: str | None
    positions: list[int] | None
    message: str | None


class Delivery(Model):
    account: int
    label: str | None
    promised: list[int]
    delivered: list[int] | None
    deviations: list[int] | None
    state: Literal["waiting", "proving", "verified", "failed"]
    error: str | None
    tx: str | None
    batch: int | None = Field(
        description="Number of the session's proof that the account was recorded by; others may share it."
    )
    verify_gas: int | None = Field(description="Gas of the transaction, divided by the accounts that it recorded.")
    witness_ms: float | None = Field(description="Milliseconds for the whole proof.")
    prove_ms: float | None = Field(description="Milliseconds for the whole proof.")
    constraints: int | None


class DeliveryPage(Model):
    items: list[Delivery]


class StatementLine(Model):
    interval: int
    fill_wh: int
    price: int
    delivered_wh: int | None
    ratio_ppm: int | None
    paid_ppm: int | None
    earned: int
    unpaid: int
    penalty: int
    refund: int
    exempted: bool = Field(False, description="The guardian has exempted the interval: no penalty, no rating.")


class Statement(Model):
    account: int
    label: str | None
    role: Literal["seller", "buyer"]
    payer: int = Field(description="The account whose money it is: the account or its agent.")
    final: bool = Field(description="Whether the contract has settled it; until then the figures are as if nothing more came.")
    earned: int
    unpaid: int
    penalty: int
    fee: int = Field(description="Part of what was earned that goes to the session's fee account.")
    rating: int = Field(description="1 + what was delivered of what was sold, in ten-thousandths; 0 where nothing is to rate.")
    cost: int
    refund: int
    net: int
    lines: list[StatementLine]


class StatementPage(Model):
    items: list[Statement]


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


class NewAccount(Model):
    owner: Address
    label: Annotated[str, Field(max_length=40)] | None = None


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


class NewMeter(Model):
    """A meter's public key (BabyJubJub), the next version of an account's, in force from a day on."""

    account: Annotated[int, Field(gt=0, lt=2**32)]
    zone: Annotated[int, Field(gt=0, lt=2**16)] = 1
    x: Annotated[str, Field(pattern=r"^\d{1,78}$")]
    y: Annotated[str, Field(pattern=r"^\d{1,78}$")]
    from_day: Annotated[int, Field(gt=0, lt=2**32)]


class MeterKey(Model):
    """A version of an account's meter key, in force from `from_day` until the next version's."""

    account: int
    key: Word
    zone: int
    from_day: int
    state: Literal["bound", "suspended"]


class MeterKeyList(Model):
    items: list[MeterKey]


class SignedWindow(Model):
    """One meter-day as the meter signed it (docs/protocol.md section 8)."""

    account: Annotated[int, Field(gt=0, lt=2**32)]
    key: Annotated[str, Field(pattern=r"^\d{1,78}$", description="Word of the key version, decimal.")] | None = None
    window: dict[str, object]


class Fork(Model):
    """Two contradicting windows that a meter signed for a day, and what became of their report to the chain."""

    account: int | None = Field(description="Holder of the key; null where the chain has it no longer.")
    key: Word
    day: int
    interval: int = Field(description="The first in which they differ; the number of intervals where two final heads differ.")
    status: Literal["kept", "failed", "sent", "suspended"]
    error: str | None
    tx: str | None


class ForkList(Model):
    items: list[Fork]


class NewSession(Model):
    """A session to open. Delivery start and end follow from the day and the intervals."""

    zone: Annotated[int, Field(gt=0, lt=2**16)] = 1
    kind: Literal["electrical", "thermal", "comfort"] = "electrical"
    direction: Literal["UP", "DOWN"] = "UP"
    mode: Literal["competitive", "cooperative", "block"] = "competitive"
    date: Date
    intervals: Annotated[list[Annotated[int, Field(ge=0, lt=96)]], Field(min_length=1, max_length=96)]
    gate_open: datetime
    gate_close: datetime
    exemption_deadline: datetime
    proof_deadline: datetime
    price_cap: Annotated[int, Field(gt=0, lt=2**32)]
    min_quantity_wh: Annotated[int, Field(gt=0, lt=2**24)]
    fee_ppm: Annotated[int, Field(ge=0, le=100_000, description="Of what sellers earn; the settings' without one.")] | None = (
        None
    )
    fee_account: Annotated[int, Field(ge=0, lt=2**32, description="Who gets it; the settings' without one.")] | None = None
    intake_fee: (
        Annotated[int, Field(ge=0, le=1_000_000, description="Micro-euro an entry; the settings' without one.")] | None
    ) = None
    challenge_end: datetime | None = Field(
        None,
        description="Block sessions only: until when proposals are taken, after the gate closes and before delivery starts. "
        "Without one an hour after the gate, or halfway to delivery.",
    )
    rules: str = Field("default", description="Name of a rule set in settlement/rules.")


Why = Annotated[str, Field(min_length=1, max_length=500, description="Public, for ever.")]


class Reason(Model):
    reason: Why


class ExcludedOrder(Model):
    account: Annotated[int, Field(gt=0, lt=2**32)]
    side: Literal["bid", "offer"]


class Exclusion(Model):
    """Orders of a session under review that are not traded, and the hash of what is to be said for it."""

    orders: Annotated[list[ExcludedOrder], Field(min_length=1, max_length=1000)]
    evidence: Hash


class AlertImpact(Model):
    """The session cleared again with the suspect orders at their reference level, or without them; positive where they
    raised the price."""

    ppm: int = Field(description="Part by which the price as cleared is above the other one.")
    money: int = Field(description="What buyers paid more, micro-euro.")
    prices: list[int | None]
    prices_without: list[int | None]
    volumes_wh: list[int]
    volumes_without_wh: list[int]


class Evidence(Model):
    """What a detector found, exactly as it is hashed: keccak-256 of this as JSON with sorted keys and no spaces. The salt keeps
    others from trying what a hash on chain stands for."""

    version: int
    detector: str
    severity: Literal["notice", "alert"]
    session: int
    intervals: list[int]
    accounts: list[int]
    suspects: list[ExcludedOrder]
    figures: dict[str, int]
    impact: AlertImpact | None
    parameters: Hash
    salt: Hash


class AlertDecision(Model):
    outcome: Literal["dismissed", "confirmed"]
    reason: str
    transaction: str


class Alert(Model):
    id: int
    session: int
    detector: str
    severity: Literal["notice", "alert"] = Field(description="A notice accuses nobody.")
    open: bool = Field(description="Nobody has decided about it.")
    made: datetime
    hash: Hash
    evidence: Evidence
    exclusion: Exclusion | None = Field(description="What the guardian could exclude by it while the session is under review.")
    decisions: list[AlertDecision] = Field(description="In the order of the chain; a later one takes none back.")


class AlertPage(Model):
    items: list[Alert]
    next_cursor: str | None


class NewDecision(Model):
    outcome: Literal["dismissed", "confirmed"]
    reason: Why


class MarginalOrder(Model):
    account: int
    side: Literal["bid", "offer"]
    limit: int
    quantity_wh: int
    filled_wh: int = Field(description="Of the whole order in the interval.")


class WithoutAccount(Model):
    account: int
    price: int | None
    volume_wh: int


class IntervalExplanation(Model):
    """`low` and `high` are the ends of the range of prices that clear the volume."""

    interval: int
    price: int | None
    volume_wh: int
    low: int
    high: int
    marginal: list[MarginalOrder] = Field(description="Steps of orders with a limit at either end.")
    without: list[WithoutAccount] = Field(description="The interval without each participant, those that trade most first.")


class Explanation(Model):
    intervals: list[IntervalExplanation]
    participants_left_out: int


class NewExemption(Model):
    account: Annotated[int, Field(gt=0, lt=2**32)]
    intervals: Annotated[list[Annotated[int, Field(ge=0, lt=96)]], Field(min_length=1, max_length=96)]
    reason: Why


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


DayIntervals = Annotated[list[Annotated[int, Field(ge=0, lt=96)]], Field(max_length=96)]


class NewReplacement(Model):
    """Intervals that are left out are all that are still to come."""

    account: Annotated[int, Field(gt=0, lt=2**32)]
    intervals: DayIntervals = []


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


class Holidays(Model):
    """Days that count as no working days; they must lie in the future."""

    dates: Annotated[list[Date], Field(min_length=1, max_length=100)]


class Funds(Model):
    account: Annotated[int, Field(gt=0, lt=2**32)]
    amount: Annotated[int, Field(gt=0, le=10**12, description="micro-euro")]


class Advance(Model):
    """Where to move a development chain's clock: a moment of a session, or a time."""

    session: Annotated[int, Field(ge=1, lt=2**53)] | None = None
    to: Literal["gate_open", "gate_close", "delivery_start", "delivery_end", "settled"] | datetime
    only_clock: bool = Field(False, description="Move the clock and do nothing else.")


class Advanced(Model):
    time: datetime
    done: list[str]


class DevWallet(Model):
    private_key: str
    address: Address
    account: int | None
    warning: str


class Done(Model):
    """What an operator's action did."""

    done: list[str]
