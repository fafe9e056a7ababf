"""iden3's container for ptau, r1cs and zkey files: kind, version, count, then sections of `number, length, content`."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from pathlib import Path


class BinFileError(ValueError):
    """A file that is cut off, of another kind or repeats a section; the message names the file and the place."""


@dataclass(frozen=True, slots=True)
class Section:
    """Where a section's content lies in its file, bytes."""

    start: int
    size: int


def section_table(path: Path, kind: bytes) -> dict[int, Section]:
    """The sections of a whole file whose first four bytes are `kind`; contents are not read. Raises `BinFileError`."""
    try:
        total = path.stat().st_size
        handle = path.open("rb")
    except OSError as error:
        raise BinFileError(f"{path}: cannot be read ({error.strerror})") from error
    with handle:
        start = handle.read(12)
        if len(start) < 12 or start[:4] != kind:
            raise BinFileError(f"{path}: not a {kind.decode()} file")
        (count,) = struct.unpack_from("<I", start, 8)
        found: dict[int, Section] = {}
        at = 12
        for place in range(count):
            table = handle.read(12)
            if len(table) < 12:
                raise BinFileError(f"{path}: expected {count} sections, the file ends after {place}, at {total} bytes")
            number, size = struct.unpack("<IQ", table)
            at += 12
            if at + size > total:
                raise BinFileError(f"{path}: section {number}: expected {size} bytes, the file ends after {total - at}")
            if number in found:
                raise BinFileError(f"{path}: section {number} is there twice")
            found[number] = Section(at, size)
            at += size
            handle.seek(at)
    if at != total:
        raise BinFileError(f"{path}: expected {at} bytes, got {total}")
    return found


def read_section(path: Path, section: Section) -> bytes:
    """A section's content."""
    with path.open("rb") as handle:
        handle.seek(section.start)
        return handle.read(section.size)
