"""The statement's words, rule R14, the count rule, deadlines, and records that never overlap."""

from __future__ import annotations

import random

import pytest
from contracts_harness import Harness
from contracts_proofs import compress, proof_for, statement
from contracts_twin import admissible
from contracts_world import R, World, address_of, key_of, make_world, order
from eth_hash.auto import keccak
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from contracts.artifacts import load
from contracts.encoding import entry_words
from contracts.events import Delivered
from contracts.orderlog import groups_of
from contracts.refusals import ContractRefusal
from contracts.sessions import Terms
from contracts.units import SessionState, Side


def cleared_session(world: World, days_ahead: int = 20, mask: int = 0b1111 << 10) -> tuple[int, Terms]:
    """A session with one trade per interval, cleared; the chain stands at its gate."""
    anna, dso = world.member("anna"), world.member("dso", meter=False)
    world.member("ben")
    session = world.open(days_ahead=days_ahead, mask=mask)
    terms = world.client.terms(session)
    world.client.place(
        key_of("anna"), session, entry_words(order(anna, Side.OFFER, [(500, 80_000)] * terms.intervals), terms.intervals)
    )
    world.client.place(
        key_of("dso"), session, entry_words(order(dso, Side.BID, [(500, 90_000)] * terms.intervals), terms.intervals)
    )
    world.clear(session)
    return session, terms


def entries_for(world: World, terms: Terms, accounts: dict[int, int], seed: int = 1) -> list[int]:
    """Entries for prove: account to count, with deviations drawn from `seed`."""
    rng = random.Random(seed)
    return [
        word
        for account, count in accounts.items()
        for word in (
            account | count << 32,
            *world.deviations({t: rng.randrange(-(2**25), 2**25) for t in terms.interval_indices}),
        )
    ]


def full(world: World, terms: Terms, account: int) -> int:
    """Number of admissible days: the count of a member without gaps."""
    return world.client.admissible(1, account, terms.day).bit_count()


def weekday_session(world: World) -> tuple[int, Terms]:
    """A session on the first working day from 20 days on, so that there are enough days alike."""
    today = world.client.day_of(1, world.chain.now())
    return cleared_session(world, next(d for d in range(20, 30) if (today + d + 3) % 7 < 5))


def prove(world: World, session: int, mask: int, entries: list[int], chain_value: int = 5) -> list[Delivered]:
    receipt = world.client.prove(
        world.operator, session, mask, chain_value, entries, proof_for(world, session, mask, chain_value, entries)
    )
    return [e for e in world.client.receipt_events(receipt) if isinstance(e, Delivered)]


def refused_prove(world: World, session: int, mask: int, entries: list[int], proof: list[int] | None = None) -> ContractRefusal:
    proof = proof_for(world, session, mask, 5, entries) if proof is None else proof
    with pytest.raises(ContractRefusal) as refused:
        world.client.simulate(address_of("operator"), world.client.encode_prove(session, mask, 5, entries, proof))
    return refused.value


@pytest.mark.parametrize("minutes", [60, 30, 15])
def test_words_are_those_of_the_page(minutes: int) -> None:
    world = make_world("tester", minutes)
    with world.chain:
        session, terms = cleared_session(world, mask=(1 << 24 * 60 // minutes) - 1 ^ 0b101)
        world.chain.advance_to(terms.delivery_end)
        anna, ben = world.accounts["anna"], world.accounts["ben"]
        count = full(world, terms, anna)
        entries = entries_for(world, terms, {anna: count, ben: count - 2})
        words = world.client.statement_words(session, terms.mask, entries)
        assert words == statement(world, session, terms.mask, entries)
        assert len(words) == 5 + 2 * (5 + -(-(1440 // minutes) // 9)) and max(words) < R
        artifact = load("Deliveries").functions["compress"]
        data = world.chain.call(world.client.deployment.contracts["Deliveries"], artifact.call(77, words))
        assert artifact.result(data) == compress(77, words)
        assert [e.account for e in prove(world, session, terms.mask, entries)] == [anna, ben]


def test_what_is_proven_is_recorded_once(world: World) -> None:
    session, terms = weekday_session(world)
    anna, ben = world.accounts["anna"], world.accounts["ben"]
    part, rest = 0b0011 << 10, 0b1100 << 10
    end_of_part = world.client.interval_start(1, terms.day, 12)
    one = entries_for(world, terms, {anna: full(world, terms, anna)})
    world.chain.advance_to(end_of_part - 1)
    assert refused_prove(world, session, part, one).error_name == "NotDeliveredYet"
    world.chain.advance_to(end_of_part)
    assert world.client.state(session) is SessionState.DELIVERING
    assert refused_prove(world, session, terms.mask, one).error_name == "NotDeliveredYet"
    assert prove(world, session, part, one) == [Delivered(session, anna, part, tuple(one[1:]))]
    first = int.from_bytes(keccak(b"".join(w.to_bytes(32, "big") for w in (0, part, *one[1:]))), "big") % 2**160
    assert world.client.record(session, anna) == (part, first)
    assert prove(world, session, part, entries_for(world, terms, {anna: full(world, terms, anna) - 1}, seed=9)) == [], (
        "recorded already: skipped"
    )
    assert world.client.record(session, anna) == (part, first)

    world.chain.advance_to(terms.delivery_end)
    assert refused_prove(world, session, terms.mask, one).error_name == "RecordOverlaps"
    assert refused_prove(world, session, 0b0110 << 10, one).error_name == "RecordOverlaps"
    both = entries_for(world, terms, {anna: full(world, terms, anna), ben: full(world, terms, ben)}, seed=3)
    assert [(e.account, e.mask) for e in prove(world, session, rest, both)] == [(anna, rest), (ben, rest)]
    second = int.from_bytes(keccak(b"".join(w.to_bytes(32, "big") for w in (first, rest, *both[1:4]))), "big") % 2**160
    assert world.client.record(session, anna) == (terms.mask, second)
    four = entries_for(world, terms, {anna: full(world, terms, anna)}) * 4
    assert prove(world, session, part, four) == [], "one account may fill every slot"
    assert (
        refused_prove(world, session, terms.mask, entries_for(world, terms, {ben: full(world, terms, ben)})).error_name
        == "RecordOverlaps"
    )

    world.chain.advance_to(terms.proof_deadline)
    by_ben = entries_for(world, terms, {ben: full(world, terms, ben)})
    world.client.simulate(
        address_of("operator"), world.client.encode_prove(session, part, 5, by_ben, proof_for(world, session, part, 5, by_ben))
    )
    world.chain.advance_to(terms.proof_deadline + 1)
    assert (
        refused_prove(world, session, part, entries_for(world, terms, {ben: full(world, terms, ben)})).error_name
        == "ProofDeadlinePassed"
    )


def test_proofs_that_are_refused(world: World) -> None:
    session, terms = weekday_session(world)
    anna, ben, dso = (world.accounts[name] for name in ("anna", "ben", "dso"))
    uncleared = world.open(days_ahead=40, mask=1)
    world.chain.advance_to(terms.delivery_end)
    good = entries_for(world, terms, {anna: full(world, terms, anna)})
    proof = proof_for(world, session, terms.mask, 5, good)
    assert refused_prove(world, session, 0, good, proof).error_name == "MaskNotInSession"
    assert refused_prove(world, session, terms.mask | 1, good, proof).error_name == "MaskNotInSession"
    assert refused_prove(world, uncleared, 1, good, proof).error_name == "NotCleared"
    assert refused_prove(world, 10**6, 1, good, proof).error_name == "UnknownSession"
    assert refused_prove(world, session, terms.mask, good[:-1], proof).error_name == "NoCircuit"
    assert refused_prove(world, session, terms.mask, [*good, 0], proof).error_name == "EntriesLength"
    assert refused_prove(world, session, terms.mask, [], proof).error_name == "NoCircuit"
    assert refused_prove(world, session, terms.mask, good * 3, proof).error_name == "NoCircuit"
    assert refused_prove(world, session, terms.mask, [good[0] | 1 << 64, *good[1:]], proof).error_name == "EntryPadding"
    assert (
        refused_prove(world, session, terms.mask, [*good[:-1], good[-1] | 1 << 234], proof).error_name == "DeviationOutOfRange"
    )
    assert refused_prove(world, session, terms.mask, [dso | 8 << 32, *good[1:]], proof).error_name == "NoMeterKey"
    # the proof binds every word
    for changed in (
        [good[0] - (1 << 32), *good[1:]],
        [ben | full(world, terms, ben) << 32, *good[1:]],
        [*good[:-1], good[-1] ^ 1],
    ):
        assert refused_prove(world, session, terms.mask, changed, proof).error_name == "ProofRefused"
    assert refused_prove(world, session, 0b0111 << 10, good, proof).error_name == "ProofRefused"
    with pytest.raises(ContractRefusal, match="does not hold"):
        world.client.simulate(address_of("operator"), world.client.encode_prove(session, terms.mask, 6, good, proof))
    world.client.simulate(address_of("operator"), world.client.encode_prove(session, terms.mask, 5, good, proof))


def test_no_proof_while_an_earlier_day_has_promises_to_commit() -> None:
    world = make_world("tester")
    client = world.client
    anna, dso = world.member("anna"), world.member("dso", meter=False)
    today = client.day_of(1, world.chain.now())
    earlier = world.open(days_ahead=20, mask=1 << 20)
    client.place(key_of("anna"), earlier, entry_words(order(anna, Side.OFFER, [(500, 1)]), 1))
    client.place(key_of("dso"), earlier, entry_words(order(dso, Side.BID, [(500, 9)]), 1))
    book = world.clear_only(earlier)
    cancelled = world.open(days_ahead=24, mask=1)
    day = today + 27 + (-(today + 27 + 3) % 7)  # a Monday, 20 + 7 to 13 days ahead
    session = world.open(days_ahead=day - client.day_of(1, world.chain.now()))
    client.place(key_of("anna"), session, entry_words(order(anna, Side.OFFER, *[[(500, 1)] * 4]), 4))
    client.place(key_of("dso"), session, entry_words(order(dso, Side.BID, *[[(500, 9)] * 4]), 4))
    world.clear(session)
    terms = client.terms(session)
    world.chain.advance_to(terms.delivery_end)
    entries = entries_for(world, terms, {anna: full(world, terms, anna)})
    proof = proof_for(world, session, terms.mask, 5, entries)

    assert refused_prove(world, session, terms.mask, entries, proof).error_name == "EarlierDayUncommitted"
    before = client.admissible(1, anna, day)
    client.commit(world.operator, earlier, 0, groups_of(book.rows)[0])
    assert client.admissible(1, anna, day) != before, "the promise made its day an event day"
    assert refused_prove(world, session, terms.mask, entries, proof).error_name == "EarlierDayUncommitted"
    client.release_auction(key_of("dso"), cancelled)
    entries = entries_for(world, terms, {anna: full(world, terms, anna)})
    client.prove(world.operator, session, terms.mask, 5, entries, proof_for(world, session, terms.mask, 5, entries))


def test_the_count_rule(world: World) -> None:
    session, terms = weekday_session(world)
    anna = world.accounts["anna"]
    world.chain.advance_to(terms.delivery_end)
    days = full(world, terms, anna)
    assert days > 5
    for count in (days - 2, days - 1, days):
        entries = entries_for(world, terms, {anna: count})
        world.client.simulate(
            address_of("operator"),
            world.client.encode_prove(session, terms.mask, 5, entries, proof_for(world, session, terms.mask, 5, entries)),
        )
    for count in (0, days - 3, days + 1, 2**32 - 1):
        refused = refused_prove(world, session, terms.mask, entries_for(world, terms, {anna: count}))
        assert refused.error_name == "CountRefused" and refused.arguments["count"] == count


def test_count_rule_exhaustively(harness: Harness) -> None:
    def refusal_of(count: int, days: int) -> str | None:
        try:
            harness.call("requireCount", count, (1 << days) - 1)
        except ContractRefusal as refused:
            return refused.error_name
        return None

    for days in range(15):
        for count in range(16):
            allowed = 3 <= count <= days and days - count <= 2
            assert refusal_of(count, days) == (None if allowed else "CountRefused"), (days, count)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(st.integers(0, 2**15 - 1), st.integers(0, 2**14 - 1), st.integers(-3, 20)), min_size=1, max_size=40))
def test_admissible_days_are_the_twins(harness: Harness, cases: list[tuple[int, int, int]]) -> None:
    day = 17_300
    got = harness.call(
        "admissible",
        [w for w, _, _ in cases],
        [e for _, e, _ in cases],
        [day] * len(cases),
        [day - 14 + f for _, _, f in cases],
    )
    for (working, events, start), mask in zip(cases, got, strict=True):
        kinds = {day - 14 + k: bool(working >> k & 1) for k in range(15)}
        assert mask == admissible(day, day - 14 + start, kinds, {day - 14 + k for k in range(14) if events >> k & 1})


def test_holidays_events_and_key_changes_shape_the_mask() -> None:
    world = make_world("tester")
    client = world.client
    with world.chain:
        anna, dso = world.member("anna"), world.member("dso", meter=False)
        start = client.day_of(1, world.chain.now())
        client.set_holidays(world.operator, 1, [start + 8, start + 9])
        with pytest.raises(ContractRefusal, match="not in the future"):
            client.set_holidays(world.operator, 1, [start])
        for ahead in (4, 6):  # two event days
            session = world.open(days_ahead=start + ahead - client.day_of(1, world.chain.now()), mask=1 << 20)
            client.place(key_of("anna"), session, entry_words(order(anna, Side.OFFER, [(500, 1)]), 1))
            client.place(key_of("dso"), session, entry_words(order(dso, Side.BID, [(500, 9)]), 1))
            world.clear(session)
        for day in range(start + 1, start + 30):
            working = {d: (d + 3) % 7 < 5 and d not in (start + 8, start + 9) for d in range(day - 14, day + 1)}
            mask = client.admissible(1, anna, day)
            assert mask == admissible(day, start, working, {start + 4, start + 6}), day - start
        client.bind_meter(key_of("metering"), anna, 1, 12345, start + 12)
        assert client.key_at(anna, start + 11) == (world.meter_key(anna), start)
        assert client.key_at(anna, start + 12) == (12345, start + 12)
        assert client.admissible(1, anna, start + 12) == 0
        meter = client.meter_on(anna, start + 20)
        assert (meter.zone, meter.key, meter.from_day) == (1, 12345, start + 12)
        assert meter.event_days == 1 << 0, "day + 6 is 14 days before day + 20"


def test_event_days_across_a_word(world: World) -> None:
    client = world.client
    anna, dso = world.member("anna"), world.member("dso", meter=False)
    today = client.day_of(1, world.chain.now())
    border = (today // 256 + 1) * 256
    for day in (border - 1, border):
        session = world.open(days_ahead=day - client.day_of(1, world.chain.now()), mask=1 << 20)
        client.place(key_of("anna"), session, entry_words(order(anna, Side.OFFER, [(500, 1)]), 1))
        client.place(key_of("dso"), session, entry_words(order(dso, Side.BID, [(500, 9)]), 1))
        world.clear(session)
    assert client.event_days(anna, border - 7, 14) == 0b11 << 6
    assert client.event_days(anna, border - 14, 14) == 1 << 13
    assert client.event_days(anna, border, 14) == 1
