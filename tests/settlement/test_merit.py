"""Merit order of reserves: cheapest first per interval, feasible as listed, and nothing left that somebody could take."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from test_replacement import BUYER, FAILING, RESULTS, RULES, TERMS

from contracts.encoding import ResultRow, Step
from contracts.units import Side
from settlement.merit import merit_order
from settlement.replacement import ReplacementError, Takeover, amend, change
from settlement.rules import RuleSet

HOURS = TERMS.intervals


def reserve(account: int, wh: int, limit: int) -> ResultRow:
    return ResultRow(account, account, Side.OFFER, True, 24_000, 0, (0,) * 4, reserve=(Step((wh,) * 4, (limit,) * 4),))


def test_the_cheapest_comes_first_and_the_next_fills_up() -> None:
    rows = [BUYER, FAILING, reserve(7, 100, 160_000), reserve(8, 30, 110_000), reserve(9, 40, 120_000)]
    order = merit_order(TERMS, RESULTS, rows, 1, HOURS[2:], {})
    assert [(one.reserve, one.intervals, one.wh) for one in order] == [
        (8, HOURS[2:], (30, 30)),
        (9, HOURS[2:], (40, 40)),
        (7, HOURS[2:], (30, 30)),
    ]
    assert [one.extra for one in order] == [600, 1_600, 3_600]


def test_who_has_sold_an_interval_is_passed_over() -> None:
    rows = [FAILING, reserve(7, 100, 130_000), reserve(8, 100, 110_000)]
    order = merit_order(TERMS, RESULTS, rows, 1, HOURS[:2], {8: 1 << HOURS[0]})
    assert [(one.reserve, one.intervals) for one in order] == [(7, HOURS[:1]), (8, HOURS[1:2])]
    assert merit_order(TERMS, RESULTS, rows, 1, HOURS[:1], {7: 1 << HOURS[0], 8: 1 << HOURS[0]}) == []


def test_earlier_orders_come_first_among_equals() -> None:
    rows = [reserve(9, 100, 130_000), FAILING, reserve(8, 100, 130_000)]
    assert [one.reserve for one in merit_order(TERMS, RESULTS, rows, 1, HOURS[:1], {})] == [9]


def test_only_sellers_have_a_merit_order() -> None:
    for account in (4, 99):
        with pytest.raises(ReplacementError, match="account: expected a seller"):
            merit_order(TERMS, RESULTS, [BUYER, FAILING], account, HOURS, {})


@given(
    offers=st.lists(st.tuples(st.integers(1, 120), st.integers(0, 400_000)), max_size=5),
    sold=st.dictionaries(st.integers(10, 14), st.integers(0, 15).map(lambda bits: bits << HOURS[0])),
    wanted=st.sets(st.sampled_from(HOURS), min_size=1),
    rules=st.sampled_from([None, RULES]),
)
def test_what_is_listed_can_be_made_in_turn(
    offers: list[tuple[int, int]], sold: dict[int, int], wanted: set[int], rules: RuleSet | None
) -> None:
    rows = [FAILING, *(reserve(10 + n, wh, limit) for n, (wh, limit) in enumerate(offers))]
    order = merit_order(TERMS, RESULTS, rows, 1, sorted(wanted), sold, rules)
    taken = [Takeover(1, one.reserve, sum(1 << t for t in one.intervals), one.extra, rules is None) for one in order]
    after = amend(TERMS, RESULTS, rows, RULES, taken)
    for t in wanted:
        j = HOURS.index(t)
        used = [one.reserve for one in order if t in one.intervals]
        limits = [max(offers[account - 10][1], 100_000) for account in used]
        if rules is None:  # under the cap of the lock a dearer one can be left out in the interval where it costs most
            assert all(a <= b for a, b in pairwise(limits))
        assert not any(sold.get(account, 0) >> t & 1 for account in used)
        for row in after.rows[1:]:  # nobody who could still take it was left out, but for the lock's part
            if after.rows[0].fills[j] and not row.fills[j] and not sold.get(row.account, 0) >> t & 1:
                with pytest.raises(ReplacementError, match="extras"):
                    change(TERMS, RESULTS, after.rows[0], row, [t], rules)
