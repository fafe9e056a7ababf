"""What an account's proof costs on chain, at 24 intervals a day, storage and event included.

The verifier is the product's; its key is one whose secrets the test knows, so that a proof for any public signals can be had
without a circuit: what a call costs does not depend on where its points come from. Deviations are as dense as real ones.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence

import pytest
from contracts_harness import fast_backend
from contracts_proofs import compress, statement
from contracts_world import World, key_of, make_world
from test_deliveries import full, weekday_session
from test_verifier import KEY, proof

from contracts.artifacts import load
from contracts.chain import Chain
from contracts.deliveries import Entry, ProofBatch, delivery_words
from contracts.deploy import DeployedVerifier
from contracts.sessions import Terms

SIZES = (1, 10, 32)
PEOPLE = 64
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def town() -> Iterator[tuple[World, int, Terms, list[int]]]:
    """Neighbours with meters on the day of a session, which waits for their proofs."""
    world = make_world(fast_backend(), verifier=make_verifier, circuits=SIZES)
    with world.chain:
        people = [world.member(f"home {i}", money=0) for i in range(PEOPLE)]
        session, terms = weekday_session(world, mask=0b111111 << 14)
        world.chain.advance_to(terms.delivery_end)
        yield world, session, terms, people


def make_verifier(chain: Chain, size: int) -> DeployedVerifier:
    receipt = chain.transact(None, load("Groth16Verifier").creation(KEY, True), key_of("deployer"))
    assert receipt.contract
    return DeployedVerifier(size, receipt.contract)


def batch(world: World, session: int, terms: Terms, accounts: Sequence[int], mask: int) -> ProofBatch:
    rng = random.Random(7)
    days = full(world, terms, accounts[0])
    entries = []
    for account in accounts:
        values = {t: rng.randrange(-3000, 3000) for t in terms.interval_indices if mask >> t & 1}
        entries.append(Entry(account, days, mask, tuple(world.deviations(values))))
    words = delivery_words(entries)
    chain_value = rng.randrange(2**250)
    gamma, y = compress(chain_value, statement(world, session, words))
    return ProofBatch(chain_value, tuple(words), tuple(proof([chain_value, y, gamma])))


def cost(world: World, session: int, batches: Sequence[ProofBatch]) -> int:
    return world.client.prove(world.operator, session, batches).gas_used


def test_gas_by_number_of_accounts(town: tuple[World, int, Terms, list[int]]) -> None:
    world, session, terms, people = town
    six = terms.mask
    one = cost(world, session, [batch(world, session, terms, people[40:41], six)])
    ten = cost(world, session, [batch(world, session, terms, people[50:60], six)])
    many = cost(world, session, [batch(world, session, terms, people[:32], six)])
    print(one, ten / 10, many / 32)
