"""Orders at the door, the order book and its tables for the contract."""

from __future__ import annotations

from dataclasses import replace

import pytest
from market_brute import terms_for

from contracts.encoding import EncodingError, ScheduleOrder, Step, batch_words, encode_entry
from contracts.units import Mode, Side
from market.errors import OrderError
from market.orders import OrderBook, book_from_log, charge, schedule, validate, validate_gate
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
        (order(Step((500.5, 0), (1, 0))), "steps[0].quantities[0]"),  # type: ignore[arg-type]
        (order(Step((500, 0), (float("nan"), 0))), "steps[0].limits[0]"),  # type: ignore[arg-type]
        (order(Step(("500", 0), (1, 0))), "steps[0].quantities[0]"),  # type: ignore[arg-type]
        (order(Step((500, 0), (-1, 0))), "steps[0].limits[0]"),
        (order(Step((500, 0), (1, 1))), "steps[0].limits[1]"),
        (replace(order(GOOD), agent=1 << 32), "agent"),
        (replace(order(GOOD), agent=7), "agent"),
        (replace(order(GOOD), agent_pays=True), "agent_pays"),
        (replace(order(GOOD), reserve=True), "reserve"),
        (replace(order(Step((0, 0), (0, 0)), side=Side.OFFER), reserve=True), "steps"),
        (replace(order(GOOD), min_fill_ppm=1), "min_fill_ppm"),
        (replace(order(GOOD), parent=(9, Side.BID)), "parent"),
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
    assert book.orders[3].entries == 2


def test_what_is_excluded_stays_in_the_table_and_counts_for_nothing() -> None:
    orders = (order(GOOD, account=9), order(GOOD, account=2, side=Side.OFFER), order(GOOD, account=9))
    book = OrderBook(TERMS, orders, frozenset({(9, Side.BID)}))
    assert book.rows == ((2, Side.OFFER, 1), (9, Side.BID, 2))
    assert [book.counts(i) for i in range(3)] == [False, True, False]
    assert [position for position, _ in book.live] == [1]
    assert book.excluded_words() == [9]
    assert OrderBook(TERMS, orders, frozenset({(2, Side.OFFER), (2, Side.BID)})).excluded_words() == [2, 2 | 1 << 32]


def test_the_payer_is_charged_lock_and_intake_fee() -> None:
    terms = replace(TERMS, intake_fee=1_000)
    own = order(GOOD)
    agents = replace(own, agent=3, agent_pays=True)
    assert (own.payer, agents.payer, replace(agents, agent_pays=False).payer) == (7, 3, 7)
    assert charge(own, terms) == charge(agents, terms) == 61_000
    assert charge(order(Step((0, 0), (0, 0))), terms) == 1_000


def test_a_log_states_the_locks_that_its_terms_ask_for() -> None:
    placed = (order(GOOD), replace(order(GOOD, side=Side.OFFER), agent=3, reserve=True))
    words = batch_words(placed, TERMS)
    assert book_from_log(TERMS, [words]).orders == placed
    wrong = encode_entry(placed[0], 2, 60_001)
    with pytest.raises(EncodingError, match="60000 micro-euro, which entry 2 locks, in its header, got 60001"):
        book_from_log(TERMS, [words, wrong])


BLOCKS = replace(TERMS, mode=Mode.BLOCK, challenge_end=TERMS.gate_close + 1)
BLOCK = replace(order(GOOD), min_fill_ppm=1_000_000, parent=(9, Side.OFFER))


def test_blocks_have_one_step_and_another_order_above_them() -> None:
    validate(BLOCK, BLOCKS)
    validate(replace(BLOCK, parent=(7, Side.OFFER)), BLOCKS)
    for bad, field in (
        (replace(BLOCK, min_fill_ppm=1_000_001), "min_fill_ppm"),
        (replace(BLOCK, steps=(GOOD, GOOD)), "steps"),
        (replace(BLOCK, parent=(7, Side.BID)), "parent"),
        (replace(BLOCK, side=Side.OFFER, reserve=True), "reserve"),
    ):
        with pytest.raises(OrderError) as caught:
            validate(bad, BLOCKS)
        assert caught.value.field == field


def test_a_request_takes_no_orders() -> None:
    with pytest.raises(OrderError, match="consents"):
        validate(order(GOOD), replace(TERMS, mode=Mode.REQUEST))


COOPERATIVE = replace(TERMS, mode=Mode.COOPERATIVE)


def test_a_cooperative_offer_ends_at_the_envelope_all_steps_together() -> None:
    offer = order(GOOD, Step((100, 400), (1, 1)), side=Side.OFFER)
    validate(offer, COOPERATIVE, envelope=600)
    validate(offer, TERMS, envelope=0)
    validate(replace(offer, side=Side.BID), COOPERATIVE, envelope=0)
    validate(order(Step((0, 0), (0, 0)), side=Side.OFFER), COOPERATIVE, envelope=0)
    with pytest.raises(OrderError) as caught:
        validate(offer, COOPERATIVE, envelope=599)
    assert (caught.value.field, caught.value.got) == ("steps.quantities[0]", 600)


def test_an_owner_is_on_one_side_of_a_cooperative_session() -> None:
    validate(order(GOOD), COOPERATIVE, sides={Side.BID})
    validate(order(GOOD), TERMS, sides={Side.OFFER})
    validate(order(Step((0, 0), (0, 0))), COOPERATIVE, sides={Side.OFFER})
    with pytest.raises(OrderError, match="offers in it"):
        validate(order(GOOD), COOPERATIVE, sides={Side.OFFER})
    agents = replace(order(GOOD, account=5, side=Side.OFFER), agent=8, agent_pays=True)
    cancelled = order(Step((0, 0), (0, 0)), account=6)
    book = OrderBook(COOPERATIVE, (order(GOOD), agents, cancelled, order(GOOD, account=8)))
    assert book.sides_of({7}) == {Side.BID}
    assert book.sides_of({5}) == book.sides_of({6}) == set()
    assert book.sides_of({8, 7}) == {Side.BID, Side.OFFER}
