"""Parameters, evidence, impact and explanation: what they refuse, and what must hold of every book."""

from __future__ import annotations

import json
from dataclasses import replace
from importlib import resources
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from surveillance_scene import BUYER, SELLERS, bid, case, history, offer, order, quiet, session

from contracts.encoding import ScheduleOrder
from contracts.units import Side
from market.errors import FieldError
from market.surveillance import detect, parameters
from market.surveillance.case import Loads
from market.surveillance.evidence import Detector, Finding, Severity, canonical, evidence_hash
from market.surveillance.explain import explain, participants
from market.surveillance.impact import reclear, without
from market.surveillance.observed import Observed, ObservedError
from market.surveillance.parameters import ParameterError

SHIPPED = (resources.files("market.surveillance") / "default.toml").read_text()


@pytest.mark.parametrize(
    ("old", "new", "field"),
    [
        ("min_history = 10", "min_history = 2", "reference.min_history"),
        ("min_history = 10", 'min_history = "ten"', "reference.min_history"),
        ("min_history = 10", "min_history = true", "reference.min_history"),
        ("min_history = 10", "min_history = 10.5", "reference.min_history"),
        ("min_history = 10", "least_history = 10", "reference"),
        ("mad_floor = 10_000", "mad_floor = 0", "reference.mad_floor"),
        ("mad_floor = 10_000", "mad_floor = -1", "reference.mad_floor"),
        ("[price]", "[prices]", "parameters"),
        ("[price]", "[price", "parameters"),
    ],
)
def test_parameters_that_cannot_be_are_refused_by_name(old: str, new: str, field: str) -> None:
    with pytest.raises(ParameterError) as caught:
        parameters.parse(SHIPPED.replace(old, new, 1))
    assert caught.value.field == field


def test_the_parameters_hash_pins_every_number() -> None:
    p = parameters.load()
    assert p == parameters.parse(SHIPPED) and len(p.hash) == 32
    assert replace(p, price=replace(p.price, score=p.price.score + 1)).hash != p.hash


def test_evidence_has_one_text_and_one_hash() -> None:
    finding = Finding(Detector.PRICE_SCORE, 7, (17, 18), figures={"b": 2, "a": 1})
    other = Finding(Detector.PRICE_SCORE, 7, (17, 18), figures={"a": 1, "b": 2})
    documents = [f.document(bytes(32)) for f in (finding, other)]
    assert canonical(documents[0]) == canonical(documents[1])
    assert json.loads(canonical(documents[0])) == documents[0]
    changed = Finding(Detector.PRICE_SCORE, 8, (17, 18), figures={"a": 1, "b": 2}).document(bytes(32))
    assert evidence_hash(changed) != evidence_hash(documents[0])
    assert evidence_hash(documents[0]).hex() == evidence_hash(json.loads(json.dumps(documents[0]))).hex()


def test_evidence_takes_whole_numbers_and_text_only() -> None:
    with pytest.raises(ObservedError):
        Finding(Detector.PRICE_SCORE, 7, (17,), figures={"score": 1.5})  # type: ignore[dict-item]
    with pytest.raises(ObservedError):
        canonical({"a": [1, {"b": 0.5}]})


def test_a_price_alone_accuses_nobody() -> None:
    assert Finding(Detector.PRICE_SCORE, 7, (17,)).severity is Severity.NOTICE
    assert Finding(Detector.PRICE_SPIKE, 7, (17,), accounts=(1,)).severity is Severity.ALERT


def test_values_that_are_no_session_are_refused() -> None:
    book = quiet(3).book
    with pytest.raises(ObservedError, match="times"):
        Observed(book, (1, 2))
    with pytest.raises(ObservedError, match="times"):
        Observed(book, tuple(range(len(book.orders), 0, -1)))
    with pytest.raises(ObservedError, match="changes"):
        reclear(quiet(3), {(77, Side.BID): None})
    with pytest.raises(ObservedError, match="changes"):
        reclear(quiet(3), {(1, Side.OFFER): offer(2, 10, 10)})
    with pytest.raises(FieldError, match="loads"):
        Loads(1, {1: np.zeros((3, 24)), 2: np.zeros((4, 24))}, {}, {})
    with pytest.raises(FieldError, match="loads"):
        Loads(1, {1: np.zeros((3, 24))}, {2: frozenset()}, {})


def test_an_explanation_names_the_margin_and_everybodys_part() -> None:
    made = session(1, [offer(1, 1000, 100_000), offer(2, 1000, 200_000), offer(3, 1000, 300_000), bid(BUYER, 1500, 500_000)])
    for found in explain(made):
        assert (found.price, found.volume, found.low, found.high) == (200_000, 1500, 200_000, 200_000)
        assert {(m.account, m.limit, m.filled) for m in found.marginal} == {(2, 200_000, 500)}
        assert {w.account: (w.price, w.volume) for w in found.without} == {
            1: (300_000, 1500),
            2: (300_000, 1500),
            3: (200_000, 1500),
            BUYER: (None, 0),
        }
    assert participants(made)[0] == BUYER
    assert [w.account for w in explain(made, [2])[0].without] == [2]


ORDERS = st.lists(
    st.tuples(st.integers(1, 6), st.sampled_from(Side), st.integers(0, 2000), st.integers(1, 20).map(lambda p: p * 10_000)),
    max_size=14,
)


def of(entries: list[tuple[int, Side, int, int]], number: int = 1) -> Observed:
    return session(number, [order(account, side, quantity, limit) for account, side, quantity, limit in entries])


@settings(max_examples=60, deadline=None)
@given(ORDERS)
def test_who_is_not_in_the_book_and_who_changes_nothing_has_no_impact(entries: list[tuple[int, Side, int, int]]) -> None:
    made = of(entries)
    assert without(made, 99).nothing and without(made, 99).ppm == 0
    assert reclear(made, made.live).nothing, "everybody as they were"
    for key, fills in made.fills.items():
        impact = reclear(made, {key: None})
        if not any(fills):
            assert impact.volumes == impact.volumes_without, "who filled nothing took nobody's place"


@settings(max_examples=60, deadline=None)
@given(ORDERS, st.permutations(range(1, 7)))
def test_names_of_accounts_do_not_matter(entries: list[tuple[int, Side, int, int]], names: list[int]) -> None:
    made = of(entries)
    renamed = of([(names[account - 1], *rest) for account, *rest in entries])  # type: ignore[misc]
    assert made.prices == renamed.prices
    for account in range(1, 7):
        one, other = without(made, account), without(renamed, names[account - 1])
        assert (one.without, one.ppm, one.money) == (other.without, other.ppm, other.money)


@settings(max_examples=25, deadline=None)
@given(st.permutations(sorted(SELLERS)), st.integers(2, 6))
def test_findings_follow_the_accounts_when_these_change_names(names: list[int], factor: int) -> None:
    """Sellers trade names in every session, and what is said of one is then said of the other."""

    def renamed(made: Observed) -> Observed:
        kept = [replace(o, account=names[o.account - 1]) if o.account in SELLERS else o for o in made.book.orders]
        return session(made.session, kept)

    limits = {4: 220_000 * factor // 2}
    orders: list[ScheduleOrder] = [offer(a, 1000, limits.get(a, limit)) for a, limit in SELLERS.items()]
    made = session(57, [*orders, bid(BUYER, 3500, 500_000)])
    one = detect.run(case(made))
    other = detect.run(case(renamed(made), [renamed(s) for s in history(57)]))
    told = [[(f.detector, f.severity, sorted(names[a - 1] for a in f.accounts), f.impact) for f in one]]
    told.append([(f.detector, f.severity, sorted(f.accounts), f.impact) for f in other])
    assert told[0] == told[1]


@settings(max_examples=40, deadline=None)
@given(ORDERS, st.lists(ORDERS, max_size=12))
def test_no_book_is_too_odd(entries: list[tuple[int, Side, int, int]], before: list[list[tuple[int, Side, int, int]]]) -> None:
    """Empty sessions, one-sided ones, strangers: nothing raises, and every document has a hash."""
    past = [of(past, number) for number, past in enumerate(before, 1)]
    for finding in detect.run(case(of(entries, len(past) + 1), past)):
        evidence_hash(finding.document(bytes(32)))


def test_the_room_does_not_know_the_application(root: Path) -> None:
    for path in (root / "market" / "surveillance").rglob("*.py"):
        assert "import app" not in path.read_text() and "from app" not in path.read_text()
