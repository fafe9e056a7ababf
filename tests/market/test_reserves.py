"""The reserve list: cheapest first, nobody who is taken, and what the contract's rules make of its first."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given, settings
from market_brute import terms_for
from test_cooperative import Log, logs

from contracts.encoding import ScheduleOrder, Step
from contracts.units import Side
from market.clearing import engine
from market.orders import OrderBook
from market.reserves import ReserveStep, cover, merit_order


def test_cheapest_first_and_ties_by_the_log() -> None:
    def offer(account: int, *steps: tuple[int, int], reserve: bool = True) -> ScheduleOrder:
        return ScheduleOrder(account, Side.OFFER, tuple(Step((q,), (p,)) for q, p in steps), reserve=reserve)

    orders = (
        offer(9, (5, 80), (5, 70)),
        offer(4, (3, 70)),
        offer(5, (3, 60)),
        offer(6, (9, 1), reserve=False),
        offer(7, (4, 5)),  # sells all of it
        offer(8, (4, 6)),  # has sold the interval before
        offer(5, (2, 65)),  # replaces
        ScheduleOrder(1, Side.BID, (Step((13,), (10,)),)),
    )
    book = OrderBook(terms_for(1 << 9), orders)
    sold = {8: 1 << 9}
    cleared = engine.clear(book, sold)
    (found,) = merit_order(book, cleared.rows, sold)
    assert found == (
        ReserveStep(5, 6, 65, 2),
        ReserveStep(9, 0, 70, 5),
        ReserveStep(4, 1, 70, 3),
        ReserveStep(9, 0, 80, 5),
    )
    assert cover(found, 4) == (found[0], replace(found[1], quantity=2))
    assert cover(found, 0) == () and cover(found, 99) == found


@settings(max_examples=80, deadline=None)
@given(logs(None))
def test_the_list_is_what_is_left_of_live_reserves(log: Log) -> None:
    book, sold = log
    cleared = engine.clear(book, sold)
    for j, (interval, steps) in enumerate(zip(book.terms.intervals, merit_order(book, cleared.rows, sold), strict=True)):
        assert [(s.limit, s.position) for s in steps] == sorted((s.limit, s.position) for s in steps)
        for position, order in enumerate(book.orders):
            asked = sum(step.quantities[j] for step in order.steps)
            there = sum(s.quantity for s in steps if s.position == position)
            free = not cleared.rows[position].fills[j] and not sold.get(order.account, 0) >> interval & 1
            assert there == (asked if order.reserve and book.counts(position) and free else 0)
