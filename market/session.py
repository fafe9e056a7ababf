"""Zones, the terms of a session, and the state that follows from terms, time and what the chain recorded
(docs/protocol.md sections 2 and 5)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property

from contracts.encoding import intervals_of
from contracts.sessions import Terms
from contracts.times import utc
from contracts.units import MAX_PRICE, MAX_QUANTITY, Direction, Kind, Mode, SessionState
from market.errors import TermsError

DAY_SECONDS = 86_400

MAX_OFFSET = 14 * 3600
"""Largest standard-time offset of a zone, seconds either way."""

INTERVAL_MINUTES = (15, 30, 60)
"""Interval lengths a zone may have."""

MAX_FEE_PPM = 100_000
"""Largest part of sellers' earnings that a session's fee may be."""

MAX_INTAKE_FEE = 1_000_000
"""Largest intake fee, micro-euro an entry."""

PROOF_DAYS = 60
"""Days after the end of delivery until which a session may take proofs."""


@dataclass(frozen=True, slots=True)
class Zone:
    """A balancing zone: fixed standard-time offset (seconds east of UTC), interval length (minutes), holidays (days)."""

    number: int
    offset: int
    interval_minutes: int
    holidays: frozenset[int] = frozenset()

    def __post_init__(self) -> None:
        if not -MAX_OFFSET <= self.offset <= MAX_OFFSET:
            raise TermsError("zone.offset", f"at most {MAX_OFFSET} seconds either way", self.offset)
        if self.interval_minutes not in INTERVAL_MINUTES:
            raise TermsError("zone.interval_minutes", "15, 30 or 60", self.interval_minutes)

    @property
    def intervals(self) -> int:
        """Intervals of a day, T: 96, 48 or 24."""
        return 1440 // self.interval_minutes

    def day_of(self, timestamp: int) -> int:
        """The zone's day that holds a UNIX timestamp."""
        return (timestamp + self.offset) // DAY_SECONDS

    def interval_of(self, timestamp: int) -> int:
        """The interval of its day that holds a UNIX timestamp, 0..T-1."""
        return (timestamp + self.offset) % DAY_SECONDS // (self.interval_minutes * 60)

    def interval_start(self, day: int, interval: int) -> int:
        """UNIX timestamp at which interval 0..T of a day starts (T is the end of the day)."""
        if not 0 <= interval <= self.intervals:
            raise TermsError("interval", f"0..{self.intervals}", interval)
        return day * DAY_SECONDS - self.offset + interval * self.interval_minutes * 60

    def is_working_day(self, day: int) -> bool:
        """Whether a day is neither Saturday, Sunday nor a holiday of the zone."""
        return (day + 3) % 7 < 5 and day not in self.holidays


@dataclass(frozen=True)
class SessionTerms:
    """What a session fixed at opening. Timestamps are UNIX seconds, `mask` has a bit per interval of the day, `price_cap` is in
    micro-euro per kWh, `min_quantity` in Wh, `rules_hash` has 32 bytes, `deliveries` is an address. `fee_ppm` of sellers'
    earnings goes to `fee_account`; `intake_fee`, micro-euro an entry, to whoever completes the clearing. `challenge_end` is 0
    but in block mode."""

    session: int
    zone: Zone
    kind: Kind
    direction: Direction
    mode: Mode
    day: int
    mask: int
    gate_open: int
    gate_close: int
    exemption_deadline: int
    proof_deadline: int
    price_cap: int
    min_quantity: int
    collateral_ppm: int
    rules_hash: bytes = field(default=bytes(32))
    deliveries: str = ""
    fee_ppm: int = 0
    fee_account: int = 0
    intake_fee: int = 0
    challenge_end: int = 0

    def __post_init__(self) -> None:
        if not 0 < self.mask < 1 << self.zone.intervals:
            within = f"at least one interval from 0 to {self.zone.intervals - 1} and no other"
            raise TermsError("intervals", within, list(self.intervals))
        for name, good, expected in (
            ("session", 0 < self.session < 1 << 64, "1..2^64-1"),
            ("price_cap", 0 <= self.price_cap <= MAX_PRICE, f"0..{MAX_PRICE} micro-euro per kWh"),
            ("min_quantity", 0 <= self.min_quantity <= MAX_QUANTITY, f"0..{MAX_QUANTITY} Wh"),
            ("collateral_ppm", 0 <= self.collateral_ppm < 1 << 32, "0..2^32-1"),
            ("rules_hash", len(self.rules_hash) == 32, "32 bytes"),
            ("fee_ppm", 0 <= self.fee_ppm <= MAX_FEE_PPM, f"0..{MAX_FEE_PPM} ppm"),
            ("fee_account", 0 <= self.fee_account < 1 << 32, "0..2^32-1"),
            ("fee_account", self.fee_account > 0 or not self.fee_ppm, "an account where there is a fee"),
            ("intake_fee", 0 <= self.intake_fee <= MAX_INTAKE_FEE, f"0..{MAX_INTAKE_FEE} micro-euro"),
        ):
            if not good:
                raise TermsError(name, expected, getattr(self, name))
        if not self.gate_open < self.gate_close:
            raise TermsError("gate_close", f"after the gate opens at {utc(self.gate_open)}", utc(self.gate_close))
        if not self.gate_close <= self.delivery_start:
            raise TermsError("gate_close", f"at most the start of delivery, {utc(self.delivery_start)}", utc(self.gate_close))
        if not self.delivery_end <= self.exemption_deadline:
            raise TermsError(
                "exemption_deadline", f"at least the end of delivery, {utc(self.delivery_end)}", utc(self.exemption_deadline)
            )
        if not self.exemption_deadline <= self.proof_deadline:
            raise TermsError(
                "proof_deadline", f"at least the exemption deadline, {utc(self.exemption_deadline)}", utc(self.proof_deadline)
            )
        latest = self.delivery_end + PROOF_DAYS * DAY_SECONDS
        if self.proof_deadline > latest:
            raise TermsError(
                "proof_deadline", f"at most {PROOF_DAYS} days after delivery, {utc(latest)}", utc(self.proof_deadline)
            )
        self._check_challenge()

    def _check_challenge(self) -> None:
        if self.mode is not Mode.BLOCK:
            if self.challenge_end:
                raise TermsError("challenge_end", "none but in block mode", utc(self.challenge_end))
        elif not self.gate_close < self.challenge_end < self.delivery_start:
            between = (
                f"after the gate closes at {utc(self.gate_close)} and before delivery starts at {utc(self.delivery_start)}"
            )
            raise TermsError("challenge_end", between, utc(self.challenge_end))

    @classmethod
    def of_contract(cls, session: int, zone: Zone, t: Terms) -> SessionTerms:
        """The contract's terms as the domain's value."""
        return cls(
            session=session,
            zone=zone,
            kind=t.kind,
            direction=t.direction,
            mode=t.mode,
            day=t.day,
            mask=t.mask,
            gate_open=t.gate_open,
            gate_close=t.gate_close,
            exemption_deadline=t.exemption_deadline,
            proof_deadline=t.proof_deadline,
            price_cap=t.price_cap,
            min_quantity=t.min_quantity,
            collateral_ppm=t.collateral_ppm,
            rules_hash=t.rules_hash,
            deliveries=t.deliveries,
            fee_ppm=t.fee_ppm,
            fee_account=t.fee_account,
            intake_fee=t.intake_fee,
            challenge_end=t.challenge_end,
        )

    @cached_property
    def intervals(self) -> tuple[int, ...]:
        """The session's K intervals of the day, ascending; position in this tuple is the session interval j."""
        return intervals_of(self.mask)

    @property
    def delivery_start(self) -> int:
        """UNIX timestamp at which the first interval begins."""
        return self.zone.interval_start(self.day, self.intervals[0])

    @property
    def delivery_end(self) -> int:
        """UNIX timestamp at which the last interval ends."""
        return self.zone.interval_start(self.day, self.intervals[-1] + 1)


@dataclass(frozen=True, slots=True)
class SessionFacts:
    """What the chain recorded about a session: clearing complete, clearing held by the price guard, last row settled, cancelled
    by the operator before the gate closed, by a pause, or by the guardian."""

    cleared: bool = False
    under_review: bool = False
    settled: bool = False
    cancelled: bool = False

    @property
    def accepted(self) -> bool:
        """Whether there is a clearing that holds."""
        return self.cleared and not self.under_review


@dataclass(frozen=True, slots=True)
class StateRule:
    """One line of the table of states."""

    state: SessionState
    holds: Callable[[SessionTerms, SessionFacts, int], bool]
    when: str
    moved_by: str


STATES: tuple[StateRule, ...] = (
    StateRule(
        SessionState.CANCELLED,
        lambda terms, facts, now: facts.cancelled or (now >= terms.delivery_start and not facts.accepted),
        "the operator or the guardian cancelled, or delivery was to start and no clearing was accepted",
        "anyone releases the locks from the log",
    ),
    StateRule(SessionState.SETTLED, lambda terms, facts, now: facts.settled, "every row is settled", "nobody"),
    StateRule(
        SessionState.SETTLING,
        lambda terms, facts, now: facts.accepted and now >= terms.delivery_end,
        "delivery is over and rows are left to settle",
        "anyone, by prove and settle",
    ),
    StateRule(
        SessionState.DELIVERING,
        lambda terms, facts, now: facts.accepted and now >= terms.delivery_start,
        "cleared, delivery has started and not ended",
        "time",
    ),
    StateRule(
        SessionState.CLEARED,
        lambda terms, facts, now: facts.accepted,
        "the clearing is accepted, delivery has not started",
        "time",
    ),
    StateRule(SessionState.SCHEDULED, lambda terms, facts, now: now < terms.gate_open, "the gate is not open yet", "time"),
    StateRule(SessionState.OPEN, lambda terms, facts, now: now < terms.gate_close, "the gate is open", "time"),
    StateRule(
        SessionState.UNDER_REVIEW,
        lambda terms, facts, now: facts.under_review,
        "the price lies outside the guard's band and nobody has decided",
        "a guardian; otherwise time cancels",
    ),
    StateRule(
        SessionState.CLOSED,
        lambda terms, facts, now: True,
        "the gate is closed and no clearing is accepted",
        "anyone, by clear; otherwise time cancels",
    ),
)
"""The table of states, read from the top: the first line that holds is the session's state. A request may be awarded while its
gate is open, so that what is accepted comes before the gate."""


def state_at(terms: SessionTerms, facts: SessionFacts, now: int) -> SessionState:
    """State of a session at UNIX time `now`."""
    return rule_at(terms, facts, now).state


def rule_at(terms: SessionTerms, facts: SessionFacts, now: int) -> StateRule:
    """The line of the table that holds at `now`: state, why it holds, who moves the session on."""
    return next(rule for rule in STATES if rule.holds(terms, facts, now))
