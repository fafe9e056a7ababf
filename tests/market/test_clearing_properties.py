"""Properties of the clearing on random logs: engine = brute force, the checker accepts that and nothing near it."""

from __future__ import annotations

from dataclasses import asdict, replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from market_brute import TOP, best_range, brute_clear, plain_rows, terms_for

from contracts.encoding import IntervalCertificate, ScheduleOrder, Step, batch_words, hash_words, row_words
from contracts.units import Side
from market.clearing import pay_as_bid
from market.clearing.certificate import check_clearing, check_interval
from market.clearing.levels import book_levels
from market.clearing.milp import Program
from market.clearing.uniform import clear
from market.errors import OrderError
from market.orders import OrderBook, book_from_log

PRICES = st.one_of(st.integers(0, 8), st.sampled_from([0, 1, TOP - 1, TOP]), st.integers(0, TOP))
QUANTITIES = st.one_of(st.integers(0, 6), st.sampled_from([0, (1 << 24) - 1]))


@st.composite
def logs(draw: st.DrawFn) -> tuple[int, list[ScheduleOrder], dict[int, int]]:
    """(mask, log, sold): few accounts, so that entries replace one another; close prices, so that ties abound."""
    intervals = sorted(draw(st.sets(st.integers(0, 23), min_size=1, max_size=4)))
    accounts = st.integers(1, 6)
    orders = []
    for _ in range(draw(st.integers(0, 9))):
        steps = []
        for _ in range(draw(st.integers(1, 3))):
            quantities = [draw(QUANTITIES) for _ in intervals]
            steps.append(Step(tuple(quantities), tuple(draw(PRICES) if q else 0 for q in quantities)))
        order = ScheduleOrder(draw(accounts), draw(st.sampled_from(Side)), tuple(steps), agent=draw(st.sampled_from([0, 7, 8])))
        order = replace(order, agent_pays=order.agent > 0 and draw(st.booleans()))
        if order.cancels:
            orders.append(replace(order, steps=order.steps[:1]))
        else:
            orders.append(replace(order, reserve=order.side is Side.OFFER and draw(st.booleans())))
    sold = draw(st.dictionaries(accounts, st.integers(0, (1 << 24) - 1), max_size=3))
    return sum(1 << t for t in intervals), orders, sold


@settings(max_examples=400, deadline=None)
@given(logs())
def test_engine_equals_brute_force_and_the_checker_accepts_it(log: tuple[int, list[ScheduleOrder], dict[int, int]]) -> None:
    mask, orders, sold = log
    terms = terms_for(mask)
    cleared = clear(OrderBook(terms, tuple(orders)), sold)
    expected = brute_clear(orders, mask, sold, terms.price_cap, terms.collateral_ppm)
    assert [asdict(c) for c in cleared.certificates] == expected["certificates"]
    assert plain_rows(cleared.rows) == expected["rows"]
    verdict = check_clearing(OrderBook(terms, tuple(orders)), cleared.certificates, cleared.rows, sold)
    assert verdict.accepted, verdict.reason


@settings(max_examples=100, deadline=None)
@given(logs(), st.sets(st.tuples(st.integers(1, 6), st.sampled_from(Side)), min_size=1, max_size=4))
def test_what_is_excluded_is_as_if_it_were_not_there(
    log: tuple[int, list[ScheduleOrder], dict[int, int]], excluded: set[tuple[int, Side]]
) -> None:
    mask, orders, sold = log
    terms = terms_for(mask)
    book = OrderBook(terms, tuple(orders), frozenset(excluded))
    cleared = clear(book, sold)
    expected = brute_clear(orders, mask, sold, terms.price_cap, terms.collateral_ppm, excluded)
    assert [asdict(c) for c in cleared.certificates] == expected["certificates"]
    assert plain_rows(cleared.rows) == expected["rows"]
    verdict = check_clearing(book, cleared.certificates, cleared.rows, sold)
    assert verdict.accepted, verdict.reason
    without = clear(OrderBook(terms, tuple(o for o in orders if (o.account, o.side) not in excluded)), sold)
    assert without.certificates == cleared.certificates


@settings(max_examples=60, deadline=None)
@given(logs())
def test_no_linear_program_finds_more_welfare(log: tuple[int, list[ScheduleOrder], dict[int, int]]) -> None:
    mask, orders, sold = log
    small = [
        replace(o, steps=tuple(replace(s, limits=tuple(min(p, 1_000) for p in s.limits)) for s in o.steps)) for o in orders
    ]
    book = OrderBook(terms_for(mask), tuple(small))
    program = Program()
    balance: list[dict[int, float]] = [{} for _ in book.terms.intervals]
    for _, order in book.live:
        sign = 1 if order.side is Side.BID else -1
        for step in order.steps:
            for j, (wh, limit) in enumerate(zip(step.quantities, step.limits, strict=True)):
                withheld = order.side is Side.OFFER and sold.get(order.account, 0) >> book.terms.intervals[j] & 1
                balance[j][program.column(sign * limit, 0.0, 0 if withheld else wh)] = sign
    for row in balance:
        program.row(0.0, 0.0, row)
    best = program.maximize(5.0, 0.0).bound if program.costs else 0.0
    cleared = pay_as_bid.clear(book, sold)  # the same trades, with what each is worth
    assert cleared.left_over == round(best)
    assert cleared.certificates == clear(book, sold).certificates


@settings(max_examples=200, deadline=None)
@given(logs())
def test_what_every_clearing_keeps(log: tuple[int, list[ScheduleOrder], dict[int, int]]) -> None:
    mask, orders, sold = log
    terms = terms_for(mask)
    cleared = clear(OrderBook(terms, tuple(orders)), sold)
    for j, (interval, certificate) in enumerate(zip(terms.intervals, cleared.certificates, strict=True)):
        for side in Side:
            assert sum(row.fills[j] for row in cleared.rows if row.side is side) == certificate.volume
        for order, row in zip(orders, cleared.rows, strict=True):
            assert 0 <= row.fills[j] <= sum(step.quantities[j] for step in order.steps)
            if row.fills[j]:
                assert row.live
                best = [step.limits[j] for step in order.steps if step.quantities[j]]
                assert certificate.price is not None
                assert max(best) >= certificate.price if row.side is Side.BID else min(best) <= certificate.price
                assert not (row.side is Side.OFFER and sold.get(row.account, 0) >> interval & 1)
    for row in cleared.rows:
        assert row_words(row)  # it can be written
        assert row.cost <= row.lock if row.side is Side.BID else row.cost == 0


@settings(max_examples=300, deadline=None)
@given(logs(), st.data())
def test_the_checker_refuses_everything_else(log: tuple[int, list[ScheduleOrder], dict[int, int]], data: st.DataObject) -> None:
    mask, orders, sold = log
    terms = terms_for(mask)
    cleared = clear(OrderBook(terms, tuple(orders)), sold)
    certificates, rows = list(cleared.certificates), list(cleared.rows)
    certified, more = ["lo", "hi", "volume", "rest_bids", "rest_offers"], ["lock", "cost", "live", "fill", "longer", "shorter"]
    what = data.draw(st.sampled_from(certified + more))
    delta = data.draw(st.sampled_from([-2, -1, 1, 2]))
    if what in certified:
        j = data.draw(st.integers(0, len(certificates) - 1))
        certificates[j] = replace(certificates[j], **{what: getattr(certificates[j], what) + delta})
    elif rows:
        i = data.draw(st.integers(0, len(rows) - 1))
        if what == "live":
            rows[i] = replace(rows[i], live=not rows[i].live)
        elif what == "fill":
            fills = list(rows[i].fills)
            fills[data.draw(st.integers(0, len(fills) - 1))] += delta
            rows[i] = replace(rows[i], fills=tuple(fills))
        elif what in ("longer", "shorter"):
            rows[i] = replace(rows[i], fills=(*rows[i].fills, 0) if what == "longer" else rows[i].fills[:-1])
        else:
            rows[i] = replace(rows[i], **{what: getattr(rows[i], what) + delta})
    else:
        return
    verdict = check_clearing(OrderBook(terms, tuple(orders)), certificates, rows, sold)
    assert not verdict.accepted
    assert verdict.reason


ENTRIES = st.lists(st.tuples(st.integers(0, 7), st.integers(1, 3)), max_size=4)


@settings(max_examples=60, deadline=None)
@given(ENTRIES, ENTRIES)
def test_exactly_one_certificate_passes(bids: list[tuple[int, int]], offers: list[tuple[int, int]]) -> None:
    volume, lo, hi = best_range(bids, offers)
    edges = [*range(10), TOP - 1, TOP]
    passed = []
    for v in range(volume + 3):
        for a in edges:
            for b in (x for x in edges if x >= a):
                rest_bids = v - sum(q for p, q in bids if p > b)
                rest_offers = v - sum(q for p, q in offers if p < a)
                if check_interval(bids, offers, IntervalCertificate(a, b, v, rest_bids, rest_offers)).accepted:
                    passed.append((v, a, b))
    assert passed == [(volume, lo, hi)]


@settings(max_examples=100, deadline=None)
@given(logs(), st.data())
def test_book_from_words_is_the_book_from_orders(
    log: tuple[int, list[ScheduleOrder], dict[int, int]], data: st.DataObject
) -> None:
    mask, orders, _ = log
    terms = terms_for(mask)
    cut = data.draw(st.integers(0, len(orders)))
    batches = [batch_words(part, terms) for part in (orders[:cut], orders[cut:])]
    assert book_from_log(terms, batches) == OrderBook(terms, tuple(orders))


@settings(max_examples=100, deadline=None)
@given(logs())
def test_levels_meet_at_the_volume(log: tuple[int, list[ScheduleOrder], dict[int, int]]) -> None:
    mask, orders, sold = log
    book = OrderBook(terms_for(mask), tuple(orders))
    for levels, certificate in zip(book_levels(book, sold), clear(book, sold).certificates, strict=True):
        best = 0
        for bid in levels.bids:
            best = max([best] + [min(bid.cumulative, offer.cumulative) for offer in levels.offers if offer.price <= bid.price])
        assert best == certificate.volume


def test_group_hashes_cover_sixteen_rows_each() -> None:
    orders = tuple(ScheduleOrder(i, Side(i % 2), (Step((100, 50), (90_000, 80_000)),)) for i in range(1, 36))
    cleared = clear(OrderBook(terms_for(0b11), orders))
    assert [len(group) for group in cleared.groups] == [16, 16, 3]
    last = [word for row in cleared.rows[32:] for word in row_words(row)]
    assert cleared.group_hashes[2] == hash_words(last)
    assert cleared.certificate_hash == hash_words([c.word() for c in cleared.certificates])


def test_a_volume_past_forty_bits_is_refused() -> None:
    step = Step(((1 << 24) - 1,), (100_000,))
    orders = tuple(ScheduleOrder(i, Side(i % 2), (step,) * 4) for i in range(1, 33_000))
    with pytest.raises(OrderError, match="volume"):
        clear(OrderBook(terms_for(1), orders))


def test_quantities_beyond_their_word_are_refused() -> None:
    with pytest.raises(OrderError, match="quantities"):
        clear(OrderBook(terms_for(1), (ScheduleOrder(1, Side.BID, (Step((1 << 24,), (1,)),)),)))


def test_the_same_log_clears_the_same_bit_for_bit() -> None:
    rng = np.random.default_rng(5)
    orders = tuple(
        ScheduleOrder(
            i, Side(i % 2), (Step(tuple(rng.integers(1, 900, 24).tolist()), tuple(rng.integers(0, 40, 24).tolist())),)
        )
        for i in range(1, 400)
    )
    book = OrderBook(terms_for((1 << 24) - 1), orders)
    assert clear(book) == clear(book)
    assert clear(book).group_hashes == clear(book).group_hashes
