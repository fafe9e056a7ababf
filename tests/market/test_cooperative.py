"""Cooperative clearing on random logs: engine = brute force, the checker accepts that and nothing near it, chunks of any size
leave the same."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from market_brute import TOP, terms_for
from market_cooperative import brute_interval

from contracts.calls import ClearingPass
from contracts.clearing_words import (
    CallTooLarge,
    Chunk,
    CooperativeCertificate,
    LevelSums,
    PassState,
    chain_hash,
    cooperative_certificates,
    decode_levels,
    fingerprint,
    level_words,
    plan_chunks,
)
from contracts.encoding import EncodingError, ScheduleOrder, Step, batch_words, decode_row, hash_words, row_words
from contracts.orderlog import OrderLog
from contracts.units import Mode, Side
from market.clearing import engine
from market.clearing.chunks import Claim, advance, begin, check_levels
from market.clearing.cooperative import CooperativeClearing, clear
from market.orders import OrderBook
from market.session import SessionTerms

PRICES = st.one_of(st.integers(0, 6), st.sampled_from([0, 1, 40]))
Log = tuple[OrderBook, dict[int, int]]


def book_of(
    orders: list[ScheduleOrder], mask: int, mode: Mode, excluded: frozenset[tuple[int, Side]] = frozenset()
) -> OrderBook:
    return OrderBook(replace(terms_for(mask), mode=mode), tuple(orders), excluded)


@st.composite
def logs(draw: st.DrawFn, mode: Mode | None = Mode.COOPERATIVE) -> Log:
    """(book, sold): few accounts, so that entries replace one another; close prices, so that ties abound; few Wh."""
    intervals = sorted(draw(st.sets(st.integers(0, 23), min_size=1, max_size=5)))
    accounts = st.integers(1, 6)
    orders = []
    for _ in range(draw(st.integers(0, 10))):
        steps = []
        for _ in range(draw(st.integers(1, 3))):
            quantities = [draw(st.integers(0, 3)) for _ in intervals]
            steps.append(Step(tuple(quantities), tuple(draw(PRICES) if q else 0 for q in quantities)))
        side = draw(st.sampled_from(Side))
        agent = draw(st.sampled_from([0, 0, 8]))
        order = ScheduleOrder(draw(accounts), side, tuple(steps), agent, bool(agent) and draw(st.booleans()))
        if order.cancels:
            order = replace(order, steps=order.steps[:1])
        elif side is Side.OFFER:
            order = replace(order, reserve=draw(st.booleans()))
        orders.append(order)
    sold = draw(st.dictionaries(accounts, st.integers(0, (1 << 24) - 1), max_size=3))
    makers = sorted({(order.account, order.side) for order in orders})
    none: st.SearchStrategy[set[tuple[int, Side]]] = st.just(set())
    excluded = draw(st.one_of(none, st.sets(st.sampled_from(makers), max_size=2)) if makers else none)
    chosen = mode if mode is not None else draw(st.sampled_from([Mode.COMPETITIVE, Mode.COOPERATIVE]))
    return book_of(orders, sum(1 << t for t in intervals), chosen, frozenset(excluded)), sold


@settings(max_examples=300, deadline=None)
@given(logs())
def test_engine_equals_brute_force_and_the_checker_accepts_it(log: Log) -> None:
    book, sold = log
    cleared = clear(book, sold)
    for j, (interval, certificate) in enumerate(zip(book.terms.intervals, cleared.certificates, strict=True)):
        counted = [
            position
            for position, order in enumerate(book.orders)
            if book.counts(position) and not (order.side is Side.OFFER and sold.get(order.account, 0) >> interval & 1)
        ]
        right = brute_interval(book.orders, counted, j)
        assert (certificate.volume, certificate.share) == (right["volume"], right["share"])
        assert {i: row.fills[j] for i, row in enumerate(cleared.rows) if row.fills[j]} == right["fills"]
        for position, gross in right["gross"].items():
            row = cleared.rows[position]
            assert row.gross is not None and row.gross[j] == gross
        assert [(level.price, level.bids, level.offers) for level in cleared.levels[j]] == right["levels"]
    verdict = engine.check(book, cleared, sold)
    assert verdict.accepted, verdict.reason


@settings(max_examples=200, deadline=None)
@given(logs())
def test_what_every_clearing_keeps(log: Log) -> None:
    book, sold = log
    cleared = clear(book, sold)
    for j, certificate in enumerate(cleared.certificates):
        for side, worth in ((Side.BID, certificate.buyers), (Side.OFFER, certificate.sellers)):
            rows = [row for row in cleared.rows if row.side is side]
            assert sum(row.fills[j] for row in rows) == certificate.volume
            assert sum(row.gross[j] for row in rows if row.gross) == worth
        assert certificate.sellers <= certificate.buyers, "buyers pay for what sellers get"
        if certificate.volume:
            assert certificate.buyers - certificate.sellers < 2 * certificate.volume, "nothing but rounding is left"
    for row in cleared.rows:
        assert row.cost <= row.lock if row.side is Side.BID else row.cost == 0
        words = row_words(row)
        assert decode_row(words, len(book.terms.intervals)) == row


@settings(max_examples=300, deadline=None)
@given(logs(), st.data())
def test_the_checker_refuses_everything_else(log: Log, data: st.DataObject) -> None:
    book, sold = log
    right = clear(book, sold)
    j = data.draw(st.integers(0, len(right.certificates) - 1))
    certificates, levels, rows = list(right.certificates), list(right.levels), list(right.rows)
    if data.draw(st.booleans()) or not rows:
        name = data.draw(st.sampled_from([*CooperativeCertificate.__dataclass_fields__, "levels"]))
        if name == "levels":
            if not levels[j]:
                return
            levels[j] = (replace(levels[j][0], bids=levels[j][0].bids + 1), *levels[j][1:])
        else:
            value = getattr(certificates[j], name)
            certificates[j] = replace(certificates[j], **{name: max(value + data.draw(st.sampled_from([-2, -1, 1, 2])), 0)})
            if certificates[j] == right.certificates[j]:
                return
    else:
        i = data.draw(st.integers(0, len(rows) - 1))
        name = data.draw(st.sampled_from(["account", "payer", "lock", "cost", "fills", "steps"]))
        old = getattr(rows[i], name)
        changed: dict[str, Any] = {name: tuple(v + (k == j) for k, v in enumerate(old)) if name == "fills" else old + 1}
        rows[i] = replace(rows[i], **changed)
    wrong = CooperativeClearing(tuple(rows), tuple(certificates), tuple(levels))
    assert not engine.check(book, wrong, sold).accepted


@settings(max_examples=200, deadline=None)
@given(logs(mode=None), st.data())
def test_any_cut_of_the_log_leaves_the_same(log: Log, data: st.DataObject) -> None:
    book, sold = log
    cleared = engine.clear(book, sold)
    cooperative = isinstance(cleared, CooperativeClearing)
    intervals = book.terms.intervals
    batches = []
    orders = list(book.orders)
    while orders:
        size = data.draw(st.integers(1, len(orders)))
        batches.append(batch_words(orders[:size], book.terms))
        orders = orders[size:]
    whole = OrderLog.of(batches, len(intervals))
    full = ClearingPass.whole(whole, cleared.certificate_words, cleared.level_words)
    key = full._replace(excluded=book.excluded_words()).key(whole.hash())
    claim = Claim(cleared.certificates, key, book.last, book.excluded, intervals, full.levels_hash)
    state, groups = begin(claim), []
    for batch in batches:
        state, more = advance(claim, state, [batch], sold)
        groups += more
        words = state.words()
        assert PassState.from_words(words, len(intervals), cooperative=cooperative) == state
    assert advance(claim, begin(claim), batches, sold) == (state, groups)
    if state.open_rows:
        groups.append(hash_words(state.open_rows))
    assert groups == cleared.group_hashes
    assert (state.log, state.entries, state.hits) == (whole.hash(), len(book.orders), len(book.rows))
    for k, record in enumerate(state.records):
        assert (record.filled, record.rest) == (cleared.certificates[k % len(intervals)].volume, 0)
        if isinstance(cleared, CooperativeClearing):
            certificate = cleared.certificates[k % len(intervals)]
            assert record.gross == (certificate.buyers if k < len(intervals) else certificate.sellers)
            sums = [
                (level.price, level.bids if k < len(intervals) else level.offers)
                for level in cleared.levels[k % len(intervals)]
            ]
            assert record.print == sum(wh * fingerprint(key, price) for price, wh in sums)
    words, at = cleared.level_words, 0
    while at < len(words):
        end = data.draw(st.integers(at + 1, len(words)))
        state, at = check_levels(claim, state, words[at:end], chain_hash(words[end:])), end
        reached = state.levels
        assert PassState.from_words(state.words(), len(intervals), cooperative=True) == state and reached
        if reached.floor == 0:  # between two intervals
            assert reached == LevelSums(chain_hash(words[end:]), reached.interval)
            assert reached.interval == sum(word >> 160 for word in words[:end])
        else:
            record = state.records[reached.interval]
            assert reached.bids >= 0 and reached.bid_print <= record.print
    assert not words or state.levels == LevelSums(bytes(32), len(intervals))


def test_no_bid_pays_less_than_nothing_and_nothing_is_left_over() -> None:
    """Limits 100 and 1 against 0 and 1: a quarter of the surplus is more than the second bid's limit."""
    bids = [ScheduleOrder(i, Side.BID, (Step((1,), (limit,)),)) for i, limit in ((1, 100), (2, 1))]
    offers = [ScheduleOrder(i, Side.OFFER, (Step((1,), (limit,)),)) for i, limit in ((3, 0), (4, 1))]
    cleared = clear(book_of([*bids, *offers], 1, Mode.COOPERATIVE))
    (certificate,) = cleared.certificates
    assert (certificate.volume, certificate.share) == (2, 33)
    assert (certificate.buyers, certificate.sellers) == (67, 67)


@pytest.mark.parametrize("volume", [(1 << 24) - 1])
def test_large_sums_are_exact(volume: int) -> None:
    orders = [
        ScheduleOrder(i + 1, Side(i % 2), tuple(Step((volume,), (TOP if i % 2 == 0 else 0,)) for _ in range(4)))
        for i in range(600)
    ]
    cleared = clear(book_of(orders, 1, Mode.COOPERATIVE))
    (certificate,) = cleared.certificates
    assert certificate.volume == 300 * 4 * volume
    assert certificate.share == TOP // 2
    assert certificate.buyers == certificate.volume * (TOP - TOP // 2)


def test_bids_at_nothing_do_not_overflow_a_level() -> None:
    """More than 2^40 Wh are asked for at a limit of 0, which locks nothing; 5 Wh are traded."""
    largest = (1 << 24) - 1
    bids = [ScheduleOrder(i + 1, Side.BID, (Step((largest,), (0,)),) * 4) for i in range(16_385)]
    offer = ScheduleOrder(20_000, Side.OFFER, (Step((5,), (0,)),))
    cleared = clear(book_of([*bids, offer], 1, Mode.COOPERATIVE))
    ((level,),) = cleared.levels
    assert level.bids == 4 * largest * len(bids) > 1 << 40
    assert cleared.volume == 5
    assert decode_levels(cleared.level_words) == cleared.levels


def test_words_go_there_and_back() -> None:
    certificate = CooperativeCertificate(5, 6, 7, 8, 9, 10, 11, 12)
    assert cooperative_certificates(certificate.words()) == (certificate,)
    orders = [ScheduleOrder(1, Side.BID, (Step((1, 0), (4, 0)),)), ScheduleOrder(2, Side.OFFER, (Step((2, 0), (3, 0)),))]
    cleared = clear(book_of(orders, 3, Mode.COOPERATIVE))
    words = level_words(cleared.levels)
    assert words == [3 | 2 << 96, 4 | 1 << 32 | 1 << 160, 1 << 160]
    assert decode_levels(words) == cleared.levels
    for wrong in ([words[1], words[0]], words[:1], [1 << 161], [1 << 160 | 1], [words[0], words[0] | 1 << 160]):
        with pytest.raises(EncodingError):
            decode_levels(wrong)


@given(st.lists(st.integers(1, 40), max_size=60), st.sampled_from([0, 10, 9_000]), st.sampled_from([1, 4, 24]))
def test_chunks_cover_the_log_below_the_target(sizes: list[int], levels: int, intervals: int) -> None:
    entry = [1] + [0] * -(-intervals // 4)
    batches = [entry * size for size in sizes]
    target = 3_000_000
    live = sum(sizes)
    chunks = plan_chunks(batches, intervals, cooperative=bool(levels), live_rows=live, levels=levels, target=target)
    assert [chunk.level for chunk in chunks][1:] == [chunk.level_end for chunk in chunks][:-1]
    assert chunks[0].level == 0 and chunks[-1].level_end == levels
    assert all(chunk.end == len(batches) for chunk in chunks if chunk.level_end), "levels come after the batches"
    assert [chunk.first for chunk in chunks][1:] == [chunk.end for chunk in chunks][:-1]
    assert chunks[0].first == 0 and chunks[-1].end == len(batches)
    assert [chunk.completes for chunk in chunks] == [False] * (len(chunks) - 1) + [True]
    assert all(chunk.gas <= target for chunk in chunks)


def test_a_batch_that_fits_no_call_is_named() -> None:
    with pytest.raises(CallTooLarge, match=r"batches\[0\]: expected at most 100000 gas"):
        plan_chunks([[1, 0] * 1000], 1, live_rows=1, target=100_000)


@pytest.mark.parametrize("target", range(20_000, 1_200_000, 9_000))
def test_what_a_refused_plan_needs_is_enough_for_it(target: int) -> None:
    """Whatever part does not fit, with what is named for it the plan gets further: in the end there is one."""
    for _ in range(5):
        plan, needed = planned(target)
        if plan:
            assert all(chunk.gas <= target for chunk in plan) and plan[-1].completes
            return
        assert needed > target
        target = needed
    pytest.fail("no plan")


def planned(target: int) -> tuple[list[Chunk], int]:
    """A plan, or what it needs."""
    try:
        return plan_chunks([[1, 0]] * 3, 1, cooperative=True, live_rows=1, levels=2_000, target=target), 0
    except CallTooLarge as error:
        return [], error.needed


def test_terms_of_other_modes_are_refused() -> None:
    terms: SessionTerms = terms_for(1)
    assert engine.clear(OrderBook(terms, ())).volume == 0
