"""Proves statements. `Prover` is what the house uses; `SnarkjsProver` does it with snarkjs in one lasting Node process.

Witnesses hold readings: nothing of them is logged, and errors tell the template and line of the circuit that refused, not the
values.
"""

from __future__ import annotations

import contextlib
import json
import selectors
import subprocess
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol, Self

from zk.files import PACKAGE
from zk.forks import ForkStatement
from zk.groth16 import Proof, VerifyingKey
from zk.keys import KeyPaths
from zk.statement import Statement, WitnessInputs

_START_SECONDS = 60.0


class ProverError(RuntimeError):
    """No proof came of it: the circuit refused the inputs, or the prover failed."""


class ProverTimeout(ProverError):
    """The proof took longer than allowed; the process was ended and a new one starts with the next proof."""


@dataclass(frozen=True, slots=True)
class Proved:
    """A proof, its public signals ((C, y, gamma), a fork's (key word, day, t)), and the milliseconds spent."""

    proof: Proof
    public: tuple[int, int, int]
    witness_ms: float
    prove_ms: float


class Prover(Protocol):
    """Anything that proves statements."""

    def prove(self, statement: Statement) -> Proved:
        """A proof of `statement`; raises `ProverError`."""
        ...

    def close(self) -> None:
        """Ends the prover; it can be called twice."""
        ...


class SnarkjsProver:
    """Proves with snarkjs, for the circuits of the given keys. A context manager; one proof at a time, other threads wait.

    timeout     seconds that one proof may take
    """

    def __init__(self, *keys: KeyPaths, timeout: float = 600.0) -> None:
        if not keys:
            raise ValueError("keys: expected at least one, got none")
        self._keys = {(key.circuit.kind, key.circuit.intervals, key.circuit.accounts): key for key in keys}
        self._timeout = timeout
        self._lock = threading.Lock()
        self._worker: _Worker | None = None

    def prove(self, statement: Statement | ForkStatement) -> Proved:
        """A proof of `statement` with the key for its intervals and number of accounts; raises `ProverError`."""
        proved = self.prove_inputs(self._key(statement), statement.witness)
        if proved.public != statement.public:
            raise ProverError("the circuit's public signals differ from the statement's: circuit and twin disagree")
        return proved

    def prove_inputs(self, key: KeyPaths, inputs: WitnessInputs) -> Proved:
        """A proof from bare circuit inputs, whatever they state; raises `ProverError` where the circuit refuses them."""
        request = {"op": "prove", "wasm": str(key.circuit.wasm), "zkey": str(key.zkey), "inputs": _decimal(inputs)}
        answer = self._ask(request)
        c, y, gamma = (int(value) for value in answer["public"])
        return Proved(Proof.from_snarkjs(answer["proof"]), (c, y, gamma), answer["witnessMs"], answer["proveMs"])

    def witness(self, key: KeyPaths, inputs: WitnessInputs) -> list[int]:
        """The circuit's whole witness, private: for checks of circuit and provers against each other."""
        request = {"op": "witness", "wasm": str(key.circuit.wasm), "inputs": _decimal(inputs)}
        return [int(value) for value in self._ask(request)["witness"]]

    def verify(self, key: VerifyingKey, public: tuple[int, ...], proof: Proof) -> bool:
        """snarkjs' own verdict on a proof."""
        request = {"op": "verify", "key": key.to_snarkjs(), "public": [str(v) for v in public], "proof": proof.to_snarkjs()}
        return bool(self._ask(request)["valid"])

    def close(self) -> None:
        """Ends the Node process."""
        with self._lock:
            if self._worker:
                self._worker.stop()
                self._worker = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def _key(self, statement: Statement | ForkStatement) -> KeyPaths:
        try:
            return self._keys[statement.kind, statement.intervals, statement.size]
        except KeyError as error:
            have = ", ".join(key.circuit.name for key in self._keys.values())
            message = f"no key for {statement.intervals} intervals and {statement.size} accounts; there are: {have}"
            raise ProverError(message) from error

    def _ask(self, request: dict[str, Any]) -> dict[str, Any]:
        """One request. A process found dead is started again, once."""
        with self._lock:
            for attempt in (1, 2):
                try:
                    if self._worker is None:
                        self._worker = _Worker(PACKAGE / "snarkjs_worker.mjs")
                    answer = self._worker.ask(request, self._timeout)
                    break
                except _DiedError as error:
                    self._drop()
                    if attempt == 2:
                        raise ProverError(f"the Node process ended twice: {error}") from error
                except BaseException:
                    # The answer may still come: it must not be taken for the next request's.
                    self._drop()
                    raise
        if "error" in answer:
            raise ProverError(answer["error"])
        return answer

    def _drop(self) -> None:
        if self._worker:
            self._worker.kill()
            self._worker = None


class _DiedError(Exception):
    pass


class _Worker:
    """The Node process: a line out, a line in."""

    def __init__(self, script: Path) -> None:
        try:
            self._process = subprocess.Popen(
                ["node", str(script)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, bufsize=0
            )
        except FileNotFoundError as error:
            raise ProverError("node: not found; install Node.js 20 or later") from error
        self._pending = b""
        try:
            started = self._read(_START_SECONDS)
        except BaseException:
            self.kill()
            raise
        if "error" in started:
            self.kill()
            raise ProverError(f"{started['error']}; run `npm ci` in {PACKAGE}")

    def ask(self, request: dict[str, Any], timeout: float) -> dict[str, Any]:
        stdin = self._process.stdin
        assert stdin is not None
        remaining = memoryview(json.dumps(request).encode() + b"\n")
        try:
            while remaining:
                remaining = remaining[stdin.write(remaining) :]
        except BrokenPipeError as error:
            raise _DiedError(f"exit code {self._process.wait()}") from error
        return self._read(timeout)

    def stop(self) -> None:
        """Lets the process end by itself, and makes it end if it does not."""
        assert self._process.stdin is not None
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.close()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(5)
        self.kill()

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()
        for stream in (self._process.stdin, self._process.stdout):
            if stream:
                with contextlib.suppress(BrokenPipeError):
                    stream.close()

    def _read(self, timeout: float) -> dict[str, Any]:
        stdout = self._process.stdout
        assert stdout is not None
        deadline = time.monotonic() + timeout
        with selectors.DefaultSelector() as selector:
            selector.register(stdout, selectors.EVENT_READ)
            while b"\n" not in self._pending:
                left = deadline - time.monotonic()
                if left <= 0 or not selector.select(left):
                    raise ProverTimeout(f"no answer after {timeout:g} s")
                chunk = stdout.read(1 << 20)
                if not chunk:
                    raise _DiedError(f"exit code {self._process.wait()}")
                self._pending += chunk
        line, _, self._pending = self._pending.partition(b"\n")
        result: dict[str, Any] = json.loads(line)
        return result


def _decimal(value: Any) -> Any:
    """Integers as decimal strings: JSON numbers lose digits in JavaScript."""
    if isinstance(value, dict):
        return {name: _decimal(item) for name, item in value.items()}
    if isinstance(value, list):
        return [_decimal(item) for item in value]
    return str(value)
