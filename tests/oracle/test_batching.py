"""The plan of batches: everyone once, and no split that costs less."""

from __future__ import annotations

from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oracle.batching import Batch, alone, fits_with, plan, proof_cost

COSTS = st.dictionaries(st.integers(1, 12), st.integers(1, 1000), min_size=1, max_size=4)
ACCOUNTS = st.lists(st.integers(1, 2**32 - 1), unique=True, max_size=25)


@given(ACCOUNTS, COSTS)
def test_each_account_is_in_one_batch_in_the_given_order(accounts: list[int], costs: dict[int, int]) -> None:
    batches = plan(accounts, costs)
    assert [account for batch in batches for account in batch.accounts] == accounts
    assert all(batch.size in costs and 0 < len(batch.accounts) <= batch.size for batch in batches)
    assert all(len(batch.accounts) == batch.size for batch in batches[:-1]), "only one batch is padded"
    assert plan(accounts, costs) == batches


@given(st.integers(0, 14), st.dictionaries(st.integers(1, 6), st.integers(1, 50), min_size=1, max_size=3))
def test_no_split_costs_less(number: int, costs: dict[int, int]) -> None:
    sizes = list(costs)
    fitting = [
        (sum(n * costs[size] for n, size in zip(counts, sizes, strict=True)), sum(counts))
        for counts in product(range(number + 1), repeat=len(sizes))
        if sum(n * size for n, size in zip(counts, sizes, strict=True)) >= number
    ]
    batches = plan(range(1, number + 1), costs)
    assert (sum(costs[batch.size] for batch in batches), len(batches)) == min(fitting)


@pytest.mark.parametrize(
    ("number", "costs", "sizes"),
    [
        (15, {1: 10, 10: 80}, [10, 1, 1, 1, 1, 1]),
        (15, {1: 10, 10: 40}, [10, 10]),
        (9, {1: 10, 10: 80}, [10]),
        (8, {1: 10, 10: 80}, [10]),
        (7, {1: 10, 10: 80}, [1] * 7),
        (3, {10: 80}, [10]),
        (0, {1: 10}, []),
        (23, {1: 1, 10: 10**9}, [1] * 23),
    ],
)
def test_splits_of_known_cost(number: int, costs: dict[int, float], sizes: list[int]) -> None:
    assert [batch.size for batch in plan(range(1, number + 1), costs)] == sizes


@given(ACCOUNTS, COSTS)
def test_alone_takes_the_smallest_circuit(accounts: list[int], costs: dict[int, int]) -> None:
    assert alone(accounts, list(costs)) == [Batch(min(costs), (account,)) for account in accounts]


def test_a_large_proof_pays_when_it_is_filled() -> None:
    single, ten = proof_cost(1, 12_341, 24), proof_cost(10, 127_705, 24)
    assert single < ten < 10 * single


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
    assert len(carried) < 100
    assert not fits_with([*carried, size], 1, intervals) or size > 1


@pytest.mark.parametrize("costs", [{}, {1: 0.0}, {0: 1.0}, {1: -1.0}])
def test_costs_that_are_none_are_refused(costs: dict[int, float]) -> None:
    with pytest.raises(ValueError, match="costs"):
        plan([1], costs)


def test_an_account_named_twice_is_refused() -> None:
    with pytest.raises(ValueError, match="each once"):
        plan([1, 2, 1], {1: 1.0})
