"""Chains, markets and the contracts' libraries for the tests of this directory; every chain ends with what uses it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from protocol_world import Market, address_of, fast_chain, key_of, make_market

from contracts.artifacts import load
from contracts.chain import ZERO_ADDRESS


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
