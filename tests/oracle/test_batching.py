"""The plan of batches: everyone once, and no split that costs less."""

from __future__ import annotations

from collections import Counter
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oracle.batching import Batch, ProofCost, alone, fits_with, plan, proof_cost

COST = st.builds(ProofCost, st.integers(0, 500), st.integers(1, 1000))
COSTS = st.dictionaries(st.integers(1, 12), COST, min_size=1, max_size=4)
ACCOUNTS = st.lists(st.integers(1, 2**32 - 1), unique=True, max_size=25)


@given(ACCOUNTS, COSTS)
def test_each_account_is_in_one_batch_in_the_given_order(accounts: list[int], costs: dict[int, ProofCost]) -> None:
    batches = plan(accounts, costs)
    assert [account for batch in batches for account in batch.accounts] == accounts
    assert all(batch.size in costs and 0 < len(batch.accounts) <= batch.size for batch in batches)
    assert all(len(batch.accounts) == batch.size for batch in batches[:-1]), "only one batch is padded"
    assert plan(accounts, costs) == batches


@given(st.integers(1, 14), st.dictionaries(st.integers(1, 6), COST, min_size=1, max_size=3))
def test_no_split_costs_less(number: int, costs: dict[int, ProofCost]) -> None:
    def cost(counts: dict[int, int]) -> float:
        return sum(costs[size].each * n + costs[size].once * (n > 0) for size, n in counts.items())

    splits = [dict(zip(costs, counts, strict=True)) for counts in product(range(number + 1), repeat=len(costs))]
    fitting = [(cost(counts), sum(counts.values())) for counts in splits if sum(s * n for s, n in counts.items()) >= number]
    batches = plan(range(1, number + 1), costs)
    assert (cost(Counter(batch.size for batch in batches)), len(batches)) == min(fitting)


@pytest.mark.parametrize(
    ("number", "single", "ten", "sizes"),
    [
        (15, (0, 10), (0, 80), [10, 1, 1, 1, 1, 1]),
        (15, (0, 10), (0, 40), [10, 10]),
        (15, (50, 10), (0, 80), [10, 10]),
        (8, (0, 10), (0, 80), [10]),
        (7, (0, 10), (0, 80), [1] * 7),
        (7, (0, 10), (60, 20), [1] * 7),
        (0, (0, 10), (0, 80), []),
        (23, (0, 1), (0, 10**9), [1] * 23),
    ],
)
def test_splits_of_known_cost(number: int, single: tuple[float, float], ten: tuple[float, float], sizes: list[int]) -> None:
    costs = {1: ProofCost(*single), 10: ProofCost(*ten)}
    assert [batch.size for batch in plan(range(1, number + 1), costs)] == sizes


def test_without_a_circuit_for_one_a_batch_is_padded() -> None:
    assert plan([5, 6, 7], {10: ProofCost(1, 80)}) == [Batch(10, (5, 6, 7))]


@given(ACCOUNTS, COSTS)
def test_alone_takes_the_smallest_circuit(accounts: list[int], costs: dict[int, ProofCost]) -> None:
    assert alone(accounts, list(costs)) == [Batch(min(costs), (account,)) for account in accounts]


def test_the_costs_are_such_that_large_proofs_pay_when_they_are_filled() -> None:
    costs = {size: proof_cost(size, 11_500 * size, 24) for size in (1, 10)}
    assert [batch.size for batch in plan(range(10), costs)] == [10]
    assert [batch.size for batch in plan(range(1), costs)] == [1]
    assert [batch.size for batch in plan(range(11), costs)] == [10, 1]


@pytest.mark.parametrize("intervals", [24, 48, 96])
@pytest.mark.parametrize("size", [1, 10, 32, 64])
def test_a_transaction_carries_what_a_chain_takes(size: int, intervals: int) -> None:
    carried: list[int] = []
    while fits_with(carried, size, intervals):
        carried.append(size)
    assert carried, "any proof can be sent"
    entry = 1 + -(-intervals // 9)
    words = len(carried) * (size * entry + 1 + 8 + 3) + 5
    assert words * 32 < 128 * 1024, "nodes pass on 128 KiB"
    measured = {1: 82_000, 10: 183_000}  # most gas of a further proof at 24 intervals, tests/contracts/test_gas_of_proofs.py
    if intervals == 24 and size in measured:
        assert 300_000 + len(carried) * measured[size] < 2**24, "EIP-7825"


@pytest.mark.parametrize("costs", [{}, {0: ProofCost(0, 1)}])
def test_without_a_size_there_is_no_plan(costs: dict[int, ProofCost]) -> None:
    with pytest.raises(ValueError, match="costs"):
        plan([1], costs)


@pytest.mark.parametrize(("once", "each"), [(-1, 1), (0, 0), (0, -1)])
def test_costs_that_are_none_are_refused(once: float, each: float) -> None:
    with pytest.raises(ValueError, match="cost"):
        ProofCost(once, each)


def test_an_account_named_twice_is_refused() -> None:
    with pytest.raises(ValueError, match="each once"):
        plan([1, 2, 1], {1: ProofCost(0, 1)})
