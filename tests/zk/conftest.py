"""The development key and the prover, once for all tests of this directory; made in the repository's cache when absent."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from zk.groth16 import VerifyingKey
from zk.keys import KeyPaths, ensure_development_key
from zk.prover import SnarkjsProver


@pytest.fixture(scope="session")
def key() -> KeyPaths:
    return ensure_development_key(24, 1)


@pytest.fixture(scope="session")
def verifying(key: KeyPaths) -> VerifyingKey:
    return key.verifying_key()


@pytest.fixture(scope="session")
def prover(key: KeyPaths) -> Iterator[SnarkjsProver]:
    with SnarkjsProver(key, timeout=60) as running:
        yield running
