"""Proving and verifying keys on disk: development keys made when absent, any key checked before it is used.

A key lies beside the circuit it belongs to, as three files: the proving key, the verification key and, written last, the key's
information. A key without information was never finished and is made again.
"""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path

from zk import core
from zk.compile import STATEMENT, Circuit, compile_circuit
from zk.development import write_key
from zk.files import default_cache, locked, new_file, sha256, write_whole
from zk.groth16 import VerifyingKey
from zk.r1cs import R1csError, read_header
from zk.transcript import Ceremony
from zk.verifier import check_key
from zk.zkey import ZkeyError, check_zkey

DEVELOPMENT = "development"
"""Name of the key that set-up makes."""
KEY_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,63}")
"""Names of keys, which are names of files."""


class KeyFileError(ValueError):
    """A key file that cannot be used; the message names the file and what is wrong with it."""


@dataclass(frozen=True, slots=True)
class KeyInfo:
    """What is recorded beside a key. `development` keys rest on one machine's honesty: for development chains only. Keys that
    were imported say from which `ceremony`."""

    circuit: str
    intervals: int
    accounts: int
    constraints: int
    development: bool
    r1cs_sha256: str
    zkey_sha256: str
    verification_key_sha256: str
    ceremony: Ceremony | None = None


@dataclass(frozen=True, slots=True)
class KeyPaths:
    """A circuit and the files of one key for it."""

    circuit: Circuit
    name: str

    @property
    def zkey(self) -> Path:
        """The proving key."""
        return self.circuit.directory / f"{self.name}.zkey"

    @property
    def verification_key(self) -> Path:
        """The verification key, snarkjs' JSON."""
        return self.circuit.directory / f"{self.name}.vkey.json"

    @property
    def info(self) -> Path:
        """The key's information."""
        return self.circuit.directory / f"{self.name}.json"

    @property
    def points_checked(self) -> Path:
        """SHA-256 of the proving key whose points were all found in their groups."""
        return self.circuit.directory / f"{self.name}.points"

    def verifying_key(self) -> VerifyingKey:
        """The verifying key; raises `KeyFileError`."""
        return verifying_key(self.verification_key)


def ensure_development_key(
    intervals: int,
    accounts: int,
    cache: Path | None = None,
    progress: Callable[[str], None] | None = None,
    kind: str = STATEMENT,
) -> KeyPaths:
    """The development key for T intervals a day and N accounts: circuit compiled and key made where they are absent.

    Safe to call again and from several processes at once. `progress` gets a line for every step. A key that is there is
    checked; `KeyFileError` says what is wrong with one that is damaged, because a new key would not fit contracts deployed with
    the old.
    """
    circuit = compile_circuit(intervals, accounts, cache, progress, kind)
    paths = KeyPaths(circuit, DEVELOPMENT)
    with locked(circuit.directory / f"{paths.name}.lock"):
        if not paths.info.exists():
            _make(paths, progress)
        check_files(paths)
    return paths


def ensure_key(
    name: str,
    intervals: int,
    accounts: int,
    cache: Path | None = None,
    progress: Callable[[str], None] | None = None,
    kind: str = STATEMENT,
) -> KeyPaths:
    """The key called `name`, checked: the development key is made where it is absent, another one must have been imported."""
    if not KEY_NAME.fullmatch(name):
        raise KeyFileError(f"key name: expected small letters, digits and '-', got {name!r}")
    if name == DEVELOPMENT:
        return ensure_development_key(intervals, accounts, cache, progress, kind)
    paths = KeyPaths(compile_circuit(intervals, accounts, cache, progress, kind), name)
    if not paths.info.exists():
        raise KeyFileError(f"no key {name!r} for {paths.circuit.name}; take a ceremony's key in with `wattproof zk import`")
    check_files(paths)
    return paths


def present_keys(cache: Path | None = None) -> list[KeyPaths]:
    """Every finished key in the cache, also of circuits whose sources have changed since."""
    found = []
    for path in sorted((cache or default_cache()).glob("*/*.json")):
        if not path.name.endswith(".vkey.json"):
            info = read_info(path)
            kind = info.circuit.partition("_")[0]
            found.append(KeyPaths(Circuit(info.intervals, info.accounts, path.parent, kind), path.stem))
    return found


def check_files(paths: KeyPaths) -> KeyInfo:
    """The key's information, after checking that its files are whole, belong to the circuit and are the recorded ones."""
    info = read_info(paths.info)
    try:
        check_zkey(paths.zkey, read_header(paths.circuit.r1cs))
    except FileNotFoundError as error:
        raise KeyFileError(f"{error.filename}: missing; {_hint(paths)}") from error
    except (ZkeyError, R1csError) as error:
        raise KeyFileError(f"{error}; {_hint(paths)}") from error
    recorded = {
        paths.circuit.r1cs: info.r1cs_sha256,
        paths.zkey: info.zkey_sha256,
        paths.verification_key: info.verification_key_sha256,
    }
    for path, expected in recorded.items():
        try:
            found = sha256(path)
        except FileNotFoundError as error:
            raise KeyFileError(f"{path}: missing; {_hint(paths)}") from error
        if found != expected:
            raise KeyFileError(f"{path}: expected SHA-256 {expected}, got {found}; {_hint(paths)}")
    return info


def proving_key(paths: KeyPaths) -> core.ProvingKey:
    """The proving key in memory, once a process; needs the native core. Raises `KeyFileError`.

    Structure and SHA-256 are compared at every load. Every point's curve and subgroup are checked once for a content, which is
    then remembered beside the key.
    """
    with _loading:
        return _loaded(paths, read_info(paths.info).zkey_sha256)


_loading = threading.Lock()


@lru_cache(maxsize=4)
def _loaded(paths: KeyPaths, sha256: str) -> core.ProvingKey:
    try:
        check_zkey(paths.zkey, read_header(paths.circuit.r1cs))
        known = paths.points_checked.exists() and paths.points_checked.read_text().strip() == sha256
        key = core.ProvingKey(paths.zkey, sha256, check_points=not known)
    except OSError as error:
        raise KeyFileError(f"{error.filename}: cannot be read ({error.strerror}); {_hint(paths)}") from error
    except (ZkeyError, R1csError, core.CoreError) as error:
        raise KeyFileError(f"{error}; {_hint(paths)}") from error
    if not known:
        with suppress(OSError), locked(paths.points_checked.with_suffix(".points.lock")):
            write_whole(paths.points_checked, sha256.encode())
    return key


def read_info(path: Path) -> KeyInfo:
    """The information beside a key; raises `KeyFileError`."""
    try:
        record = json.loads(path.read_text())
        if record.get("ceremony") is not None:
            record["ceremony"] = Ceremony.from_record(record["ceremony"])
        return KeyInfo(**record)
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        raise KeyFileError(f"{path}: not a key's information: {error}") from error


def verifying_key(path: Path) -> VerifyingKey:
    """Reads a verification key in snarkjs' JSON; raises `KeyFileError` unless its points lie in their groups."""
    try:
        key = VerifyingKey.from_snarkjs(json.loads(path.read_text()))
        check_key(key)
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise KeyFileError(f"{path}: not a verification key: {error}") from error
    return key


def _make(paths: KeyPaths, progress: Callable[[str], None] | None) -> None:
    circuit = paths.circuit
    if progress:
        progress(f"making a development key for {circuit.name}")
    with new_file(paths.zkey) as scratch:
        key = write_key(circuit.r1cs, scratch, progress)
    write_whole(paths.verification_key, json.dumps(key.to_snarkjs(), indent=1).encode())
    info = key_info(paths, development=True)
    # These points have just been made by multiplication.
    write_whole(paths.points_checked, info.zkey_sha256.encode())
    write_whole(paths.info, json.dumps(asdict(info), indent=1).encode())


def key_info(paths: KeyPaths, *, development: bool, ceremony: Ceremony | None = None) -> KeyInfo:
    """The information of a key whose other files are written."""
    circuit = paths.circuit
    return KeyInfo(
        circuit=circuit.name,
        intervals=circuit.intervals,
        accounts=circuit.accounts,
        constraints=read_header(circuit.r1cs).constraints,
        development=development,
        r1cs_sha256=sha256(circuit.r1cs),
        zkey_sha256=sha256(paths.zkey),
        verification_key_sha256=sha256(paths.verification_key),
        ceremony=ceremony,
    )


def _hint(paths: KeyPaths) -> str:
    if paths.name != DEVELOPMENT:
        return f"delete {paths.info} and import the ceremony's key again"
    return f"delete {paths.info} to have a new key made (contracts deployed with the old one will refuse its proofs)"
