"""Fork reports: anyone with a proof suspends a key, nobody without one. The test knows the secrets of the verifier's key."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from contracts_world import R, World, address_of, key_of, make_world
from machine import fast_backend
from test_gas_of_proofs import make_verifier
from test_verifier import proof

from contracts.artifacts import load
from contracts.events import ForkReported, KeySuspended
from contracts.refusals import ContractRefusal


@pytest.fixture(scope="module")
def village() -> Iterator[World]:
    """Two zones, of 24 and of 96 intervals a day, with a circuit for the first."""
    world = make_world(fast_backend(), circuits=(), verifier=make_verifier, forks=(24,))
    with world.chain:
        world.chain.fund(address_of("anyone"))
        world.client.add_zone(world.operator, 0, 15)
        yield world


def test_a_proven_fork_suspends_the_key(village: World) -> None:
    client = village.client
    anna, ben = village.member("anna"), village.member("ben")
    key = village.meter_key(anna)
    today = village.chain.now() // 86400
    good = proof([key, today, 5])

    def refused(key: int, day: int, t: int, words: list[int]) -> str:
        with pytest.raises(ContractRefusal) as caught:
            client.simulate(address_of("anyone"), client.encode_report_fork(key, day, t, words))
        return caught.value.error_name

    # the proof is for this key, this day and this interval
    assert refused(village.meter_key(ben), today, 5, good) == "ForkProofRefused"
    assert refused(key, today + 1, 5, good) == "ForkProofRefused"
    assert refused(key, today, 6, good) == "ForkProofRefused"
    assert refused(key, today, 5, [good[0] ^ 1, *good[1:]]) == "ForkProofRefused"
    assert refused(key, today, 5, proof([key, today, 6])) == "ForkProofRefused"
    assert refused(key, today, 25, proof([key, today, 25])) == "ForkIntervalOutOfRange"
    assert refused(key, today, R + 5, good) == "ForkIntervalOutOfRange"
    assert refused(key, today + R, 5, good) == "ForkProofRefused", "signals are not taken modulo the field"
    assert refused(key + R, today, 5, good) == "UnknownKey"
    assert refused(12345, today, 5, proof([12345, today, 5])) == "UnknownKey"
    carl = village.member("carl", meter=False)
    client.bind_meter(key_of("metering"), carl, 2, 777, today)
    assert refused(777, today, 5, proof([777, today, 5])) == "NoForkCircuit"

    assert client.key_at(anna, today) == (key, today)
    receipt = client.report_fork(key_of("anyone"), key, today, 5, good)
    assert client.receipt_events(receipt) == [KeySuspended(anna, key), ForkReported(key, today, 5, address_of("anyone"))]
    assert client.key_at(anna, today) is None and client.key_at(ben, today) is not None
    assert refused(key, today, 5, good) == "KeyAlreadySuspended"
    # as a whole: interval 24 of a day of 24
    other = village.meter_key(ben)
    client.report_fork(key_of("anyone"), other, today - 30, 24, proof([other, today - 30, 24]))
    assert client.key_at(ben, today) is None


def test_circuits_of_forks_are_told_apart(village: World) -> None:
    at = village.client.deployment.contracts
    verifier = at["ForkVerifier24"]
    for circuits in ([(25, verifier)], [(24, verifier), (24, verifier)]):
        with pytest.raises(ContractRefusal) as caught:
            village.chain.transact(None, load("Forks").creation(at["Accounts"], at["Zones"], circuits), key_of("deployer"))
        assert caught.value.error_name == "ForkCircuitRefused"
    stranger = village.chain.transact(
        None, load("Forks").creation(at["Accounts"], at["Zones"], [(24, verifier)]), key_of("deployer")
    ).contract
    assert stranger
    dora = village.member("dora")
    today = village.chain.now() // 86400
    call = village.client.encode_report_fork(
        village.meter_key(dora), today, 1, proof([village.meter_key(dora), today, 1])
    )._replace(to=stranger)
    with pytest.raises(ContractRefusal) as caught:
        village.client.simulate(address_of("anyone"), call)
    assert caught.value.error_name == "AccessControlUnauthorizedAccount", "a contract without the role suspends nobody"
