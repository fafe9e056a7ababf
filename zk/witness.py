"""Witnesses from circom's WebAssembly, run by wasmtime inside this process.

Inputs go in and the witness comes out through two small loops in WebAssembly, so that no call is made per element. The machine
code is compiled once and kept beside the circuit. Errors name the input or the template and line that refused, never a value.
"""

from __future__ import annotations

import ctypes
import hashlib
import threading
from collections.abc import Callable, Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

import wasmtime

from zk.field import ORDER
from zk.files import locked, write_whole

_ELEMENT = 32
_PAGE = 1 << 16
_LOOPS = """(module
  (import "circuit" "memory" (memory 0))
  (import "circuit" "setInputSignal" (func $set (param i32 i32 i32)))
  (import "circuit" "getWitness" (func $get (param i32)))
  (memory $own (export "own") 1)
  (func (export "feed") (param $from i32) (param $count i32) (param $high i32) (param $low i32) (param $shared i32)
    (local $i i32)
    (block $end (loop $next
      (br_if $end (i32.ge_u (local.get $i) (local.get $count)))
      (memory.copy 0 $own
        (local.get $shared) (i32.add (local.get $from) (i32.mul (local.get $i) (i32.const 32))) (i32.const 32))
      (call $set (local.get $high) (local.get $low) (local.get $i))
      (local.set $i (i32.add (local.get $i) (i32.const 1)))
      (br $next))))
  (func (export "take") (param $count i32) (param $shared i32)
    (local $i i32)
    (block $end (loop $next
      (br_if $end (i32.ge_u (local.get $i) (local.get $count)))
      (call $get (local.get $i))
      (memory.copy $own 0 (i32.mul (local.get $i) (i32.const 32)) (local.get $shared) (i32.const 32))
      (local.set $i (i32.add (local.get $i) (i32.const 1)))
      (br $next)))))"""
_ERRORS = {
    1: "Signal not found",
    2: "Too many signals set",
    3: "Signal already set",
    4: "Assert Failed",
    5: "Not enough memory",
    6: "Input signal array access exceeds the size",
}


class WitnessError(ValueError):
    """Inputs that the circuit does not take or that break one of its rules; no value is shown."""


class WitnessGenerator:
    """The witness generator of one circuit, for any number of threads.

    wasm    circom's output; its machine code is kept beside it
    """

    def __init__(self, wasm: Path) -> None:
        self._engine = _engine()
        content = wasm.read_bytes()
        name = hashlib.sha256(content + version("wasmtime").encode()).hexdigest()[:16]
        self._module = _compiled(self._engine, content, wasm.with_name(f"{wasm.stem}-{name}.cwasm"))
        self._loops = wasmtime.Module(self._engine, _LOOPS)

    def calculate(self, inputs: Mapping[str, Any]) -> bytes:
        """The witness, 32 little-endian bytes a wire. Raises `WitnessError`."""
        store = wasmtime.Store(self._engine)
        run = _Run(store)
        circuit = wasmtime.Instance(store, self._module, run.imports(self._module))
        exports: Any = circuit.exports(store)
        run.message_char = lambda: int(exports["getMessageChar"](store))
        exports["init"](store, 1)
        shared = exports["getSharedRWMemoryStart"](store)
        needed = [exports[name] for name in ("memory", "setInputSignal", "getWitness")]
        loops: Any = wasmtime.Instance(store, self._loops, needed).exports(store)
        own = loops["own"]

        rows = []
        for name, value in inputs.items():
            high, low = _name_hash(name)
            flat = _flat(value)
            size = exports["getInputSignalSize"](store, high, low)
            if size <= 0:
                raise WitnessError(f"{name}: not an input of the circuit")
            if size != len(flat):
                few = "Not enough" if len(flat) < size else "Too many"
                raise WitnessError(f"{name}: {few} values for input signal: expected {size}, got {len(flat)}")
            rows.append((high, low, flat))
        total, given = exports["getInputSize"](store), sum(len(flat) for _, _, flat in rows)
        if given != total:
            raise WitnessError(f"Not all inputs have been set: {given} values of {total}")

        content = b"".join(element for _, _, flat in rows for element in flat)
        count = exports["getWitnessSize"](store)
        _grow(store, own, max(len(content), count * _ELEMENT))
        own.write(store, content, 0)
        at = 0
        for high, low, flat in rows:
            run.call(loops["feed"], at, len(flat), high, low, shared)
            at += len(flat) * _ELEMENT
        run.call(loops["take"], count, shared)
        return ctypes.string_at(ctypes.addressof(own.data_ptr(store).contents), count * _ELEMENT)


class _Run:
    """One calculation: the circuit's calls back into this process, and what they reported."""

    def __init__(self, store: wasmtime.Store) -> None:
        self._store = store
        self._lines: list[str] = []
        self._failed: str | None = None
        self.message_char: Callable[[], int] = lambda: 0

    def imports(self, module: wasmtime.Module) -> list[Any]:
        """The functions that the circuit imports; those not of use here do nothing."""
        known: dict[str, Callable[..., None]] = {"exceptionHandler": self._exception, "printErrorMessage": self._message}
        functions: list[Any] = []
        for item in module.imports:
            if not isinstance(item.type, wasmtime.FuncType):
                raise WitnessError(f"witness generator: unknown import {item.name}")
            functions.append(wasmtime.Func(self._store, item.type, known.get(item.name or "", _ignore)))
        return functions

    def call(self, function: Any, *arguments: int) -> None:
        try:
            function(self._store, *arguments)
        except (wasmtime.WasmtimeError, wasmtime.Trap) as error:
            # Neither message nor cause of the trap: it could tell of values.
            raise WitnessError(self._failed or "the witness generator stopped") from error
        if self._failed:
            raise WitnessError(self._failed)

    def _exception(self, code: int) -> None:
        self._failed = "; ".join([_ERRORS.get(code, f"Error {code}"), *self._lines])
        raise WitnessError(self._failed)

    def _message(self) -> None:
        text = ""
        while (character := self.message_char()) and len(text) < 1000:
            text += chr(character)
        self._lines.append(text.strip())


def _ignore(*_: Any) -> None:
    pass


def _flat(value: Any) -> list[bytes]:
    if isinstance(value, (list, tuple)):
        return [element for item in value for element in _flat(item)]
    return [(value % ORDER).to_bytes(_ELEMENT, "little")]


def _name_hash(name: str) -> tuple[int, int]:
    """FNV-1a, 64 bits, by which circom knows an input: two signed halves."""
    value = 0xCBF29CE484222325
    for byte in name.encode():
        value = (value ^ byte) * 0x100000001B3 % (1 << 64)
    return ctypes.c_int32(value >> 32).value, ctypes.c_int32(value & 0xFFFFFFFF).value


def _grow(store: wasmtime.Store, memory: Any, size: int) -> None:
    pages = -(-size // _PAGE)
    if pages > (has := memory.size(store)):
        memory.grow(store, pages - has)


_lock = threading.Lock()
_shared_engine: wasmtime.Engine | None = None


def _engine() -> wasmtime.Engine:
    """One for the process: engines reserve memory and compile for themselves."""
    global _shared_engine
    with _lock:
        if _shared_engine is None:
            config = wasmtime.Config()
            config.wasm_multi_memory = True
            _shared_engine = wasmtime.Engine(config)
        return _shared_engine


def _compiled(engine: wasmtime.Engine, content: bytes, kept: Path) -> wasmtime.Module:
    """The machine code, from beside the circuit or compiled now (a second or two)."""
    with locked(kept.with_name("witness.lock")):
        if kept.exists():
            try:
                return wasmtime.Module.deserialize_file(engine, str(kept))
            except wasmtime.WasmtimeError:
                # Of another version or machine.
                kept.unlink()
        module = wasmtime.Module(engine, content)
        for old in kept.parent.glob(f"{kept.name.rpartition('-')[0]}-*.cwasm"):
            old.unlink()
        write_whole(kept, bytes(module.serialize()))
        return module
