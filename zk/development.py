"""A Groth16 key for one circuit from a random secret, on one machine, in seconds: for development chains only.

Whoever knows the secret can prove anything, and nobody can show to have forgotten it. The secret lives in local variables here
and is never written. Formulas: Groth, "On the Size of Pairing-based Non-interactive Arguments" (2016), section 3.2; gamma is 1,
as in snarkjs' keys. Needs nothing of the circuit but its constraint system.

The native core does the same in a tenth of the time, and overwrites the secret; what stands here serves where it is not
installed.
"""

from __future__ import annotations

import secrets
import struct
from collections.abc import Callable, Sequence
from pathlib import Path

from zksnake._algebra import ec_bn254 as curve

from zk import core
from zk.field import ORDER, inverses
from zk.groth16 import G1, G2, VerifyingKey
from zk.r1cs import R1cs, read_r1cs
from zk.zkey import COEFFICIENT, domain_size, g1_bytes, g2_bytes, header_section, zkey_bytes

_TWO_ADICITY = 28
_BATCH = 1 << 14
# Coefficients lie in the file in Montgomery form twice over.
_MONTGOMERY_SQUARED = pow(1 << 256, 2, ORDER)


def write_key(r1cs: Path, zkey: Path, progress: Callable[[str], None] | None = None) -> VerifyingKey:
    """Writes a fresh proving key for the constraint system in `r1cs` to `zkey` and returns its verifying key."""
    if core.available():
        return core.make_key(r1cs, zkey)
    content, key = make_key(read_r1cs(r1cs), progress)
    zkey.write_bytes(content)
    return key


def make_key(system: R1cs, progress: Callable[[str], None] | None = None) -> tuple[bytes, VerifyingKey]:
    """A fresh proving key (the file's content) and its verifying key."""
    report = progress or (lambda _: None)
    header = system.header
    public = header.public + 1
    size = domain_size(header)
    alpha, beta, delta, tau = (1 + secrets.randbelow(ORDER - 1) for _ in range(4))

    report(f"evaluating {header.constraints} constraints")
    a, b, c, coefficients = _evaluate(system, _lagrange(size, tau))
    combined = [(beta * x + alpha * y + z) % ORDER for x, y, z in zip(a, b, c, strict=True)]
    by_delta = pow(delta, -1, ORDER)
    # The quotient is given by its values on the odd half of the domain of twice the size.
    quotient = [value * by_delta % ORDER for value in _lagrange(2 * size, tau)[1::2]]

    ic = _points_g1(combined[:public], "public signals", report)
    fixed1 = _points_g1([alpha, beta, delta], "", report)
    fixed2 = _points_g2([beta, 1, delta], "", report)
    sections = {
        2: [header_section(header, fixed1[0], fixed1[1], fixed2[0], fixed2[1], fixed1[2], fixed2[2])],
        3: map(g1_bytes, ic),
        4: [struct.pack("<I", len(coefficients)), *coefficients],
        5: list(map(g1_bytes, _points_g1(a, "A", report))),
        6: list(map(g1_bytes, _points_g1(b, "B1", report))),
        7: list(map(g2_bytes, _points_g2(b, "B2", report))),
        8: list(map(g1_bytes, _points_g1([value * by_delta % ORDER for value in combined[public:]], "C", report))),
        9: list(map(g1_bytes, _points_g1(quotient, "H", report))),
    }
    return zkey_bytes(sections), VerifyingKey(fixed1[0], fixed2[0], fixed2[1], fixed2[2], tuple(ic))


def _evaluate(system: R1cs, basis: Sequence[int]) -> tuple[list[int], list[int], list[int], list[bytes]]:
    """The wires' polynomials of A, B and C at the secret point, and the coefficients of A and B as the file holds them."""
    header = system.header
    a, b, c = ([0] * header.wires for _ in range(3))
    coefficients = []
    for row, (left, right, product) in enumerate(system.constraints):
        at = basis[row]
        for matrix, (values, combination) in enumerate(((a, left), (b, right))):
            for wire, value in combination:
                values[wire] += value * at
                stored = (value * _MONTGOMERY_SQUARED % ORDER).to_bytes(32, "little")
                coefficients.append(COEFFICIENT.pack(matrix, row, wire, stored))
        for wire, value in product:
            c[wire] += value * at
    # One more row for each public signal, so that their polynomials are independent and a statement cannot be re-used for
    # another.
    stored = _MONTGOMERY_SQUARED.to_bytes(32, "little")
    for wire in range(header.public + 1):
        a[wire] += basis[header.constraints + wire]
        coefficients.append(COEFFICIENT.pack(0, header.constraints + wire, wire, stored))
    return [x % ORDER for x in a], [x % ORDER for x in b], [x % ORDER for x in c], coefficients


def _lagrange(size: int, at: int) -> list[int]:
    """Values at `at` of the Lagrange polynomials of the domain of `size` roots of unity."""
    root = pow(5, (ORDER - 1) >> _TWO_ADICITY, ORDER)
    root = pow(root, 1 << (_TWO_ADICITY + 1 - size.bit_length()), ORDER)
    points, point = [], 1
    for _ in range(size):
        points.append(point)
        point = point * root % ORDER
    factor = (pow(at, size, ORDER) - 1) * pow(size, -1, ORDER) % ORDER
    return [p * factor % ORDER * i % ORDER for p, i in zip(points, inverses([(at - p) % ORDER for p in points]), strict=True)]


def _points_g1(scalars: Sequence[int], name: str, report: Callable[[str], None]) -> list[G1]:
    result: list[G1] = []
    generator = curve.g1()
    for start in range(0, len(scalars), _BATCH):
        if name:
            report(f"points {name}: {start} of {len(scalars)}")
        part = scalars[start : start + _BATCH]
        points = curve.batch_multi_scalar_g1([generator] * len(part), part)
        result += [G1(0, 0) if point.is_zero() else G1(point.x, point.y) for point in points]
    return result


def _points_g2(scalars: Sequence[int], name: str, report: Callable[[str], None]) -> list[G2]:
    result: list[G2] = []
    generator = curve.g2()
    for start in range(0, len(scalars), _BATCH):
        if name:
            report(f"points {name}: {start} of {len(scalars)}")
        part = scalars[start : start + _BATCH]
        points = curve.batch_multi_scalar_g2([generator] * len(part), part)
        result += [G2(0, 0, 0, 0) if point.is_zero() else G2(*point.x, *point.y) for point in points]
    return result
