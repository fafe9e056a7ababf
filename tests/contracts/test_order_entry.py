"""Who may place what when: every refusal at order entry, and the money that an order locks."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from contracts_world import COLLATERAL_PPM, World, address_of, key_of, order, rules_words, words_of
from eth_account import Account
from eth_account.messages import encode_typed_data

from contracts.artifacts import load
from contracts.events import CounterIncremented, EnvelopeSet, NoncesInvalidated, Orders
from contracts.refusals import ContractRefusal
from contracts.typed_data import Domain, OrderBatch, SignatureError, SignedBatch, order_batch, recover
from contracts.units import Mode, SessionState, Side

BID = [(100, 200_000)] * 4
FAR = 2**40


def refused_place(world: World, name: str, session: int, words: list[int]) -> ContractRefusal:
    with pytest.raises(ContractRefusal) as refused:
        world.client.simulate(address_of(name), world.client.encode_place(session, words))
    return refused.value


def bid(account: int, *steps: list[tuple[int, int]]) -> list[int]:
    return words_of(order(account, Side.BID, *(steps or (BID,))), 4)


def offer(account: int, quantity: int = 100) -> list[int]:
    return words_of(order(account, Side.OFFER, [(quantity, 200_000)] * 4), 4)


def test_an_order_locks_its_largest_cost_or_its_collateral(world: World) -> None:
    anna = world.member("anna")
    session = world.open(days_ahead=20)
    before = world.client.balance(anna)
    world.client.place(key_of("anna"), session, bid(anna, [(333, 100_001)] * 4) + offer(anna, 77))
    after = world.client.balance(anna)
    lock = 4 * -(-333 * 100_001 // 1000) + -(-600_000 * 308 * 500_000 // 10**9)
    assert (after.available, after.locked) == (before.available - lock, before.locked + lock)
    world.client.place(key_of("anna"), session, bid(anna))
    assert world.client.balance(anna).locked == after.locked + 4 * 20_000, "a replacement locks its full amount as well"
    assert world.client.progress(session).entries == 3


def test_the_gate_decides_when(world: World) -> None:
    ben = world.member("ben")
    now = world.chain.now()
    later = world.open(days_ahead=21, gate_open=now + 1000, gate_close=now + 2000)
    assert world.client.state(later) is SessionState.SCHEDULED
    refused = refused_place(world, "ben", later, bid(ben))
    assert (refused.error_name, refused.arguments["state"]) == ("WrongState", SessionState.SCHEDULED)
    assert "Scheduled" in refused.message and "Open" in refused.message
    world.chain.advance_to(now + 1000)
    world.client.simulate(address_of("ben"), world.client.encode_place(later, bid(ben)))
    world.chain.advance_to(now + 2000)
    assert refused_place(world, "ben", later, bid(ben)).arguments["state"] == SessionState.CLOSED
    assert refused_place(world, "ben", 10**9, bid(ben)).error_name == "UnknownSession"


def test_words_are_checked_at_entry(world: World) -> None:
    ben = world.member("ben")
    session = world.open(days_ahead=22)
    cases = {
        "LimitAboveCap": bid(ben, [(100, 500_001)] * 4),
        "QuantityBelowMinimum": bid(ben, [(9, 1)] * 4),
        "EntryIncomplete": bid(ben)[:1],
        "BodyPadding": [bid(ben)[0], bid(ben)[1] | 1 << 224],
        "HeaderPadding": [bid(ben)[0] | 1 << 40, bid(ben)[1]],
        "BatchEmpty": [],
    }
    for error, words in cases.items():
        assert refused_place(world, "ben", session, words).error_name == error


def test_rights(world: World) -> None:
    anna, ben, buyer = world.member("anna"), world.member("ben"), world.member("buyer", meter=False)
    poor = world.member("poor", money=0)
    session = world.open(days_ahead=23)
    refused = refused_place(world, "ben", session, bid(ben) + bid(anna))
    assert refused.error_name == "NotAllowed" and refused.arguments["account"] == anna
    assert refused_place(world, "ben", session, bid(99_999)).error_name == "UnknownAccount"
    assert refused_place(world, "buyer", session, offer(buyer)).error_name == "NoMeterKey"
    world.client.simulate(address_of("buyer"), world.client.encode_place(session, bid(buyer)))
    for words in (bid(poor), offer(poor)):
        refused = refused_place(world, "poor", session, words)
        assert refused.error_name == "NotEnoughAvailable" and refused.arguments["available"] == 0


def acting(placed: list[int], agent: int, pays: bool = False) -> list[int]:
    """Words of one order as the owner of the account `agent` places it."""
    return [placed[0] | agent << 32 | pays << 130, *placed[1:]]


def test_a_delegate_is_an_account_and_pays_where_it_says_so(world: World) -> None:
    client = world.client
    anna, ben, poor = world.member("anna"), world.member("ben"), world.member("carl", money=0)
    session = world.open(days_ahead=23)
    assert refused_place(world, "ben", session, acting(bid(anna), ben)).error_name == "NotDelegate"
    client.set_delegate(key_of("anna"), anna, ben)
    client.set_delegate(key_of("carl"), poor, ben)
    assert client.delegate_of(anna) == ben
    before = {name: client.balance(account) for name, account in world.accounts.items()}
    assert refused_place(world, "ben", session, bid(anna)).error_name == "NotAllowed"  # without naming the agent
    assert refused_place(world, "anna", session, acting(bid(anna), ben)).error_name == "NotAllowed"
    assert refused_place(world, "ben", session, acting(bid(poor), ben)).error_name == "NotEnoughAvailable"
    words = acting(bid(anna), ben) + acting(offer(anna), ben, pays=True) + acting(bid(poor), ben, pays=True)
    client.place(key_of("ben"), session, words)
    lock, collateral = 4 * 100 * 200, 4 * 100 * 500 * COLLATERAL_PPM // 10**6
    assert client.balance(anna).locked == before["anna"].locked + lock
    assert client.balance(ben).locked == before["ben"].locked + collateral + lock
    assert client.balance(poor) == before["carl"]
    with pytest.raises(ContractRefusal, match="does not own"):
        client.withdraw(key_of("ben"), anna, 1, address_of("ben"))
    client.set_delegate(key_of("anna"), anna, 0)
    assert client.delegate_of(anna) is None
    assert refused_place(world, "ben", session, acting(bid(anna), ben)).error_name == "NotDelegate"
    assert refused_place(world, "anna", session, acting(bid(anna), anna)).error_name == "HeaderFields"


def test_the_intake_fee_is_taken_with_every_entry_and_comes_back_with_the_locks(world: World) -> None:
    client = world.client
    anna = world.member("anna")
    session = world.open(days_ahead=33, intake_fee=1_000)
    before = client.balance(anna).available
    cancels = words_of(order(anna, Side.BID, [(0, 0)] * 4), 4)
    words = bid(anna) + cancels
    client.place(key_of("anna"), session, words)
    lock = 4 * 100 * 200
    assert (client.balance(anna).available, client.escrow(session)) == (before - lock - 2_000, 2_000)
    client.cancel(world.operator, session, "not needed")
    client.release_cancelled(world.operator, session, bytes(32), words)
    assert (client.balance(anna).available, client.escrow(session)) == (before, 0)


def test_one_call_takes_back_everything_that_was_signed(world: World) -> None:
    client = world.client
    anna, session = world.member("anna"), world.open(days_ahead=34)
    kept = [signed(world, "anna", session, bid(anna), nonce) for nonce in (50, 51)]
    client.place_signed(world.operator, kept[:1])
    receipt = client.increment_counter(key_of("anna"))
    assert client.receipt_events(receipt) == [CounterIncremented(address_of("anna"), 1)]
    assert client.counter_of(address_of("anna")) == 1
    refused = refused_signed(world, kept[1])
    assert refused.error_name == "CounterMismatch"
    assert refused.arguments == {"signer": address_of("anna"), "counter": 1, "supplied": 0}
    again = order_batch(session, bid(anna), 51, 1, FAR).sign(client.domain, key_of("anna"))
    client.simulate(address_of("operator"), client.encode_place_signed([again]))
    forged = SignedBatch(again.batch, again.signer, kept[1].signature)
    assert refused_signed(world, forged).error_name == "SignatureRefused"


def test_a_cooperative_session_has_each_owner_on_one_side_and_within_its_envelope(world: World) -> None:
    client = world.client
    anna, ben = world.member("anna"), world.member("ben")
    second = client.register(world.operator, address_of("anna"))
    client.set_delegate(key_of("ben"), ben, anna)
    session = world.open(days_ahead=36, mode=Mode.COOPERATIVE)
    assert refused_place(world, "anna", session, offer(anna)).error_name == "EnvelopeExceeded"
    receipt = client.set_envelope(key_of("metering"), anna, 100)
    assert client.receipt_events(receipt) == [EnvelopeSet(anna, 100)]
    assert client.envelope_of(anna) == 100
    with pytest.raises(ContractRefusal):
        client.simulate(address_of("anna"), client.encode_set_envelope(anna, 10**6))
    refused = refused_place(world, "anna", session, offer(anna, 101))
    assert refused.arguments == {"account": anna, "quantity": 101, "envelope": 100}
    client.place(key_of("anna"), session, offer(anna))
    assert refused_place(world, "anna", session, bid(anna)).error_name == "BothSides"
    assert refused_place(world, "anna", session, bid(second)).error_name == "BothSides"
    assert refused_place(world, "anna", session, acting(bid(ben), anna, pays=True)).error_name == "BothSides"
    client.simulate(address_of("anna"), client.encode_place(session, acting(bid(ben), anna)))
    client.place(key_of("anna"), session, words_of(order(anna, Side.OFFER, [(0, 0)] * 4), 4))
    assert refused_place(world, "anna", session, bid(anna)).error_name == "BothSides"  # for the whole session


def test_a_key_must_be_in_force_on_the_day_and_of_the_zone(world: World) -> None:
    client = world.client
    late = world.member("late", meter=False)
    today = client.day_of(1, world.chain.now())
    client.bind_meter(key_of("metering"), late, 1, world.meter_key(late), today + 30)
    assert client.key_at(late, today + 29) is None
    assert client.key_at(late, today + 30) == (world.meter_key(late), today + 30)
    session = world.open(days_ahead=29, mask=0xF)
    assert refused_place(world, "late", session, offer(late)).error_name == "NoMeterKey"
    session = world.open(days_ahead=30, mask=0xF)
    client.simulate(address_of("late"), client.encode_place(session, offer(late)))
    other = client.add_zone(world.operator, 0, 60)
    session = world.open(days_ahead=30, zone=other, gate_close=world.chain.now() + 60, mask=0xF)
    assert refused_place(world, "late", session, offer(late)).error_name == "WrongZone"
    client.simulate(address_of("late"), client.encode_place(session, bid(late)))


def signed(world: World, name: str, session: int, words: list[int], nonce: int, deadline: int = FAR) -> SignedBatch:
    return order_batch(session, words, nonce, 0, deadline).sign(world.client.domain, key_of(name))


def refused_signed(world: World, *batches: SignedBatch) -> ContractRefusal:
    with pytest.raises(ContractRefusal) as refused:
        world.client.simulate(address_of("operator"), world.client.encode_place_signed(batches))
    return refused.value


def test_a_signed_batch_counts_once_and_as_signed(world: World) -> None:
    client = world.client
    anna, ben = world.member("anna"), world.member("ben")
    session = world.open(days_ahead=24)
    first = signed(world, "anna", session, bid(anna), 2**255 + 7)
    second = signed(world, "ben", session, bid(ben) + offer(ben), 0)
    receipt = client.place_signed(world.operator, [first, second])
    placed = [e for e in client.receipt_events(receipt) if isinstance(e, Orders)]
    assert [(e.signer, e.first, e.words) for e in placed] == [
        (address_of("anna"), 0, first.batch.words),
        (address_of("ben"), 1, second.batch.words),
    ]
    assert client.order_log(session).hash() == client.log(session)
    assert client.nonce_used(address_of("anna"), 2**255 + 7) and not client.nonce_used(address_of("anna"), 7)

    assert refused_signed(world, first).error_name == "NonceUsed"
    fresh = signed(world, "anna", session, bid(anna), 8)
    assert refused_signed(world, fresh, fresh).error_name == "NonceUsed"
    assert (
        refused_signed(world, signed(world, "anna", session, bid(anna), 8, world.chain.now() - 1)).error_name
        == "DeadlinePassed"
    )
    assert refused_signed(world, signed(world, "ben", session, bid(anna), 8)).error_name == "NotAllowed"
    changed = [
        SignedBatch(order_batch(session, bid(anna, [(101, 200_000)] * 4), 8, 0, FAR), fresh.signer, fresh.signature),
        SignedBatch(order_batch(session + 1, fresh.batch.words, 8, 0, FAR), fresh.signer, fresh.signature),
        SignedBatch(order_batch(session, fresh.batch.words, 9, 0, FAR), fresh.signer, fresh.signature),
        SignedBatch(order_batch(session, fresh.batch.words, 8, 1, FAR), fresh.signer, fresh.signature),
        SignedBatch(order_batch(session, fresh.batch.words, 8, 0, FAR + 1), fresh.signer, fresh.signature),
        SignedBatch(fresh.batch, address_of("ben"), fresh.signature),
        SignedBatch(fresh.batch, fresh.signer, fresh.signature[:-1]),
        SignedBatch(fresh.batch, fresh.signer, b""),
        fresh.batch.sign(Domain(client.domain.chain_id + 1, client.domain.market), key_of("anna")),
        fresh.batch.sign(Domain(client.domain.chain_id, client.deployment.contracts["Vault"]), key_of("anna")),
    ]
    for batch in changed:
        assert refused_signed(world, batch).error_name == "SignatureRefused"
    client.simulate(address_of("operator"), client.encode_place_signed([fresh]))

    receipt = client.invalidate_nonces(key_of("anna"), 0, 1 << 8 | 1 << 9)
    assert client.receipt_events(receipt) == [NoncesInvalidated(address_of("anna"), 0, 768)]
    assert refused_signed(world, fresh).error_name == "NonceUsed"


def test_all_batches_of_a_transaction_or_none(world: World) -> None:
    anna, ben = world.member("anna"), world.member("ben")
    session = world.open(days_ahead=25)
    good = signed(world, "anna", session, bid(anna), 100)
    bad = signed(world, "ben", session, bid(ben, [(100, 500_001)] * 4), 100)
    assert refused_signed(world, good, bad).error_name == "LimitAboveCap"
    assert not world.client.nonce_used(address_of("anna"), 100)


def test_a_contract_can_sign(world: World) -> None:
    created = world.chain.transact(None, load("test/Wallet").creation(address_of("anna")), world.operator).contract
    assert created
    client = world.client
    account = client.register(world.operator, created)
    client.mint(world.operator, address_of("operator"), 10**9)
    client.approve(world.operator, 10**9)
    client.deposit(world.operator, account, 10**9)
    session = world.open(days_ahead=26)
    batch = order_batch(session, bid(account), 1, 0, FAR)
    by_anna = batch.sign(client.domain, key_of("anna"))
    receipt = client.place_signed(world.operator, [SignedBatch(batch, created, by_anna.signature)])
    assert any(isinstance(e, Orders) and e.signer == created for e in client.receipt_events(receipt))
    by_ben = order_batch(session, bid(account), 2, 0, FAR).sign(client.domain, key_of("ben"))
    assert refused_signed(world, SignedBatch(by_ben.batch, created, by_ben.signature)).error_name == "SignatureRefused"


def test_collateral_follows_the_rule_set(world: World) -> None:
    anna = world.member("anna")
    session = world.open(days_ahead=27, rules=rules_words([(0, 10**6)], [(0, 0)], 0, 0))
    before = world.client.balance(anna).locked
    world.client.place(key_of("anna"), session, offer(anna))
    assert world.client.balance(anna).locked == before


GOLDEN = json.loads((Path(__file__).parent.parent / "cases" / "encoding" / "typed_data.json").read_text())["cases"]


@pytest.mark.parametrize("case", GOLDEN, ids=lambda c: f"session {c['session']}")
def test_typed_data_golden(case: dict[str, object]) -> None:
    batch = OrderBatch(
        int(str(case["session"])),
        tuple(int(w, 16) for w in case["words"]),  # type: ignore[attr-defined]
        int(str(case["nonce"])),
        int(str(case["counter"])),
        int(str(case["deadline"])),
    )
    domain = Domain(int(str(case["chain_id"])), str(case["market"]))
    assert "0x" + batch.digest(domain).hex() == case["digest"]
    signed_batch = batch.sign(domain, key_of("anna"))
    assert signed_batch.recover(domain) == signed_batch.signer == address_of("anna")
    message = encode_typed_data(full_message=batch.typed_data(domain))
    assert Account.recover_message(message, signature=signed_batch.signature) == address_of("anna")


def test_signatures_that_the_contract_would_refuse_are_refused() -> None:
    digest = b"\x11" * 32
    signature = order_batch(1, [1], 1, 0, 1).sign(Domain(1, "0x" + "11" * 20), key_of("anna")).signature
    order_n = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141
    s = int.from_bytes(signature[32:64], "big")
    high = signature[:32] + (order_n - s).to_bytes(32, "big") + bytes([55 - signature[64]])
    for wrong in (signature[:64], signature + b"\0", high, signature[:64] + b"\x00", b"\0" * 64 + b"\x1b"):
        with pytest.raises(SignatureError):
            recover(digest, wrong)
