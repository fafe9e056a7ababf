"""Chains, markets and the contracts' libraries for the tests of this directory; every chain ends with what uses it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from protocol_scene import GAP, MASK, Claim, Scene, claim, make_meter, make_scenes, record
from protocol_world import Market, address_of, fast_chain, key_of, make_market

from contracts.artifacts import load
from contracts.chain import ZERO_ADDRESS
from contracts.deploy import VerifyingKey
from oracle.meter import Meter
from zk.keys import KeyPaths, ensure_development_key, read_info
from zk.prover import SnarkjsProver


@pytest.fixture(scope="module")
def market() -> Iterator[Market]:
    """A market of its own for each file. Its verifiers, for 1 to 3 accounts, take a proof that repeats the public signals."""
    with fast_chain() as chain:
        yield make_market(chain, fake=(1, 2, 3))


@pytest.fixture(scope="session")
def library() -> Iterator[Callable[..., Any]]:
    """Calls a function of the contracts' libraries: `library("orders", words, rules)`."""
    with fast_chain() as chain:
        chain.fund(address_of("deployer"))
        artifact = load("test/LibraryHarness")
        address = chain.transact(None, artifact.creation(), key_of("deployer")).contract
        assert address

        def call(name: str, *values: Any) -> Any:
            function = artifact.functions[name]
            return function.result(chain.call(address, function.call(*values), ZERO_ADDRESS))

        yield call


@pytest.fixture(scope="session")
def key() -> KeyPaths:
    """The development key for one account and hourly intervals."""
    return ensure_development_key(24, 1)


@pytest.fixture(scope="session")
def prover(key: KeyPaths) -> Iterator[SnarkjsProver]:
    with SnarkjsProver(key, timeout=120) as running:
        yield running


@pytest.fixture(scope="session")
def meters(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Meter]:
    directory = tmp_path_factory.mktemp("meters")
    return {name: make_meter(directory, name) for name in ("alice", "bob")}


@pytest.fixture(scope="session")
def circuit(key: KeyPaths) -> VerifyingKey:
    return VerifyingKey(1, key.verifying_key().words(), read_info(key.info).development)


@pytest.fixture(scope="session")
def scenes(circuit: VerifyingKey, meters: dict[str, Meter]) -> Iterator[list[Scene]]:
    """Two markets alike on one chain, with the real verifier. Tests leave them as they are: what they send is refused, or
    changes nothing."""
    with fast_chain() as chain:
        yield make_scenes(chain, circuit, meters, 2)


@pytest.fixture(scope="session")
def scene(scenes: list[Scene]) -> Scene:
    return scenes[0]


@pytest.fixture(scope="session")
def claims(scene: Scene, meters: dict[str, Meter], prover: SnarkjsProver) -> dict[str, Claim]:
    """Alice's honest claim, and Bob's for the hours that his meter has; both taken by the contract."""
    found = {
        "alice": claim(prover, scene.statement("alice", meters["alice"])),
        "bob": claim(prover, scene.statement("bob", meters["bob"], mask=MASK & ~GAP)),
    }
    for honest in found.values():
        record(scene, honest)
    return found
