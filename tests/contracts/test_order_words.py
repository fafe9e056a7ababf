"""What the market takes as an entry, against the Python words and their golden cases."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from contracts_harness import Harness, Rules
from contracts_world import order
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from contracts.encoding import EncodingError, decode_entries, encode_entry
from contracts.refusals import ContractRefusal
from contracts.units import Side

pytestmark = pytest.mark.slow

GOLDEN = Path(__file__).parent.parent / "cases" / "encoding"


def taken(harness: Harness, words: list[int], rules: Rules) -> list[int] | str:
    """The entries' words, or the error's name."""
    try:
        return list(harness.call("orders", words, rules.values()))
    except ContractRefusal as refused:
        return refused.error_name


def expected(words: list[int], rules: Rules) -> list[int] | None:
    """The same by the Python twin; None where it refuses."""
    try:
        entries = list(decode_entries(words, rules.intervals))
    except EncodingError:
        return None
    for entry in entries:
        one = entry.order
        if one.min_fill_ppm or one.parent or entry.lock != one.lock(rules.price_cap, rules.collateral_ppm):
            return None
        for step in one.steps:
            for quantity, limit in zip(step.quantities, step.limits, strict=True):
                if limit > rules.price_cap or 0 < quantity < rules.min_quantity:
                    return None
    return [
        e.order.account
        | e.order.agent << 32
        | e.lock << 64
        | (e.order.side | e.order.cancels << 1 | e.order.agent_pays << 2) << 128
        for e in entries
    ] or None


@st.composite
def batches(draw: st.DrawFn) -> tuple[list[int], Rules]:
    """Words near what is allowed: orders, then perhaps a bit turned, a word dropped or added."""
    rules = Rules(
        draw(st.integers(1, 9)),
        draw(st.integers(0, 2**32 - 1)),
        draw(st.integers(0, 2**24 - 1)),
        draw(st.integers(0, 2**32 - 1)),
    )
    quantity = st.integers(rules.min_quantity, 2**24 - 1).filter(bool)
    cell = st.one_of(st.just((0, 0)), st.tuples(quantity, st.integers(0, rules.price_cap)))
    orders = []
    for _ in range(draw(st.integers(1, 4))):
        steps = draw(st.lists(st.lists(cell, min_size=rules.intervals, max_size=rules.intervals), min_size=1, max_size=4))
        steps = steps if any(q for s in steps for q, _ in s) else steps[:1]
        orders.append(order(draw(st.integers(1, 2**32 - 1)), draw(st.sampled_from(Side)), *steps))
    locks = [min(one.lock(rules.price_cap, rules.collateral_ppm), 2**64 - 1) for one in orders]
    words = [word for one, lock in zip(orders, locks, strict=True) for word in encode_entry(one, rules.intervals, lock)]
    change = draw(st.sampled_from(["none", "bit", "low bit", "drop", "add"]))
    at = draw(st.integers(0, len(words) - 1))
    if change == "bit":
        words[at] ^= 1 << draw(st.integers(0, 255))
    elif change == "low bit":
        words[at] ^= 1 << draw(st.integers(0, 60))
    elif change == "drop":
        del words[at]
    elif change == "add":
        words.insert(at, draw(st.integers(0, 2**256 - 1)))
    return words, rules


@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(batches())
def test_the_contract_takes_what_the_twin_takes_and_locks_the_same(harness: Harness, batch: tuple[list[int], Rules]) -> None:
    words, rules = batch
    result = taken(harness, words, rules)
    wanted = expected(words, rules)
    assert result == wanted if wanted is not None else isinstance(result, str), (result, wanted)


@pytest.mark.parametrize("case", json.loads((GOLDEN / "refused_words.json").read_text())["cases"], ids=lambda c: c["name"])
def test_golden_refusals(harness: Harness, case: dict[str, object]) -> None:
    words = [int(w, 16) for w in case["words"]]  # type: ignore[attr-defined]
    assert isinstance(taken(harness, words, Rules(int(str(case["intervals"])))), str)


GOOD = order(7, Side.BID, [(10, 5), (0, 0), (20, 9), (10, 1), (10, 1)], [(0, 0), (0, 0), (10, 2), (0, 0), (0, 0)])
RULES = Rules(5, 9, 10)
WORDS = encode_entry(GOOD, 5, 5)
OFFER = order(7, Side.OFFER, [(10, 5)] * 5)
OFFERED = encode_entry(OFFER, 5, OFFER.lock(9, 500_000))
CANCELS = [7, 0, 0]


@pytest.mark.parametrize(
    ("words", "error", "arguments"),
    [
        ([], "BatchEmpty", {}),
        ([WORDS[0] | 1 << 185, *WORDS[1:]], "HeaderPadding", {"word": 0}),
        ([WORDS[0] | 1 << 132, *WORDS[1:]], "HeaderPadding", {"word": 0}),
        ([WORDS[0] | 7 << 32, *WORDS[1:]], "HeaderFields", {"word": 0, "field": "agent"}),
        ([WORDS[0] | 1 << 130, *WORDS[1:]], "HeaderFields", {"word": 0, "field": "agent"}),
        ([WORDS[0] | 1 << 131, *WORDS[1:]], "HeaderFields", {"word": 0, "field": "reserve"}),
        ([1 << 255 | 1 << 131 | 7, 0, 0], "HeaderFields", {"word": 0, "field": "cancels"}),
        ([*OFFERED, WORDS[0] + (1 << 64), *WORDS[1:]], "LockMismatch", {"word": 3, "stated": 6, "lock": 5}),
        ([OFFERED[0] - (1 << 64), *OFFERED[1:]], "LockMismatch", {"word": 0, "stated": 0, "lock": 1}),
        ([CANCELS[0] | 1 << 64, *CANCELS[1:]], "LockMismatch", {"word": 0, "stated": 1, "lock": 0}),
        ([*WORDS, WORDS[0] ^ 7, *WORDS[1:]], "NoAccount", {"word": 5}),
        (WORDS[:-1], "EntryIncomplete", {"word": 0, "needed": 5, "left": 4}),
        ([*WORDS[:1], WORDS[1] | 1 << 224, *WORDS[2:]], "BodyPadding", {"word": 1}),
        ([*WORDS[:2], WORDS[2] | 1 << 56, *WORDS[3:]], "BodyPadding", {"word": 2}),
        ([*WORDS[:4], WORDS[4] | 1 << 56], "BodyPadding", {"word": 4}),
        ([*WORDS[:1], WORDS[1] | 3 << 80, *WORDS[2:]], "LimitWithoutQuantity", {"word": 1, "interval": 1, "limit": 3}),
        (
            encode_entry(order(7, Side.BID, [(10, 5)] * 4 + [(10, 10)]), 5, 5),
            "LimitAboveCap",
            {"word": 2, "interval": 4, "limit": 10, "cap": 9},
        ),
        (
            encode_entry(order(7, Side.OFFER, [(10, 5)] * 3 + [(9, 1)] * 2), 5, 0),
            "QuantityBelowMinimum",
            {"word": 1, "interval": 3, "quantity": 9},
        ),
        ([WORDS[0] - (5 << 64), 0, 0, 0, 0], "StepsWithoutQuantity", {"word": 0, "steps": 2}),
    ],
)
def test_each_refusal_names_its_place(harness: Harness, words: list[int], error: str, arguments: dict[str, int]) -> None:
    with pytest.raises(ContractRefusal) as refused:
        harness.call("orders", words, RULES.values())
    assert refused.value.error_name == error
    assert arguments.items() <= refused.value.arguments.items()


BLOCK = WORDS[:3]
"""One step; its lock is not right."""


@pytest.mark.parametrize(
    ("header", "error"),
    [
        (7 | 1 << 128, "HeaderPadding"),
        (7 | 1 << 131 | 1 << 255, "HeaderPadding"),
        (7 | 1_000_001 << 132, "HeaderFields"),
        (7 | 1 << 184, "HeaderFields"),
        (7 | 7 << 152, "HeaderFields"),
        (7 | 1_000_000 << 132 | 7 << 152 | 1 << 184, "LockMismatch"),
    ],
)
def test_blocks_have_headers_of_their_own(harness: Harness, header: int, error: str) -> None:
    with pytest.raises(ContractRefusal) as refused:
        harness.call("orders", [header, *BLOCK[1:]], (*RULES.values()[:4], True))
    assert refused.value.error_name == error
