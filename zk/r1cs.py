"""Reads a constraint system in iden3's r1cs format: constraints `A(w) * B(w) = C(w)` over a witness w with w[0] = 1."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from zk.binfile import BinFileError, Section, read_section, section_table
from zk.field import ORDER

Combination = tuple[tuple[int, int], ...]
"""A linear combination: (wire, coefficient) pairs."""

_ENTRY = struct.Struct("<I32s")


class R1csError(ValueError):
    """A file that is not a constraint system over BN254."""


@dataclass(frozen=True, slots=True)
class R1csHeader:
    """Sizes of a constraint system. Wires: the constant 1, then outputs and public inputs, then the private ones."""

    wires: int
    public: int
    constraints: int


@dataclass(frozen=True, slots=True)
class R1cs:
    """A constraint system."""

    header: R1csHeader
    constraints: tuple[tuple[Combination, Combination, Combination], ...]

    def violated(self, witness: Sequence[int]) -> list[int]:
        """Numbers of the constraints that `witness` breaks."""
        broken = []
        for number, (a, b, c) in enumerate(self.constraints):
            if (value_of(a, witness) * value_of(b, witness) - value_of(c, witness)) % ORDER:
                broken.append(number)
        return broken


def value_of(combination: Combination, witness: Sequence[int]) -> int:
    """Value of a linear combination, not reduced."""
    return sum([witness[wire] * coefficient for wire, coefficient in combination])


def read_header(path: Path) -> R1csHeader:
    """The sizes alone; fast for any file. Raises `R1csError`."""
    return _header(path, _sections(path))


def read_r1cs(path: Path) -> R1cs:
    """The whole system; raises `R1csError`."""
    sections = _sections(path)
    header = _header(path, sections)
    data, at = memoryview(read_section(path, sections[2])), 0
    constraints = []
    for _ in range(header.constraints):
        row: list[Combination] = []
        for _ in range(3):
            (count,) = struct.unpack_from("<I", data, at)
            end = at + 4 + count * _ENTRY.size
            row.append(tuple((w, int.from_bytes(v, "little")) for w, v in _ENTRY.iter_unpack(data[at + 4 : end])))
            at = end
        constraints.append((row[0], row[1], row[2]))
    return R1cs(header, tuple(constraints))


def _sections(path: Path) -> dict[int, Section]:
    try:
        return section_table(path, b"r1cs")
    except BinFileError as error:
        raise R1csError(str(error)) from error


def _header(path: Path, sections: dict[int, Section]) -> R1csHeader:
    if 1 not in sections or 2 not in sections:
        raise R1csError(f"{path}: sections 1 and 2 are needed")
    data = read_section(path, sections[1])
    if len(data) < 64 or data[:4] != struct.pack("<I", 32) or int.from_bytes(data[4:36], "little") != ORDER:
        raise R1csError(f"{path}: section 1: expected the scalar field of BN254")
    wires, outputs, inputs, _, _, constraints = struct.unpack_from("<IIIIQI", data, 36)
    return R1csHeader(wires, outputs + inputs, constraints)
