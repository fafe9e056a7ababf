"""Proves statements. `Prover` is what the house uses; `open_prover` gives the fastest that is installed.

`NativeProver` runs circom's witness generator and the native core inside this process, `SnarkjsProver` runs snarkjs in one
lasting Node process. They read the same keys and make the same proofs.

Witnesses hold readings: nothing of them is logged, and errors tell the template and line of the circuit that refused, not the
values.
"""

from __future__ import annotations

import contextlib
import json
import logging
import selectors
import subprocess
import threading
import time
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol, Self

from zk import core
from zk.files import PACKAGE
from zk.forks import ForkStatement
from zk.groth16 import Proof, VerifyingKey
from zk.keys import KeyFileError, KeyPaths, proving_key
from zk.statement import Statement, WitnessInputs
from zk.witness import WitnessError, WitnessGenerator

_log = logging.getLogger(__name__)

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

    def prove(self, statement: Statement | ForkStatement) -> Proved:
        """A proof of `statement`; raises `ProverError`."""
        ...

    def close(self) -> None:
        """Ends the prover; it can be called twice."""
        ...


def open_prover(*keys: KeyPaths, timeout: float = 600.0) -> NativeProver | SnarkjsProver:
    """A prover for the circuits of `keys`: native where the core is installed, snarkjs otherwise, which ends after `timeout`
    seconds. The log says which."""
    if core.available():
        _log.info("proofs by the native core")
        return NativeProver(*keys)
    _log.warning("no native core (set-up builds it where there is cargo): proofs by snarkjs, slower")
    return SnarkjsProver(*keys, timeout=timeout)


class NativeProver:
    """Proves with the native core, for the circuits of the given keys, from any number of threads. A context manager.

    Holds nothing but paths until the first proof, so that it can be sent to another process. Keys are kept for the process.
    """

    def __init__(self, *keys: KeyPaths) -> None:
        self._keys = _by_size(keys)

    def prove(self, statement: Statement | ForkStatement) -> Proved:
        """A proof of `statement` with the key for its intervals and number of accounts; raises `ProverError`."""
        return _same_public(self.prove_inputs(_key_for(self._keys, statement), statement.witness), statement)

    def prove_inputs(self, key: KeyPaths, inputs: WitnessInputs) -> Proved:
        """A proof from bare circuit inputs, whatever they state; raises `ProverError` where the circuit refuses them."""
        proving, generator = self._open(key)
        start = time.perf_counter()
        witness = self._calculate(generator, inputs)
        middle = time.perf_counter()
        try:
            proof = proving.prove(witness)
        except core.CoreError as error:
            raise ProverError(str(error)) from error
        end = time.perf_counter()
        c, y, gamma = (int.from_bytes(witness[at : at + 32], "little") for at in (32, 64, 96))
        return Proved(proof, (c, y, gamma), (middle - start) * 1000, (end - middle) * 1000)

    def witness(self, key: KeyPaths, inputs: WitnessInputs) -> list[int]:
        """The circuit's whole witness, private: for checks of circuit and provers against each other."""
        content = self._calculate(_generator(key.circuit.wasm), inputs)
        return [int.from_bytes(content[at : at + 32], "little") for at in range(0, len(content), 32)]

    def verify(self, key: VerifyingKey, public: tuple[int, ...], proof: Proof) -> bool:
        """The native core's verdict on a proof."""
        return core.verify(key, public, proof)

    def warm(self) -> None:
        """Loads all keys and witness generators, which otherwise the first proof does."""
        for key in self._keys.values():
            self._open(key)

    def close(self) -> None:
        """Nothing is left running; keys stay with the process."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def _open(self, key: KeyPaths) -> tuple[core.ProvingKey, WitnessGenerator]:
        try:
            return proving_key(key), _generator(key.circuit.wasm)
        except (KeyFileError, OSError) as error:
            raise ProverError(str(error)) from error

    def _calculate(self, generator: WitnessGenerator, inputs: WitnessInputs) -> bytes:
        try:
            return generator.calculate(inputs)
        except WitnessError as error:
            raise ProverError(str(error)) from error


@lru_cache(maxsize=8)
def _generator(wasm: Path) -> WitnessGenerator:
    return WitnessGenerator(wasm)


def _by_size(keys: tuple[KeyPaths, ...]) -> dict[tuple[str, int, int], KeyPaths]:
    if not keys:
        raise ValueError("keys: expected at least one, got none")
    return {(key.circuit.kind, key.circuit.intervals, key.circuit.accounts): key for key in keys}


def _key_for(keys: dict[tuple[str, int, int], KeyPaths], statement: Statement | ForkStatement) -> KeyPaths:
    try:
        return keys[statement.kind, statement.intervals, statement.size]
    except KeyError as error:
        have = ", ".join(key.circuit.name for key in keys.values())
        message = f"no key for {statement.intervals} intervals and {statement.size} accounts; there are: {have}"
        raise ProverError(message) from error


def _same_public(proved: Proved, statement: Statement | ForkStatement) -> Proved:
    if proved.public != statement.public:
        raise ProverError("the circuit's public signals differ from the statement's: circuit and twin disagree")
    return proved


class SnarkjsProver:
    """Proves with snarkjs, for the circuits of the given keys. A context manager; one proof at a time, other threads wait.

    timeout     seconds that one proof may take
    """

    def __init__(self, *keys: KeyPaths, timeout: float = 600.0) -> None:
        self._keys = _by_size(keys)
        self._timeout = timeout
        self._lock = threading.Lock()
        self._worker: _Worker | None = None

    def prove(self, statement: Statement | ForkStatement) -> Proved:
        """A proof of `statement` with the key for its intervals and number of accounts; raises `ProverError`."""
        return _same_public(self.prove_inputs(_key_for(self._keys, statement), statement.witness), statement)

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
