"""A Groth16 ceremony (phase 2) for any circuit of this project, and taking its result in as a key.

snarkjs makes and verifies the contributions, so that its files and those of other tools fit. Each step reads one zkey and
writes the next: a file is written whole or not at all, and never over another. docs/keys.md has the way from start to
deployment.
"""

from __future__ import annotations

import hashlib
import json
import re
import secrets
import shutil
import subprocess
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

from zk.compile import Circuit
from zk.files import PACKAGE, locked, new_file, sha256, write_whole
from zk.groth16 import VerifyingKey
from zk.keys import DEVELOPMENT, KEY_NAME, KeyFileError, KeyInfo, KeyPaths, check_files, key_info
from zk.ptau import PtauError, read_ptau, require_room
from zk.r1cs import R1csError, R1csHeader, read_header
from zk.transcript import Ceremony, Contribution, Transcript, TranscriptError, read_transcript
from zk.verifier import check_key
from zk.zkey import ZkeyError, check_zkey

Progress = Callable[[str], None]

MIN_ITERATIONS_EXP, MAX_ITERATIONS_EXP = 10, 63
"""Range of a beacon's exponent: 2^n hashes are made of its value."""


class CeremonyError(KeyFileError):
    """A step that cannot be made, or a key that does not hold; the message names the file and what is wrong."""


def start(circuit: Circuit, ptau: Path, target: Path, progress: Progress | None = None) -> Transcript:
    """Writes contribution 0000: the circuit's key before anybody contributed, which is worth nothing by itself."""
    with _checked():
        require_room(read_ptau(ptau), read_header(circuit.r1cs))
    with _new_file(target) as scratch:
        _ask({"op": "start", "r1cs": str(circuit.r1cs), "ptau": str(ptau), "to": str(scratch)}, progress)
        return _look(circuit, scratch)


def contribute(
    circuit: Circuit, source: Path, target: Path, name: str, entropy: str = "", progress: Progress | None = None
) -> Contribution:
    """Writes `source` with one more contribution to `target` and returns it: its hash is what the contributor publishes.

    The secret comes from the operating system's random numbers in any case; `entropy`, if there is any, is mixed in. It lives
    in the memory of one process that ends with this call.
    """
    if not name or len(name.encode()) > 64:
        raise CeremonyError(f"name: expected 1 to 64 bytes, got {len(name.encode())}")
    before = _look(circuit, source)
    if before.closed:
        raise CeremonyError(f"{source}: a beacon has closed this ceremony; nothing can be contributed after it")
    mixed = hashlib.sha512(secrets.token_bytes(64) + entropy.encode()).hexdigest()
    request = {"op": "contribute", "from": str(source), "name": name, "entropy": mixed}
    return _extend(circuit, before, request, target, progress)


def beacon(
    circuit: Circuit, source: Path, target: Path, value: str, iterations_exp: int, progress: Progress | None = None
) -> Contribution:
    """Closes a ceremony with a public random value (hexadecimal), announced before it was known: so nobody, not the last
    contributor either, has chosen the key. 2^`iterations_exp` hashes are made of it."""
    if not re.fullmatch(r"([0-9a-fA-F]{2}){1,255}", value):
        raise CeremonyError(f"hash: expected 1 to 255 bytes, hexadecimal without 0x, got {value!r}")
    if not MIN_ITERATIONS_EXP <= iterations_exp <= MAX_ITERATIONS_EXP:
        raise CeremonyError(f"iterations: expected {MIN_ITERATIONS_EXP} to {MAX_ITERATIONS_EXP}, got {iterations_exp}")
    before = _look(circuit, source)
    if before.closed:
        raise CeremonyError(f"{source}: a beacon has closed this ceremony already")
    if not before.secrets:
        raise CeremonyError(f"{source}: expected a contribution before the beacon, whose value everybody knows")
    request = {"op": "beacon", "from": str(source), "name": "beacon", "hash": value.lower(), "iterations": iterations_exp}
    return _extend(circuit, before, request, target, progress)


def verify(
    circuit: Circuit,
    ptau: Path,
    zkey: Path,
    *,
    after: Path | None = None,
    contains: Sequence[str] = (),
    progress: Progress | None = None,
) -> Transcript:
    """The record of a valid key: it belongs to the circuit's r1cs and the powers of tau, every contribution follows the one
    before, with `after` it goes on from that earlier key, and the contributions with the hashes `contains` are among its own.
    Raises `CeremonyError` saying what is wrong.

    The key of contribution 0000 is valid too; whether it is enough is for the caller to ask.
    """
    transcript = _look(circuit, zkey)
    with _checked():
        if after is not None:
            transcript.require_follows(_look(circuit, after))
        require_room(read_ptau(ptau), read_header(circuit.r1cs))
    for published in contains:
        if published.lower() not in {item.hash for item in transcript.contributions}:
            raise CeremonyError(f"{zkey}: expected a contribution with the hash {published}, got none")
    try:
        _ask({"op": "verify", "r1cs": str(circuit.r1cs), "ptau": str(ptau), "zkey": str(zkey)}, progress)
    except CeremonyError as error:
        raise CeremonyError(f"{zkey}: not valid for {circuit.name} and {ptau.name}: {error}") from error
    return transcript


def import_key(circuit: Circuit, zkey: Path, ptau: Path, name: str, progress: Progress | None = None) -> KeyInfo:
    """Takes a ceremony's key in under `name`, after `verify`; all of it or nothing.

    Refused: a name in use for another key, a key without a secret contribution (anyone could forge its proofs), and all that
    `verify` refuses.
    """
    if not KEY_NAME.fullmatch(name) or name == DEVELOPMENT:
        raise CeremonyError(f"name: expected small letters, digits and '-', and not {DEVELOPMENT!r}, got {name!r}")
    paths = KeyPaths(circuit, name)
    with locked(circuit.directory / f"{name}.lock"):
        # What is verified is the copy that stays, not a file that could still change.
        with _new_file(paths.zkey, replace=not paths.info.exists()) as copy:
            _copy(zkey, copy)
            transcript = verify(circuit, ptau, copy, progress=progress)
            if not transcript.secrets:
                raise CeremonyError(f"{zkey}: expected at least one contribution that is not a beacon, got none")
            key = VerifyingKey.from_snarkjs(_ask({"op": "export", "zkey": str(copy)}, progress))
            check_key(key)
            if progress:
                progress("hashing the powers of tau")
            ceremony = Ceremony(
                ptau=ptau.name,
                ptau_sha256=sha256(ptau),
                ptau_blake2b=_blake2b(ptau),
                circuit_hash=transcript.circuit_hash,
                contributions=transcript.contributions,
            )
        write_whole(paths.verification_key, json.dumps(key.to_snarkjs(), indent=1).encode())
        info = key_info(paths, development=False, ceremony=ceremony)
        write_whole(paths.info, json.dumps(asdict(info), indent=1).encode())
        return check_files(paths)


def _look(circuit: Circuit, zkey: Path) -> Transcript:
    """The record of a key that is whole and of the circuit's sizes."""
    with _checked():
        header: R1csHeader = read_header(circuit.r1cs)
        check_zkey(zkey, header)
        return read_transcript(zkey)


def _extend(
    circuit: Circuit, before: Transcript, request: dict[str, Any], target: Path, progress: Progress | None
) -> Contribution:
    with _new_file(target) as scratch:
        _ask({**request, "to": str(scratch)}, progress)
        with _checked():
            made = _look(circuit, scratch)
            made.require_follows(before)
        return made.contributions[-1]


@contextmanager
def _checked() -> Iterator[None]:
    """Everything a file can be refused for, as one kind of error."""
    try:
        yield
    except FileNotFoundError as error:
        raise CeremonyError(f"{error.filename}: there is no such file") from error
    except (ZkeyError, R1csError, PtauError, TranscriptError) as error:
        raise CeremonyError(str(error)) from error


@contextmanager
def _new_file(target: Path, *, replace: bool = False) -> Iterator[Path]:
    """A scratch file beside `target` that becomes it if the block ends well and is removed if not."""
    if target.exists() and not replace:
        raise CeremonyError(f"{target}: is there already; name a new file, so that no step of a ceremony is lost")
    target.parent.mkdir(parents=True, exist_ok=True)
    with new_file(target) as scratch:
        yield scratch


def _copy(source: Path, target: Path) -> None:
    try:
        shutil.copyfile(source, target)
    except OSError as error:
        raise CeremonyError(f"{source}: cannot be read ({error.strerror})") from error


def _blake2b(path: Path) -> str:
    with path.open("rb") as handle:
        return hashlib.file_digest(handle, "blake2b").hexdigest()


def _ask(request: dict[str, str | int], progress: Progress | None) -> Any:
    """One step in a Node process of its own, whose memory (the secret) ends with it."""
    try:
        process = subprocess.Popen(
            ["node", str(PACKAGE / "ceremony_worker.mjs")],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
    except FileNotFoundError as error:
        raise CeremonyError("node: not found; install Node.js 20 or later") from error
    with process:
        try:
            assert process.stdin is not None and process.stdout is not None
            process.stdin.write(json.dumps(request))
            process.stdin.close()
            for line in process.stdout:
                said = json.loads(line)
                if "progress" not in said:
                    break
                if progress:
                    progress(said["progress"].splitlines()[0])
            else:
                raise CeremonyError(f"{request['op']}: snarkjs ended without an answer (code {process.wait()})")
        except BaseException:
            process.kill()
            raise
    if "error" in said:
        raise CeremonyError(f"{said['error']}")
    return said["ok"]
