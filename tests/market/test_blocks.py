"""Block clearing: the solver against trying everything, its results against the checker."""

from __future__ import annotations

import random
import time
from dataclasses import replace

import pytest
from block_books import CAP, best_welfare, logged, random_book
from hypothesis import given, settings
from hypothesis import strategies as st

from contracts.block_words import BlockBook, BlockSolution, Choice
from contracts.encoding import ScheduleOrder, Step
from contracts.units import PPM, Side
from market.clearing import blocks
from market.clearing.blocks import clear_blocks, search
from market.clearing.blocks_check import check_blocks
from market.errors import OrderError

SEEDS = st.integers(0, 1 << 32)


def block(account: int, side: Side, quantities: list[int], limits: list[int], **fields: object) -> ScheduleOrder:
    return ScheduleOrder(account, side, (Step(tuple(quantities), tuple(limits)),), **fields)  # type: ignore[arg-type]


def book_of(*orders: ScheduleOrder, cap: int = 100) -> BlockBook:
    return BlockBook(tuple(logged(order, cap) for order in orders), tuple(range(len(orders[0].steps[0].quantities))), cap)


@settings(deadline=None, max_examples=60)
@given(SEEDS)
def test_all_or_nothing_is_solved_to_the_best_there_is(seed: int) -> None:
    book = random_book(random.Random(seed), whole=True, most=7)
    result = search(book, gap=0.0)
    verdict = check_blocks(book, result.solution)
    assert verdict.accepted, verdict
    assert verdict.welfare == result.welfare == best_welfare(book)
    assert result.complete and result.bound >= result.welfare and result.ideal >= result.welfare


@settings(deadline=None, max_examples=60)
@given(SEEDS)
def test_the_best_there_is_lies_between_welfare_and_bound(seed: int) -> None:
    book = random_book(random.Random(seed), whole=False, most=5)
    result = search(book, gap=0.0)
    verdict = check_blocks(book, result.solution)
    assert verdict.accepted, verdict
    assert verdict.welfare == result.welfare <= best_welfare(book) <= result.bound


@settings(deadline=None, max_examples=20)
@given(SEEDS)
def test_partial_blocks_of_real_size_balance_to_the_watt_hour(seed: int) -> None:
    book = random_book(random.Random(seed), whole=False, most=24, largest=40_000, cap=500_000, most_intervals=6)
    result = search(book, seconds=20.0)
    verdict = check_blocks(book, result.solution)
    assert verdict.accepted, verdict
    assert verdict.welfare == result.welfare <= result.bound


def test_a_partial_match_reaches_its_bound() -> None:
    book = book_of(
        block(1, Side.BID, [1000, 2000], [90, 80]),
        block(2, Side.OFFER, [700, 1400], [20, 30], min_fill_ppm=PPM),
        block(3, Side.OFFER, [1000, 2000], [40, 40]),
    )
    result = search(book, gap=0.0)
    assert check_blocks(book, result.solution).accepted
    assert result.solution.volumes == (1000, 2000)
    assert result.gap < 0.001


def test_a_block_that_would_lose_stays_out_though_it_would_add_welfare() -> None:
    """The large offer needs both bids and a price of 30, at which the small bid would lose: the other one gets the first."""
    book = book_of(
        block(1, Side.BID, [10], [50], min_fill_ppm=PPM),
        block(2, Side.BID, [4], [10], min_fill_ppm=PPM),
        block(3, Side.OFFER, [14], [30], min_fill_ppm=PPM),
        block(4, Side.OFFER, [10], [45], min_fill_ppm=PPM),
    )
    result = search(book, gap=0.0)
    assert check_blocks(book, result.solution).accepted
    assert result.welfare == 50  # the 120 of orders 1, 2 and 3 have no price between 30 and 10
    assert set(result.solution.choices) == {0, 3}


def test_nothing_to_match_is_a_result_too() -> None:
    book = book_of(block(1, Side.BID, [10], [5]), block(2, Side.OFFER, [10], [6]))
    result = search(book)
    assert result.complete and result.welfare == 0
    assert check_blocks(book, result.solution).accepted
    assert search(BlockBook((), (0,), 10)).complete


def test_a_child_needs_its_parent() -> None:
    parent = block(2, Side.OFFER, [1000], [45], agent=9, agent_pays=True)
    child = block(3, Side.OFFER, [1000], [10], agent=9, agent_pays=True, parent=(2, Side.OFFER))
    bid = block(1, Side.BID, [1000], [50])
    assert search(book_of(bid, parent, child)).welfare == 22_500  # half of each
    assert search(book_of(bid, parent, replace(child, agent_pays=False))).welfare == 5_000  # the parent alone
    assert search(book_of(bid, child)).welfare == 0


def test_prices_are_next_to_what_is_wished() -> None:
    book = book_of(block(1, Side.BID, [10, 10], [50, 50]), block(2, Side.OFFER, [10, 10], [10, 10]))
    assert search(book).solution.prices == (30, 30)
    assert search(book, near=[40, 20]).solution.prices == (40, 20)
    assert search(book, near=[90, 20]).solution.prices[1] == 20
    assert check_blocks(book, search(book, near=[100, 100]).solution).accepted
    for solve in (search, clear_blocks):
        with pytest.raises(OrderError, match="near"):
            solve(book, near=[40])


def test_the_same_book_gives_the_same_result() -> None:
    book = random_book(random.Random(5), whole=False, most=30, largest=40_000, cap=500_000, most_intervals=6)
    assert search(book) == search(book)


def test_a_process_of_its_own_finds_the_same() -> None:
    book = random_book(random.Random(5), whole=True, most=7)
    assert clear_blocks(book, 20.0) == search(book, 20.0)


def test_a_search_that_overruns_its_limit_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(blocks, "GRACE", 0.5)
    monkeypatch.setattr(blocks, "_work", _hang)
    book = random_book(random.Random(5), whole=True, most=7)
    begun = time.monotonic()
    result = clear_blocks(book, 0.5)
    assert time.monotonic() - begun < 5
    assert not result.complete and check_blocks(book, result.solution).accepted


def _hang(*_: object) -> None:
    time.sleep(60)


@settings(deadline=None, max_examples=60)
@given(SEEDS)
def test_the_checker_refuses_what_breaks_a_rule(seed: int) -> None:
    """Each change alone breaks a rule whatever the book."""
    book = random_book(random.Random(seed), whole=True, most=7)
    solution = search(book).solution
    if not solution.choices:
        return
    position, choice = next(iter(solution.choices.items()))
    others = {k: v for k, v in solution.choices.items() if k != position}
    for wrong in (
        replace(solution, choices=others),
        replace(solution, choices={**others, position: Choice(PPM - 1)}),
        replace(solution, choices={**others, position: Choice(PPM, 1)}),
        replace(solution, choices={**others, position: Choice(PPM + 1)}),
        replace(solution, volumes=tuple(v + 1 for v in solution.volumes)),
        replace(solution, prices=(CAP + 1, *solution.prices[1:])),
    ):
        assert not check_blocks(book, wrong).accepted, (wrong, choice)


def test_words_come_back() -> None:
    book = random_book(random.Random(3), whole=False, most=9)
    solution = search(book).solution
    assert BlockSolution.from_words(solution.certificate(), solution.table(book)) == solution
