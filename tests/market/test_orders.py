"""Orders at the door, the order book and its tables for the contract."""

from __future__ import annotations

from dataclasses import replace

import pytest
from market_brute import terms_for

from contracts.encoding import ScheduleOrder, Step
from contracts.units import Side
from market.errors import OrderError
from market.orders import OrderBook, entry_size, schedule, validate, validate_gate
from market.session import SessionFacts

TERMS = replace(terms_for(0b1100 << 16), price_cap=300_000, min_quantity=100)


def order(*steps: Step, account: int = 7, side: Side = Side.BID) -> ScheduleOrder:
    return ScheduleOrder(account, side, steps)


GOOD = Step((500, 0), (120_000, 0))


@pytest.mark.parametrize(
    ("bad", "field"),
    [
        (order(GOOD, account=0), "account"),
        (order(GOOD, account=1 << 32), "account"),
        (order(), "steps"),
        (order(GOOD, GOOD, GOOD, GOOD, GOOD), "steps"),
        (order(Step((0, 0), (0, 0)), Step((0, 0), (0, 0))), "steps"),
        (order(Step((500,), (120_000,))), "steps[0].quantities"),
        (order(GOOD, Step((500, 0, 0), (120_000, 0, 0))), "steps[1].quantities"),
        (order(Step((500, 0), (1, 0, 0))), "steps[0].limits"),
        (order(Step((500, 99), (1, 1))), "steps[0].quantities[1]"),
        (order(Step((1 << 24, 0), (1, 0))), "steps[0].quantities[0]"),
        (order(Step((-5, 0), (1, 0))), "steps[0].quantities[0]"),
        (order(GOOD, Step((0, 500), (0, 300_001))), "steps[1].limits[1]"),
        (order(Step((500, 0), (-1, 0))), "steps[0].limits[0]"),
        (order(Step((500, 0), (1, 1))), "steps[0].limits[1]"),
    ],
)
def test_a_wrong_order_is_refused_by_field(bad: ScheduleOrder, field: str) -> None:
    with pytest.raises(OrderError) as caught:
        validate(bad, TERMS)
    assert caught.value.field == field
    assert field in str(caught.value)
    assert caught.value.expected in str(caught.value)


def test_right_orders_pass() -> None:
    validate(order(GOOD), TERMS)
    validate(order(Step((0, 0), (0, 0))), TERMS)
    validate(order(Step((100, 100), (300_000, 0)), GOOD, side=Side.OFFER), TERMS)


def test_without_a_meter_key_one_bids_and_does_not_offer() -> None:
    validate(order(GOOD), TERMS, meter_key=False)
    with pytest.raises(OrderError, match="meter key"):
        validate(order(GOOD, side=Side.OFFER), TERMS, meter_key=False)


def test_schedule_places_day_intervals() -> None:
    made = schedule(TERMS, 7, Side.OFFER, {19: [(500, 120_000), (200, 150_000)], 18: [(300, 100_000)]})
    assert made.steps == (Step((300, 500), (100_000, 120_000)), Step((0, 200), (0, 150_000)))
    assert schedule(TERMS, 7, Side.BID, {}).cancels


def test_schedule_refuses_what_lies_outside() -> None:
    with pytest.raises(OrderError) as caught:
        schedule(TERMS, 7, Side.BID, {17: [(500, 1)]})
    assert caught.value.field == "curve[17]"
    with pytest.raises(OrderError) as caught:
        schedule(TERMS, 7, Side.BID, {18: [(500, 1)] * 5})
    assert caught.value.expected == "at most 4 steps"
    with pytest.raises(OrderError, match="cap"):
        schedule(TERMS, 7, Side.BID, {18: [(500, 300_001)]})


def test_the_gate() -> None:
    for now in (TERMS.gate_open, TERMS.gate_close - 1):
        validate_gate(TERMS, SessionFacts(), now)
    for now in (TERMS.gate_open - 1, TERMS.gate_close):
        with pytest.raises(OrderError, match="open gate"):
            validate_gate(TERMS, SessionFacts(), now)
    with pytest.raises(OrderError, match="CANCELLED"):
        validate_gate(TERMS, SessionFacts(cancelled=True), TERMS.gate_open)


def test_the_book_knows_who_is_live() -> None:
    cancel = Step((0, 0), (0, 0))
    book = OrderBook(
        TERMS,
        (
            order(GOOD, account=9),
            order(GOOD, account=2, side=Side.OFFER),
            order(GOOD, account=9, side=Side.OFFER),
            order(GOOD, GOOD, account=9),
            order(cancel, account=2, side=Side.OFFER),
        ),
    )
    assert book.rows == ((2, Side.OFFER, 4), (9, Side.BID, 3), (9, Side.OFFER, 2))
    assert [position for position, _ in book.live] == [2, 3]
    packed = [book.live_words()[0] >> 64 * i & (1 << 64) - 1 for i in range(3)]
    assert packed == [4 | 1 << 31 | 2 << 32, 3 | 9 << 32, 2 | 1 << 31 | 9 << 32]
    assert [row >> 31 for row in packed] == sorted(row >> 31 for row in packed)
    hints = [book.hint_words()[0] >> 32 * i & 0xFFFFFFFF for i in range(5)]
    assert hints == [1, 0, 2, 1, 0]
    # Every entry that was replaced stays locked on its own.
    assert book.locks() == [60_000, 75_000, 75_000, 120_000, 0]
    assert entry_size(book.orders[3], 2) == 3
