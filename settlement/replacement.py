"""Replacement: what a reserve takes over from a member that fails, and what it costs (docs/protocol.md section 14, exact
integers)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction

from contracts.encoding import ResultRow, Step, intervals_of
from contracts.units import PPM, Side, ceil_div
from market.errors import FieldError
from market.session import SessionTerms
from settlement.rules import RuleSet
from settlement.statements import IntervalResult


class ReplacementError(FieldError):
    """A change that the Replacement contract would refuse."""


@dataclass(frozen=True, slots=True)
class Takeover:
    """A replacement as the contract announced it: `intervals` are bits of the day, `extra` micro-euro."""

    account: int
    reserve: int
    intervals: int
    extra: int
    consented: bool


@dataclass(frozen=True, slots=True)
class Replacement:
    """The two rows as they stand afterwards, and what the failing row's lock paid, micro-euro per session interval. A failing
    row without fills that is no reserve is settled: its payer has the rest of its lock back."""

    failing: ResultRow
    reserve: ResultRow
    extras: tuple[int, ...]


def failed(
    rules: RuleSet, terms: SessionTerms, row: ResultRow, deliveries: Mapping[int, int], exempted: int = 0
) -> tuple[int, ...]:
    """Intervals of the day in which the row's account delivered too little of its fill; `deliveries` in Wh as recorded."""
    return tuple(
        interval
        for interval, fill in zip(terms.intervals, row.fills, strict=True)
        if fill
        and interval in deliveries
        and not exempted >> interval & 1
        and max(deliveries[interval], 0) * PPM < rules.replace_below_ppm * fill
    )


def change(
    terms: SessionTerms,
    certificates: Sequence[IntervalResult],
    failing: ResultRow,
    reserve: ResultRow,
    intervals: Sequence[int],
    forced_by: RuleSet | None = None,
) -> Replacement:
    """What becomes of the rows when `reserve` takes over `intervals` (of the day) from `failing`.

    `forced_by` is the rule set where the member has not agreed: then an interval costs no more than the penalty for delivering
    nothing. Raises `ReplacementError` where the contract would refuse; it does not know times, sold intervals or signatures.
    """
    if failing.account == reserve.account:
        raise ReplacementError("reserve", "another account", reserve.account)
    if not (failing.live and failing.side is Side.OFFER):
        raise ReplacementError("failing", "a live offer", failing)
    if not (reserve.live and reserve.side is Side.OFFER) or reserve.reserve is None:
        raise ReplacementError("reserve", "a live reserve", reserve)
    index = {interval: j for j, interval in enumerate(terms.intervals)}
    fills, gross = list(failing.fills), _worth(certificates, failing)
    own_fills, own_gross = list(reserve.fills), _worth(certificates, reserve)
    extras = [0] * len(fills)
    moved = 0
    for interval in sorted(intervals):
        if interval not in index:
            raise ReplacementError("intervals", f"intervals of the session, {terms.intervals}", interval)
        j = index[interval]
        if not fills[j]:
            raise ReplacementError("intervals", "a fill of the failing row", interval)
        if own_fills[j]:
            raise ReplacementError("intervals", "no fill of the reserve's row", interval)
        taken, part, cost = _taken(reserve.reserve, j, fills[j], gross[j])
        if not taken:
            raise ReplacementError("intervals", "a quantity of the reserve", interval)
        extras[j] = ceil_div(cost - part, 1000)
        if forced_by is not None and extras[j] > (most := _most(part, forced_by)):
            raise ReplacementError("extras", f"at most {most} micro-euro in interval {interval}", extras[j])
        fills[j] -= taken
        gross[j] -= part
        own_fills[j], own_gross[j] = taken, cost
        moved += taken
    most = failing.lock * moved // (moved + sum(fills)) if moved else 0
    if sum(extras) > most:
        raise ReplacementError("extras", f"at most {most} micro-euro, the moved part of the lock", sum(extras))
    after = replace(
        failing,
        lock=failing.lock - sum(extras),
        fills=tuple(fills),
        gross=None if failing.gross is None else tuple(gross),
    )
    return Replacement(after, replace(reserve, fills=tuple(own_fills), gross=tuple(own_gross)), tuple(extras))


def unit_cost(
    certificates: Sequence[IntervalResult], failing: ResultRow, reserve: ResultRow, j: int, forced_by: RuleSet | None = None
) -> Fraction | None:
    """Micro-euro per Wh beyond the failing row's own pay for which `reserve` takes session interval `j` over; None where it
    cannot. What all intervals together may cost is not looked at: `change` does."""
    if not failing.fills[j] or reserve.fills[j] or reserve.reserve is None:
        return None
    worth = failing.fills[j] * (certificates[j].price or 0) if failing.gross is None else failing.gross[j]
    taken, part, cost = _taken(reserve.reserve, j, failing.fills[j], worth)
    if not taken or (forced_by is not None and ceil_div(cost - part, 1000) > _most(part, forced_by)):
        return None
    return Fraction(ceil_div(cost - part, 1000), taken)


@dataclass(frozen=True, slots=True)
class Amended:
    """A session's rows as its replacements have left them, what these moved from locks to the escrow (micro-euro per session
    interval), and each reserve's fills as they were promised with its last replacement."""

    rows: tuple[ResultRow, ...]
    extras: tuple[int, ...]
    promised: Mapping[int, tuple[int, ...]]


def amend(
    terms: SessionTerms,
    certificates: Sequence[IntervalResult],
    rows: Sequence[ResultRow],
    rules: RuleSet,
    takeovers: Iterable[Takeover],
) -> Amended:
    """Makes a session's replacements in chain order. Raises `ReplacementError` where an announced one does not follow from the
    rows."""
    amended = list(rows)
    place = {row.account: number for number, row in enumerate(rows) if row.live and row.side is Side.OFFER}
    extras = [0] * len(certificates)
    promised: dict[int, tuple[int, ...]] = {}
    for taken in takeovers:
        for name, account in (("failing", taken.account), ("reserve", taken.reserve)):
            if account not in place:
                raise ReplacementError(name, "an account with a live offer", account)
        failing, reserve = place[taken.account], place[taken.reserve]
        done = change(
            terms,
            certificates,
            amended[failing],
            amended[reserve],
            intervals_of(taken.intervals),
            None if taken.consented else rules,
        )
        if sum(done.extras) != taken.extra:
            raise ReplacementError("extra", f"{sum(done.extras)} micro-euro", taken.extra)
        amended[failing], amended[reserve] = done.failing, done.reserve
        extras = [before + extra for before, extra in zip(extras, done.extras, strict=True)]
        promised[taken.reserve] = done.reserve.fills
    return Amended(tuple(amended), tuple(extras), promised)


def _worth(certificates: Sequence[IntervalResult], row: ResultRow) -> list[int]:
    """Per session interval fill times price, in thousandths of a micro-euro."""
    if row.gross is not None:
        return list(row.gross)
    return [fill * (certificate.price or 0) for fill, certificate in zip(row.fills, certificates, strict=True)]


def _most(part: int, rules: RuleSet) -> int:
    """Micro-euro that taking over costs at most without consent: the penalty for delivering nothing of `part`."""
    return ceil_div(part * rules.penalty.points[0][1], 10**9)


def _taken(steps: Sequence[Step], j: int, fill: int, gross: int) -> tuple[int, int, int]:
    """Wh that a reserve takes of a fill, what of the gross goes with them, and what they cost (at least that much), both in
    thousandths of a micro-euro."""
    taken, cost = _offered(steps, j, fill, gross // fill)
    part = gross * taken // fill
    return taken, part, max(cost, part)


def _offered(steps: Sequence[Step], j: int, wanted: int, price: int) -> tuple[int, int]:
    """Wh of the steps in session interval `j`, cheapest first and at most `wanted`, and what they cost, each at no less than
    `price`, in thousandths of a micro-euro."""
    taken = cost = 0
    for limit, quantity in sorted((step.limits[j], step.quantities[j]) for step in steps):
        part = min(quantity, wanted - taken)
        taken += part
        cost += part * max(limit, price)
    return taken, cost
