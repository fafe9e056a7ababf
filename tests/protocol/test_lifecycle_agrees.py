"""The machine of a session's life against the contract's `state()`: random walks of time, pauses, cancelling and clearing."""

from __future__ import annotations

import random
from collections.abc import Iterator

import pytest
from contracts_world import World, key_of, make_world, order
from machine import fast_backend

from contracts.calls import ClearingPass
from contracts.orderlog import groups_of
from contracts.refusals import ContractRefusal
from contracts.units import SessionState, Side
from market.lifecycle import Event, Lifecycle, LifecycleError
from market.session import SessionTerms, Zone, state_at


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    made = make_world(fast_backend())
    yield made
    made.chain.close()


@pytest.mark.parametrize("seed", range(10))
def test_machine_and_contract_are_in_the_same_state(world: World, seed: int) -> None:
    dice, client, chain = random.Random(seed), world.client, world.chain
    empty = seed % 2 == 0  # a log without entries is settled as soon as it is cleared
    now = chain.now()
    session = world.open(days_ahead=5, mask=0b11 << dice.randint(0, 20), gate_open=now + 600, gate_close=now + 3600)
    terms = SessionTerms.of_contract(session, Zone(1, 3600, 60), client.terms(session))
    life = Lifecycle(terms, chain.now)
    told = {SessionState.SCHEDULED}

    def agree() -> None:
        assert client.state(session) is life.state is state_at(terms, life.facts, chain.now()), life.history
        told.add(life.state)

    agree()
    borders = [terms.gate_open, terms.gate_close, terms.delivery_start, terms.delivery_end]
    for border in borders:
        for at in (border - 1, border, border + 3):
            if at > chain.now():
                chain.advance_to(at)
            agree()
            if life.state is SessionState.OPEN and not empty and not life.book.orders and not client.paused():
                placed = order(world.member("anna", meter=False), Side.BID, [(500, 9)] * 2)
                world.place("anna", session, placed)
                life.enter(placed)
            act = dice.choice(["pause", "resume", "cancel", "clear", "clear", "nothing", "nothing"])
            if act in ("pause", "resume") and client.paused() is (act == "resume") and dice.random() < 0.4:
                client.send(world.operator, client.encode_set_paused(act == "pause"))
                if act == "pause":
                    life.apply(Event.PAUSED)
                else:
                    life.resume()
            elif act == "cancel" and dice.random() < 0.2:
                both(lambda: client.cancel(world.operator, session, "a test"), lambda: life.apply(Event.CANCELLED))
            elif act == "clear":
                log, book = world.twin(session)
                whole = ClearingPass.whole(log, book.certificate)
                both(lambda whole=whole: client.clear(world.operator, session, whole), lambda: life.apply(Event.CLEARED))
            committable = life.state in (SessionState.CLEARED, SessionState.DELIVERING, SessionState.SETTLING)
            if committable and (empty or dice.random() < 0.25):
                _, book = world.twin(session)
                for group, rows in enumerate(groups_of(book.rows)):
                    client.commit(key_of("operator"), session, group, rows)
                life.apply(Event.SETTLED)  # nobody sells, so nothing is left to settle
            agree()
    if client.paused():
        client.send(world.operator, client.encode_set_paused(False))
    assert life.state in (SessionState.SETTLING, SessionState.SETTLED, SessionState.CANCELLED)
    assert len(told) >= 2


def both(contract: object, machine: object) -> None:
    """Either takes it, or both refuse it."""
    refused = []
    for act in (contract, machine):
        try:
            act()  # type: ignore[operator]
            refused.append(False)
        except (ContractRefusal, LifecycleError):
            refused.append(True)
    assert refused[0] is refused[1], refused
