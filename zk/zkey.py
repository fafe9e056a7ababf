"""The proving key's file format (snarkjs' zkey for Groth16): writing its sections and checking a file against its circuit.

A header `zkey`, version, number of sections; then sections of `number, length, content`. Coordinates and coefficients are
little-endian in Montgomery form. Section 2 holds the sizes and the fixed points, 3 the points of the public signals, 4 the
coefficients of A and B, 5 to 9 the points behind A, B (in both groups), C and H, 10 the record of contributions.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Mapping
from pathlib import Path

from zk.field import ORDER
from zk.groth16 import BASE_ORDER, G1, G2
from zk.r1cs import R1csHeader

SECTIONS = {
    1: "protocol",
    2: "header",
    3: "points of the public signals",
    4: "coefficients",
    5: "points A",
    6: "points B1",
    7: "points B2",
    8: "points C",
    9: "points H",
    10: "contributions",
}

COEFFICIENT = struct.Struct("<III32s")
"""Matrix (0 A, 1 B), constraint, wire, value."""

_GROTH16 = 1
_HEADER_BYTES = 4 + 32 + 4 + 32 + 12 + 3 * 64 + 3 * 128
_MONTGOMERY = (1 << 256) % BASE_ORDER


class ZkeyError(ValueError):
    """A proving key that is cut off, damaged or of another circuit; the message names the section."""


def g1_bytes(point: G1) -> bytes:
    """A point of G1 as the file holds it: 64 bytes."""
    return b"".join((c * _MONTGOMERY % BASE_ORDER).to_bytes(32, "little") for c in (point.x, point.y))


def g2_bytes(point: G2) -> bytes:
    """A point of G2 as the file holds it: 128 bytes."""
    coordinates = (point.x0, point.x1, point.y0, point.y1)
    return b"".join((c * _MONTGOMERY % BASE_ORDER).to_bytes(32, "little") for c in coordinates)


def domain_size(header: R1csHeader) -> int:
    """The power of two that holds all constraints and one row for each public signal and the constant."""
    return 1 << (header.constraints + header.public).bit_length()


def header_section(header: R1csHeader, alpha: G1, beta1: G1, beta2: G2, gamma: G2, delta1: G1, delta2: G2) -> bytes:
    """Content of section 2."""
    fields = struct.pack("<I", 32) + BASE_ORDER.to_bytes(32, "little") + struct.pack("<I", 32) + ORDER.to_bytes(32, "little")
    sizes = struct.pack("<III", header.wires, header.public, domain_size(header))
    first, second = (alpha, beta1), (beta2, gamma)
    points = b"".join(map(g1_bytes, first)) + b"".join(map(g2_bytes, second)) + g1_bytes(delta1) + g2_bytes(delta2)
    return fields + sizes + points


def zkey_bytes(sections: Mapping[int, Iterable[bytes]]) -> bytes:
    """A whole file from the contents of sections 2 to 9, in pieces; sections 1 and 10 are the same for every fresh key."""
    whole = {1: struct.pack("<I", _GROTH16), 10: bytes(64) + struct.pack("<I", 0)}
    whole |= {number: b"".join(pieces) for number, pieces in sections.items()}
    parts = [b"zkey", struct.pack("<II", 1, len(whole))]
    for number in sorted(whole):
        parts += [struct.pack("<IQ", number, len(whole[number])), whole[number]]
    return b"".join(parts)


def check_zkey(path: Path, header: R1csHeader) -> None:
    """Raises `ZkeyError`, naming the section, unless `path` is a whole proving key for a circuit of these sizes.

    Reads the section table and the header only. Whether the points are right is a question for the hash beside the key
    (development) or for the ceremony's transcript.
    """
    total = path.stat().st_size
    with path.open("rb") as handle:
        start = handle.read(12)
        if len(start) < 12 or start[:4] != b"zkey":
            raise ZkeyError(f"{path}: not a zkey file")
        version, count = struct.unpack_from("<II", start, 4)
        if version != 1:
            raise ZkeyError(f"{path}: expected zkey version 1, got {version}")
        sizes: dict[int, int] = {}
        contents: dict[int, bytes] = {}
        at = 12
        for _ in range(count):
            table = handle.read(12)
            if len(table) < 12:
                missing = next((n for n in SECTIONS if n not in sizes), 10)
                raise ZkeyError(f"{path}: section {missing} ({SECTIONS[missing]}): the file ends before it, at {total} bytes")
            number, size = struct.unpack("<IQ", table)
            name = SECTIONS.get(number, "unknown")
            at += 12
            if at + size > total:
                raise ZkeyError(f"{path}: section {number} ({name}): expected {size} bytes, the file ends after {total - at}")
            sizes[number] = size
            contents[number] = handle.read(min(size, _HEADER_BYTES))
            at += size
            handle.seek(at)
    if at != total:
        raise ZkeyError(f"{path}: expected {at} bytes, got {total}")
    for number, name in SECTIONS.items():
        if number not in sizes:
            raise ZkeyError(f"{path}: section {number} ({name}) is missing")
    _check_contents(path, header, sizes, contents)


def _check_contents(path: Path, header: R1csHeader, sizes: dict[int, int], contents: dict[int, bytes]) -> None:
    def refuse(number: int, message: str) -> ZkeyError:
        return ZkeyError(f"{path}: section {number} ({SECTIONS[number]}): {message}")

    if contents[1] != struct.pack("<I", _GROTH16):
        raise refuse(1, "expected Groth16")
    data = contents[2]
    if len(data) != _HEADER_BYTES or sizes[2] != _HEADER_BYTES:
        raise refuse(2, f"expected {_HEADER_BYTES} bytes, got {sizes[2]}")
    if int.from_bytes(data[4:36], "little") != BASE_ORDER or int.from_bytes(data[40:72], "little") != ORDER:
        raise refuse(2, "expected the fields of BN254")
    expected = (header.wires, header.public, domain_size(header))
    if (got := struct.unpack_from("<III", data, 72)) != expected:
        raise refuse(2, f"expected a key for {expected} (wires, public signals, domain), got one for {got}")
    lengths = {
        3: 64 * (header.public + 1),
        5: 64 * header.wires,
        6: 64 * header.wires,
        7: 128 * header.wires,
        8: 64 * (header.wires - header.public - 1),
        9: 64 * domain_size(header),
    }
    for number, length in lengths.items():
        if sizes[number] != length:
            raise refuse(number, f"expected {length} bytes, got {sizes[number]}")
    (coefficients,) = struct.unpack_from("<I", contents[4].ljust(4, b"\0"))
    if sizes[4] != 4 + coefficients * COEFFICIENT.size:
        raise refuse(4, f"expected {4 + coefficients * COEFFICIENT.size} bytes, got {sizes[4]}")
