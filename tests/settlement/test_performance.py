"""The arithmetic of one promise: cases worked by hand, and what holds for every rule set."""

from __future__ import annotations

import json
from dataclasses import asdict
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from test_rules import rule_sets

from settlement.performance import perform
from settlement.rules import RuleSet, load

CASES: list[dict[str, Any]] = json.loads(
    (Path(__file__).resolve().parents[1] / "cases" / "settlement" / "performance.json").read_text()
)

FILLS = st.integers(1, (1 << 26) - 1)
WH = st.integers(-(1 << 25), (1 << 25) - 1)
MICRO = st.integers(0, (1 << 32) - 1)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["name"])
def test_cases_of_the_default_rules(case: dict[str, Any]) -> None:
    result = asdict(perform(load(), case["fill"], case["fill"] * case["price"], case["delivered"]))
    assert result == {name: case[name] for name in result} | {"delivered": max(case["delivered"], 0)}


@given(rule_sets(), FILLS, MICRO, WH)
def test_nobody_earns_more_than_the_promise_was_worth(rules: RuleSet, fill: int, price: int, delivered: int) -> None:
    result = perform(rules, fill, fill * price, delivered)
    assert 0 <= result.earned <= fill * price // 1000
    assert result.earned + result.unpaid == fill * price // 1000
    assert result.unpaid >= 0
    assert 0 <= result.penalty <= -(-fill * price * rules.collateral_ppm // 10**9)
    assert result.paid_ppm <= 1_000_000


@given(rule_sets(), FILLS, MICRO, WH)
def test_the_result_is_the_exact_one_rounded_against_the_receiver(
    rules: RuleSet, fill: int, price: int, delivered: int
) -> None:
    result = perform(rules, fill, fill * price, delivered)
    ratio = min(Fraction(max(delivered, 0) * 10**6, fill), Fraction(2**32 - 1)).__floor__()
    counted = 10**6 if 10**6 - rules.tolerance_ppm <= ratio < 10**6 else ratio
    worth = Fraction(fill * price, 1000)
    assert result.ratio_ppm == ratio
    assert result.earned == (worth * rules.pay.at(counted) / 10**6).__floor__()
    assert result.penalty == (worth * rules.penalty.at(counted) / 10**6).__ceil__()


@given(FILLS, MICRO, WH, st.integers(0, 1 << 20))
def test_who_delivers_more_never_has_less(fill: int, price: int, delivered: int, more: int) -> None:
    less, better = (perform(load(), fill, fill * price, wh) for wh in (delivered, delivered + more))
    assert better.earned >= less.earned
    assert better.penalty <= less.penalty
    assert better.unpaid <= less.unpaid


def test_a_promise_of_nothing_has_no_performance() -> None:
    with pytest.raises(ValueError, match="fill"):
        perform(load(), 0, 1, 1)
