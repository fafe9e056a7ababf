"""Order words: the worked example of docs/protocol.md section 6, golden cases, round trips, and the contract's own verdict."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from eth_hash.auto import keccak
from hypothesis import given, settings
from hypothesis import strategies as st

from contracts.encoding import (
    EncodingError,
    IntervalCertificate,
    ResultRow,
    ScheduleOrder,
    Step,
    batch_words,
    decode_entries,
    decode_row,
    entry_words,
    extend_log,
    hash_words,
    hint_words,
    intervals_of,
    live_words,
    row_words,
)
from contracts.orderlog import OrderLog
from contracts.refusals import ContractRefusal
from contracts.typed_data import Domain, OrderBatch
from contracts.units import MAX_PRICE, MAX_QUANTITY, Side

CASES = Path(__file__).resolve().parents[1] / "cases" / "encoding"
ANY_PRICE, ANY_QUANTITY, NO_COLLATERAL = MAX_PRICE, 0, 0
Library = Callable[..., Any]


def cases(name: str) -> list[Any]:
    found = json.loads((CASES / f"{name}.json").read_text())["cases"]
    assert found
    return [pytest.param(case, id=case.get("name", str(number))) for number, case in enumerate(found)]


def order_of(raw: dict[str, Any]) -> ScheduleOrder:
    steps = tuple(Step(tuple(step["quantities"]), tuple(step["limits"])) for step in raw["steps"])
    return ScheduleOrder(raw["account"], Side[raw["side"].upper()], steps)


def numbers(words: list[str]) -> list[int]:
    return [int(word, 16) for word in words]


def test_the_worked_example() -> None:
    order = ScheduleOrder(7, Side.OFFER, (Step((0, 500, 0, 0), (0, 120_000, 0, 0)),))
    assert entry_words(order, 4) == [2**255 + 7, (500 + 120_000 * 2**24) * 2**56]


@pytest.mark.parametrize("case", cases("orders"))
def test_golden_orders(case: dict[str, Any], library: Library) -> None:
    order, words, intervals = order_of(case["order"]), numbers(case["words"]), case["intervals"]
    assert entry_words(order, intervals) == words
    assert list(decode_entries(words, intervals)) == [order]
    assert hash_words(words).hex() == case["hash"].removeprefix("0x")
    assert (order.cancels, order.entries) == (case["cancels"], case["entries"])
    assert order.lock(case["price_cap"], case["collateral_ppm"]) == int(case["lock"])
    cap = max(case["price_cap"], *(limit for step in order.steps for limit in step.limits))
    entry = order.account | order.side << 32 | order.cancels << 33 | order.lock(cap, case["collateral_ppm"]) << 64
    assert library("orders", words, (intervals, cap, 0, case["collateral_ppm"])) == [entry]


@pytest.mark.parametrize("case", cases("refused_orders"))
def test_orders_without_words_name_the_field(case: dict[str, Any]) -> None:
    with pytest.raises(EncodingError) as caught:
        entry_words(order_of(case["order"]), case["intervals"])
    assert str(caught.value).split(":")[0] == case["field"]


@pytest.mark.parametrize("case", cases("refused_words"))
def test_words_that_are_no_orders_are_refused_here_and_by_the_contract(case: dict[str, Any], library: Library) -> None:
    with pytest.raises(EncodingError):
        list(decode_entries(numbers(case["words"]), case["intervals"]))
    with pytest.raises(ContractRefusal):
        library("orders", numbers(case["words"]), (case["intervals"], ANY_PRICE, ANY_QUANTITY, NO_COLLATERAL))


@pytest.mark.parametrize("case", cases("typed_data"))
def test_golden_digests_of_signed_batches(case: dict[str, Any]) -> None:
    batch = OrderBatch(case["session"], tuple(numbers(case["words"])), int(case["nonce"]), case["deadline"])
    assert batch.digest(Domain(case["chain_id"], case["market"])).hex() == case["digest"].removeprefix("0x")


QUANTITIES = st.one_of(st.just(0), st.integers(1, 50), st.integers(1, MAX_QUANTITY), st.just(MAX_QUANTITY))
LIMITS = st.one_of(st.integers(0, MAX_PRICE), st.sampled_from([0, 1, MAX_PRICE]))


@st.composite
def steps(draw: st.DrawFn, intervals: int) -> Step:
    quantities = draw(st.lists(QUANTITIES, min_size=intervals, max_size=intervals))
    return Step(tuple(quantities), tuple(draw(LIMITS) if q else 0 for q in quantities))


@st.composite
def orders(draw: st.DrawFn, intervals: int) -> ScheduleOrder:
    curve = draw(st.lists(steps(intervals), min_size=1, max_size=4))
    if not any(any(step.quantities) for step in curve):
        del curve[1:]
    return ScheduleOrder(draw(st.integers(1, MAX_PRICE)), draw(st.sampled_from(Side)), tuple(curve))


@st.composite
def batches(draw: st.DrawFn) -> tuple[int, list[ScheduleOrder]]:
    intervals = draw(st.integers(1, 10))
    return intervals, draw(st.lists(orders(intervals), min_size=1, max_size=4))


@settings(max_examples=150, deadline=None)
@given(batches(), st.integers(0, MAX_PRICE), st.integers(0, 2**32 - 1))
def test_batches_read_back_and_the_contract_locks_the_same(
    library: Library, batch: tuple[int, list[ScheduleOrder]], cap: int, collateral: int
) -> None:
    intervals, placed = batch
    words = batch_words(placed, intervals)
    assert list(decode_entries(words, intervals)) == placed
    assert OrderLog.of([words], intervals).makers() == [(order.account, order.side) for order in placed]
    cap = max([cap, *(limit for order in placed for step in order.steps for limit in step.limits)])
    expected = [order.account | order.side << 32 | order.cancels << 33 | order.lock(cap, collateral) << 64 for order in placed]
    assert library("orders", words, (intervals, cap, 0, collateral)) == expected


@settings(max_examples=200, deadline=None)
@given(batches(), st.data())
def test_any_other_bit_is_another_order_or_none_at_all(
    library: Library, batch: tuple[int, list[ScheduleOrder]], data: st.DataObject
) -> None:
    """Words stand for one order each: a flipped bit is refused by both sides, or read as another order by both."""
    intervals, placed = batch
    words = batch_words(placed, intervals)
    word = data.draw(st.integers(0, len(words) - 1))
    flipped = [*words]
    flipped[word] ^= 1 << data.draw(st.integers(0, 255))
    try:
        read = list(decode_entries(flipped, intervals))
    except EncodingError:
        with pytest.raises(ContractRefusal):
            library("orders", flipped, (intervals, ANY_PRICE, ANY_QUANTITY, NO_COLLATERAL))
        return
    assert read != placed
    assert batch_words(read, intervals) == flipped
    entries = library("orders", flipped, (intervals, ANY_PRICE, ANY_QUANTITY, NO_COLLATERAL))
    assert [entry & 2**64 - 1 for entry in entries] == [
        order.account | order.side << 32 | order.cancels << 33 for order in read
    ]


def test_cap_and_minimum_are_asked_for_by_the_contract_alone(library: Library) -> None:
    """They depend on the session, so that words as such cannot break them."""
    words = entry_words(ScheduleOrder(1, Side.BID, (Step((9, 10), (500, 501)),)), 2)
    assert list(decode_entries(words, 2))
    library("orders", words, (2, 501, 9, 0))
    with pytest.raises(ContractRefusal) as caught:
        library("orders", words, (2, 500, 9, 0))
    assert (caught.value.error_name, caught.value.arguments["interval"]) == ("LimitAboveCap", 1)
    with pytest.raises(ContractRefusal) as caught:
        library("orders", words, (2, 501, 10, 0))
    assert (caught.value.error_name, caught.value.arguments["interval"]) == ("QuantityBelowMinimum", 0)


WORD40 = st.integers(0, 2**40 - 1)
PRICE = st.integers(0, MAX_PRICE)


@given(st.builds(IntervalCertificate, PRICE, PRICE, WORD40, WORD40, WORD40))
def test_certificates_read_back(certificate: IntervalCertificate) -> None:
    c, word = certificate, certificate.word()
    assert word == c.lo + c.hi * 2**32 + c.volume * 2**64 + c.rest_bids * 2**104 + c.rest_offers * 2**144
    assert IntervalCertificate.from_word(word) == c
    assert c.price == ((c.lo + c.hi) // 2 if c.volume else None)
    with pytest.raises(EncodingError, match="184"):
        IntervalCertificate.from_word(word | 1 << 184)


MONEY = st.integers(0, 2**96 - 1)
FILLS = st.lists(st.integers(0, 2**32 - 1), min_size=1, max_size=24).map(tuple)


@given(st.builds(ResultRow, PRICE, st.sampled_from(Side), st.booleans(), MONEY, MONEY, FILLS))
def test_result_rows_read_back(row: ResultRow) -> None:
    words = row_words(row)
    assert len(words) == 1 + -(-len(row.fills) // 8)
    assert words[0] == row.account + row.side * 2**32 + row.live * 2**33 + row.lock * 2**64 + row.cost * 2**160
    for j, fill in enumerate(row.fills):
        assert words[1 + j // 8] // 2 ** (32 * (j % 8)) % 2**32 == fill
    assert decode_row(words, len(row.fills)) == row


def test_live_table_hints_log_and_masks() -> None:
    rows = [
        (3, Side.BID, 9),
        (3, Side.OFFER, 2),
        (2**32 - 1, Side.BID, 2**31 - 1),
        (2**32 - 1, Side.OFFER, 0),
        (2**32 - 1, Side.OFFER, 5),
    ]
    packed = [3 << 32 | 9, 3 << 32 | 1 << 31 | 2, 2**64 - 2**32 | 2**31 - 1, 2**64 - 2**31, 2**64 - 2**31 | 5]
    assert live_words(rows) == [sum(row << 64 * i for i, row in enumerate(packed[:4])), packed[4]]
    assert hint_words(range(9)) == [sum(hint << 32 * hint for hint in range(8)), 8]
    inner = keccak((5).to_bytes(32, "big") + (2**255).to_bytes(32, "big"))
    assert extend_log(bytes(32), [5, 2**255]) == keccak(bytes(32) + inner)
    assert intervals_of(0b1001 << 20) == (20, 23)
