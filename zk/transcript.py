"""The record of a Groth16 ceremony that every zkey carries (section 10): who contributed, in which order, with which hashes.

The chain of hashes is checked here independently of snarkjs, so that a contribution that was dropped, swapped or added out of
order is named. Whether keys and powers fit each other takes pairings and is snarkjs' part (`zkey verify`).
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from zk.binfile import BinFileError, read_section, section_table
from zk.groth16 import BASE_ORDER

_HASH = 64
_G1, _G2 = 64, 128
_FROM_MONTGOMERY = pow(1 << 256, -1, BASE_ORDER)
_BEACON = 1
NAME_BYTES = 64
"""A name is the coordinator's word and under no hash: too short here to hold a contribution's hash of 128 digits."""


class TranscriptError(ValueError):
    """A record that does not follow from its own beginning; the message names the contribution."""


@dataclass(frozen=True, slots=True)
class Contribution:
    """One step of a ceremony. `hash` is what its maker publishes (BLAKE2b-512 of its public key, hexadecimal, as snarkjs
    prints it); `beacon` is the public random value it was made from, and None for a secret one."""

    name: str
    hash: str
    beacon: str | None = None
    iterations_exp: int | None = None

    def __str__(self) -> str:
        origin = "" if self.beacon is None else f", beacon {self.beacon}, 2^{self.iterations_exp} iterations"
        return f"{self.hash}{origin}, named {self.name!r}"


@dataclass(frozen=True, slots=True)
class Transcript:
    """A key's whole record. `circuit_hash` stands for circuit and powers of tau alike."""

    circuit_hash: str
    contributions: tuple[Contribution, ...]

    @property
    def closed(self) -> bool:
        """Whether a beacon has ended the ceremony."""
        return any(item.beacon is not None for item in self.contributions)

    @property
    def secrets(self) -> int:
        """Contributions whose secret only their maker can have known. A beacon's is public."""
        return sum(item.beacon is None for item in self.contributions)

    def require_follows(self, earlier: Self) -> None:
        """Raises `TranscriptError` unless this record goes on from `earlier` without a change."""
        if self.circuit_hash != earlier.circuit_hash:
            raise TranscriptError("the keys belong to different circuits or powers of tau")
        for number, (mine, theirs) in enumerate(zip(self.contributions, earlier.contributions, strict=False), 1):
            if mine.hash != theirs.hash:
                raise TranscriptError(f"contribution {number}: expected {theirs}, got {mine}")
        if len(self.contributions) < len(earlier.contributions):
            missing = earlier.contributions[len(self.contributions)]
            raise TranscriptError(f"contribution {len(self.contributions) + 1} is missing: expected {missing}")


@dataclass(frozen=True, slots=True)
class Ceremony:
    """What is kept of a ceremony beside the key that came of it. SHA-256 is for whoever checks the file, BLAKE2b-512 is what
    published powers of tau are listed with."""

    ptau: str
    ptau_sha256: str
    ptau_blake2b: str
    circuit_hash: str
    contributions: tuple[Contribution, ...]

    @classmethod
    def from_record(cls, record: Mapping[str, Any]) -> Self:
        """From JSON; raises `TypeError` where fields are missing or unknown."""
        return cls(**{**record, "contributions": tuple(Contribution(**item) for item in record["contributions"])})


def read_transcript(path: Path) -> Transcript:
    """The record of a zkey, its chain of hashes checked; raises `TranscriptError`."""
    try:
        sections = section_table(path, b"zkey")
        if 10 not in sections:
            raise BinFileError(f"{path}: section 10 (contributions) is missing")
        content = read_section(path, sections[10])
    except BinFileError as error:
        raise TranscriptError(str(error)) from error
    try:
        return _read(content)
    except (struct.error, IndexError) as error:
        raise TranscriptError(f"{path}: section 10 (contributions): the record ends inside a contribution") from error
    except TranscriptError as error:
        raise TranscriptError(f"{path}: {error}") from error


def _read(content: bytes) -> Transcript:
    circuit_hash, (count,) = content[:_HASH], struct.unpack_from("<I", content, _HASH)
    chain = hashlib.blake2b(circuit_hash)
    at = _HASH + 4
    found: list[Contribution] = []
    for number in range(1, count + 1):
        points, at = content[at : at + 3 * _G1 + _G2], at + 3 * _G1 + _G2
        given, at = content[at : at + _HASH], at + _HASH
        kind, length = struct.unpack_from("<II", content, at)
        name, iterations, beacon = _parameters(content[at + 8 : at + 8 + length], length)
        at += 8 + length
        if any(item.beacon is not None for item in found):
            raise TranscriptError(f"contribution {number} ({name!r}): it comes after the beacon, which closes a ceremony")
        plain = _plain(points)
        link = chain.copy()
        link.update(plain[_G1 : 3 * _G1])
        if link.digest() != given:
            place = f"does not follow contribution {number - 1}" if number > 1 else "does not follow the circuit"
            raise TranscriptError(f"contribution {number} ({name!r}): {place}; it was made elsewhere or moved")
        chain.update(plain + given)
        if (kind == _BEACON) != (beacon is not None):
            raise TranscriptError(f"contribution {number} ({name!r}): expected a beacon to name its value")
        found.append(Contribution(name, hashlib.blake2b(plain + given).hexdigest(), beacon, iterations))
    if at != len(content):
        raise TranscriptError(f"section 10 (contributions): expected {at} bytes, got {len(content)}")
    return Transcript(circuit_hash.hex(), tuple(found))


def _parameters(data: bytes, length: int) -> tuple[str, int | None, str | None]:
    """Name, exponent of the iterations and value of a beacon."""
    if len(data) != length:
        raise IndexError
    name, iterations, beacon = "", None, None
    at = 0
    while at < length:
        field, size = data[at], data[at + 1]
        if field == 2:
            iterations, at = size, at + 2
            continue
        value, at = data[at + 2 : at + 2 + size], at + 2 + size
        if field == 1:
            name = require_name(value)
        elif field == 3:
            beacon = value.hex()
        else:
            raise TranscriptError(f"section 10 (contributions): parameter {field} is unknown")
    return name, iterations, beacon


def require_name(value: bytes) -> str:
    """A contribution's name as text; raises `TranscriptError` for one that could be taken for something else in a listing."""
    name = value.decode(errors="replace")
    if len(value) > NAME_BYTES or not name.isprintable():
        raise TranscriptError(f"name: expected at most {NAME_BYTES} bytes of printable text, got {name[:NAME_BYTES]!r}")
    return name


def _plain(points: bytes) -> bytes:
    """Coordinates from the file's form (Montgomery, little-endian, c0 first) in the hashes' form (big-endian, c1 first)."""
    if len(points) != 3 * _G1 + _G2:
        raise IndexError
    values = [int.from_bytes(points[i : i + 32], "little") * _FROM_MONTGOMERY % BASE_ORDER for i in range(0, len(points), 32)]
    first, second = values[:6], values[6:]
    ordered: Sequence[int] = (*first, second[1], second[0], second[3], second[2])
    return b"".join(value.to_bytes(32, "big") for value in ordered)
