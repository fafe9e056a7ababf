"""The proof feed: everyone who can be proven is, in few proofs, whatever becomes of the others."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oracle import feed
from oracle.baseline import baseline_of
from oracle.batching import ProofCost
from oracle.feed import FeedResult, in_process, prove_deliveries
from oracle.jobs import BatchResult, ProvingJob, close_provers, prove_batch
from oracle.workers import Lost, Workers
from zk.groth16 import Proof
from zk.keys import KeyPaths
from zk.statement import AccountInput, Shared, make_statement
from zk.verifier import verify

Answer = BatchResult | Lost


def collect(results: Iterator[FeedResult]) -> tuple[list[tuple[int, ...]], dict[int, str]]:
    """Proven batches, and why accounts were left out; checks that the count goes on by each result."""
    proven, errors, done = [], {}, 0
    for result in results:
        done += len(result.accounts)
        assert (result.done, bool(result.error)) == (done, result.batch is None)
        assert done <= result.total
        if result.batch is not None:
            proven.append(result.accounts)
        else:
            (account,) = result.accounts
            errors[account] = result.error
    return proven, errors


@pytest.fixture
def circuits(monkeypatch: pytest.MonkeyPatch, keys: tuple[KeyPaths, ...]) -> Callable[[dict[int, float]], Sequence[KeyPaths]]:
    """Keys of circuits of any sizes, at the costs given: their files are not there."""

    def make(costs: dict[int, float]) -> Sequence[KeyPaths]:
        monkeypatch.setattr(feed, "_cost", lambda key: ProofCost(0, costs[key.circuit.accounts]))
        return [replace(keys[0], circuit=replace(keys[0].circuit, accounts=size)) for size in costs]

    return make


@given(data=st.data())
def test_whatever_fails_everyone_else_is_proven_once(data: st.DataObject) -> None:
    """The feed against runs that refuse accounts, fail, and lose jobs, by chance."""
    numbers = data.draw(st.lists(st.integers(1, 99), unique=True, max_size=12))
    bad = set(data.draw(st.lists(st.sampled_from(numbers), unique=True))) if numbers else set()
    hopeless = set(data.draw(st.lists(st.sampled_from(numbers), unique=True))) - bad if numbers else set()
    unlucky = data.draw(st.integers(0, 3))
    costs = data.draw(st.dictionaries(st.integers(1, 5), st.integers(1, 9), min_size=1))

    def run(_: object, asked: Sequence[ProvingJob]) -> Iterator[tuple[ProvingJob, Answer]]:
        nonlocal unlucky
        for job in data.draw(st.permutations(list(asked))):
            accounts = tuple(item.account for item in job.accounts)
            assert 0 < len(accounts) <= job.size
            refused = tuple((account, "bad") for account in accounts if account in bad)
            if refused:
                yield job, BatchResult(accounts, job.size, refused=refused)
            elif hopeless & set(accounts):
                yield job, BatchResult(accounts, job.size, error="hopeless")
            elif unlucky and len(accounts) > 1:
                unlucky -= 1
                yield job, Lost("too slow")
            else:
                yield job, BatchResult(accounts, job.size, public=(1, 2, 3))

    shared = Shared(1, 2, 3, 20_000, 1)
    items = [AccountInput(number, None, (), 0, 1) for number in numbers]  # type: ignore[arg-type]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(feed, "_cost", lambda key: ProofCost(0, costs[key.circuit.accounts]))
        paths = [type("Key", (), {"circuit": type("C", (), {"accounts": n})(), "info": None})() for n in costs]
        proven, errors = collect(prove_deliveries(shared, items, paths, run))  # type: ignore[arg-type]
    assert sorted(account for batch in proven for account in batch) == sorted(set(numbers) - bad - hopeless)
    assert errors == {**dict.fromkeys(bad, "bad"), **dict.fromkeys(hopeless, "hopeless")}


def test_separately_nobody_shares_a_proof(
    shared: Shared, sellers: tuple[AccountInput, ...], circuits: Callable[[dict[int, float]], Sequence[KeyPaths]]
) -> None:
    def run(_: object, asked: Sequence[ProvingJob]) -> Iterator[tuple[ProvingJob, Answer]]:
        for job in asked:
            assert (job.size, len(job.accounts)) == (2, 1)
            yield job, BatchResult((job.accounts[0].account,), 2, public=(1, 2, 3))

    results = prove_deliveries(shared, sellers, circuits({2: 1.0, 10: 1.0}), run, separately=True)
    assert collect(results) == ([(1,), (2,), (3,)], {})


@pytest.mark.needs("node")
@pytest.mark.slow
def test_real_proofs_in_batches_with_a_bad_account_among_them(
    shared: Shared, sellers: tuple[AccountInput, ...], keys: tuple[KeyPaths, ...]
) -> None:
    first, second, third = sellers
    stranger = replace(first, account=4, windows=first.windows[:-1])
    with Workers(2, timeout=300) as workers:
        results = list(prove_deliveries(shared, [first, stranger, second, third], keys, workers.map))
    proven, errors = collect(iter(results))
    assert sorted(account for batch in proven for account in batch) == [1, 2, 3]
    assert list(errors) == [4]
    assert f"windows: expected one of day {shared.day}, got none" in errors[4]
    by_size = {key.circuit.accounts: key.verifying_key() for key in keys}
    inputs = {item.account: item for item in sellers}
    for result in results:
        if result.batch is None:
            continue
        batch = result.batch
        assert batch.public is not None
        assert verify(by_size[batch.size], batch.public, Proof.from_words(batch.proof))
        # Wh that the entries say, against the baseline as the members see it.
        for at, account in enumerate(batch.accounts):
            words = batch.entries[4 * at : 4 * at + 4]
            item = inputs[account]
            found = baseline_of([window.readings for window in item.windows[:-1]], item.admissible, shared.day)
            assert found is not None
            assert words[0] == account | len(found.counted) << 32 | item.mask << 64
            for t in range(24):
                slot = words[1 + t // 9] >> 26 * (t % 9) & (1 << 26) - 1
                expected = found.wh[t] - (item.windows[-1].readings[t] or 0) + (1 << 25) if item.mask >> t & 1 else 0
                assert slot == expected


@pytest.mark.needs("node")
@pytest.mark.slow
def test_workers_and_this_process_come_to_the_same(
    shared: Shared, sellers: tuple[AccountInput, ...], keys: tuple[KeyPaths, ...]
) -> None:
    def said(results: Iterator[FeedResult]) -> set[object]:
        return {(r.accounts, r.batch.public, r.batch.entries) for r in results if r.batch is not None}

    with Workers(1, timeout=300) as workers:
        there = said(prove_deliveries(shared, sellers, keys, workers.map))
    here = said(prove_deliveries(shared, sellers, keys, in_process))
    close_provers()
    assert here == there
    assert {account for accounts, _, _ in here for account in accounts} == {1, 2, 3}  # type: ignore[misc]


@pytest.mark.needs("node")
@pytest.mark.slow
def test_a_batch_whose_key_is_damaged_is_proven_one_by_one(
    shared: Shared, sellers: tuple[AccountInput, ...], keys: tuple[KeyPaths, ...]
) -> None:
    """The pair's key belongs to another circuit: its proof fails, and everyone is proven alone."""
    single, _ = keys
    broken = replace(single, circuit=replace(single.circuit, accounts=2))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(feed, "_cost", lambda key: ProofCost(0, 1.0 / key.circuit.accounts))
        results = list(prove_deliveries(shared, sellers[:2], (single, broken), in_process))
    close_provers()
    assert collect(iter(results)) == ([(1,), (2,)], {})
    for result in results:
        assert result.batch is not None and result.batch.public is not None
        assert result.batch.public == make_statement(shared, [sellers[result.accounts[0] - 1]]).public


def test_the_job_is_the_one_that_workers_do() -> None:
    seen: list[object] = []

    def run(function: object, asked: Sequence[ProvingJob]) -> Iterator[tuple[ProvingJob, Answer]]:
        seen.append(function)
        return iter(())

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(feed, "_cost", lambda _: ProofCost(0, 1.0))
        key = type("Key", (), {"circuit": type("C", (), {"accounts": 1})(), "info": None})()
        item = AccountInput(1, None, (), 0, 1)  # type: ignore[arg-type]
        assert list(prove_deliveries(Shared(1, 2, 3, 20_000, 1), [item], [key], run)) == []  # type: ignore[list-item]
    assert seen == [prove_batch]
