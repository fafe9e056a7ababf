"""Opening, the states, cancelling, pausing, the auction of intervals, and the way back of the locks."""

from __future__ import annotations

import pytest
from contracts_twin import clear_book
from contracts_world import RULES, World, address_of, key_of, order, rules_words, words_of

from contracts.artifacts import load
from contracts.calls import ClearingPass
from contracts.events import AuctionReleased, SessionCancelled, SessionOpened, Settled
from contracts.orderlog import groups_of
from contracts.refusals import ContractRefusal
from contracts.units import Direction, Kind, Mode, SessionState, Side

OFFER = [(500, 80_000)] * 4
BID = [(400, 120_000)] * 4


def refused_open(world: World, rules: tuple[int, ...] = RULES, **changes: object) -> ContractRefusal:
    call = world.client.encode_open_session(world.request(**{"days_ahead": 99, **changes}), rules)  # type: ignore[arg-type]
    with pytest.raises(ContractRefusal) as refused:
        world.client.simulate(address_of("operator"), call)
    return refused.value


def test_terms_are_derived_from_the_request(world: World) -> None:
    request = world.request(days_ahead=20, mask=0b1011 << 8, direction=Direction.DOWN, kind=Kind.THERMAL)
    receipt = world.client.send(world.operator, world.client.encode_open_session(request, RULES))
    opened = next(e for e in world.client.receipt_events(receipt) if isinstance(e, SessionOpened))
    terms = world.client.terms(opened.session)
    assert opened.terms == terms and opened.rules == RULES
    assert (terms.intervals, terms.day_intervals, terms.interval_indices) == (3, 24, (8, 9, 11))
    assert terms.delivery_start == request.day * 86400 - 3600 + 8 * 3600
    assert terms.delivery_end == request.day * 86400 - 3600 + 12 * 3600
    assert (terms.direction, terms.kind, terms.mode) == (Direction.DOWN, Kind.THERMAL, Mode.COMPETITIVE)
    assert terms.collateral_ppm == 600_000


def test_only_the_operator_opens(world: World) -> None:
    with pytest.raises(ContractRefusal, match="does not hold the role"):
        world.client.simulate(address_of("anna"), world.client.encode_open_session(world.request(), RULES))


def test_terms_that_are_refused(world: World) -> None:
    now, day = world.chain.now(), world.client.day_of(1, world.chain.now()) + 99
    start, end = (world.client.interval_start(1, day, t) for t in (10, 14))
    assert refused_open(world, mask=0).error_name == "MaskOutOfRange"
    assert refused_open(world, mask=1 << 24).error_name == "MaskOutOfRange"
    assert refused_open(world, zone=9).error_name == "UnknownZone"
    assert refused_open(world, mode=Mode.COOPERATIVE).error_name == "ModeNotSupported"
    assert refused_open(world, deliveries=address_of("anna")).error_name == "DeliveriesNotAdmitted"
    assert refused_open(world, gate_close=now, gate_open=now - 5).error_name == "GateInPast"
    assert refused_open(world, gate_open=now + 3600).error_name == "TimesOutOfOrder"
    assert refused_open(world, gate_close=start + 1).arguments["later"] == "deliveryStart"
    assert refused_open(world, exemption_deadline=end - 1).arguments["later"] == "exemptionDeadline"
    assert refused_open(world, exemption_deadline=end + 10**6).arguments["later"] == "proofDeadline"
    quarters = world.client.add_zone(world.operator, 0, 15)
    assert refused_open(world, zone=quarters).error_name == "DeliveriesForOtherDays"
    world.client.simulate(
        address_of("operator"),
        world.client.encode_open_session(
            world.request(99, gate_close=start, exemption_deadline=end, proof_deadline=end), RULES
        ),
    )


@pytest.mark.parametrize(
    ("rules", "error"),
    [
        ((), "RulesLength"),
        ((RULES[0] + 1, *RULES[1:]), "RulesVersion"),
        ((RULES[0] | 1 << 24, *RULES[1:]), "RulesHeader"),
        ((RULES[0] | 1 << 96, *RULES[1:]), "RulesHeader"),
        (RULES[:-1], "RulesLength"),
        ((*RULES, 0), "RulesLength"),
        (rules_words([], [(0, 0)], 0, 0), "RulesPoints"),
        (rules_words([(0, 0)], [], 0, 0), "RulesPoints"),
        (rules_words([(x, 0) for x in range(17)], [(0, 0)], 0, 0), "RulesPoints"),
        (rules_words([(1, 0)], [(0, 0)], 0, 0), "RulesPoint"),
        (rules_words([(0, 0), (5, 1), (5, 2)], [(0, 0)], 0, 0), "RulesPoint"),
        (rules_words([(0, 10**6 + 1)], [(0, 0)], 0, 0), "RulesPoint"),
        (rules_words([(0, 0)], [(0, 7)], 0, 6), "RulesPoint"),
        ((*RULES[:-1], RULES[-1] | 1 << 64), "RulesPoint"),
    ],
)
def test_rule_sets_that_are_refused(world: World, rules: tuple[int, ...], error: str) -> None:
    assert refused_open(world, rules).error_name == error


def test_an_interval_is_under_one_auction_at_a_time(world: World) -> None:
    client = world.client
    anna = world.member("anna")
    first = world.open(days_ahead=30, mask=0b0111 << 10)
    refused = refused_open(world, days_ahead=30, mask=0b1100 << 10)
    assert refused.error_name == "IntervalsUnderAuction" and refused.arguments["intervals"] == 0b0100 << 10
    beside = world.open(days_ahead=30, mask=0b1000 << 10)
    other_day = world.open(days_ahead=31, mask=0b0111 << 10)
    day = client.terms(first).day
    assert client.auctioned(1, day) == 0b1111 << 10

    receipt = client.cancel(world.operator, beside, "drawn by mistake")
    assert client.receipt_events(receipt) == [SessionCancelled(beside, "drawn by mistake"), AuctionReleased(beside)]
    assert client.state(beside) is SessionState.CANCELLED and client.auctioned(1, day) == 0b0111 << 10

    client.place(key_of("anna"), first, words_of(order(anna, Side.OFFER, OFFER[:3]), 3))
    book = world.clear_only(first)
    assert refused_open(world, days_ahead=30, mask=1 << 10).error_name == "IntervalsUnderAuction", "cleared, not committed"
    client.commit(world.operator, first, 0, groups_of(book.rows)[0])
    assert client.auctioned(1, day) == 0
    assert client.state(other_day) is SessionState.CLOSED
    with pytest.raises(ContractRefusal, match="expected Cancelled"):
        client.release_auction(world.operator, other_day)


def test_a_member_sells_an_interval_once(world: World) -> None:
    client = world.client
    anna, ben, dso = world.member("anna"), world.member("ben"), world.member("dso", meter=False)
    first = world.open(days_ahead=40, mask=0b0011 << 10)
    client.place(key_of("anna"), first, words_of(order(anna, Side.OFFER, [OFFER[0], (0, 0)]), 2))
    client.place(key_of("dso"), first, words_of(order(dso, Side.BID, BID[:2]), 2))
    world.clear(first)
    day = client.terms(first).day
    assert client.sold(anna, day) == 1 << 10 and client.event_days(anna, day, 1) == 1

    second = world.open(days_ahead=client.terms(first).day - client.day_of(1, world.chain.now()), mask=0b0111 << 10)
    client.place(key_of("anna"), second, words_of(order(anna, Side.OFFER, OFFER[:3]), 3))
    client.place(key_of("ben"), second, words_of(order(ben, Side.OFFER, [(100, 80_000)] * 3), 3))
    client.place(key_of("dso"), second, words_of(order(dso, Side.BID, BID[:3]), 3))
    world.close_gate(second)
    log, book = world.twin(second)
    assert book.rows[0].fills[0] == 0 and all(book.rows[0].fills[1:])
    as_if_unsold = clear_book(log, client.terms(second).interval_indices, 500_000, 600_000, {})
    with pytest.raises(ContractRefusal):
        client.clear(world.operator, second, ClearingPass.whole(log, as_if_unsold.certificate))
    client.clear(world.operator, second, ClearingPass.whole(log, book.certificate))
    client.commit(world.operator, second, 0, groups_of(book.rows)[0])
    assert client.sold(anna, day) == 0b111 << 10


def test_event_days_need_the_minimum(world: World) -> None:
    client = world.client
    anna, ben, dso = world.member("anna"), world.member("ben"), world.member("dso", meter=False)
    session = world.open(days_ahead=50, mask=1 << 3, min_quantity=100)
    client.place(key_of("anna"), session, words_of(order(anna, Side.OFFER, [(100, 10)]), 1))
    client.place(key_of("ben"), session, words_of(order(ben, Side.OFFER, [(100, 20)]), 1))
    client.place(key_of("dso"), session, words_of(order(dso, Side.BID, [(199, 50)]), 1))
    book = world.clear(session)
    assert [row.fills[0] for row in book.rows] == [100, 99, 199]
    day = client.terms(session).day
    assert client.event_days(anna, day - 1, 3) == 0b010 and client.event_days(ben, day - 1, 3) == 0
    assert client.sold(ben, day) == 1 << 3


def test_clearing_needs_the_closed_gate_and_the_whole_log(world: World) -> None:
    client = world.client
    anna = world.member("anna")
    session = world.open(days_ahead=60)
    for _ in range(2):
        world.place("anna", session, order(anna, Side.BID, BID))
    log, book = world.twin(session)
    certificate = book.certificate
    with pytest.raises(ContractRefusal, match="is Open, expected Closed"):
        client.clear(world.operator, session, ClearingPass.whole(log, certificate))
    world.close_gate(session)

    def refused(sizes: list[int], words: list[int]) -> str:
        live, hints = log.table()
        data = load("FlexMarket").functions["clear"].call(session, sizes, words, certificate, live, hints)
        with pytest.raises(ContractRefusal) as caught:
            world.chain.call(client.deployment.contracts["FlexMarket"], data)
        return caught.value.error_name

    assert refused([4], log.words) == "LogMismatch"
    assert refused([2], log.words[:2]) == "LogMismatch"
    assert refused([2, 2], [*log.words[:3], log.words[3] + 1]) == "LogMismatch"
    assert refused([2], log.words) == "SizesMismatch"
    assert refused([2, 3], log.words) == "SizesMismatch"
    client.clear(world.operator, session, ClearingPass.whole(log, certificate))
    assert client.state(session) is SessionState.CLEARED
    with pytest.raises(ContractRefusal, match="is Cleared, expected Closed"):
        client.clear(world.operator, session, ClearingPass.whole(log, certificate))

    rows = groups_of(book.rows)[0]
    for group, words, error in (
        (1, rows, "GroupOutOfRange"),
        (0, [*rows[:-1], rows[-1] + 1], "RowsMismatch"),
        (0, [], "RowsMismatch"),
    ):
        with pytest.raises(ContractRefusal) as caught:
            client.commit(world.operator, session, group, words)
        assert caught.value.error_name == error
    assert not client.committed(session, 0)
    receipt = client.commit(world.operator, session, 0, rows)
    assert client.receipt_events(receipt)[-1] == Settled(session, 0)
    assert client.state(session) is SessionState.SETTLED, "nothing was traded"
    with pytest.raises(ContractRefusal) as caught:
        client.commit(world.operator, session, 0, rows)
    assert caught.value.error_name == "GroupAlreadyCommitted"


def test_an_empty_session_settles_with_its_clearing(world: World) -> None:
    session = world.open(days_ahead=70)
    world.clear_only(session)
    assert world.client.state(session) is SessionState.SETTLED
    assert world.client.auctioned(1, world.client.terms(session).day) == 0


def locked(world: World, *names: str) -> list[int]:
    return [world.client.balance(world.member(name)).locked for name in names]


def test_a_cancelled_session_unwinds_from_the_end(world: World) -> None:
    client = world.client
    anna, ben = world.member("anna"), world.member("ben")
    before = locked(world, "anna", "ben")
    session = world.open(days_ahead=80)
    batches = [
        ("anna", words_of(order(anna, Side.OFFER, OFFER), 4)),
        ("ben", words_of(order(ben, Side.BID, BID, BID), 4)),
        ("anna", words_of(order(anna, Side.OFFER, [(0, 0)] * 4), 4) + words_of(order(anna, Side.BID, BID), 4)),
    ]
    logs = [bytes(32)]
    for name, words in batches:
        client.place(key_of(name), session, words)
        logs.append(client.log(session))
    with pytest.raises(ContractRefusal, match="is Open, expected Cancelled"):
        client.release_cancelled(world.operator, session, logs[2], batches[2][1])
    with pytest.raises(ContractRefusal, match="does not hold the role"):
        client.cancel(key_of("anna"), session, "I do not like it")
    client.cancel(world.operator, session, "storm")
    with pytest.raises(ContractRefusal):
        client.cancel(world.operator, session, "again")
    with pytest.raises(ContractRefusal) as caught:
        client.release_cancelled(world.operator, session, logs[0], batches[0][1])
    assert caught.value.error_name == "LogMismatch", "only the last batch"
    for number in (2, 1, 0):
        client.release_cancelled(key_of("anna"), session, logs[number], batches[number][1])
        assert client.log(session) == logs[number]
    assert locked(world, "anna", "ben") == before
    with pytest.raises(ContractRefusal):
        client.release_cancelled(world.operator, session, bytes(32), batches[0][1])


def test_a_session_without_clearing_is_cancelled_by_time(world: World) -> None:
    client = world.client
    anna = world.member("anna")
    before = locked(world, "anna")
    session = world.open(days_ahead=2)
    world.place("anna", session, order(anna, Side.OFFER, OFFER))
    terms = client.terms(session)
    world.chain.advance_to(terms.gate_close)
    with pytest.raises(ContractRefusal, match="closed at"):
        client.cancel(world.operator, session, "too late")
    log, book = world.twin(session)
    world.chain.advance_to(terms.delivery_start)
    assert client.state(session) is SessionState.CANCELLED
    with pytest.raises(ContractRefusal, match="is Cancelled, expected Closed"):
        client.clear(world.operator, session, ClearingPass.whole(log, book.certificate))
    assert client.auctioned(1, terms.day) == terms.mask
    client.release_auction(key_of("anna"), session)
    assert client.auctioned(1, terms.day) == 0
    with pytest.raises(ContractRefusal) as caught:
        client.release_auction(key_of("anna"), session)
    assert caught.value.error_name == "NotUnderAuction"
    client.release_cancelled(key_of("anna"), session, bytes(32), log.words)
    assert locked(world, "anna") == before


def test_a_pause_stops_intake_and_cancels_whom_it_touched(world: World) -> None:
    client, chain = world.client, world.chain
    anna = world.member("anna")
    now = chain.now()
    open_now = world.open(days_ahead=90, mask=1, gate_close=now + 5000)
    over_soon = world.open(days_ahead=90, mask=2, gate_close=now + 500)
    opens_later = world.open(days_ahead=90, mask=4, gate_open=now + 3000, gate_close=now + 5000)
    words = words_of(order(anna, Side.BID, BID[:1]), 1)
    client.place(key_of("anna"), open_now, words)
    chain.advance_to(now + 1000)
    with pytest.raises(ContractRefusal, match="does not hold the role"):
        client.set_paused(key_of("anna"), True)
    client.set_paused(world.operator, True)
    assert client.paused()
    states = [SessionState.CANCELLED, SessionState.CLOSED, SessionState.SCHEDULED]
    assert [client.state(s) for s in (open_now, over_soon, opens_later)] == states
    with pytest.raises(ContractRefusal) as caught:
        client.place(key_of("anna"), open_now, words)
    assert caught.value.error_name == "IntakeIsPaused"
    client.withdraw(key_of("anna"), anna, 1, address_of("anna"))
    with pytest.raises(ContractRefusal) as caught:
        client.set_paused(world.operator, True)
    assert caught.value.error_name == "PauseUnchanged"
    chain.advance_to(now + 2000)
    client.set_paused(world.operator, False)
    assert [client.state(s) for s in (open_now, over_soon, opens_later)] == states
    client.release_cancelled(world.operator, open_now, bytes(32), words)
    world.clear_only(over_soon)

    # one more pause afterwards, and one that begins before a gate and ends in it
    client.set_paused(world.operator, True)
    assert client.state(opens_later) is SessionState.SCHEDULED
    chain.advance_to(now + 3500)
    assert client.state(opens_later) is SessionState.CANCELLED
    client.set_paused(world.operator, False)
    assert client.state(opens_later) is SessionState.CANCELLED
    chain.advance_to(chain.now() + 60)
    fresh = world.open(days_ahead=90, mask=8)
    chain.advance_to(chain.now() + 60)
    client.place(key_of("anna"), fresh, words)


def test_cancelling_what_a_pause_cancelled_does_not_free_another_session_s_intervals(world: World) -> None:
    client = world.client
    paused = world.open(days_ahead=61)
    client.set_paused(world.operator, True)
    client.set_paused(world.operator, False)
    world.chain.advance_to(world.chain.now() + 2)
    assert client.state(paused) is SessionState.CANCELLED
    client.release_auction(world.operator, paused)
    following = world.open(days_ahead=61)
    day = client.terms(following).day
    with pytest.raises(ContractRefusal, match="is Cancelled"):
        client.cancel(world.operator, paused, "tidying up")
    assert client.auctioned(1, day) == client.terms(following).mask
    assert refused_open(world, days_ahead=61).error_name == "IntervalsUnderAuction"
