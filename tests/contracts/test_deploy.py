"""Deployment: roles go where they belong and nowhere else, the manifest tells when the chain is another."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

import pytest
from contracts_world import GENESIS, OFFSET, address_of, key_of
from test_verifier import KEY

from contracts.artifacts import load
from contracts.chain import Chain, ChainError, open_chain
from contracts.client import MarketClient
from contracts.deploy import (
    DEFAULT_ADMIN_ROLE,
    DELIVERIES_ROLE,
    FORKS_ROLE,
    METERING_ROLE,
    OPERATOR_ROLE,
    Deployment,
    DeploymentError,
    VerifyingKey,
    ZoneSpec,
    deploy,
    verify,
)
from contracts.refusals import ContractRefusal

pytestmark = pytest.mark.slow

TODAY = (GENESIS + OFFSET) // 86400
ZONE = ZoneSpec(OFFSET, 30, (TODAY - 3, TODAY + 9))


@pytest.fixture(scope="module")
def chain() -> Iterator[Chain]:
    with open_chain("tester", GENESIS) as opened:
        opened.fund(address_of("deployer"))
        yield opened


@pytest.fixture(scope="module")
def deployment(chain: Chain) -> Deployment:
    keys = [VerifyingKey(1, tuple(KEY), True), VerifyingKey(32, tuple(KEY), True)]
    return deploy(
        chain,
        key_of("deployer"),
        keys,
        ZONE,
        operator=address_of("operator"),
        metering=address_of("metering"),
        admin=address_of("timelock"),
        guardian=address_of("guardian"),
        forks=[VerifyingKey(48, tuple(KEY), True)],
    )


def has_role(chain: Chain, deployment: Deployment, name: str, role: bytes, holder: str) -> bool:
    function = load(name).functions["hasRole"]
    return bool(function.result(chain.call(deployment.contracts[name], function.call(role, holder))))


def test_what_is_deployed(chain: Chain, deployment: Deployment) -> None:
    client = MarketClient(chain, deployment)
    assert "ForkVerifier48" in deployment.contracts
    assert deployment.circuits == (1, 32) and deployment.day_intervals == 48 and deployment.zone == 1
    assert client.day_of(1, GENESIS) == TODAY
    assert client.interval_start(1, TODAY, 1) - client.interval_start(1, TODAY, 0) == 1800
    weekdays = sum(1 << k for k in range(14) if (TODAY + k + 3) % 7 < 5)
    assert client.working_days(1, TODAY, 14) == weekdays & ~(1 << 9), "a holiday in the past stays unset"


def test_the_deployer_keeps_nothing(chain: Chain, deployment: Deployment) -> None:
    for name in ("Zones", "Accounts", "Vault", "FlexMarket"):
        for role in (DEFAULT_ADMIN_ROLE, OPERATOR_ROLE, METERING_ROLE, DELIVERIES_ROLE):
            assert not has_role(chain, deployment, name, role, address_of("deployer")), name
        assert has_role(chain, deployment, name, DEFAULT_ADMIN_ROLE, address_of("timelock"))
    assert has_role(chain, deployment, "FlexMarket", OPERATOR_ROLE, address_of("operator"))
    assert not has_role(chain, deployment, "FlexMarket", METERING_ROLE, address_of("metering"))
    assert has_role(chain, deployment, "Accounts", FORKS_ROLE, deployment.contracts["Forks"])
    assert not has_role(chain, deployment, "Accounts", FORKS_ROLE, address_of("timelock"))


def test_the_manifest_survives_json(chain: Chain, deployment: Deployment) -> None:
    assert Deployment.from_json(deployment.to_json()) == deployment
    verify(chain, deployment)


def test_another_chain_code_or_role_is_noticed(chain: Chain, deployment: Deployment) -> None:
    with open_chain("tester", GENESIS) as other, pytest.raises(DeploymentError, match="genesis"):
        verify(other, deployment)
    swapped = {**deployment.contracts, "Vault": deployment.contracts["Zones"]}
    with pytest.raises(DeploymentError, match="Vault: expected code"):
        verify(chain, dataclasses.replace(deployment, contracts=swapped))
    older = {name: address for name, address in deployment.contracts.items() if name != "Forks"}
    with pytest.raises(DeploymentError, match=r"Forks: expected an address, got none in the manifest"):
        verify(chain, dataclasses.replace(deployment, contracts=older))
    powerless = {**deployment.contracts, "Forks": deployment.contracts["Settlement"]}
    hashes = {**deployment.code_hashes, "Forks": deployment.code_hashes["Settlement"]}
    with pytest.raises(DeploymentError, match=r"Accounts: expected .* to hold the role"):
        verify(chain, dataclasses.replace(deployment, contracts=powerless, code_hashes=hashes))
    holders = dataclasses.replace(deployment.holders, operator=address_of("anna"))
    with pytest.raises(DeploymentError, match=r"Zones: expected .* to hold the role"):
        verify(chain, dataclasses.replace(deployment, holders=holders))


def test_development_keys_and_money_stay_on_development_chains(chain: Chain, monkeypatch: pytest.MonkeyPatch) -> None:
    """The contracts ask the chain for its id; a public one is played by py-evm itself."""
    with open_chain("tester", GENESIS) as public:
        public.fund(address_of("deployer"))
        verifiers = {
            mark: public.transact(None, load("Groth16Verifier").creation(KEY, mark), key_of("deployer")).contract
            for mark in (True, False)
        }
        nobody = address_of("nobody")
        monkeypatch.setattr(type(public._chain), "chain_id", 1)  # type: ignore[attr-defined]
        public.chain_id = 1

        def create(name: str, *values: object) -> None:
            public.transact(None, load(name).creation(*values), key_of("deployer"))

        with pytest.raises(ContractRefusal) as caught:
            create("DevEuro")
        assert caught.value.error_name == "DevelopmentOnly" and caught.value.arguments == {"chainId": 1}
        with pytest.raises(ContractRefusal) as caught:
            create("Deliveries", nobody, nobody, nobody, 24, [(1, verifiers[False]), (32, verifiers[True])])
        assert caught.value.error_name == "DevelopmentKeyRefused" and caught.value.arguments["chainId"] == 1
        create("Deliveries", nobody, nobody, nobody, 24, [(1, verifiers[False])])
        with pytest.raises(ContractRefusal) as caught:
            create("Forks", nobody, nobody, [(24, verifiers[False]), (48, verifiers[True])])
        assert caught.value.error_name == "DevelopmentKeyRefused" and caught.value.arguments["verifier"] == verifiers[True]
        create("Forks", nobody, nobody, [(24, verifiers[False])])
        with pytest.raises(ChainError, match="without a token"):
            deploy(public, key_of("deployer"), [], ZONE, operator=nobody, metering=nobody)
        with pytest.raises(ChainError, match="development chain"):
            public.require_development("anything")


def test_circuits_are_told_apart(chain: Chain, deployment: Deployment) -> None:
    verifier, nobody = deployment.contracts["Verifier1"], address_of("nobody")
    for circuits, error in (
        ([(0, verifier)], "CircuitRefused"),
        ([(257, verifier)], "CircuitRefused"),
        ([(1, verifier), (1, verifier)], "CircuitRefused"),
    ):
        with pytest.raises(ContractRefusal) as caught:
            chain.transact(None, load("Deliveries").creation(nobody, nobody, nobody, 24, circuits), key_of("deployer"))
        assert caught.value.error_name == error
    with pytest.raises(ContractRefusal) as caught:
        chain.transact(None, load("Deliveries").creation(nobody, nobody, nobody, 25, []), key_of("deployer"))
    assert caught.value.error_name == "DayLengthNotSupported"
