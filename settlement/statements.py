"""Statements of a whole session: what everyone earned, paid and forfeited, interval by interval, and why (docs/protocol.md
section 10).

The sum over everyone is exactly zero: what buyers paid is what sellers earned, what came back to buyers, and the session's
rounding.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from contracts.encoding import ResultRow
from contracts.units import PPM, Side, ceil_div
from market.errors import FieldError
from market.session import SessionTerms
from settlement.performance import perform, rating
from settlement.records import Record, delivered
from settlement.rules import RuleSet


class IntervalResult(Protocol):
    """What a session's certificate says of one interval, whatever its mode."""

    @property
    def price(self) -> int | None:
        """Micro-euro per kWh; None where nothing cleared, or every row has its own."""

    @property
    def volume(self) -> int:
        """Wh."""


@dataclass(frozen=True, slots=True)
class SellerLine:
    """One interval of the day: promise and delivery in Wh, price in micro-euro per kWh (of a row with prices of its own the
    mean, rounded down), ratios in ppm, money in micro-euro.

    `penalty` is what was taken, after the bound by the row's lock. `recorded` is False where no delivery is on record;
    `exempted` intervals cost no penalty and are not rated.
    """

    interval: int
    fill: int
    price: int
    delivered: int
    ratio_ppm: int
    paid_ppm: int
    earned: int
    unpaid: int
    penalty: int
    recorded: bool
    exempted: bool = False


@dataclass(frozen=True, slots=True)
class SellerStatement:
    """One seller's row. `position` is its entry in the log, `lock` its collateral; money in micro-euro. `payer` gets what was
    earned less `fee`, and the lock less the penalty; `rating` (0: none, or 1 to 10001) is the account's."""

    account: int
    payer: int
    position: int
    lock: int
    lines: tuple[SellerLine, ...]
    earned: int
    unpaid: int
    penalty: int
    fee: int
    rating: int
    reserve: bool

    @property
    def final(self) -> bool:
        """Whether every interval with a fill is on record, so that it can be settled before the proof deadline; a
        reserve not before the delivery has ended."""
        return all(line.recorded for line in self.lines)

    @property
    def change(self) -> int:
        """What the payer's balance changes by, against before the session, micro-euro."""
        return self.earned - self.fee - self.penalty


@dataclass(frozen=True, slots=True)
class BuyerLine:
    """One interval of the day: fill in Wh, price in micro-euro per kWh, cost and refund in micro-euro."""

    interval: int
    fill: int
    price: int
    cost: int
    refund: int


@dataclass(frozen=True, slots=True)
class BuyerStatement:
    """One buyer's row. `lock - cost` came back with the clearing; `refund` is its part of what sellers did not earn or
    forfeited, and the payer's."""

    account: int
    payer: int
    position: int
    lock: int
    lines: tuple[BuyerLine, ...]
    cost: int
    refund: int

    @property
    def change(self) -> int:
        """What the payer's balance changes by, against before the session, micro-euro."""
        return self.refund - self.cost


@dataclass(frozen=True)
class SessionStatement:
    """All rows of one session that `settle` takes: sellers and buyers with fills, whatever these cost, and live reserves.
    Micro-euro per session interval: `refunds`, `roundings`, and `extras`, what replacements moved from locks to the escrow."""

    sellers: tuple[SellerStatement, ...]
    buyers: tuple[BuyerStatement, ...]
    refunds: tuple[int, ...]
    roundings: tuple[int, ...] = field(default=())
    extras: tuple[int, ...] = field(default=())

    @property
    def fees(self) -> int:
        """Micro-euro that go to the session's fee account."""
        return sum(seller.fee for seller in self.sellers)

    @property
    def earned(self) -> int:
        return sum(seller.earned for seller in self.sellers)

    @property
    def penalties(self) -> int:
        return sum(seller.penalty for seller in self.sellers)

    @property
    def rounding(self) -> int:
        """Micro-euro that stay in the session's escrow, summed interval by interval."""
        return sum(self.roundings)

    @property
    def balanced(self) -> bool:
        """Whether all accounts' changes and the rounding come to zero; the rounding was summed without looking at accounts."""
        changes = sum(seller.change for seller in self.sellers) + sum(buyer.change for buyer in self.buyers)
        return changes + self.fees + self.rounding == sum(self.extras) and self.rounding >= 0


def settle(
    terms: SessionTerms,
    certificates: Sequence[IntervalResult],
    rows: Sequence[ResultRow],
    records: Mapping[int, Sequence[Record]],
    rules: RuleSet,
    exempted: Mapping[int, int] | None = None,
    extras: Sequence[int] = (),
) -> SessionStatement:
    """Statements from the rows in log order, as replacements have left them, and the deliveries on record per account.

    `exempted` has a bit per interval of the day that the guardian exempted; `extras` is what replacements paid from locks into
    the escrow, micro-euro per session interval. Where nothing is recorded nothing was delivered: before the proof deadline such
    lines are provisional. Raises `FieldError` where the rules are not the ones that the session pinned or the certificate does
    not fit the session.
    """
    if terms.rules_hash != rules.hash:
        raise FieldError("rules", f"the rule set with hash {terms.rules_hash.hex()}", rules.hash.hex())
    if len(certificates) != len(terms.intervals):
        raise FieldError("certificates", f"one for each of {len(terms.intervals)} intervals", len(certificates))
    sellers = tuple(
        _seller(terms, certificates, row, position, records.get(row.account, ()), rules, (exempted or {}).get(row.account, 0))
        for position, row in enumerate(rows)
        if row.live and row.side is Side.OFFER and (any(row.fills) or row.reserve is not None)
    )
    refunds = [0] * len(certificates)
    worth = [0] * len(certificates)
    index = {interval: j for j, interval in enumerate(terms.intervals)}
    for seller in sellers:
        for line in seller.lines:
            refunds[index[line.interval]] += line.unpaid + line.penalty
            worth[index[line.interval]] += line.earned + line.unpaid
    bids = [(position, row) for position, row in enumerate(rows) if row.live and row.side is Side.BID]
    bought = [sum(_gross(certificates[j], row, j) for _, row in bids) for j in range(len(certificates))]
    buyers = tuple(_buyer(terms, certificates, row, position, refunds, bought) for position, row in bids if any(row.fills))
    # Per interval: what buyers paid beyond what the promises were worth, and what of the refunds the shares did not reach.
    added = list(extras) or [0] * len(certificates)
    left = [refund - value + extra for refund, value, extra in zip(refunds, worth, added, strict=True)]
    for buyer in buyers:
        for paid in buyer.lines:
            left[index[paid.interval]] += paid.cost - paid.refund
    return SessionStatement(sellers, buyers, tuple(refunds), tuple(left), tuple(added))


def _seller(
    terms: SessionTerms,
    certificates: Sequence[IntervalResult],
    row: ResultRow,
    position: int,
    records: Sequence[Record],
    rules: RuleSet,
    exempted: int,
) -> SellerStatement:
    recorded = delivered(records, terms.direction, terms.zone.intervals)
    lines = []
    bound = row.lock
    for j, (interval, certificate, fill) in enumerate(zip(terms.intervals, certificates, row.fills, strict=True)):
        if not fill:
            continue
        gross = _gross(certificate, row, j)
        free = bool(exempted >> interval & 1)
        result = perform(rules, fill, gross, recorded.get(interval, 0))
        penalty = 0 if free else min(result.penalty, bound)
        bound -= penalty
        lines.append(
            SellerLine(
                interval,
                fill,
                gross // fill,
                result.delivered,
                result.ratio_ppm,
                result.paid_ppm,
                result.earned,
                result.unpaid,
                penalty,
                interval in recorded,
                free,
            )
        )
    earned = sum(line.earned for line in lines)
    return SellerStatement(
        account=row.account,
        payer=row.payer,
        position=position,
        lock=row.lock,
        lines=tuple(lines),
        earned=earned,
        unpaid=sum(line.unpaid for line in lines),
        penalty=sum(line.penalty for line in lines),
        fee=earned * terms.fee_ppm // PPM,
        rating=rating((line.fill, line.delivered) for line in lines if not line.exempted),
        reserve=row.reserve is not None,
    )


def _buyer(
    terms: SessionTerms,
    certificates: Sequence[IntervalResult],
    row: ResultRow,
    position: int,
    refunds: Sequence[int],
    bought: Sequence[int],
) -> BuyerStatement:
    lines = []
    bound = row.lock
    for j, (interval, certificate, fill) in enumerate(zip(terms.intervals, certificates, row.fills, strict=True)):
        if not fill:
            continue
        gross = _gross(certificate, row, j)
        if row.gross is None or not bought[j]:
            refund = refunds[j] * fill // certificate.volume
        else:
            refund = refunds[j] * gross // bought[j]
        cost = min(ceil_div(gross, 1000), bound)  # a block's ceilings together may exceed its lock, which is all that it pays
        bound -= cost
        lines.append(BuyerLine(interval, fill, gross // fill, cost, refund))
    cost = sum(line.cost for line in lines)
    if cost != row.cost:
        raise FieldError("rows.cost", f"{cost} micro-euro, the cost of row {position}'s fills", row.cost)
    refund = sum(line.refund for line in lines)
    return BuyerStatement(row.account, row.payer, position, row.lock, tuple(lines), cost, refund)


def _gross(certificate: IntervalResult, row: ResultRow, j: int) -> int:
    """What the row's fill in session interval `j` is worth, in thousandths of a micro-euro."""
    if row.gross is not None:
        return row.gross[j]
    if not row.fills[j]:
        return 0
    if certificate.price is None:
        raise FieldError("certificates", f"a price in session interval {j}, where rows have fills", certificate)
    return row.fills[j] * certificate.price
