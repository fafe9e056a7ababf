"""Rule sets: words, hash, curves, and what is refused."""

from __future__ import annotations

import json
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.encoding import hash_words
from settlement.rules import Curve, RulesError, RuleSet, from_words, load, load_file, parse, shipped

DEFAULT = load()


@st.composite
def curves(draw: st.DrawFn, largest: int) -> Curve:
    xs = sorted(draw(st.sets(st.integers(1, (1 << 32) - 1), max_size=15)))
    return Curve(tuple((x, draw(st.integers(0, largest))) for x in [0, *xs]))


@st.composite
def rule_sets(draw: st.DrawFn) -> RuleSet:
    collateral = draw(st.one_of(st.integers(0, 2_000_000), st.integers(0, (1 << 32) - 1)))
    tolerance = draw(st.one_of(st.integers(0, 200_000), st.integers(0, (1 << 32) - 1)))
    below, after = draw(st.integers(0, 1_000_000)), draw(st.integers(0, 255))
    return RuleSet(draw(curves(1_000_000)), draw(curves(collateral)), tolerance, collateral, below, after)


def test_the_default_keeps_what_its_description_says() -> None:
    assert all(DEFAULT.pay.at(x) == 0 for x in (0, 100_000, 249_999, 250_000))
    assert all(0 < DEFAULT.pay.at(x) < x for x in range(250_100, 500_000, 10_000))
    assert all(DEFAULT.pay.at(x) == x for x in (500_000, 700_000, 1_000_000))
    assert DEFAULT.pay.at(1_200_000) == 1_000_000
    assert DEFAULT.penalty.at(950_000) == 0
    assert DEFAULT.penalty.at(940_000) == 30_000
    assert DEFAULT.penalty.at(0) == 450_000 < DEFAULT.collateral_ppm


def test_the_default_is_monotone() -> None:
    pay = [y for _, y in DEFAULT.pay.points]
    penalty = [y for _, y in DEFAULT.penalty.points]
    assert pay == sorted(pay)
    assert penalty == sorted(penalty, reverse=True)


def test_words_of_the_default() -> None:
    words = DEFAULT.words()
    assert words[0] == 1 + 4 * 2**8 + 3 * 2**16 + 50_000 * 2**32 + 500_000 * 2**64 + 250_000 * 2**96 + 2 * 2**128
    assert words[3] == 500_000 + 500_000 * 2**32
    assert words[-1] == 950_000
    assert DEFAULT.hash == hash_words(words)


@given(rule_sets())
def test_words_read_back(rules: RuleSet) -> None:
    assert from_words(rules.words()) == rules


@given(rule_sets(), st.integers(0, (1 << 32) - 1))
def test_curves_are_the_line_between_their_points_rounded_down(rules: RuleSet, x: int) -> None:
    for curve in (rules.pay, rules.penalty):
        below = [p for p in curve.points if p[0] <= x]
        above = [p for p in curve.points if p[0] > x]
        if above:
            (x0, y0), (x1, y1) = below[-1], above[0]
            exact = y0 + Fraction(y1 - y0) * Fraction(x - x0, x1 - x0)
        else:
            exact = Fraction(below[-1][1])
        assert curve.at(x) == exact.numerator // exact.denominator


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"version": 2}, "version"),
        ({"tolerance_ppm": -1}, "tolerance_ppm"),
        ({"collateral_ppm": 1 << 32}, "collateral_ppm"),
        ({"replace_below_ppm": 1_000_001}, "replace_below_ppm"),
        ({"replace_after": 256}, "replace_after"),
        ({"pay": Curve(())}, "pay"),
        ({"pay": Curve(tuple((x, 0) for x in range(17)))}, "pay"),
        ({"pay": Curve(((1, 0),))}, "pay[0].x"),
        ({"pay": Curve(((0, 0), (5, 1), (5, 2)))}, "pay[2].x"),
        ({"pay": Curve(((0, 0), (1 << 32, 1)))}, "pay[1].x"),
        ({"pay": Curve(((0, 1_000_001),))}, "pay[0].y"),
        ({"penalty": Curve(((0, 500_001),))}, "penalty[0].y"),
        ({"penalty": Curve(((0, -1),))}, "penalty[0].y"),
    ],
)
def test_rules_that_no_contract_takes(change: dict[str, Any], field: str) -> None:
    with pytest.raises(RulesError) as caught:
        replace(DEFAULT, **change)
    assert caught.value.field == field


def test_words_that_are_no_rules() -> None:
    words = DEFAULT.words()
    for bad in (
        [],
        words[:-1],
        [words[0] | 1 << 24, *words[1:]],
        [words[0] | 1 << 136, *words[1:]],
        [words[0], words[1] | 1 << 64, *words[2:]],
    ):
        with pytest.raises(RulesError):
            from_words(bad)


@pytest.mark.parametrize(
    ("change", "field"),
    [({"version": "1"}, "version"), ({"pay": [[0, 0.5]]}, "pay"), ({"penalty": [[0]]}, "penalty"), ({"pay": {}}, "pay")],
)
def test_files_that_are_no_rules(change: dict[str, Any], field: str) -> None:
    raw = {
        "version": 1,
        "tolerance_ppm": 0,
        "collateral_ppm": 0,
        "replace_below_ppm": 0,
        "replace_after": 0,
        "pay": [[0, 0]],
        "penalty": [[0, 0]],
    }
    parse(raw)
    with pytest.raises(RulesError) as caught:
        parse(raw | change)
    assert caught.value.field == field


def test_loading_by_name_and_by_file(tmp_path: Path) -> None:
    assert shipped() == ["default"]
    with pytest.raises(RulesError, match="default"):
        load("nothing")
    file = tmp_path / "own.json"
    numbers = {"version": 1, "tolerance_ppm": 7, "collateral_ppm": 9, "replace_below_ppm": 5, "replace_after": 3}
    file.write_text(json.dumps(numbers | {"pay": [[0, 1]], "penalty": [[0, 9]]}))
    assert load_file(file) == RuleSet(Curve(((0, 1),)), Curve(((0, 9),)), 7, 9, 5, 3)
