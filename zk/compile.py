"""Compiles a circuit, of one kind, intervals a day and accounts, with circom, once per state of the sources.

The result lies in a cache directory named after the circuit and a hash of everything that went into it, so that a second run
compiles nothing and a changed circuit never meets an old key.
"""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from zk.files import NODE_MODULES, PACKAGE, default_cache, locked, new_directory
from zk.windows import INTERVALS

SOURCES = PACKAGE / "circuits"
"""The circuits' source files."""

MAX_ACCOUNTS = 64
"""Largest number of accounts of one circuit; beyond it neither key nor proof fits a common machine."""

_OPTIONS = ("--r1cs", "--wasm", "--sym", "--O2")
_MAIN = """// SPDX-License-Identifier: GPL-3.0
pragma circom 2.1.6;
include "{kind}.circom";
component main {{public [{public}]}} = {template};
"""
STATEMENT = "statement"
"""Kind of the circuit of deliveries: public signals (C, y, gamma)."""

FORK = "fork"
"""Kind of the circuit of fork evidence, one key each: public signals (key word, day, t)."""


class CompileError(RuntimeError):
    """The circuit could not be compiled; the message holds the compiler's own."""


@dataclass(frozen=True, slots=True)
class Circuit:
    """A compiled circuit: its parameters and its files. A fork's has one account."""

    intervals: int
    accounts: int
    directory: Path
    kind: str = STATEMENT

    @property
    def name(self) -> str:
        return circuit_name(self.intervals, self.accounts, self.kind)

    @property
    def r1cs(self) -> Path:
        """The constraint system."""
        return self.directory / f"{self.name}.r1cs"

    @property
    def wasm(self) -> Path:
        """The witness generator."""
        return self.directory / f"{self.name}.wasm"

    @property
    def sym(self) -> Path:
        """Names of the signals."""
        return self.directory / f"{self.name}.sym"


def circuit_name(intervals: int, accounts: int, kind: str = STATEMENT) -> str:
    """Name of the circuit for T intervals a day and N accounts."""
    return f"{kind}_t{intervals}_n{accounts}"


def compile_circuit(
    intervals: int,
    accounts: int,
    cache: Path | None = None,
    progress: Callable[[str], None] | None = None,
    kind: str = STATEMENT,
) -> Circuit:
    """The compiled circuit, from the cache or compiled now. Raises `ValueError` for parameters, `CompileError` otherwise."""
    if intervals not in INTERVALS:
        raise ValueError(f"intervals: expected {', '.join(map(str, INTERVALS))}, got {intervals}")
    if kind not in (STATEMENT, FORK):
        raise ValueError(f"kind: expected {STATEMENT} or {FORK}, got {kind}")
    largest = MAX_ACCOUNTS if kind == STATEMENT else 1
    if not 1 <= accounts <= largest:
        raise ValueError(f"accounts: expected 1 to {largest}, got {accounts}")
    name = circuit_name(intervals, accounts, kind)
    main = _main(intervals, accounts, kind)
    return Circuit(intervals, accounts, compile_main(name, main, cache, progress), kind)


def is_current(circuit: Circuit) -> bool:
    """Whether a compiled circuit is that of the sources as they are now."""
    main = _main(circuit.intervals, circuit.accounts, circuit.kind)
    return circuit.directory.name == f"{circuit.name}-{_source_hash(main, SOURCES, _OPTIONS)}"


def _main(intervals: int, accounts: int, kind: str) -> str:
    if kind == STATEMENT:
        return _MAIN.format(kind=kind, public="gamma", template=f"Statement({intervals}, {accounts})")
    return _MAIN.format(kind=kind, public="day, t", template=f"ForkEvidence({intervals})")


def compile_main(
    name: str,
    main: str,
    cache: Path | None = None,
    progress: Callable[[str], None] | None = None,
    sources: Path = SOURCES,
    options: Sequence[str] = _OPTIONS,
) -> Path:
    """The directory of a main component over the templates in `sources`, from the cache or compiled now.

    It holds what `options` ask for of `name`.r1cs, .wasm and .sym. For parts of the circuits, and for changed copies of them in
    tests. Raises `CompileError`.
    """
    root = cache or default_cache()
    target = root / f"{name}-{_source_hash(main, sources, options)}"
    if target.exists():
        return target
    with locked(root / f"{target.name}.lock"):
        if target.exists():
            return target
        if progress:
            progress(f"compiling circuit {name}")
        with new_directory(target) as scratch:
            _compile(name, main, scratch, sources, options)
    return target


def _source_hash(main: str, directory: Path, options: Sequence[str]) -> str:
    state = hashlib.sha256()
    sources = [text for path in sorted(directory.glob("*.circom")) for text in (path.name, path.read_text())]
    for part in (*sources, main, *options, _version("circom2"), _version("circomlib")):
        state.update(len(part).to_bytes(8, "big") + part.encode())
    return state.hexdigest()[:16]


def _version(package: str) -> str:
    manifest = NODE_MODULES / package / "package.json"
    try:
        return str(json.loads(manifest.read_text())["version"])
    except FileNotFoundError as error:
        raise CompileError(f"{package}: not installed below {NODE_MODULES}; run `npm ci` in {PACKAGE}") from error


def _compile(name: str, main: str, directory: Path, sources: Path, options: Sequence[str]) -> None:
    # The compiler reads nothing outside its working directory: sources and library go into a workshop beside the results.
    workshop = directory / "build"
    shutil.copytree(NODE_MODULES / "circomlib" / "circuits", workshop / "circomlib" / "circuits")
    shutil.copytree(sources, workshop, dirs_exist_ok=True)
    (workshop / f"{name}.circom").write_text(main)
    command = ["node", str(NODE_MODULES / "circom2" / "cli.js"), f"{name}.circom", *options]
    try:
        done = subprocess.run(command, cwd=workshop, capture_output=True, text=True, check=False)
    except FileNotFoundError as error:
        raise CompileError("node: not found; install Node.js 20 or later") from error
    if done.returncode:
        message = re.sub(r"\x1b\[[0-9;]*m", "", done.stderr + done.stdout).strip()
        raise CompileError(f"circuit {name}: {message}")
    for made in (workshop / f"{name}.r1cs", workshop / f"{name}.sym", workshop / f"{name}_js" / f"{name}.wasm"):
        if made.exists():
            shutil.move(made, directory / made.name)
    shutil.rmtree(workshop)
