"""The machine of a session's life: every walk ends in the state that follows from what was recorded, and the log decides."""

from __future__ import annotations

import time
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from market_brute import terms_for

from contracts.encoding import ScheduleOrder, Step
from contracts.units import Mode, SessionState, Side
from market.errors import OrderError
from market.lifecycle import TIMES, TRANSITIONS, Event, Lifecycle, LifecycleError, SimulatedClock
from market.session import SessionTerms, state_at

TERMS = terms_for(0b11 << 18)
BLOCK = replace(TERMS, mode=Mode.BLOCK, challenge_end=TERMS.gate_close + 600)
REQUEST = replace(TERMS, mode=Mode.REQUEST)
ACTS = [event for event in Event if event not in TIMES]
ENDS = {SessionState.SETTLED, SessionState.CANCELLED}
BORDERS = (TERMS.gate_open, TERMS.gate_close, BLOCK.challenge_end, TERMS.delivery_start, TERMS.delivery_end)


@settings(max_examples=300, deadline=None)
@given(
    st.sampled_from([TERMS, BLOCK, REQUEST]),
    st.lists(st.one_of(st.sampled_from(ACTS), st.sampled_from(BORDERS), st.just("resume")), max_size=14),
    st.integers(-1, 1),
)
def test_every_walk_is_where_its_records_say(terms: SessionTerms, walk: list[Event | int | str], off: int) -> None:
    clock = SimulatedClock(TERMS.gate_open - 10)
    life = Lifecycle(terms, clock)
    seen = [life.state]
    for step in walk:
        if isinstance(step, int):
            clock.advance_to(max(clock(), step + off))
        elif step == "resume":
            life.resume()
        elif isinstance(step, Event):
            before = life.state
            try:
                life.apply(step)
            except LifecycleError:
                assert life.state is before
        assert life.state is state_at(terms, life.facts, clock())
        seen.append(life.state)
    for at, state in enumerate(seen):
        if state in ENDS:
            assert set(seen[at:]) == {state}, "an end was left"
    assert [passed.now for passed in life.history] == sorted(passed.now for passed in life.history)


def test_every_state_is_reached_and_every_end_is_one() -> None:
    assert {t.next for t in TRANSITIONS} | {SessionState.SCHEDULED} == set(SessionState)
    assert not ENDS & {t.state for t in TRANSITIONS}
    assert {t.event for t in TRANSITIONS} == set(Event)
    for state in set(SessionState) - ENDS:
        assert any(t.state is state for t in TRANSITIONS)


def test_a_clock_that_sleeps_over_several_borders_passes_them_all() -> None:
    clock = SimulatedClock(0)
    life = Lifecycle(TERMS, clock)
    clock.advance_to(TERMS.delivery_end)
    assert life.state is SessionState.CANCELLED
    assert [passed.event for passed in life.history] == [Event.GATE_OPENS, Event.GATE_CLOSES, Event.DELIVERY_STARTS]


def test_a_real_clock_will_do() -> None:
    life = Lifecycle(TERMS, lambda: int(time.time()))
    assert life.state is SessionState.CANCELLED  # the day is long gone


def test_a_clock_never_goes_back() -> None:
    times = iter([100, 100, 99])
    life = Lifecycle(TERMS, lambda: next(times))
    assert life.state is SessionState.SCHEDULED
    with pytest.raises(LifecycleError, match="at least 100"):
        _ = life.state
    with pytest.raises(LifecycleError):
        SimulatedClock(5).advance_to(4)


def test_what_does_not_fit_is_refused_with_what_would() -> None:
    clock = SimulatedClock(TERMS.gate_close)
    life = Lifecycle(TERMS, clock)
    with pytest.raises(LifecycleError, match="a clearing is accepted or a clearing is complete") as caught:
        life.apply(Event.SETTLED)
    assert caught.value.field == "event" and "CLOSED" in str(caught.value.got)
    with pytest.raises(LifecycleError, match="people cause"):
        life.apply(Event.GATE_OPENS)
    early = Lifecycle(BLOCK, clock)
    with pytest.raises(LifecycleError, match="none but time"):
        early.apply(Event.CLEARED)  # before challengeEnd


def test_the_log_decides() -> None:
    clock = SimulatedClock(TERMS.gate_open - 1)
    life = Lifecycle(TERMS, clock)
    bid = ScheduleOrder(1, Side.BID, (Step((5, 5), (9, 9)),))
    with pytest.raises(OrderError, match="SCHEDULED"):
        life.enter(bid)
    clock.advance_to(TERMS.gate_open)
    assert [life.enter(bid), life.enter(bid)] == [0, 1]  # the same twice: one order, at its later place
    assert life.enter(replace(bid, steps=(Step((7, 0), (3, 0)),))) == 2
    assert [position for position, _ in life.book.live] == [2]
    assert life.enter(replace(bid, steps=(Step((0, 0), (0, 0)),))) == 3
    assert life.book.live == []
    with pytest.raises(OrderError) as caught:
        life.enter(replace(bid, account=0))
    assert caught.value.field == "account" and len(life.book.orders) == 4
    clock.advance_to(TERMS.gate_close)
    with pytest.raises(OrderError, match="CLOSED"):
        life.enter(bid)


def test_a_cooperative_machine_knows_both_sides_of_a_payer() -> None:
    terms = replace(TERMS, mode=Mode.COOPERATIVE)
    life = Lifecycle(terms, SimulatedClock(TERMS.gate_open))
    bid = ScheduleOrder(1, Side.BID, (Step((5, 5), (9, 9)),))
    life.enter(bid)
    with pytest.raises(OrderError, match="one side"):
        life.enter(replace(bid, side=Side.OFFER))
    with pytest.raises(OrderError, match="envelope"):
        life.enter(replace(bid, account=2, side=Side.OFFER), envelope=4)
