"""Merit order of a session's reserves: who takes over which intervals of a failing member, cheapest first (docs/protocol.md
section 14; the contract leaves the choice to the caller)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction

from contracts.encoding import ResultRow
from contracts.units import Side
from market.session import SessionTerms
from settlement.replacement import ReplacementError, change, unit_cost
from settlement.rules import RuleSet
from settlement.statements import IntervalResult


@dataclass(frozen=True, slots=True)
class StandIn:
    """One replacement to be made: `reserve` takes over `wh` in each of `intervals` (of the day), for `extra` micro-euro of the
    failing member's lock together."""

    reserve: int
    intervals: tuple[int, ...]
    wh: tuple[int, ...]
    extra: int


def merit_order(
    terms: SessionTerms,
    certificates: Sequence[IntervalResult],
    rows: Sequence[ResultRow],
    account: int,
    intervals: Sequence[int],
    sold: Mapping[int, int],
    forced_by: RuleSet | None = None,
) -> list[StandIn]:
    """Replacements of `account` in `intervals`, to be made in this order: in each interval the reserve that costs least beyond
    what the member was to be paid, per Wh, then the next one for what is left, earlier orders first among equals.

    `sold` has per reserve the intervals of the day that it has sold anywhere. With `forced_by`, the session's rules, only what
    can be had without the member's consent. Intervals nobody can take are left out. Raises `ReplacementError` if `account`
    sells nothing here.
    """
    now = list(rows)
    failing = next((n for n, row in enumerate(now) if row.account == account and row.live and row.side is Side.OFFER), None)
    if failing is None:
        raise ReplacementError("account", "a seller of the session", account)
    reserves = [n for n, row in enumerate(now) if row.live and row.side is Side.OFFER and row.reserve and n != failing]
    index = {t: j for j, t in enumerate(terms.intervals)}
    refused: set[tuple[int, int]] = set()
    calls: list[StandIn] = []
    while True:
        best: dict[int, tuple[Fraction, int]] = {}
        for t in intervals:
            for n in reserves:
                if sold.get(now[n].account, 0) >> t & 1 or (n, t) in refused:
                    continue
                cost = unit_cost(certificates, now[failing], now[n], index[t], forced_by)
                if cost is not None and (t not in best or (cost, n) < best[t]):
                    best[t] = (cost, n)
        if not best:
            return calls
        chosen = max(sorted(reserves), key=lambda n: sum(1 for _, place in best.values() if place == n))
        mine = sorted((t for t, (_, place) in best.items() if place == chosen), key=lambda t: (best[t][0], t))
        while mine:
            try:
                done = change(terms, certificates, now[failing], now[chosen], sorted(mine), forced_by)
            except ReplacementError:  # together more than the part of the lock: without the dearest
                refused.add((chosen, mine.pop()))
                continue
            taken = tuple(sorted(mine))
            calls.append(
                StandIn(now[chosen].account, taken, tuple(done.reserve.fills[index[t]] for t in taken), sum(done.extras))
            )
            now[failing], now[chosen] = done.failing, done.reserve
            break
