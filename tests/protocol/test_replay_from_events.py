"""A session is replayed from its events: how its proofs came to the contract does not matter, altering one is found."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest
from protocol_scene import DAY, GAP, MASK, Claim, Scene, claim, make_scenes, rows_of_scene
from protocol_world import RULES, address_of, fast_chain, key_of

from app.services.replaying import replay_session, session_log
from contracts.artifacts import load
from contracts.calls import Call
from contracts.deploy import FORKS_ROLE, VerifyingKey
from contracts.events import Delivered
from contracts.units import SessionState
from oracle.meter import Meter
from settlement.records import supply
from settlement.replay import SessionLog, replay
from zk.groth16 import Proof
from zk.keys import KeyPaths
from zk.prover import SnarkjsProver
from zk.verifier import verify

pytestmark = [pytest.mark.needs("key", "node"), pytest.mark.slow]


@pytest.fixture(scope="module")
def forwarded(circuit: VerifyingKey, meters: dict[str, Meter], prover: SnarkjsProver) -> Iterator[Scene]:
    """The scene with all proofs sent through another contract, in one transaction: Alice's, one of hers that is skipped, and a
    call with two batches, Alice's again and Bob's."""
    with fast_chain() as chain:
        (scene,) = make_scenes(chain, circuit, meters)
        client = scene.market.client
        alice = claim(prover, scene.statement("alice", meters["alice"]))
        bob = claim(prover, scene.statement("bob", meters["bob"], mask=MASK & ~GAP))
        artifact = load("test/Forwarder")
        forwarder = chain.transact(None, artifact.creation(), key_of("deployer")).contract
        assert forwarder
        calls = [alice.call(scene), alice.call(scene), client.encode_prove(scene.first, [alice.batch, bob.batch])]
        data = artifact.functions["forward"].call([call.to for call in calls], [call.data for call in calls])
        client.send(key_of("anyone"), Call(forwarder, data))
        settle_all(scene, alice, bob)
        yield scene


def settle_all(scene: Scene, alice: Claim, bob: Claim) -> None:
    client, session = scene.market.client, scene.first
    scene.market.chain.advance_to(scene.market.terms(session).proof_deadline + 1)
    sellers = [claim.entry.account for claim in (alice, bob)]
    for which, supplied in ((0b110, supply([[alice.entry], [bob.entry]], sellers)), (0b001, ([], []))):
        client.settle(
            key_of("anyone"),
            session,
            0,
            which,
            rows_of_scene(scene),
            scene.clearing.certificate_words,
            RULES.words(),
            *supplied,
        )
    assert client.state(session) is SessionState.SETTLED


@pytest.fixture
def verified(key: KeyPaths) -> Callable[[int, tuple[int, int, int], tuple[int, ...]], bool]:
    def verdict(accounts: int, public: tuple[int, int, int], proof: tuple[int, ...]) -> bool:
        assert accounts == 1
        return verify(key.verifying_key(), public, Proof.from_words(proof))

    return verdict


def test_proofs_through_another_contract_replay(forwarded: Scene) -> None:
    client = forwarded.market.client
    events = [(log, e) for log, e in client.events(None, None, Delivered) if isinstance(e, Delivered)]
    assert len({log.transaction for log, _ in events}) == 1 and [e.recorded for _, e in events] == [1, 1]
    sent = client.chain.transaction(events[0][0].transaction)
    assert sent is not None and sent.to != client.deployment.contracts["Deliveries"]
    assert replay_session(client, forwarded.first) == "identical"


def test_a_key_that_is_replaced_or_suspended_later_leaves_the_proofs_as_they_are(forwarded: Scene) -> None:
    client, market = forwarded.market.client, forwarded.market
    alice, bob = market.accounts["alice"], market.accounts["bob"]
    accounts = client.deployment.contracts["Accounts"]
    client.bind_meter(key_of("metering"), alice, 1, 31_337, DAY + 1)
    grant = load("Accounts").functions["grantRole"].call(FORKS_ROLE, address_of("anyone"))
    market.chain.transact(accounts, grant, key_of("deployer"))
    found = client.key_at(bob, DAY)
    assert found is not None
    client.send(key_of("anyone"), Call(accounts, load("Accounts").functions["suspendKey"].call(found[0])))
    assert client.key_at(bob, DAY) is None
    assert replay_session(client, forwarded.first) == "identical"


def test_every_altered_part_of_a_logged_proof_is_found(
    forwarded: Scene, verified: Callable[[int, tuple[int, int, int], tuple[int, ...]], bool]
) -> None:
    log = session_log(forwarded.market.client, forwarded.first)
    assert replay(log, verified) == "identical"
    first, second = log.proofs
    (entry,) = first.entries
    (account, meter), *_ = first.meters.items()

    def answer(**changes: object) -> str:
        altered: SessionLog = replace(log, proofs=(replace(first, **changes), second))  # type: ignore[arg-type]
        return replay(altered, verified)

    more = (entry.deviations[0], entry.deviations[1] + (1 << 26 * 8), entry.deviations[2])
    assert "the words chain to" in answer(entries=(replace(entry, deviations=more),))
    assert "the words chain to" in answer(entries=(replace(entry, mask=entry.mask & entry.mask - 1),))
    assert "the words chain to" in answer(entries=(replace(entry, count=entry.count - 1),))
    assert "the words chain to" in answer(meters={account: replace(meter, key=meter.key + 1)})
    assert "the words chain to" in answer(meters={account: replace(meter, event_days=frozenset())})
    assert "the words chain to" in answer(chain=first.chain + 1)
    assert "does not verify" in answer(proof=second.proof)
    assert "it records the entries 0b1" in answer(recorded=0)
    assert "no key in force" in answer(meters={})
    assert "it records the entries 0b0" in replay(replace(log, proofs=(first, first, second)), verified), "recorded twice"
    assert "seller" in replay(replace(log, proofs=(second,)), verified), "a proof left out"
