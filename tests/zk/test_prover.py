"""The snarkjs prover: one process, restarted when it dies, silent about its inputs."""

from __future__ import annotations

import copy
import os
import signal
import time
from pathlib import Path

import pytest
from zk_cases import account, shared

from zk.compile import CompileError
from zk.groth16 import VerifyingKey
from zk.keys import KeyPaths
from zk.prover import ProverError, ProverTimeout, SnarkjsProver
from zk.statement import Statement, make_statement
from zk.verifier import verify

pytestmark = [pytest.mark.needs("node"), pytest.mark.slow]


@pytest.fixture(scope="module")
def statement() -> Statement:
    return make_statement(shared(), [account()])


def process_of(prover: SnarkjsProver) -> int:
    assert prover._worker is not None
    return prover._worker._process.pid


def test_one_process_for_all_proofs_and_a_new_one_when_it_dies(
    key: KeyPaths, verifying: VerifyingKey, statement: Statement
) -> None:
    with SnarkjsProver(key) as prover:
        first = prover.prove(statement)
        pid = process_of(prover)
        assert first.public == statement.public
        assert first.witness_ms > 0
        assert first.prove_ms > 0
        assert prover.witness(key, statement.witness)[1:4] == [*statement.public]
        assert process_of(prover) == pid
        os.kill(pid, signal.SIGKILL)
        second = prover.prove(statement)
        assert process_of(prover) != pid
        # Proofs of the same statement differ: they are blinded.
        assert second.proof != first.proof
        assert prover.verify(verifying, second.public, second.proof)
        assert verify(verifying, second.public, second.proof)
        pid = process_of(prover)
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def test_a_refusal_names_the_template_and_no_value(key: KeyPaths, prover: SnarkjsProver, statement: Statement) -> None:
    inputs = copy.deepcopy(statement.witness)
    inputs["readings"][0][2] = 8_765_432  # type: ignore[index]
    with pytest.raises(ProverError, match="MeterSignature") as caught:
        prover.witness(key, inputs)
    assert "8765432" not in str(caught.value)
    assert tuple(prover.witness(key, statement.witness)[1:4]) == statement.public


def test_missing_input(key: KeyPaths, prover: SnarkjsProver, statement: Statement) -> None:
    inputs = {name: value for name, value in statement.witness.items() if name != "salts"}
    with pytest.raises(ProverError, match="Not all inputs"):
        prover.prove_inputs(key, inputs)


def test_a_statement_without_a_key(prover: SnarkjsProver) -> None:
    two = make_statement(shared(), [account(5), account(6)])
    with pytest.raises(ProverError, match="no key for 24 intervals and 2 accounts; there are: statement_t24_n1"):
        prover.prove(two)
    with pytest.raises(ValueError, match="at least one"):
        SnarkjsProver()


def test_a_slow_proof_is_given_up(key: KeyPaths, statement: Statement) -> None:
    with SnarkjsProver(key, timeout=0.05) as prover:
        start = time.monotonic()
        with pytest.raises(ProverTimeout, match=r"0\.05 s"):
            prover.prove(statement)
        assert time.monotonic() - start < 10
        assert prover._worker is None


def test_a_wrong_twin_is_noticed(prover: SnarkjsProver, statement: Statement) -> None:
    from dataclasses import replace

    with pytest.raises(ProverError, match="twin"):
        prover.prove(replace(statement, y=statement.y + 1))


def test_a_missing_node_tree_says_what_to_do(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    import zk.compile

    monkeypatch.setattr(zk.compile, "NODE_MODULES", tmp_path)
    with pytest.raises(CompileError, match=r"circom2: not installed .* run `npm ci`"):
        zk.compile.compile_circuit(24, 1)
