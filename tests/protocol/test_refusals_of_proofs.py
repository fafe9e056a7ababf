"""What cannot be proven: every way to a record that the readings do not carry ends in a refusal of the deployed contracts.

All proofs are real. Where an attack has a proof of its own, a verifier first shows that this proof holds by itself, so that
what the contract refuses is the claim and not a broken proof; and where the words differ, the test says which.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from protocol_scene import (
    ACCOUNT_WORD,
    ADMISSIBLE_WORD,
    COUNT_WORD,
    DAY,
    DAY_WORD,
    DEVIATION_WORD,
    EVENT_DAY,
    GAP,
    KEY_WORD,
    MASK,
    MASK_WORD,
    SESSION_WORD,
    Claim,
    Scene,
    claim,
    make_meter,
    make_scenes,
    readings_of,
)
from protocol_world import GENESIS, T, bits, key_of

from contracts.artifacts import load
from contracts.chain import open_chain
from contracts.deploy import VerifyingKey
from oracle.meter import Meter
from zk.eddsa import PrivateKey
from zk.field import ORDER
from zk.groth16 import BASE_ORDER
from zk.keys import KeyPaths
from zk.prover import ProverError, SnarkjsProver
from zk.statement import StatementError
from zk.verifier import verify

pytestmark = [pytest.mark.needs("key", "node"), pytest.mark.slow]


def masked(claim: Claim, mask: int) -> list[int]:
    """The claim's entries for other intervals."""
    return replace(claim.entry, mask=mask).words()


def holds(claim: Claim, key: KeyPaths) -> bool:
    return verify(key.verifying_key(), claim.statement.public, claim.proof)


# ------------------------------------------------------------------------------------------------------ readings and windows


def test_a_tampered_reading_signed_by_another_key(
    scene: Scene, claims: dict[str, Claim], key: KeyPaths, prover: SnarkjsProver, tmp_path: Path
) -> None:
    """Alice takes 500 Wh off her readings and signs her whole log again, with a key of her own making."""
    today = [
        reading - 500 if reading is not None and MASK >> t & 1 else reading
        for t, reading in enumerate(readings_of("alice", DAY))
    ]
    forger = make_meter(tmp_path, "alice", PrivateKey.generate(), today=today)
    forged = claim(prover, scene.statement("alice", forger))
    assert holds(forged, key)
    honest = claims["alice"].statement.accounts[0].deviations
    assert [
        d - h for d, h in zip(forged.statement.accounts[0].deviations, honest, strict=True) if d is not None and h is not None
    ] == [500] * 3
    assert forged.differences(scene) == [KEY_WORD]
    assert scene.market.refuses(forged.call(scene)).error_name == "ProofRefused"


def test_a_tampered_reading_under_the_meter_s_own_signature(
    claims: dict[str, Claim], key: KeyPaths, prover: SnarkjsProver
) -> None:
    """The circuit makes no proof of it: the signature is over other readings."""
    witness = claims["alice"].statement.witness
    readings = witness["readings"]
    assert isinstance(readings, list)
    (row,) = readings
    assert isinstance(row, list)
    tampered = row[17]
    assert isinstance(tampered, int)
    assert prover.witness(key, witness)
    with pytest.raises(ProverError, match="MeterSignature"):
        prover.prove_inputs(key, {**witness, "readings": [[*row[:17], tampered - 500, *row[18:]]]})


@pytest.mark.parametrize("change", [1, -1, 500])
def test_deviations_altered_under_an_honest_proof(scene: Scene, claims: dict[str, Claim], change: int) -> None:
    honest = claims["alice"]
    scene.market.accepts(honest.call(scene))
    entries = [*honest.entries]
    entries[2] += change << 26 * (17 - 9)  # interval 17 lies in the second word of nine
    assert honest.differences(scene, entries=entries) == [DEVIATION_WORD + 1]
    assert scene.market.refuses(honest.call(scene, entries=entries)).error_name == "ProofRefused"


def test_a_gap_sold_as_a_delivery(scene: Scene, meters: dict[str, Meter], claims: dict[str, Claim]) -> None:
    """Bob's meter has no reading of the middle hour: there is no statement with it, and the proof without it is none of it."""
    with pytest.raises(StatementError, match="interval 18 has no valid reading"):
        scene.statement("bob", meters["bob"])
    honest = claims["bob"]
    scene.market.accepts(honest.call(scene))
    entries = masked(honest, MASK)
    assert honest.differences(scene, entries=entries) == [MASK_WORD]
    assert scene.market.refuses(honest.call(scene, entries=entries)).error_name == "ProofRefused"
    entries[3] += 2**25 + 600  # as if all of the promise had been delivered in hour 18
    assert honest.differences(scene, entries=entries) == [MASK_WORD, DEVIATION_WORD + 2]
    assert scene.market.refuses(honest.call(scene, entries=entries)).error_name == "ProofRefused"
    assert scene.market.client.recorded(scene.first, honest.entry.account) == MASK & ~GAP


def test_a_wrong_day(scene: Scene, meters: dict[str, Meter], key: KeyPaths, prover: SnarkjsProver) -> None:
    """The windows of the day before, on which more was left out than on the day that was sold."""
    other = claim(prover, scene.statement("alice", meters["alice"], day=DAY - 1))
    assert holds(other, key)
    assert other.differences(scene) == [DAY_WORD]
    assert scene.market.refuses(other.call(scene)).error_name == "ProofRefused"


# ------------------------------------------------------------------------------------------------------------- baseline days


def test_an_event_day_in_the_baseline(scene: Scene, meters: dict[str, Meter], key: KeyPaths, prover: SnarkjsProver) -> None:
    """A day on which Alice was paid to change her load does not make up her baseline, whatever count she names."""
    admissible = scene.market.client.admissible(1, scene.market.accounts["alice"], DAY)
    event = 1 << EVENT_DAY - DAY + 14
    assert not admissible & event
    with_event = claim(prover, scene.statement("alice", meters["alice"], admissible=admissible | event))
    assert holds(with_event, key)
    assert scene.market.refuses(with_event.call(scene)).error_name == "CountRefused"
    entries = replace(with_event.entry, count=with_event.entry.count - 1).words()
    assert with_event.differences(scene, entries=entries) == [ADMISSIBLE_WORD, COUNT_WORD]
    assert scene.market.refuses(with_event.call(scene, entries=entries)).error_name == "ProofRefused"


def test_an_admissible_day_left_out(scene: Scene, meters: dict[str, Meter], key: KeyPaths, prover: SnarkjsProver) -> None:
    """Nobody chooses the days of a baseline: the lowest day left out would raise it."""
    admissible = scene.market.client.admissible(1, scene.market.accounts["alice"], DAY)
    shorter = claim(prover, scene.statement("alice", meters["alice"], admissible=admissible & admissible - 1))
    assert holds(shorter, key)
    assert shorter.differences(scene) == [ADMISSIBLE_WORD]
    assert scene.market.refuses(shorter.call(scene)).error_name == "ProofRefused"


@pytest.mark.parametrize("count", [0, 2, 6, 10, 2**32 - 1])
def test_a_count_that_makes_no_baseline(scene: Scene, claims: dict[str, Claim], count: int) -> None:
    honest = claims["alice"]
    refusal = scene.market.refuses(honest.call(scene, entries=replace(honest.entry, count=count).words()))
    assert refusal.error_name == "CountRefused"
    assert refusal.arguments["admissible"].bit_count() == 9


def test_a_count_that_would_do_but_is_not_the_proven_one(scene: Scene, claims: dict[str, Claim]) -> None:
    honest = claims["alice"]
    entries = replace(honest.entry, count=8).words()
    assert honest.differences(scene, entries=entries) == [COUNT_WORD]
    assert scene.market.refuses(honest.call(scene, entries=entries)).error_name == "ProofRefused"


# ------------------------------------------------------------------------------------------------------- altered and replayed


def test_an_altered_proof(scene: Scene, claims: dict[str, Claim]) -> None:
    honest, other = claims["alice"], claims["bob"]
    words, stranger = list(honest.proof.words()), list(other.proof.words())
    altered = [[*words[:i], (words[i] + 1) % BASE_ORDER, *words[i + 1 :]] for i in range(8)]
    altered += [
        [words[0], BASE_ORDER - words[1], *words[2:]],  # A negated
        [*words[:7], BASE_ORDER - words[7]],  # C negated
        [*words[6:], *words[2:6], *words[:2]],  # A and C exchanged
        [*words[:2], words[3], words[2], words[5], words[4], *words[6:]],  # B with its halves exchanged
        [*stranger[:2], *words[2:]],  # points of another proof
        [*words[:6], *stranger[6:]],
        stranger,
        [words[0] + BASE_ORDER, *words[1:]],  # the same numbers modulo q
        [words[0], words[1] + BASE_ORDER, *words[2:]],
        [0] * 8,
        [2**256 - 1] * 8,
    ]
    scene.market.accepts(honest.call(scene))
    for proof in altered:
        assert scene.market.refuses(honest.call(scene, proof=proof)).error_name == "ProofRefused", proof
        # nor does it pass in the company of good ones, wherever it stands
        bad = replace(honest.batch, proof_words=tuple(proof))
        for batches, guilty in (([bad, other.batch], 0), ([other.batch, honest.batch, bad], 2)):
            refusal = scene.market.refuses(scene.market.client.encode_prove(scene.first, batches))
            assert (refusal.error_name, refusal.arguments["batch"]) == ("ProofRefused", guilty), proof
    for chain_value in (honest.statement.c + 1, honest.statement.c + ORDER, 0):
        assert scene.market.refuses(honest.call(scene, chain=chain_value)).error_name == "ProofRefused"


def test_two_wrong_proofs_that_would_cancel_each_other(scene: Scene, claims: dict[str, Claim]) -> None:
    """C of the one raised and C of the other lowered by the same point: with fixed coefficients their product would be one."""
    from py_ecc.bn128 import FQ, G1, add, multiply, neg

    def moved(words: tuple[int, ...], by: tuple[FQ, FQ]) -> tuple[int, ...]:
        point = add((FQ(words[6]), FQ(words[7])), by)
        return (*words[:6], int(point[0]), int(point[1]))

    alice, bob = claims["alice"].batch, claims["bob"].batch
    shift = multiply(G1, 12_345)
    client = scene.market.client
    scene.market.accepts(client.encode_prove(scene.first, [alice, bob]))
    up = replace(alice, proof_words=moved(alice.proof_words, shift))
    down = replace(bob, proof_words=moved(bob.proof_words, neg(shift)))
    for batches in ([up, down], [down, up]):
        refusal = scene.market.refuses(client.encode_prove(scene.first, batches))
        assert (refusal.error_name, refusal.arguments["batch"]) == ("ProofRefused", 0)


def test_a_proof_replayed_for_another_session(scene: Scene, claims: dict[str, Claim]) -> None:
    """The second session is over the same intervals of the same day."""
    honest = claims["alice"]
    scene.market.accepts(honest.call(scene))
    assert honest.differences(scene, session=scene.second) == [SESSION_WORD]
    assert scene.market.refuses(honest.call(scene, session=scene.second)).error_name == "ProofRefused"
    assert scene.market.client.recorded(scene.second, honest.entry.account) == 0


def test_a_proof_replayed_for_another_account(scene: Scene, claims: dict[str, Claim]) -> None:
    honest, carol = claims["alice"], scene.market.accounts["carol"]
    entries = replace(honest.entry, account=carol).words()
    assert honest.differences(scene, entries=entries) == [ACCOUNT_WORD, KEY_WORD, ADMISSIBLE_WORD]
    assert scene.market.refuses(honest.call(scene, entries=entries)).error_name == "ProofRefused"
    assert scene.market.client.recorded(scene.first, carol) == 0


def test_a_proof_for_another_part_of_the_session(scene: Scene, claims: dict[str, Claim]) -> None:
    """Fewer intervals than were proven, to leave out a bad one."""
    honest = claims["alice"]
    assert honest.differences(scene, entries=masked(honest, bits(17))) == [MASK_WORD]
    assert scene.market.refuses(honest.call(scene, entries=masked(honest, bits(17)))).error_name == "ProofRefused"
    for mask in (MASK | bits(20), MASK | bits(24), 0):
        assert scene.market.refuses(honest.call(scene, entries=masked(honest, mask))).error_name == "MaskNotInSession"


def test_another_deliveries_contract(scenes: list[Scene], claims: dict[str, Claim]) -> None:
    """A second market on the same chain, alike to the last number: the same account, key, session, day and verifier."""
    honest, second = claims["alice"], scenes[1]
    scenes[0].market.accepts(honest.call(scenes[0]))
    assert honest.differences(second) == [1]
    assert second.market.refuses(honest.call(second)).error_name == "ProofRefused"


def test_a_deliveries_contract_that_the_session_does_not_name(scene: Scene, claims: dict[str, Claim]) -> None:
    at = scene.market.client.deployment.contracts
    creation = load("Deliveries").creation(at["Accounts"], at["Zones"], at["FlexMarket"], T, [(1, at["Verifier1"])])
    stranger = scene.market.chain.transact(None, creation, key_of("anyone")).contract
    assert stranger
    call = claims["alice"].call(scene)._replace(to=stranger)
    assert scene.market.refuses(call).error_name == "NotThisContract"


@pytest.mark.needs("anvil")
def test_another_chain(circuit: VerifyingKey, meters: dict[str, Meter], scene: Scene, claims: dict[str, Claim]) -> None:
    """The same market at the same addresses on py-evm's chain: only the chain id tells the two apart."""
    with open_chain("tester", GENESIS) as chain:
        (other,) = make_scenes(chain, circuit, meters)
        assert other.market.client.deployment.contracts == scene.market.client.deployment.contracts
        honest = claims["alice"]
        assert honest.differences(other) == [0]
        assert other.market.refuses(honest.call(other)).error_name == "ProofRefused"


def test_entries_with_hidden_bits(scene: Scene, claims: dict[str, Claim]) -> None:
    honest = claims["alice"]
    for place, error in ((0, "EntryPadding"), (1, "DeviationOutOfRange"), (3, "DeviationOutOfRange")):
        entries = [*honest.entries]
        entries[place] |= 1 << 234
        assert scene.market.refuses(honest.call(scene, entries=entries)).error_name == error
    assert scene.market.refuses(honest.call(scene, entries=[*honest.entries, 0])).error_name == "EntriesLength"
    assert scene.market.refuses(honest.call(scene, entries=honest.entries * 2)).error_name == "NoCircuit"
