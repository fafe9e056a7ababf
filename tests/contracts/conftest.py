"""Worlds and harnesses that several tests share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from contracts_harness import Harness
from contracts_world import World, make_world
from machine import fast_backend


@pytest.fixture(scope="module")
def harness() -> Iterator[Harness]:
    made = Harness(fast_backend())
    yield made
    made.chain.close()


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    made = make_world(fast_backend())
    yield made
    made.chain.close()
