"""Proving jobs: a value that can travel, the same public signals wherever and however often it is done, nothing private
outside."""

from __future__ import annotations

import os
import pickle
import signal
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import oracle_chores as chores
import pytest

from oracle import jobs
from oracle.feed import in_process
from oracle.jobs import BatchResult, ProvingJob, close_provers, prove_batch
from oracle.workers import Lost, Workers
from zk.eddsa import PrivateKey
from zk.groth16 import Proof
from zk.keys import KeyPaths
from zk.prover import Proved, ProverError
from zk.statement import AccountInput, Shared, Statement, make_statement
from zk.verifier import verify
from zk.windows import close_window, start_log


class Refusing:
    """A prover without a key."""

    def prove(self, statement: Statement) -> Proved:
        raise ProverError("the circuit refused")

    def close(self) -> None: ...


@pytest.fixture
def no_prover(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jobs, "_provers", {})
    monkeypatch.setattr(jobs, "open_prover", lambda *_: Refusing())


@pytest.fixture
def job(shared: Shared, sellers: tuple[AccountInput, ...], keys: tuple[KeyPaths, ...]) -> Iterator[ProvingJob]:
    yield ProvingJob(shared, sellers[:2], 2, keys)
    close_provers()


@pytest.mark.usefixtures("no_prover")
def test_bad_accounts_are_named_before_anything_is_proven(shared: Shared, sellers: tuple[AccountInput, ...]) -> None:
    first, second, third = sellers
    gap = replace(second, windows=second.windows[:-1])
    forked = replace(third, windows=(*third.windows[:-1], first.windows[-1]))
    result = prove_batch(ProvingJob(shared, (first, gap, forked), 10, ()))
    assert result.accounts == (1, 2, 3)
    assert not result.error
    assert result.public is None
    (two, why_two), (three, why_three) = result.refused
    assert (two, three) == (2, 3)
    assert f"windows: expected one of day {shared.day}, got none" in why_two
    assert "previous" in why_three
    alone = prove_batch(ProvingJob(shared, (first,), 1, ()))
    assert alone == BatchResult((1,), 1, error="proof: the circuit refused")


@pytest.mark.usefixtures("no_prover")
def test_more_accounts_than_the_circuit_holds_are_no_job(shared: Shared, sellers: tuple[AccountInput, ...]) -> None:
    with pytest.raises(ValueError, match="1 to 2"):
        prove_batch(ProvingJob(shared, sellers, 2, ()))


@pytest.mark.usefixtures("no_prover")
def test_accounts_that_only_together_make_no_statement_are_an_error_of_the_batch(
    shared: Shared, sellers: tuple[AccountInput, ...]
) -> None:
    key = PrivateKey(b"7" * 32)
    log = list(start_log(key, shared.day - 14, 48))
    for day in range(shared.day - 14, shared.day + 1):
        log.append(close_window(key, day, (100,) * 48, log[-1].head))
    finer = AccountInput(7, key.public, tuple(log[-15:]), sellers[0].admissible, sellers[0].mask)
    assert prove_batch(ProvingJob(shared, (finer,), 1, ())).error == "proof: the circuit refused"
    result = prove_batch(ProvingJob(shared, (sellers[0], finer), 2, ()))
    assert not result.refused
    assert "24 intervals" in result.error


def test_neither_a_job_nor_its_result_shows_a_reading(shared: Shared, sellers: tuple[AccountInput, ...]) -> None:
    job = ProvingJob(shared, sellers, 10, ())
    assert str(sellers[0].windows[-1].salt) not in repr(job)
    assert "windows" not in repr(job)


@pytest.mark.needs("node")
@pytest.mark.slow
def test_a_job_travels_and_has_the_same_signals_everywhere(job: ProvingJob) -> None:
    here = prove_batch(job)
    assert not here.error and not here.refused
    assert here.public == make_statement(job.shared, job.accounts).public
    with Workers(2, timeout=120) as workers:
        there = [result for _, result in workers.map(prove_batch, [job, pickle.loads(pickle.dumps(job))])]
    for result in there:
        assert isinstance(result, BatchResult)
        assert (result.public, result.entries, result.accounts) == (here.public, here.entries, here.accounts)
        back: BatchResult = pickle.loads(pickle.dumps(result))
        assert back == result
        assert back.public is not None
        assert verify(job.keys[1].verifying_key(), back.public, Proof.from_words(back.proof))
    assert here.proof != there[0].proof, "proofs are blinded, signals are not"  # type: ignore[union-attr]
    salts = [str(window.salt) for item in job.accounts for window in item.windows]
    assert not any(salt in repr(here) for salt in salts)


@pytest.mark.needs("node")
@pytest.mark.slow
def test_entries_are_the_contracts_and_a_padded_batch_repeats_the_last(job: ProvingJob) -> None:
    padded = replace(job, accounts=job.accounts[1:])
    (_, result), *rest = list(in_process(prove_batch, [padded]))
    assert not rest
    assert isinstance(result, BatchResult)
    assert result.accounts == (2,)
    assert len(result.entries) == 2 * (1 + 3)
    assert result.entries[:4] == result.entries[4:]
    head = result.entries[0]
    statement = make_statement(job.shared, padded.accounts)
    assert (head & 0xFFFFFFFF, head >> 32 & 0xFFFFFFFF, head >> 64) == (2, statement.accounts[0].count, job.accounts[1].mask)


@pytest.mark.needs("node")
@pytest.mark.slow
def test_a_worker_killed_in_the_middle_of_a_proof_costs_time_only(
    job: ProvingJob, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mark = tmp_path / "mark"
    monkeypatch.setenv("WATTPROOF_TEST_MARK", str(mark))
    results: list[tuple[ProvingJob, BatchResult | Lost]] = []
    with Workers(1, timeout=120) as workers:
        thread = threading.Thread(target=lambda: results.extend(workers.map(chores.prove_slowly, [job])))
        thread.start()
        while not (mark.exists() and mark.read_text()):
            thread.join(0.05)
            assert thread.is_alive()
        os.kill(int(mark.read_text()), signal.SIGKILL)
        thread.join(120)
        assert workers.processes != [int(mark.read_text())]
    ((_, result),) = results
    assert isinstance(result, BatchResult)
    assert result.public == make_statement(job.shared, job.accounts).public


@pytest.mark.usefixtures("no_prover")
def test_a_provers_file_that_is_gone_is_an_error_of_the_batch(
    shared: Shared, sellers: tuple[AccountInput, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    def gone(*_: KeyPaths) -> Refusing:
        raise FileNotFoundError("development.zkey")

    monkeypatch.setattr(jobs, "open_prover", gone)
    assert prove_batch(ProvingJob(shared, sellers[:1], 1, ())).error == "proof: development.zkey"
