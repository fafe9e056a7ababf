"""What a powers-of-tau file (phase 1 of a ceremony) is good for: its curve, its size, whether it is prepared for phase 2.

Whether its tau was forgotten by at least one of its contributors is a question for that ceremony's own transcript: compare the
file's hash with the one that the ceremony published.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from pathlib import Path

from zk.binfile import BinFileError, read_section, section_table
from zk.groth16 import BASE_ORDER
from zk.r1cs import R1csHeader
from zk.zkey import domain_size

_PREPARED = {2: "tau in G1", 3: "tau in G2", 4: "alpha tau", 5: "beta tau", 6: "beta in G2"} | dict.fromkeys(
    (12, 13, 14, 15), "points in Lagrange form"
)
_G1, _G2 = 64, 128


class PtauError(ValueError):
    """A powers-of-tau file that cannot carry the circuit; the message names the file, what was expected and what came."""


@dataclass(frozen=True, slots=True)
class Ptau:
    """A prepared powers-of-tau file on BN254, for circuits with a domain of up to `2^power` rows."""

    path: Path
    power: int


def read_ptau(path: Path) -> Ptau:
    """The file's size class, after checking that it is whole, on BN254 and prepared for phase 2; raises `PtauError`."""
    try:
        sections = section_table(path, b"ptau")
    except BinFileError as error:
        raise PtauError(str(error)) from error
    header = read_section(path, sections[1]) if 1 in sections else b""
    if len(header) < 4 or len(header) != 4 + (n := struct.unpack_from("<I", header)[0]) + 8:
        raise PtauError(f"{path}: section 1 (header): expected field, power and ceremony's power, got {len(header)} bytes")
    if int.from_bytes(header[4 : 4 + n], "little") != BASE_ORDER:
        raise PtauError(f"{path}: expected powers of tau on BN254 (bn128), got ones on another curve")
    (power,) = struct.unpack_from("<I", header, 4 + n)
    if 12 not in sections:
        raise PtauError(
            f"{path}: not prepared for phase 2; take the prepared file, or run `snarkjs powersoftau prepare phase2`"
        )
    for number, what in _PREPARED.items():
        if number not in sections:
            raise PtauError(f"{path}: section {number} ({what}) is missing")
    lagrange = (1 << (power + 1)) - 1
    least = {2: _G1 * lagrange, 3: _G2 << power, 12: _G1 * lagrange, 13: _G2 * lagrange, 14: _G1 * lagrange, 15: _G1 * lagrange}
    for number, size in least.items():
        if sections[number].size < size:
            raise PtauError(
                f"{path}: section {number} ({_PREPARED[number]}): expected at least {size} bytes for power {power}, "
                f"got {sections[number].size}"
            )
    return Ptau(path, power)


def require_room(ptau: Ptau, header: R1csHeader) -> None:
    """Raises `PtauError` unless the powers reach for a circuit of these sizes."""
    rows = domain_size(header)
    if rows > 1 << ptau.power:
        raise PtauError(
            f"{ptau.path}: expected power {rows.bit_length() - 1} or more for {header.constraints} constraints, "
            f"got power {ptau.power}"
        )
