"""What the deployed contracts refuse of settlements, and what silence costs.

Each refusal is a transaction that failed, with the contract's own word for it; where it matters, the honest transaction that
differs in one thing alone is shown to be taken at the same moment.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest
from protocol_people import PAIR, close_session, meet, rows_of
from protocol_scene import GAP, MASK, Claim, Scene
from protocol_world import RULES, Market, group_words, key_of

from contracts.calls import Call
from contracts.deliveries import Entry, ProofBatch, pick_words
from contracts.encoding import ResultRow
from contracts.events import BuyerPayment, BuyersSettled, SellerPayment, SellersSettled, Settled
from contracts.units import SessionState, Side
from market.clearing.uniform import Clearing
from settlement.records import Batch, supply
from settlement.rules import Curve


@pytest.fixture(scope="module")
def people(market: Market) -> Market:
    return meet(market)


@pytest.fixture
def closed(people: Market) -> int:
    return close_session(people)


@pytest.fixture
def sold(people: Market, closed: int) -> tuple[int, Clearing]:
    """The closed session, cleared and committed."""
    return closed, people.clear(closed)


def settle(market: Market, session: int, clearing: Clearing, *positions: int) -> Call:
    """The settlement of rows without a record."""
    sellers = [clearing.rows[p].account for p in positions if clearing.rows[p].side is Side.OFFER]
    which = sum(1 << position for position in positions)
    (rows,) = group_words(clearing)
    return market.client.encode_settle(session, 0, which, rows, clearing.certificate_words, RULES.words(), *supply([], sellers))


def test_silence_counts_as_nothing_delivered_and_costs_the_penalty(people: Market, sold: tuple[int, Clearing]) -> None:
    session, clearing = sold
    client, terms = people.client, people.terms(session)
    ann, dso = people.accounts["ann"], people.accounts["dso"]
    before = client.balance(ann)
    people.chain.advance_to(terms.delivery_end)
    refusal = people.refuses(settle(people, session, clearing, 1))
    assert (refusal.error_name, refusal.arguments["missing"]) == ("SellerNotFinal", PAIR)
    people.chain.advance_to(terms.proof_deadline + 1)
    too_late = client.encode_prove(session, [ProofBatch(1, tuple(Entry(ann, 3, PAIR, (0, 0, 0)).words()), (1,) * 8)])
    assert people.refuses(too_late).error_name == "ProofDeadlinePassed"

    # 500 Wh at 0.12 EUR/kWh in two hours are worth 0.12 EUR; the penalty of a ratio of 0 is 45 % of that
    assert RULES.penalty.at(0) == 450_000
    receipt = client.send(key_of("anyone"), settle(people, session, clearing, 1))
    (event,) = client.receipt_events(receipt)
    assert isinstance(event, SellersSettled)
    assert event.payments == (SellerPayment(ann, ann, 0, 120_000, 54_000, 1),)
    after = client.balance(ann)
    lock = clearing.rows[1].lock
    assert (after.available, after.locked) == (before.available + lock - 54_000, before.locked - lock)
    client.send(key_of("anyone"), settle(people, session, clearing, 2))
    receipt = client.send(key_of("anyone"), settle(people, session, clearing, 0))
    # the buyer has its cost of 0.192 EUR back, and the penalties of both sellers
    paid, settled = client.receipt_events(receipt)
    assert isinstance(paid, BuyersSettled)
    assert paid.payments == (BuyerPayment(dso, dso, 192_000, 192_000 + 54_000 + 32_400),)
    assert settled == Settled(session, 0)


def test_settling_twice(people: Market, sold: tuple[int, Clearing]) -> None:
    session, clearing = sold
    people.chain.advance_to(people.terms(session).proof_deadline + 1)
    people.client.send(key_of("anyone"), settle(people, session, clearing, 1))
    paid = people.client.balance(people.accounts["ann"])
    for rows in ((1,), (1, 2)):
        assert people.refuses(settle(people, session, clearing, *rows)).error_name == "RowsAlreadySettled"
    people.client.send(key_of("anyone"), settle(people, session, clearing, 2))
    people.client.send(key_of("anyone"), settle(people, session, clearing, 0))
    assert people.client.state(session) is SessionState.SETTLED
    assert people.refuses(settle(people, session, clearing, 0)).error_name == "RowsAlreadySettled"
    assert people.client.balance(people.accounts["ann"]) == paid


def test_buyers_before_sellers(people: Market, sold: tuple[int, Clearing]) -> None:
    session, clearing = sold
    people.chain.advance_to(people.terms(session).proof_deadline + 1)
    refusal = people.refuses(settle(people, session, clearing, 0))
    assert (refusal.error_name, refusal.arguments["sellersLeft"]) == ("SellersFirst", 2)
    people.client.send(key_of("anyone"), settle(people, session, clearing, 1))
    assert people.refuses(settle(people, session, clearing, 0)).error_name == "SellersFirst"
    assert people.refuses(settle(people, session, clearing, 0, 2)).error_name == "SellersFirst"
    people.client.send(key_of("anyone"), settle(people, session, clearing, 2))
    people.accepts(settle(people, session, clearing, 0))


def test_settling_before_all_groups_are_committed(people: Market, closed: int) -> None:
    clearing = people.engine(closed)
    assert people.refuses(settle(people, closed, clearing, 1)).error_name == "NotCleared"
    people.client.send(key_of("anyone"), people.encode_clear(closed, clearing.certificate_words))
    people.chain.advance_to(people.terms(closed).proof_deadline + 1)
    assert people.refuses(settle(people, closed, clearing, 1)).error_name == "GroupsUncommitted"


def test_proofs_before_their_time(people: Market, closed: int) -> None:
    def prove(mask: int) -> Call:
        entry = Entry(people.accounts["ann"], 3, mask, (0, 0, 0))
        return people.client.encode_prove(closed, [ProofBatch(1, tuple(entry.words()), (1,) * 8)])

    assert people.refuses(prove(PAIR)).error_name == "NotCleared"
    people.clear(closed)
    assert people.refuses(prove(PAIR)).error_name == "NotDeliveredYet"


@pytest.mark.slow
@pytest.mark.needs("key", "node")
def test_altered_rows_records_rules_or_certificate(scene: Scene, claims: dict[str, Claim]) -> None:
    """A delivery that is proven for real is settled by nothing but what the chain holds."""
    market, clearing = scene.market, scene.clearing
    batches: list[Batch] = [[claims["alice"].entry], [claims["bob"].entry]]
    alice_, bob_ = (claims[name].entry.account for name in ("alice", "bob"))
    right = clearing.certificate_words

    def call(
        rows: Sequence[ResultRow] = clearing.rows,
        certificate: Sequence[int] = right,
        rules: Sequence[int] = tuple(RULES.words()),
        records: tuple[Sequence[Sequence[int]], Sequence[int]] | None = None,
        which: int = 0b10,
        group: int = 0,
    ) -> Call:
        supplied = supply(batches, [alice_]) if records is None else records
        return market.client.encode_settle(scene.first, group, which, rows_of(rows), certificate, rules, *supplied)

    market.accepts(call())
    bid, alice, bob = clearing.rows
    generous = replace(RULES, pay=Curve(((0, 1_000_000),)))
    for altered, what in (
        (call(rows=[bid, replace(alice, fills=(1, 1, 1)), bob]), "rows"),
        (call(rows=[bid, replace(alice, lock=0), bob]), "rows"),
        (call(rows=[alice, bid, bob]), "rows"),
        (call(group=1), "rows"),
        (call(certificate=[replace(clearing.certificates[0], hi=2**32 - 1).word(), *right[1:]]), "certificate"),
        (call(certificate=right[:2]), "certificate"),
        (call(rules=generous.words()), "rules"),
        (call(rules=RULES.words()[:-1]), "rules"),
    ):
        refusal = market.refuses(altered)
        assert (refusal.error_name, refusal.arguments["what"]) == ("SuppliedDataMismatch", what)
    honest, strange = (entry.words() for batch in batches for entry in batch)
    better = [*honest[:2], honest[2] + (1 << 26 * 8), *honest[3:]]  # a watt-hour more in hour 17
    for records, error in (
        (([better], pick_words([[(0, 0)]])), "BatchNotProven"),
        (([replace(claims["alice"].entry, mask=MASK & ~GAP).words()], pick_words([[(0, 0)]])), "BatchNotProven"),
        (([honest + strange], pick_words([[(0, 0)]])), "BatchNotProven"),
        (([strange], pick_words([[(0, 0)]])), "PickOfOtherAccount"),
        (([], pick_words([[]])), "RecordsLeftOut"),
        (([honest], pick_words([[]])), "RecordsLeftOut"),
        (([honest], pick_words([[(0, 0), (0, 0)]])), "PickOverlaps"),
        (([honest, honest], pick_words([[(0, 0), (1, 0)]])), "PickOverlaps"),
        (([honest], pick_words([[(1, 0)]])), "PickOutOfRange"),
        (([honest], []), "PicksIncomplete"),
        (([honest], [*pick_words([[(0, 0)]]), 0]), "PicksLeftOver"),
    ):
        assert market.refuses(call(records=records)).error_name == error
    refusal = market.refuses(call(records=supply(batches, [bob_]), which=0b100))
    assert (refusal.error_name, refusal.arguments["missing"]) == ("SellerNotFinal", GAP)
    assert market.refuses(call(which=0b1000)).error_name == "RowOutOfRange"
