"""Sessions as the contract keeps them: what the operator asks for, derived terms, progress (docs/protocol.md section 5)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from contracts.encoding import intervals_of
from contracts.units import Direction, Kind, Mode


@dataclass(frozen=True, slots=True)
class SessionRequest:
    """What the operator fixes of a session. Times are Unix seconds, `mask` has a bit per interval of the day."""

    zone: int
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
    """Micro-euro per kWh."""
    min_quantity: int
    """Wh."""
    deliveries: str
    """Address of the contract that takes the proofs."""
    fee_ppm: int = 0
    """Of what sellers earn."""
    fee_account: int = 0
    """The account that `fee_ppm` goes to; 0 where there is none."""
    intake_fee: int = 0
    """Micro-euro an entry, to whom the one who completes the clearing names."""
    challenge_end: int = 0
    """End of the proposals in block mode, otherwise 0."""

    def values(self) -> tuple[Any, ...]:
        """Fields in the contract's order."""
        return (
            self.zone, int(self.kind), int(self.direction), int(self.mode), self.day, self.mask, self.gate_open,
            self.gate_close, self.challenge_end, self.exemption_deadline, self.proof_deadline, self.price_cap,
            self.min_quantity, self.fee_ppm, self.fee_account, self.intake_fee, self.deliveries,
        )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Terms:
    """The terms of a session, fixed at opening."""

    zone: int
    kind: Kind
    direction: Direction
    mode: Mode
    intervals: int
    """K, the number of set bits of the mask."""
    day_intervals: int
    """T, 96, 48 or 24."""
    day: int
    mask: int
    price_cap: int
    min_quantity: int
    gate_open: int
    gate_close: int
    delivery_start: int
    delivery_end: int
    exemption_deadline: int
    proof_deadline: int
    deliveries: str
    collateral_ppm: int
    challenge_end: int
    fee_ppm: int
    fee_account: int
    intake_fee: int
    rules_hash: bytes

    @property
    def interval_indices(self) -> tuple[int, ...]:
        """The session's intervals of the day, ascending."""
        return intervals_of(self.mask)

    @classmethod
    def from_abi(cls, v: Mapping[str, Any]) -> Terms:
        return cls(
            v["zone"], Kind(v["kind"]), Direction(v["direction"]), Mode(v["mode"]), v["intervals"], v["dayIntervals"], v["day"],
            v["mask"], v["priceCap"], v["minQuantity"], v["gateOpen"], v["gateClose"], v["deliveryStart"], v["deliveryEnd"],
            v["exemptionDeadline"], v["proofDeadline"], v["deliveries"], v["collateralPpm"],
            v["challengeEnd"], v["feePpm"], v["feeAccount"], v["intakeFee"], v["rulesHash"],
        )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a session has come."""

    cancelled: bool
    cleared: bool
    under_review: bool
    """Complete, and held by the price guard."""
    under_auction: bool
    entries: int
    """Entries of the order log."""
    groups: int
    """Groups of result rows."""
    uncommitted: int
    """Groups not committed yet."""
    sellers_left: int
    """Committed seller rows to settle."""
    buyers_left: int
    """Committed buyer rows to settle."""

    @classmethod
    def from_abi(cls, v: Mapping[str, Any]) -> Progress:
        return cls(
            v["cancelled"], v["cleared"], v["underReview"], v["underAuction"], v["entries"], v["groups"], v["uncommitted"],
            v["sellersLeft"], v["buyersLeft"],
        )  # fmt: skip
