"""What a reserve takes over: the example of contracts/test/Replacement.t.sol, and that the money balances afterwards."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from test_statements import terms_for

from contracts.encoding import IntervalCertificate, ResultRow, Step
from contracts.units import Side
from settlement.records import record_of
from settlement.replacement import Amended, ReplacementError, Takeover, amend, change, failed
from settlement.rules import Curve, RuleSet
from settlement.statements import settle

RULES = RuleSet(
    Curve(((0, 0), (500_000, 300_000), (1_000_000, 1_000_000))),
    Curve(((0, 500_000), (1_000_000, 0))),
    tolerance_ppm=50_000,
    collateral_ppm=600_000,
    replace_below_ppm=500_000,
    replace_after=2,
)
TERMS = terms_for(0xF << 8, RULES)
RESULTS = [IntervalCertificate(100_000, 100_000, 100, 0, 0)] * 4
DEAR, CHEAP = (Step((60,) * 4, (limit,) * 4) for limit in (150_000, 90_000))
FAILING = ResultRow(1, 1, Side.OFFER, True, 24_000, 0, (100,) * 4)
RESERVE = ResultRow(2, 2, Side.OFFER, True, 24_000, 0, (0,) * 4, reserve=(DEAR, CHEAP))
BUYER = ResultRow(4, 4, Side.BID, True, 40_000, 40_000, (100,) * 4)


def test_the_example_of_the_contract() -> None:
    done = change(TERMS, RESULTS, FAILING, RESERVE, (10, 11))
    assert done.extras == (0, 0, 2_000, 2_000)
    assert done.failing == replace(FAILING, lock=20_000, fills=(100, 100, 0, 0))
    assert done.reserve == replace(RESERVE, fills=(0, 0, 100, 100), gross=(0, 0, 12_000_000, 12_000_000))
    rows = [done.failing, done.reserve, BUYER]
    statement = settle(TERMS, RESULTS, rows, {}, RULES, extras=done.extras)
    assert statement.refunds == (15_000, 15_000, 18_000, 18_000) and statement.balanced


def test_replacements_are_made_again_in_their_order() -> None:
    second = replace(RESERVE, account=3, payer=3)
    rows = (BUYER, FAILING, RESERVE, second)
    first = Takeover(1, 2, 0b11 << 10, 4_000, True)
    again = Takeover(2, 3, 1 << 11, 1_200, True)
    made = amend(TERMS, RESULTS, rows, RULES, [first, again])
    assert [row.fills for row in made.rows[1:]] == [(100, 100, 0, 0), (0, 0, 100, 0), (0, 0, 0, 100)]
    assert made.extras == (0, 0, 2_000, 3_200)
    assert made.promised == {2: (0, 0, 100, 100), 3: (0, 0, 0, 100)}, "as they stood when the promises were made"
    assert amend(TERMS, RESULTS, rows, RULES, []) == Amended(rows, (0,) * 4, {})


@pytest.mark.parametrize(
    "taken",
    [
        Takeover(1, 2, 0b11 << 10, 4_001, True),
        Takeover(1, 9, 0b11 << 10, 4_000, True),
        Takeover(4, 2, 0b11 << 10, 4_000, True),
        Takeover(1, 2, 1 << 12, 0, True),
    ],
)
def test_an_announced_replacement_that_does_not_follow_is_found(taken: Takeover) -> None:
    with pytest.raises(ReplacementError):
        amend(TERMS, RESULTS, (BUYER, FAILING, RESERVE), RULES, [taken])


@pytest.mark.parametrize(
    ("failing", "reserve", "intervals"),
    [
        (FAILING, replace(FAILING, account=2), (10,)),
        (FAILING, replace(RESERVE, account=1), (10,)),
        (FAILING, replace(RESERVE, live=False), (10,)),
        (replace(FAILING, side=Side.BID), RESERVE, (10,)),
        (replace(FAILING, fills=(100, 100, 0, 100)), RESERVE, (10,)),
        (FAILING, replace(RESERVE, fills=(0, 0, 1, 0)), (10,)),
        (FAILING, replace(RESERVE, reserve=(Step((60, 60, 0, 60), (1, 1, 0, 1)),)), (10,)),
        (FAILING, RESERVE, (12,)),
        (replace(FAILING, lock=7_999), RESERVE, (10,)),
    ],
)
def test_what_is_refused(failing: ResultRow, reserve: ResultRow, intervals: tuple[int, ...]) -> None:
    with pytest.raises(ReplacementError):
        change(TERMS, RESULTS, failing, reserve, intervals)


def test_without_consent_it_costs_no_more_than_the_penalty() -> None:
    dear = replace(RESERVE, reserve=(Step((60,) * 4, (240_000,) * 4), CHEAP))
    assert change(TERMS, RESULTS, FAILING, dear, (10,)).extras == (0, 0, 5_600, 0)
    with pytest.raises(ReplacementError, match="5000"):
        change(TERMS, RESULTS, FAILING, dear, (10,), RULES)


def test_failures_are_recorded_shortfalls_that_nobody_exempted() -> None:
    assert failed(RULES, TERMS, FAILING, {8: 49, 9: -3, 10: 50}) == (8, 9)
    assert failed(RULES, TERMS, FAILING, {8: 49, 9: -3, 10: 50}, exempted=1 << 9) == (8,)


@given(
    st.lists(st.tuples(st.integers(1, 200), st.integers(0, 300_000)), min_size=1, max_size=4),
    st.sets(st.integers(8, 11), min_size=1),
    st.lists(st.integers(-50, 250), min_size=4, max_size=4),
    st.booleans(),
)
def test_the_money_balances_whatever_is_replaced(
    offers: list[tuple[int, int]], intervals: set[int], delivered: list[int], priced: bool
) -> None:
    reserve = replace(RESERVE, reserve=tuple(Step((quantity,) * 4, (limit,) * 4) for quantity, limit in offers))
    failing = replace(FAILING, lock=10**9, gross=(10_000_000,) * 4 if priced else None)
    done = change(TERMS, RESULTS, failing, reserve, sorted(intervals))
    assert sum(done.failing.fills) + sum(done.reserve.fills) == 400
    records = {account: [record_of(dict(zip(range(8, 12), delivered, strict=True)), 24)] for account in (1, 2)}
    statement = settle(TERMS, RESULTS, [done.failing, done.reserve, BUYER], records, RULES, extras=done.extras)
    assert statement.balanced
