"""What the deployed contracts refuse of orders and clearings; settlements and proofs have files of their own.

Each refusal is a transaction that failed, with the contract's own word for it; where it matters, the honest transaction that
differs in one thing alone is shown to be taken at the same moment.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import pytest
from protocol_people import PAIR, RANGE, RIGHT, close_ranged, close_session, free_day, meet, offer, open_pair, rows_of
from protocol_world import CAP, RULES, Market, address_of, bits, key_of, order

from contracts.artifacts import load
from contracts.calls import Call, ClearingPass
from contracts.calls_modes import Award
from contracts.encoding import IntervalCertificate, ScheduleOrder, batch_words
from contracts.orderlog import OrderLog
from contracts.requests import Member, profile_words
from contracts.typed_data import Domain, OrderBatch, SignedBatch, order_batch
from contracts.units import Mode, SessionState, Side

N = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141
"""Order of the curve of signatures."""


@pytest.fixture(scope="module")
def people(market: Market) -> Market:
    return meet(market)


@pytest.fixture
def closed(people: Market) -> int:
    return close_session(people)


# ------------------------------------------------------------------------------------------------------------------ orders


def test_a_wrong_signature(people: Market) -> None:
    session, words, now = open_pair(people), offer(people, "ann"), people.chain.now()
    batch, domain = order_batch(session, words, 7, 0, now + 600), people.client.domain
    honest = batch.sign(domain, key_of("ann"))
    carry = people.client.encode_place_signed
    people.accepts(carry([honest]))

    def under_ann(signed: SignedBatch, altered: OrderBatch = batch) -> SignedBatch:
        return SignedBatch(altered, address_of("ann"), signed.signature)

    r, s, v = honest.signature[:32], int.from_bytes(honest.signature[32:64], "big"), honest.signature[64]
    refused = [
        under_ann(batch.sign(domain, key_of("ben"))),
        under_ann(batch.sign(Domain(domain.chain_id + 1, domain.market), key_of("ann"))),
        under_ann(batch.sign(Domain(domain.chain_id, people.client.deployment.contracts["Vault"]), key_of("ann"))),
        under_ann(honest, replace(batch, words=tuple(offer(people, "ann", limit=1)))),
        under_ann(honest, replace(batch, session=session + 1)),
        under_ann(honest, replace(batch, nonce=8)),
        under_ann(honest, replace(batch, deadline=now + 601)),
        SignedBatch(batch, address_of("ann"), r + (N - s).to_bytes(32, "big") + bytes([55 - v])),
        SignedBatch(batch, address_of("ann"), honest.signature[:64]),
        SignedBatch(batch, address_of("ann"), bytes(65)),
    ]
    for signed in refused:
        assert people.refuses(carry([signed])).error_name == "SignatureRefused"
    other = under_ann(honest, replace(batch, counter=1))
    assert people.refuses(carry([other])).error_name == "CounterMismatch"


def test_an_order_for_somebody_else(people: Market) -> None:
    session, words = open_pair(people), offer(people, "ann")
    people.client.simulate(address_of("ann"), people.client.encode_place(session, words))
    assert people.refuses(people.client.encode_place(session, words), "ben").error_name == "NotAllowed"
    signed = order_batch(session, words, 9, 0, people.chain.now() + 600).sign(people.client.domain, key_of("ben"))
    assert people.refuses(people.client.encode_place_signed([signed])).error_name == "NotAllowed"


def test_a_replayed_nonce(people: Market) -> None:
    session, until = open_pair(people), people.chain.now() + 600
    first, second = (
        order_batch(session, offer(people, "ann", limit=limit), 300, 0, until).sign(people.client.domain, key_of("ann"))
        for limit in (5, 6)
    )
    people.client.place_signed(key_of("anyone"), [first])
    for again in ([first], [second]):
        assert people.refuses(people.client.encode_place_signed(again)).error_name == "NonceUsed"
    fresh = order_batch(session, offer(people, "ann"), 301, 0, until).sign(people.client.domain, key_of("ann"))
    assert people.refuses(people.client.encode_place_signed([fresh, fresh])).error_name == "NonceUsed"
    people.accepts(people.client.encode_place_signed([fresh]))
    people.client.invalidate_nonces(key_of("ann"), 1, 1 << 301 - 256)
    assert people.refuses(people.client.encode_place_signed([fresh])).error_name == "NonceUsed"


def test_a_late_order(people: Market) -> None:
    session, words = open_pair(people), offer(people, "ann")
    gate = people.terms(session).gate_close
    late = order_batch(session, words, 11, 0, gate + 600).sign(people.client.domain, key_of("ann"))
    past = order_batch(session, words, 12, 0, people.chain.now() - 1).sign(people.client.domain, key_of("ann"))
    people.accepts(people.client.encode_place_signed([late]))
    assert people.refuses(people.client.encode_place_signed([past])).error_name == "DeadlinePassed"
    people.chain.advance_to(gate)
    for call, name in (
        (people.client.encode_place(session, words), "ann"),
        (people.client.encode_place_signed([late]), "anyone"),
    ):
        refusal = people.refuses(call, name)
        assert (refusal.error_name, refusal.arguments["state"]) == ("WrongState", SessionState.CLOSED)


def test_an_offer_without_collateral(people: Market) -> None:
    """Half the cap is locked: 2 000 Wh in each of two hours take one euro, and a watt-hour more takes more."""
    session = open_pair(people)
    assert RULES.collateral_ppm * CAP * 4_000 // 10**9 == 10**6 == people.client.balance(people.accounts["eve"]).available
    for words in (offer(people, "eve", 2_001), offer(people, "eve", 2_000, 0) * 2):
        refusal = people.refuses(people.client.encode_place(session, words), "eve")
        assert refusal.error_name == "NotEnoughAvailable"
    people.client.place(key_of("eve"), session, offer(people, "eve", 2_000))
    refusal = people.refuses(people.client.encode_place(session, offer(people, "eve", 1)), "eve")
    assert (refusal.error_name, refusal.arguments["available"], refusal.arguments["needed"]) == ("NotEnoughAvailable", 0, 500)
    withdraw = people.client.encode_withdraw(people.accounts["eve"], 1, address_of("eve"))
    assert people.refuses(withdraw, "eve").error_name == "NotEnoughAvailable"
    cancel = people.client.encode_cancel(session, "so that Eve has her euro back")
    people.client.send(key_of("operator"), cancel)
    people.client.release_cancelled(key_of("anyone"), session, bytes(32), offer(people, "eve", 2_000))
    assert people.client.balance(people.accounts["eve"]).available == 10**6


def test_a_bid_without_money_and_an_offer_without_a_meter(people: Market) -> None:
    session = open_pair(people)
    bid = order(people.accounts["eve"], Side.BID, [(10_000, 100_001), (0, 0)])
    assert placed(people, session, "eve", bid) == "NotEnoughAvailable"
    assert placed(people, session, "dso", order(people.accounts["dso"], Side.OFFER, [(500, 1)] * 2)) == "NoMeterKey"
    assert placed(people, session, "ann", order(people.accounts["ann"], Side.OFFER, [(500, CAP + 1)] * 2)) == "LimitAboveCap"


def placed(market: Market, session: int, name: str, wanted: ScheduleOrder) -> str:
    """What the contract says to the order of `name`."""
    return market.refuses(
        market.client.encode_place(session, batch_words([wanted], market.client.terms(session))), name
    ).error_name


# ---------------------------------------------------------------------------------------------------------------- clearing


@pytest.mark.parametrize(
    ("change", "error", "side"),
    [
        ({"lo": 120_000, "rest_offers": 300}, "LimitInsideRange", Side.BID),
        ({"lo": 125_001}, "LowNotTight", None),
        ({"hi": 129_999}, "HighNotTight", None),
        ({"hi": 140_000, "rest_bids": 800}, "LimitInsideRange", Side.OFFER),
    ],
)
def test_a_wrong_clearing_price(people: Market, change: dict[str, int], error: str, side: Side | None) -> None:
    """Each end of the range, moved either way, with rests that fit it: fills are the right ones, only the price is not."""
    ranged = close_ranged(people)
    assert people.engine(ranged).certificates == (RANGE, RANGE)
    people.accepts(people.encode_clear(ranged, [RANGE.word()] * 2))
    refusal = people.refuses(people.encode_clear(ranged, [RANGE.word(), replace(RANGE, **change).word()]))
    assert (refusal.error_name, refusal.arguments["interval"], refusal.arguments.get("side")) == (error, 1, side)


@pytest.mark.parametrize(
    ("close", "right", "change", "error", "side"),
    [
        # a bid at 0.125 and an offer at 0.13, between which the price lies, would fill as well
        (close_ranged, RANGE, {"rest_bids": 100}, "RestNotUsed", Side.BID),
        (close_ranged, RANGE, {"rest_offers": 100}, "RestNotUsed", Side.OFFER),
        # Ben would sell 100 Wh more than is bought at 0.12 or above, or 100 Wh less
        (close_session, RIGHT, {"volume": 900, "rest_offers": 400}, "VolumeNotMet", Side.BID),
        (close_session, RIGHT, {"rest_offers": 200}, "VolumeNotMet", Side.OFFER),
    ],
)
def test_a_fill_beyond_its_limit(
    people: Market,
    close: Callable[[Market], int],
    right: IntervalCertificate,
    change: dict[str, int],
    error: str,
    side: Side,
) -> None:
    session = close(people)
    people.accepts(people.encode_clear(session, [right.word()] * 2))
    refusal = people.refuses(people.encode_clear(session, [right.word(), replace(right, **change).word()]))
    assert (refusal.error_name, refusal.arguments["interval"], refusal.arguments["side"]) == (error, 1, side)


def test_rows_that_say_something_else(people: Market, closed: int) -> None:
    """What a clearing has come to is what is committed: no other fills, costs, owners or locks, and each group once."""
    clearing = people.engine(closed)
    people.client.send(key_of("anyone"), people.encode_clear(closed, clearing.certificate_words))
    bid, ann, ben = clearing.rows
    assert (bid.fills, ann.fills, ben.fills) == ((800, 800), (500, 500), (300, 300))
    for rows in (
        [replace(bid, fills=(1_000, 800)), ann, ben],
        [replace(bid, cost=bid.cost - 1), ann, ben],
        [bid, replace(ann, fills=(501, 500)), replace(ben, fills=(299, 300))],
        [bid, replace(ann, account=ben.account), ben],
        [bid, replace(ann, lock=ann.lock + 1), ben],
        [bid, ann],
        [ann, bid, ben],
    ):
        assert people.refuses(people.client.encode_commit(closed, 0, rows_of(rows))).error_name == "RowsMismatch"
    people.client.commit(key_of("anyone"), closed, 0, rows_of(clearing.rows))
    assert people.refuses(people.client.encode_commit(closed, 0, rows_of(clearing.rows))).error_name == "GroupAlreadyCommitted"
    assert people.refuses(people.client.encode_commit(closed, 1, rows_of(clearing.rows))).error_name == "GroupOutOfRange"


def test_a_log_with_something_left_out_or_moved(people: Market, closed: int) -> None:
    first, second, third = people.log(closed).batches
    right = [RIGHT.word()] * 2
    for batches in ((first, third), (first, third, second), (first, second, third, third), (first + second, third)):
        call = people.client.encode_clear(closed, ClearingPass.whole(OrderLog.of(batches, 2), right))
        assert people.refuses(call).error_name == "LogMismatch"


def test_an_entry_that_was_replaced(people: Market) -> None:
    """Ann's first offer is dead, whatever the submitter's table of live entries says."""
    session, ann = open_pair(people), people.accounts["ann"]
    for limit in (50_000, 90_000):
        people.place("ann", session, order(ann, Side.OFFER, [(500, limit)] * 2))
    people.place("dso", session, order(people.accounts["dso"], Side.BID, [(500, 90_000)] * 2))
    people.close_gate(session)
    log, dso = people.log(session), people.accounts["dso"]
    cheap = IntervalCertificate(50_000, 90_000, 500, 500, 500).word()
    dear = IntervalCertificate(90_000, 90_000, 500, 500, 500).word()

    def clear(certificate: int, rows: Sequence[int], hints: int) -> Call:
        table = sum(row << 64 * i for i, row in enumerate(rows))
        whole = ClearingPass.whole(log, [certificate] * 2)
        return people.client.encode_clear(session, whole._replace(live=[table], hints=[hints]))

    old, new, buyer = ann << 32 | 1 << 31 | 0, ann << 32 | 1 << 31 | 1, dso << 32 | 2
    assert ann < dso
    people.accepts(clear(dear, [new, buyer], 1 << 64))
    assert people.refuses(clear(cheap, [old, buyer], 1 << 64)).error_name == "EntryAfterLive"
    assert people.refuses(clear(cheap, [old, new, buyer], 1 << 32 | 2 << 64)).error_name == "LiveTableOrder"
    assert people.refuses(clear(cheap, [old, buyer], 1 << 32 | 1 << 64)).error_name == "HintWrongRow"
    assert people.refuses(clear(cheap, [new, buyer], 1 << 64)).error_name == "VolumeNotMet"


def test_a_clearing_out_of_time(people: Market) -> None:
    session = open_pair(people)
    call = people.encode_clear(session, people.engine(session).certificate_words)
    refusal = people.refuses(call)
    assert (refusal.error_name, refusal.arguments["state"]) == ("WrongState", SessionState.OPEN)
    people.close_gate(session)
    people.accepts(call)
    people.chain.advance_to(people.terms(session).delivery_start)
    refusal = people.refuses(call)
    assert (refusal.error_name, refusal.arguments["state"]) == ("WrongState", SessionState.CANCELLED)


def test_a_sold_interval_is_not_sold_twice(people: Market) -> None:
    day, ann, dso = free_day(people), people.accounts["ann"], people.accounts["dso"]
    held = people.open(day, bits(10))
    again = people.client.encode_open_session(people.request(day, PAIR), RULES.words())
    assert people.refuses(again, "operator").error_name == "IntervalsUnderAuction"
    people.place("ann", held, order(ann, Side.OFFER, [(500, 100_000)]))
    people.place("dso", held, order(dso, Side.BID, [(500, 100_000)]))
    people.clear(held)
    assert people.client.sold(ann, day) == bits(10)

    session = people.open(day, PAIR)
    people.place("ann", session, order(ann, Side.OFFER, [(500, 100_000)] * 2))
    people.place("dso", session, order(dso, Side.BID, [(500, 100_000)] * 2))
    people.close_gate(session)
    trade, none = IntervalCertificate(100_000, 100_000, 500, 500, 500), IntervalCertificate(100_000, 2**32 - 1, 0, 0, 0)
    assert people.refuses(people.encode_clear(session, [trade.word()] * 2)).error_name == "VolumeNotMet"
    assert people.engine(session).certificates == (none, trade)
    clearing = people.clear(session)
    assert clearing.rows[0].fills == (0, 500)
    assert people.client.sold(ann, day) == PAIR
    promise = load("Accounts").functions["commitPromise"].call(session, ann, 1, day, bits(12), True, 0, [500])
    refusal = people.refuses(Call(people.client.deployment.contracts["Accounts"], promise), "ann")
    assert refusal.error_name == "AccessControlUnauthorizedAccount"


def test_a_request_cannot_buy_a_sold_interval(people: Market) -> None:
    """A clearing leaves out what is sold; a request has no clearing, so that its award is refused as a whole."""
    day, client = free_day(people), people.client
    ann, ben, dso = (people.accounts[name] for name in ("ann", "ben", "dso"))
    session = people.open(day, bits(10))
    people.place("ann", session, order(ann, Side.OFFER, [(500, 100_000)]))
    people.place("dso", session, order(dso, Side.BID, [(500, 100_000)]))
    people.clear(session)
    client.send(key_of("operator"), client.encode_admit_dso(address_of("dso")))
    asked = people.request(day, PAIR, mode=Mode.REQUEST)
    target = profile_words([500, 500])
    client.send(key_of("dso"), client.encode_open_request(dso, asked, target, 0, RULES.words()))
    request = client.sessions()

    def award(name: str) -> Call:
        member = Member(people.accounts[name], (500, 500), (100_000, 100_000), people.chain.now() + 600)
        consent = member.consent(request).sign(client.domain_of("FlexRequests"), key_of(name))
        return client.encode_award(request, target, Award(member.words(), [consent]))

    refusal = people.refuses(award("ann"), "dso")
    assert refusal.error_name == "AlreadySold"
    assert refusal.arguments == {"account": ann, "day": day, "intervals": bits(10)}
    assert client.sold(ann, day) == bits(10)
    client.send(key_of("dso"), award("ben"))
    assert client.sold(ben, day) == PAIR
