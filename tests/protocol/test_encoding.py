"""Order words: the worked example of docs/protocol.md section 6, golden cases, round trips, and the contract's own verdict."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from eth_hash.auto import keccak
from hypothesis import given, settings
from hypothesis import strategies as st

from contracts.encoding import (
    EncodingError,
    IntervalCertificate,
    LoggedOrder,
    ResultRow,
    ScheduleOrder,
    StatedTerms,
    Step,
    batch_words,
    decode_entries,
    decode_excluded,
    decode_row,
    decode_rows,
    encode_entry,
    entry_words,
    excluded_words,
    extend_log,
    groups_of,
    hash_words,
    hint_words,
    intervals_of,
    live_words,
    result_row,
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
    parent = raw["parent"]
    return ScheduleOrder(
        account=raw["account"],
        side=Side[raw["side"].upper()],
        steps=tuple(Step(tuple(step["quantities"]), tuple(step["limits"])) for step in raw["steps"]),
        agent=raw["agent"],
        agent_pays=raw["agentPays"],
        reserve=raw["reserve"],
        min_fill_ppm=raw["minFillPpm"],
        parent=None if parent is None else (parent["account"], Side[parent["side"].upper()]),
    )


def is_block(order: ScheduleOrder) -> bool:
    return bool(order.min_fill_ppm or order.parent)


def entry_of(order: ScheduleOrder, lock: int) -> int:
    """What the contract makes of an entry for accounts and vault."""
    kind = order.side | order.cancels << 1 | order.agent_pays << 2
    return order.account | order.agent << 32 | lock << 64 | kind << 128


def numbers(words: list[str]) -> list[int]:
    return [int(word, 16) for word in words]


def test_the_worked_example() -> None:
    order = ScheduleOrder(7, Side.OFFER, (Step((0, 500, 0, 0), (0, 120_000, 0, 0)),))
    terms = StatedTerms(mask=0b1111 << 17, price_cap=500_000, collateral_ppm=600_000)
    assert entry_words(order, terms) == [2**255 + 150_000 * 2**64 + 7, (500 + 120_000 * 2**24) * 2**56]


@pytest.mark.parametrize("case", cases("orders"))
def test_golden_orders(case: dict[str, Any], library: Library) -> None:
    order, words, intervals = order_of(case["order"]), numbers(case["words"]), case["intervals"]
    terms = StatedTerms((1 << intervals) - 1, case["price_cap"], case["collateral_ppm"])
    lock = int(case["lock"])
    assert entry_words(order, terms) == words == encode_entry(order, intervals, lock)
    assert list(decode_entries(words, intervals)) == [LoggedOrder(order, lock)]
    assert hash_words(words).hex() == case["hash"].removeprefix("0x")
    assert (order.cancels, order.entries) == (case["cancels"], case["entries"])
    cap = max(case["price_cap"], *(limit for step in order.steps for limit in step.limits))
    words = entry_words(order, StatedTerms(terms.mask, cap, case["collateral_ppm"]))
    rules = (intervals, cap, 0, case["collateral_ppm"], is_block(order))
    if is_block(order) and (len(order.steps) > 1 or order.reserve):
        with pytest.raises(ContractRefusal, match="outside its fields"):
            library("orders", words, rules)
    else:
        assert library("orders", words, rules) == [entry_of(order, order.lock(cap, case["collateral_ppm"]))]


@pytest.mark.parametrize("case", cases("refused_orders"))
def test_orders_without_words_name_the_field(case: dict[str, Any]) -> None:
    with pytest.raises(EncodingError) as caught:
        encode_entry(order_of(case["order"]), case["intervals"], int(case["lock"]))
    snake = {"agentPays": "agent_pays", "minFillPpm": "min_fill_ppm"}
    assert str(caught.value).split(":")[0] == snake.get(case["field"], case["field"])


@pytest.mark.parametrize("case", cases("refused_words"))
def test_words_that_are_no_orders_are_refused_here_and_by_the_contract(case: dict[str, Any], library: Library) -> None:
    with pytest.raises(EncodingError):
        list(decode_entries(numbers(case["words"]), case["intervals"]))
    for blocks in (False, True):
        with pytest.raises(ContractRefusal):
            library("orders", numbers(case["words"]), (case["intervals"], ANY_PRICE, ANY_QUANTITY, NO_COLLATERAL, blocks))


@pytest.mark.parametrize("case", cases("typed_data"))
def test_golden_digests_of_signed_batches(case: dict[str, Any]) -> None:
    batch = OrderBatch(
        case["session"], tuple(numbers(case["words"])), int(case["nonce"]), int(case["counter"]), case["deadline"]
    )
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
    account, side = draw(st.integers(1, MAX_PRICE)), draw(st.sampled_from(Side))
    agent = draw(st.one_of(st.just(0), st.integers(1, MAX_PRICE).filter(lambda agent: agent != account)))
    order = ScheduleOrder(account, side, tuple(curve), agent, agent > 0 and draw(st.booleans()))
    reserve = side is Side.OFFER and not order.cancels and draw(st.booleans())
    return replace(order, reserve=reserve)


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
    cap = max([cap, *(limit for order in placed for step in order.steps for limit in step.limits)])
    locks = [order.lock(cap, collateral) for order in placed]
    terms = StatedTerms((1 << intervals) - 1, cap, collateral)
    if max(locks) >= 1 << 64:
        with pytest.raises(EncodingError, match=r"^lock: expected"):
            batch_words(placed, terms)
        return
    words = batch_words(placed, terms)
    assert list(decode_entries(words, intervals)) == [LoggedOrder(*each) for each in zip(placed, locks, strict=True)]
    assert OrderLog.of([words], intervals).makers() == [(order.account, order.side) for order in placed]
    expected = [entry_of(order, lock) for order, lock in zip(placed, locks, strict=True)]
    assert library("orders", words, (intervals, cap, 0, collateral, False)) == expected


@settings(max_examples=200, deadline=None)
@given(batches(), st.data())
def test_any_other_bit_is_another_order_or_none_at_all(
    library: Library, batch: tuple[int, list[ScheduleOrder]], data: st.DataObject
) -> None:
    """Words stand for one order each: a flipped bit is refused by both sides, or read as another order by both. The lock is
    the contract's alone to refuse, which knows the terms."""
    intervals, placed = batch
    terms = StatedTerms((1 << intervals) - 1, ANY_PRICE, NO_COLLATERAL)
    words = batch_words(placed, terms)
    word = data.draw(st.integers(0, len(words) - 1))
    flipped = [*words]
    flipped[word] ^= 1 << data.draw(st.integers(0, 255))
    rules = (intervals, ANY_PRICE, ANY_QUANTITY, NO_COLLATERAL)
    try:
        entries = list(decode_entries(flipped, intervals))
    except EncodingError:
        for blocks in (False, True):
            with pytest.raises(ContractRefusal):
                library("orders", flipped, (*rules, blocks))
        return
    read = [entry.order for entry in entries]
    assert read != placed or [entry.lock for entry in entries] != [order.lock(ANY_PRICE, NO_COLLATERAL) for order in placed]
    assert [w for entry in entries for w in encode_entry(entry.order, intervals, entry.lock)] == flipped
    if wrong := [e for e in entries if e.lock != e.order.lock(ANY_PRICE, NO_COLLATERAL)]:
        assert len(wrong) == 1
        with pytest.raises(ContractRefusal, match="lock"):
            library("orders", flipped, (*rules, False))
    elif any(is_block(order) for order in read):
        with pytest.raises(ContractRefusal, match="fields"):
            library("orders", flipped, (*rules, False))
    else:
        assert library("orders", flipped, (*rules, False)) == [entry_of(e.order, e.lock) for e in entries]


def test_cap_and_minimum_are_asked_for_by_the_contract_alone(library: Library) -> None:
    """They depend on the session, so that words as such cannot break them."""
    words = entry_words(ScheduleOrder(1, Side.BID, (Step((9, 10), (500, 501)),)), StatedTerms(0b11, 501, 0))
    assert list(decode_entries(words, 2))
    library("orders", words, (2, 501, 9, 0, False))
    with pytest.raises(ContractRefusal) as caught:
        library("orders", words, (2, 500, 9, 0, False))
    assert (caught.value.error_name, caught.value.arguments["interval"]) == ("LimitAboveCap", 1)
    with pytest.raises(ContractRefusal) as caught:
        library("orders", words, (2, 501, 10, 0, False))
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


MONEY = st.integers(0, 2**64 - 1)
ACCOUNT = st.integers(1, 2**32 - 1)


@st.composite
def result_rows(draw: st.DrawFn, intervals: int) -> ResultRow:
    order = draw(orders(intervals))
    fills = tuple(draw(st.lists(PRICE, min_size=intervals, max_size=intervals)))
    if not draw(st.booleans()):
        return result_row(order, live=False, lock=draw(MONEY), cost=0, fills=(0,) * intervals)
    gross = tuple(draw(MONEY) for _ in fills) if draw(st.booleans()) else None
    return result_row(order, live=True, lock=draw(MONEY), cost=draw(MONEY), fills=fills, gross=gross)


@settings(max_examples=100, deadline=None)
@given(st.data(), st.integers(1, 26))
def test_result_rows_read_back_alone_and_from_a_stream(data: st.DataObject, intervals: int) -> None:
    rows = data.draw(st.lists(result_rows(intervals), min_size=1, max_size=4))
    for row in rows:
        words = row_words(row)
        size = 1 + -(-intervals // 8)
        flags = row.side | row.live << 1 | (row.gross is not None) << 2 | row.reserves << 3 | (row.steps - 1) << 4
        assert words[0] == row.account + row.payer * 2**32 + row.lock * 2**64 + row.cost * 2**128 + flags * 2**192
        for j, fill in enumerate(row.fills):
            assert words[1 + j // 8] // 2 ** (32 * (j % 8)) % 2**32 == fill
        for j, gross in enumerate(row.gross or ()):
            assert words[size + j // 4] // 2 ** (64 * (j % 4)) % 2**64 == gross
        size += 0 if row.gross is None else -(-intervals // 4)
        if row.live and row.reserves:
            order = ScheduleOrder(row.account, Side.OFFER, row.reserve or ())
            body = [] if order.cancels and row.steps > 1 else encode_entry(order, intervals, 0)[1:]
            assert words[size:] == body
            size += row.steps * -(-intervals // 4)
        assert len(words) == size
        assert decode_row(words, intervals) == row
        with pytest.raises(EncodingError):
            decode_row([*words, 0], intervals)
        with pytest.raises(EncodingError, match="no bits outside the fields"):
            decode_row([words[0] | 1 << 198, *words[1:]], intervals)
    assert list(decode_rows([word for row in rows for word in row_words(row)], intervals)) == rows


def test_rows_that_no_pass_writes_are_refused_by_field() -> None:
    order = ScheduleOrder(5, Side.OFFER, (Step((1,), (1,)),), agent=3, agent_pays=True, reserve=True)
    row = result_row(order, live=True, lock=7, cost=0, fills=(1,))
    assert (row.payer, row.reserve, row.reserves) == (3, order.steps, True)
    for wrong, field in (
        (replace(row, account=0), "account"),
        (replace(row, payer=2**32), "payer"),
        (replace(row, lock=2**64), "lock"),
        (replace(row, cost=-1), "cost"),
        (replace(row, fills=(2**32,)), r"fills\[0\]"),
        (replace(row, gross=(2**64,)), r"gross\[0\]"),
        (replace(row, gross=(1, 2)), "gross"),
        (replace(row, steps=5), "steps"),
        (replace(row, steps=2), "reserve"),
        (replace(row, reserve=None), "reserve"),
        (replace(row, reserves=False), "reserve"),
        (replace(row, side=Side.BID), "reserves"),
        (replace(row, live=False), "live"),
        (replace(row, live=False, fills=(0,)), "reserve"),
    ):
        with pytest.raises(EncodingError, match=f"^{field}:"):
            row_words(wrong)


def test_groups_hold_sixteen_rows_whatever_their_size() -> None:
    bid = ScheduleOrder(1, Side.BID, (Step((1,), (1,)),))
    rows = [result_row(bid, live=True, lock=1, cost=1, fills=(1,), gross=(i,) if i % 2 else None) for i in range(18)]
    groups = groups_of(rows)
    assert [len(list(decode_rows(words, 1))) for words in groups] == [16, 2]
    assert [word for words in groups for word in words] == [word for row in rows for word in row_words(row)]


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
    excluded = [(3, Side.OFFER), (9, Side.BID), (3, Side.BID)]
    assert excluded_words(excluded) == [3, 3 + 2**32, 9]
    assert decode_excluded(excluded_words(excluded)) == sorted(excluded)
