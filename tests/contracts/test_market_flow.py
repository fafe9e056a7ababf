"""One session from opening to the last cent, on both development chains."""

from __future__ import annotations

import pytest
from contracts_proofs import fake_batch
from contracts_twin import Rules, settle_book
from contracts_world import GENESIS, RULES, World, key_of, make_world, order

from contracts.deliveries import Entry, delivery_words, pick_words, recorded_entries
from contracts.encoding import row_words
from contracts.events import BuyerPayment, BuyersSettled, Delivered, FlexibilityTargetSet, SellersSettled, Settled
from contracts.orderlog import groups_of
from contracts.units import SessionState, Side

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("backend", ["tester", pytest.param("anvil", marks=pytest.mark.needs("anvil"))])
def test_a_session_from_opening_to_the_last_cent(backend: str) -> None:
    with (world := make_world(backend)).chain:
        run(world)


def run(world: World) -> None:
    client, chain = world.client, world.chain
    anna, ben, dso = world.member("anna"), world.member("ben"), world.member("dso", meter=False)
    world.chain.advance_to(GENESIS + 15 * 86400)
    session = world.open(days_ahead=2)
    assert client.state(session) is SessionState.OPEN
    world.place("dso", session, order(dso, Side.BID, [(900, 250_000)] * 4, [(200, 90_000)] * 4))
    world.place("anna", session, order(anna, Side.OFFER, [(500, 80_000)] * 4))
    world.place("ben", session, order(ben, Side.OFFER, [(300, 100_000)] * 4, [(300, 160_000)] * 4))
    world.place("ben", session, order(ben, Side.OFFER, [(300, 100_000)] * 4, [(0, 0), *[(300, 160_000)] * 3]))
    book = world.clear(session)
    assert client.state(session) is SessionState.CLEARED
    assert client.escrow(session) == book.rows[0].cost > 0
    targets = [e for _, e in client.events(None, None, FlexibilityTargetSet)]
    assert [(e.account, list(e.target)) for e in targets] == [
        (anna, row_words(book.rows[1])[1:]),
        (ben, row_words(book.rows[3])[1:]),
    ]
    terms = client.terms(session)
    assert client.sold(anna, terms.day) == terms.mask

    chain.advance_to(terms.delivery_end)
    delivered = {anna: [500, 499, 100, 0], ben: [400, 300, -50, 700]}
    for account, values in delivered.items():
        deviations = world.deviations(dict(zip(terms.interval_indices, values, strict=True)))
        entry = Entry(account, 3, terms.mask, tuple(deviations))
        client.prove(world.operator, session, [fake_batch(world, session, entry.words())])
    batches = [recorded_entries(e.entries, e.recorded, 24) for _, e in client.events(None, None, Delivered)]
    picks = [[(b, 0) for b, (entry,) in enumerate(batches) if entry.account == account] for account in (anna, ben)]
    rows = groups_of(book.rows)[0]
    supplied = [delivery_words(batch) for batch in batches]
    client.settle(world.operator, session, 0, 0b1010, rows, book.certificate, RULES, supplied, pick_words(picks))
    assert client.state(session) is SessionState.SETTLING
    receipt = client.settle(world.operator, session, 0, 0b1, rows, book.certificate, RULES, [], [])

    expected = settle_book(book, Rules.of(RULES), delivered)
    sellers = {
        p.account: (p.earned, p.unpaid, p.penalty)
        for _, e in client.events(None, None, SellersSettled)
        if isinstance(e, SellersSettled)
        for p in e.payments
    }
    assert sellers == {anna: expected.sellers[1], ben: expected.sellers[3]}
    paid, settled = client.receipt_events(receipt)
    assert isinstance(paid, BuyersSettled)
    assert paid.payments == (BuyerPayment(dso, dso, *expected.buyers[0]),)
    assert settled == Settled(session, expected.rounding)
    assert client.state(session) is SessionState.SETTLED
    assert client.escrow(session) == expected.rounding >= 0
    balances = [client.balance(account) for account in (anna, ben, dso)]
    assert all(b.locked == 0 for b in balances)
    assert sum(b.available for b in balances) + expected.rounding == 3 * 10**12
    client.withdraw(key_of("anna"), anna, balances[0].available, client.owner_of(anna))
    assert client.token_balance(client.owner_of(anna)) == balances[0].available
