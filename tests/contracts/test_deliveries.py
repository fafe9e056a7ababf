"""The statement's words, rule R14, the count rule, deadlines, and records that never overlap."""

from __future__ import annotations

import random

import pytest
from contracts_harness import Harness
from contracts_proofs import compress, fake_batch, statement
from contracts_twin import admissible
from contracts_world import R, World, address_of, key_of, make_world, order, words_of
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from machine import fast_backend

from contracts.artifacts import load
from contracts.deliveries import ProofBatch, decode_delivery, delivery_hash, recorded_entries
from contracts.encoding import hash_words
from contracts.events import Delivered
from contracts.orderlog import groups_of
from contracts.refusals import ContractRefusal
from contracts.sessions import Terms
from contracts.units import SessionState, Side

pytestmark = pytest.mark.slow


def cleared_session(world: World, days_ahead: int = 20, mask: int = 0b1111 << 10) -> tuple[int, Terms]:
    """A session with one trade per interval, cleared; the chain stands at its gate."""
    anna, dso = world.member("anna"), world.member("dso", meter=False)
    world.member("ben")
    session = world.open(days_ahead=days_ahead, mask=mask)
    terms = world.client.terms(session)
    world.client.place(
        key_of("anna"), session, words_of(order(anna, Side.OFFER, [(500, 80_000)] * terms.intervals), terms.intervals)
    )
    world.client.place(
        key_of("dso"), session, words_of(order(dso, Side.BID, [(500, 90_000)] * terms.intervals), terms.intervals)
    )
    world.clear(session)
    return session, terms


def entries_for(
    world: World,
    terms: Terms,
    accounts: dict[int, int],
    seed: int = 1,
    *,
    mask: int | None = None,
    masks: dict[int, int] | None = None,
) -> list[int]:
    """Entries for prove: account to count, with deviations drawn from `seed`. `mask` is everybody's (the session's by default),
    `masks` those of some accounts."""
    rng = random.Random(seed)
    words: list[int] = []
    for account, count in accounts.items():
        own = (masks or {}).get(account, terms.mask if mask is None else mask)
        drawn = {t: rng.randrange(-(2**25), 2**25) for t in range(world.day_intervals) if own >> t & 1}
        words += [account | count << 32 | own << 64, *world.deviations(drawn)]
    return words


def full(world: World, terms: Terms, account: int) -> int:
    """Number of admissible days: the count of a member without gaps."""
    return world.client.admissible(1, account, terms.day).bit_count()


def weekday_session(world: World, mask: int = 0b1111 << 10) -> tuple[int, Terms]:
    """A session on the first working day from 20 days on, so that there are enough days alike."""
    today = world.client.day_of(1, world.chain.now())
    return cleared_session(world, next(d for d in range(20, 30) if (today + d + 3) % 7 < 5), mask)


def prove(world: World, session: int, *batches: list[int]) -> list[Delivered]:
    """Proves batches of entries in one call."""
    call = [fake_batch(world, session, entries, 5 + i) for i, entries in enumerate(batches)]
    return [
        e for e in world.client.receipt_events(world.client.prove(world.operator, session, call)) if isinstance(e, Delivered)
    ]


def refused(world: World, session: int, *batches: ProofBatch) -> ContractRefusal:
    with pytest.raises(ContractRefusal) as caught:
        world.client.simulate(address_of("operator"), world.client.encode_prove(session, batches))
    return caught.value


def refused_prove(world: World, session: int, entries: list[int], like: ProofBatch | None = None) -> ContractRefusal:
    """Refusal of entries with a proof of their own, or with that of the batch `like`."""
    batch = fake_batch(world, session, entries) if like is None else ProofBatch(like.chain, tuple(entries), like.proof_words)
    return refused(world, session, batch)


@pytest.mark.parametrize("minutes", [60, 30, 15])
def test_words_are_those_of_the_page(minutes: int) -> None:
    world = make_world(fast_backend(), minutes)
    with world.chain:
        session, terms = cleared_session(world, mask=(1 << 24 * 60 // minutes) - 1 ^ 0b101)
        world.chain.advance_to(terms.delivery_end)
        anna, ben = world.accounts["anna"], world.accounts["ben"]
        count = full(world, terms, anna)
        part = terms.mask & terms.mask - 1
        entries = entries_for(world, terms, {anna: count, ben: count - 2}, masks={ben: part})
        words = world.client.statement_words(session, entries)
        assert words == statement(world, session, entries)
        assert len(words) == 5 + 2 * (6 + -(-(1440 // minutes) // 9)) and max(words) < R
        artifact = load("Deliveries").functions["compress"]
        data = world.chain.call(world.client.deployment.contracts["Deliveries"], artifact.call(77, words))
        assert artifact.result(data) == compress(77, words)
        (event,) = prove(world, session, entries)
        assert (event.recorded, list(event.entries)) == (0b11, entries)
        assert [world.client.recorded(session, account) for account in (anna, ben, ben + 1)] == [terms.mask, part, 0]


def test_what_is_proven_is_recorded_once(world: World) -> None:
    session, terms = weekday_session(world)
    client = world.client
    anna, ben = world.accounts["anna"], world.accounts["ben"]
    part, rest = 0b0011 << 10, 0b1100 << 10
    end_of_part = client.interval_start(1, terms.day, 12)
    days = {account: full(world, terms, account) for account in (anna, ben)}
    one = entries_for(world, terms, {anna: days[anna]}, mask=part)
    whole = entries_for(world, terms, {anna: days[anna]})
    world.chain.advance_to(end_of_part - 1)
    assert refused_prove(world, session, one).error_name == "NotDeliveredYet"
    world.chain.advance_to(end_of_part)
    assert client.state(session) is SessionState.DELIVERING
    assert refused_prove(world, session, whole).error_name == "NotDeliveredYet"
    batch = fake_batch(world, session, one)
    late = fake_batch(world, session, entries_for(world, terms, {ben: days[ben]}, mask=1 << 13))
    assert refused(world, session, batch, late).error_name == "NotDeliveredYet", "the last of all masks counts"
    assert prove(world, session, one) == [Delivered(session, 5, 1, tuple(one), batch.proof_words)]
    assert client.recorded(session, anna) == part and client.proven(session, hash_words(one))
    again = entries_for(world, terms, {anna: days[anna] - 1}, seed=9, mask=part)
    assert prove(world, session, again) == [], "recorded already: skipped"
    less = entries_for(world, terms, {anna: days[anna]}, seed=9, mask=part & -part)
    assert prove(world, session, less) == [], "a part of what is recorded as well"
    assert client.recorded(session, anna) == part and not client.proven(session, hash_words(again))

    world.chain.advance_to(terms.delivery_end)
    overlap = refused_prove(world, session, whole)
    assert (overlap.error_name, overlap.arguments["account"], overlap.arguments["recorded"]) == ("RecordOverlaps", anna, part)
    assert (
        refused_prove(world, session, entries_for(world, terms, {anna: days[anna]}, mask=0b0110 << 10)).error_name
        == "RecordOverlaps"
    )
    both = entries_for(world, terms, {anna: days[anna], ben: days[ben]}, seed=3, masks={anna: rest})
    (event,) = prove(world, session, both)
    assert event.recorded == 0b11 and client.proven(session, hash_words(both))
    assert [client.recorded(session, account) for account in (anna, ben)] == [terms.mask, terms.mask]
    four = entries_for(world, terms, {anna: days[anna]}) * 4
    assert prove(world, session, four) == [], "one account may fill every slot"

    world.chain.advance_to(terms.proof_deadline)
    batch = fake_batch(world, session, entries_for(world, terms, {ben: days[ben]}))
    client.simulate(address_of("operator"), client.encode_prove(session, [batch]))
    world.chain.advance_to(terms.proof_deadline + 1)
    assert refused(world, session, batch).error_name == "ProofDeadlinePassed"


def test_a_batch_keeps_what_it_records_and_nothing_else(world: World) -> None:
    """Entries that are recorded already, and one account twice in a batch: only the first counts, in hash and mask."""
    session, terms = weekday_session(world)
    client = world.client
    anna, ben = world.accounts["anna"], world.accounts["ben"]
    world.chain.advance_to(terms.delivery_end)
    low, high = terms.mask & 0b11 << 10, terms.mask & 0b1100 << 10
    days = {account: full(world, terms, account) for account in (anna, ben)}
    first = entries_for(world, terms, {anna: days[anna]}, seed=1, mask=low)
    prove(world, session, first)
    mixed = [
        *entries_for(world, terms, {anna: days[anna]}, seed=2, mask=low),  # recorded before
        *entries_for(world, terms, {ben: days[ben]}, seed=3, mask=high),
        *entries_for(world, terms, {anna: days[anna]}, seed=4, mask=high),
        *entries_for(world, terms, {ben: days[ben]}, seed=5, mask=high),  # again, with other deviations
    ]
    (event,) = prove(world, session, mixed)
    assert event.recorded == 0b0110 and list(event.entries) == mixed
    kept = recorded_entries(event.entries, event.recorded, 24)
    assert [(entry.account, entry.mask) for entry in kept] == [(ben, high), (anna, high)]
    assert delivery_hash(kept) == hash_words(mixed[4:12]) and client.proven(session, delivery_hash(kept))
    assert not client.proven(session, hash_words(mixed)) and not client.proven(session + 1, delivery_hash(kept))
    assert [client.recorded(session, account) for account in (anna, ben)] == [terms.mask, high]
    assert decode_delivery(mixed, 24)[0].words() == mixed[:4]


def test_packed_records_do_not_touch_each_other(world: World) -> None:
    """Ten accounts share a word at 24 intervals a day: eleven neighbours, each with intervals of its own."""
    client = world.client
    accounts = {world.member(f"packed {i}"): 1 + i for i in range(11)}
    session, terms = weekday_session(world)
    world.chain.advance_to(terms.delivery_end)
    batches = [
        entries_for(world, terms, {account: full(world, terms, account)}, seed=account, mask=bits << 10)
        for account, bits in accounts.items()
    ]
    events = prove(world, session, *batches[::2])
    assert [e.recorded for e in events] == [1] * 6
    prove(world, session, *batches[1::2])
    assert {account: client.recorded(session, account) >> 10 for account in accounts} == accounts
    assert client.recorded(session, world.accounts["anna"]) == 0


def test_several_batches_in_one_call(world: World) -> None:
    session, terms = weekday_session(world)
    anna, ben = world.accounts["anna"], world.accounts["ben"]
    world.chain.advance_to(terms.delivery_end)
    today = {account: full(world, terms, account) for account in (anna, ben)}
    pair = entries_for(world, terms, today, mask=1 << 10)
    single = entries_for(world, terms, {anna: today[anna]}, mask=1 << 11)
    other = entries_for(world, terms, {ben: today[ben]}, mask=1 << 11)
    good = [fake_batch(world, session, entries, i) for i, entries in enumerate((single, pair, other))]

    def broken(batch: ProofBatch) -> ProofBatch:
        return ProofBatch(batch.chain, batch.entries, (batch.proof_words[0] ^ 1, *batch.proof_words[1:]))

    for guilty in range(3):
        call = [broken(batch) if i == guilty else batch for i, batch in enumerate(good)]
        refusal = refused(world, session, *call)
        assert (refusal.error_name, refusal.arguments["batch"]) == ("ProofRefused", guilty)
    swapped = [ProofBatch(a.chain, a.entries, b.proof_words) for a, b in zip(good[::2], good[::-2], strict=True)]
    assert refused(world, session, *swapped).error_name == "ProofRefused"
    clash = fake_batch(world, session, entries_for(world, terms, {anna: today[anna]}, mask=0b110 << 10))
    assert refused(world, session, *good, clash).error_name == "RecordOverlaps"
    assert world.client.recorded(session, anna) == 0, "all or none"
    receipt = world.client.prove(world.operator, session, [*good, good[0]])
    events = [e for e in world.client.receipt_events(receipt) if isinstance(e, Delivered)]
    assert [(e.chain, e.recorded, e.entries) for e in events] == [(i, (1, 3, 1)[i], good[i].entries) for i in range(3)]
    assert world.client.recorded(session, anna) == world.client.recorded(session, ben) == 0b11 << 10
    assert world.client.receipt_events(world.client.prove(world.operator, session, [])) == []


def test_proofs_that_are_refused(world: World) -> None:
    session, terms = weekday_session(world)
    anna, ben, dso = (world.accounts[name] for name in ("anna", "ben", "dso"))
    uncleared = world.open(days_ahead=360, mask=1)  # on no other test's day
    world.chain.advance_to(terms.delivery_end)
    good = entries_for(world, terms, {anna: full(world, terms, anna)})
    like = fake_batch(world, session, good)

    def error(entries: list[int], at: int = session) -> str:
        return refused(world, at, ProofBatch(like.chain, tuple(entries), like.proof_words)).error_name

    def masked(mask: int) -> list[int]:
        return [good[0] & 2**64 - 1 | mask << 64, *good[1:]]

    assert error(masked(0)) == "MaskNotInSession"
    assert error(masked(terms.mask | 1)) == error(masked(1 << 24)) == error(masked(1 << 95)) == "MaskNotInSession"
    assert error(good, uncleared) == "NotCleared"
    assert error(good, 10**6) == "UnknownSession"
    assert error(good[:-1]) == error([]) == error(good * 3) == "NoCircuit"
    assert error([*good, 0]) == "EntriesLength"
    assert error([good[0] | 1 << 160, *good[1:]]) == error([good[0] | 1 << 255, *good[1:]]) == "EntryPadding"
    assert error([*good[:-1], good[-1] | 1 << 234]) == "DeviationOutOfRange"
    assert error([dso | good[0] >> 32 << 32, *good[1:]]) == "NoMeterKey"
    elsewhere = world.member("elsewhere", meter=False)
    world.client.bind_meter(key_of("metering"), elsewhere, world.client.add_zone(world.operator, 0, 60), 4321, terms.day - 1)
    other_zone = refused(world, session, ProofBatch(5, (elsewhere | good[0] >> 32 << 32, *good[1:]), like.proof_words))
    assert other_zone.error_name == "AccountInOtherZone" and other_zone.arguments["account"] == elsewhere
    # the proof binds every word
    for changed in (
        [good[0] - (1 << 32), *good[1:]],
        [ben | full(world, terms, ben) << 32 | terms.mask << 64, *good[1:]],
        [*good[:-1], good[-1] ^ 1],
        masked(0b0111 << 10),
    ):
        assert error(changed) == "ProofRefused"
    assert refused(world, session, ProofBatch(6, like.entries, like.proof_words)).error_name == "ProofRefused"
    with pytest.raises(ContractRefusal, match="proof 0 of the call does not hold"):
        world.client.simulate(
            address_of("operator"), world.client.encode_prove(session, [ProofBatch(6, like.entries, like.proof_words)])
        )
    world.client.simulate(address_of("operator"), world.client.encode_prove(session, [like]))


def test_no_proof_while_an_earlier_day_has_promises_to_commit() -> None:
    world = make_world(fast_backend())
    client = world.client
    anna, dso = world.member("anna"), world.member("dso", meter=False)
    today = client.day_of(1, world.chain.now())
    earlier = world.open(days_ahead=20, mask=1 << 20)
    client.place(key_of("anna"), earlier, words_of(order(anna, Side.OFFER, [(500, 1)]), 1))
    client.place(key_of("dso"), earlier, words_of(order(dso, Side.BID, [(500, 9)]), 1))
    book = world.clear_only(earlier)
    cancelled = world.open(days_ahead=24, mask=1)
    day = today + 27 + (-(today + 27 + 3) % 7)  # a Monday, 20 + 7 to 13 days ahead
    session = world.open(days_ahead=day - client.day_of(1, world.chain.now()))
    client.place(key_of("anna"), session, words_of(order(anna, Side.OFFER, *[[(500, 1)] * 4]), 4))
    client.place(key_of("dso"), session, words_of(order(dso, Side.BID, *[[(500, 9)] * 4]), 4))
    world.clear(session)
    terms = client.terms(session)
    world.chain.advance_to(terms.delivery_end)
    entries = entries_for(world, terms, {anna: full(world, terms, anna)})
    like = fake_batch(world, session, entries)

    assert refused(world, session, like).error_name == "EarlierDayUncommitted"
    before = client.admissible(1, anna, day)
    client.commit(world.operator, earlier, 0, groups_of(book.rows)[0])
    assert client.admissible(1, anna, day) != before, "the promise made its day an event day"
    assert refused(world, session, like).error_name == "EarlierDayUncommitted"
    client.release_auction(key_of("dso"), cancelled)
    entries = entries_for(world, terms, {anna: full(world, terms, anna)})
    assert len(prove(world, session, entries)) == 1


def test_the_count_rule(world: World) -> None:
    session, terms = weekday_session(world)
    anna = world.accounts["anna"]
    world.chain.advance_to(terms.delivery_end)
    days = full(world, terms, anna)
    assert days > 5
    for count in (days - 2, days - 1, days):
        entries = entries_for(world, terms, {anna: count})
        world.client.simulate(address_of("operator"), world.client.encode_prove(session, [fake_batch(world, session, entries)]))
    for count in (0, days - 3, days + 1, 2**32 - 1):
        refusal = refused_prove(world, session, entries_for(world, terms, {anna: count}))
        assert refusal.error_name == "CountRefused" and refusal.arguments["count"] == count


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
    world = make_world(fast_backend())
    client = world.client
    with world.chain:
        anna, dso = world.member("anna"), world.member("dso", meter=False)
        start = client.day_of(1, world.chain.now())
        client.set_holidays(world.operator, 1, [start + 8, start + 9])
        with pytest.raises(ContractRefusal, match="not in the future"):
            client.set_holidays(world.operator, 1, [start])
        for ahead in (4, 6):  # two event days
            session = world.open(days_ahead=start + ahead - client.day_of(1, world.chain.now()), mask=1 << 20)
            client.place(key_of("anna"), session, words_of(order(anna, Side.OFFER, [(500, 1)]), 1))
            client.place(key_of("dso"), session, words_of(order(dso, Side.BID, [(500, 9)]), 1))
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
        client.place(key_of("anna"), session, words_of(order(anna, Side.OFFER, [(500, 1)]), 1))
        client.place(key_of("dso"), session, words_of(order(dso, Side.BID, [(500, 9)]), 1))
        world.clear(session)
    assert client.event_days(anna, border - 7, 14) == 0b11 << 6
    assert client.event_days(anna, border - 14, 14) == 1 << 13
    assert client.event_days(anna, border, 14) == 1
