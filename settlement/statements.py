"""Statements of a whole session: what everyone earned, paid and forfeited, interval by interval, and why (docs/protocol.md
section 10).

The sum over everyone is exactly zero: what buyers paid is what sellers earned, what came back to buyers, and the session's
rounding.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from contracts.encoding import IntervalCertificate, ResultRow
from contracts.units import Side, ceil_div
from market.errors import FieldError
from market.session import SessionTerms
from settlement.performance import perform
from settlement.records import Record, delivered
from settlement.rules import RuleSet


@dataclass(frozen=True, slots=True)
class SellerLine:
    """One interval of the day: promise and delivery in Wh, price in micro-euro per kWh, ratios in ppm, money in micro-euro.

    `penalty` is what was taken, after the bound by the row's lock. `recorded` is False where no delivery is on record.
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


@dataclass(frozen=True, slots=True)
class SellerStatement:
    """One seller's row. `position` is its entry in the log, `lock` its collateral; all in micro-euro."""

    account: int
    position: int
    lock: int
    lines: tuple[SellerLine, ...]
    earned: int
    unpaid: int
    penalty: int

    @property
    def final(self) -> bool:
        """Whether every interval with a fill is on record, so that it can be settled before the proof deadline."""
        return all(line.recorded for line in self.lines)

    @property
    def change(self) -> int:
        """What the account's balance changes by, against before the session, micro-euro."""
        return self.earned - self.penalty


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
    forfeited."""

    account: int
    position: int
    lock: int
    lines: tuple[BuyerLine, ...]
    cost: int
    refund: int

    @property
    def change(self) -> int:
        """What the account's balance changes by, against before the session, micro-euro."""
        return self.refund - self.cost


@dataclass(frozen=True)
class SessionStatement:
    """All rows of one session that `settle` takes: sellers with fills and buyers with a cost (fills at price 0 leave nothing to
    settle). `refunds` and `roundings` are micro-euro per session interval."""

    sellers: tuple[SellerStatement, ...]
    buyers: tuple[BuyerStatement, ...]
    refunds: tuple[int, ...]
    roundings: tuple[int, ...] = field(default=())

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
        return changes + self.rounding == 0 and all(rounding >= 0 for rounding in self.roundings)


def settle(
    terms: SessionTerms,
    certificates: Sequence[IntervalCertificate],
    rows: Sequence[ResultRow],
    records: Mapping[int, Sequence[Record]],
    rules: RuleSet,
) -> SessionStatement:
    """Statements from the clearing's rows in log order and the deliveries on record per account.

    Where nothing is recorded nothing was delivered: before the proof deadline such lines are provisional. Raises `FieldError`
    where the rules are not the ones that the session pinned or the certificate does not fit the session.
    """
    if terms.rules_hash != rules.hash:
        raise FieldError("rules", f"the rule set with hash {terms.rules_hash.hex()}", rules.hash.hex())
    if len(certificates) != len(terms.intervals):
        raise FieldError("certificates", f"one for each of {len(terms.intervals)} intervals", len(certificates))
    sellers = tuple(
        _seller(terms, certificates, row, position, records.get(row.account, ()), rules)
        for position, row in enumerate(rows)
        if row.live and row.side is Side.OFFER and any(row.fills)
    )
    refunds = [0] * len(certificates)
    worth = [0] * len(certificates)
    index = {interval: j for j, interval in enumerate(terms.intervals)}
    for seller in sellers:
        for line in seller.lines:
            refunds[index[line.interval]] += line.unpaid + line.penalty
            worth[index[line.interval]] += line.earned + line.unpaid
    buyers = tuple(
        _buyer(terms, certificates, row, position, refunds)
        for position, row in enumerate(rows)
        if row.live and row.side is Side.BID and row.cost
    )
    # Per interval: what buyers paid beyond what the promises were worth, and what of the refunds the shares did not reach.
    left = [refund - value for refund, value in zip(refunds, worth, strict=True)]
    for buyer in buyers:
        for paid in buyer.lines:
            left[index[paid.interval]] += paid.cost - paid.refund
    return SessionStatement(sellers, buyers, tuple(refunds), tuple(left))


def _seller(
    terms: SessionTerms,
    certificates: Sequence[IntervalCertificate],
    row: ResultRow,
    position: int,
    records: Sequence[Record],
    rules: RuleSet,
) -> SellerStatement:
    recorded = delivered(records, terms.direction, terms.zone.intervals)
    lines = []
    bound = row.lock
    for interval, certificate, fill in zip(terms.intervals, certificates, row.fills, strict=True):
        if not fill:
            continue
        price = _price(certificate, interval)
        result = perform(rules, fill, price, recorded.get(interval, 0))
        penalty = min(result.penalty, bound)
        bound -= penalty
        lines.append(
            SellerLine(
                interval,
                fill,
                price,
                result.delivered,
                result.ratio_ppm,
                result.paid_ppm,
                result.earned,
                result.unpaid,
                penalty,
                interval in recorded,
            )
        )
    return SellerStatement(
        row.account,
        position,
        row.lock,
        tuple(lines),
        sum(line.earned for line in lines),
        sum(line.unpaid for line in lines),
        sum(line.penalty for line in lines),
    )


def _buyer(
    terms: SessionTerms,
    certificates: Sequence[IntervalCertificate],
    row: ResultRow,
    position: int,
    refunds: Sequence[int],
) -> BuyerStatement:
    lines = []
    for interval, certificate, fill, refund in zip(terms.intervals, certificates, row.fills, refunds, strict=True):
        if not fill:
            continue
        price = _price(certificate, interval)
        lines.append(BuyerLine(interval, fill, price, ceil_div(fill * price, 1000), refund * fill // certificate.volume))
    cost = sum(line.cost for line in lines)
    if cost != row.cost:
        raise FieldError("rows.cost", f"{cost} micro-euro, the cost of row {position}'s fills", row.cost)
    return BuyerStatement(row.account, position, row.lock, tuple(lines), cost, sum(line.refund for line in lines))


def _price(certificate: IntervalCertificate, interval: int) -> int:
    if certificate.price is None:
        raise FieldError("certificates", f"a volume in interval {interval}, where rows have fills", certificate)
    return certificate.price
