"""Circuits with other hints or without a constraint group, and points in plain integers: what each group is there for.

A hint (`<--`) is where the prover's program chooses a wire. So a circuit with other hints and the same constraints is a prover
who chooses inner wires at will; one that lacks a constraint as well shows what the constraint was there for.
"""

from __future__ import annotations

import re
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from zk.compile import SOURCES, compile_main
from zk.field import ORDER
from zk.files import default_cache
from zk.prover import ProverError, SnarkjsProver

Change = tuple[str, str, str]
"""File, text that occurs in it once, and what stands there instead."""

TEMPLATES = (
    "Mask",
    "WindowHead",
    "MeterKey",
    "SignedBits",
    "OddMultiple",
    "MeterSignature",
    "CountedDays",
    "Baseline",
    "Promise",
    "Deviations",
    "Account",
    "Statement",
    "OneHot",
    "ReadingAt",
    "ForkEvidence",
)

STATEMENT = 'pragma circom 2.1.6;\ninclude "statement.circom";\ncomponent main {public [gamma]} = Statement(24, 1);\n'
FORK = 'pragma circom 2.1.6;\ninclude "fork.circom";\ncomponent main {public [day, t]} = ForkEvidence(24);\n'
SIGNATURE = """pragma circom 2.1.6;
include "signature.circom";
template Signed() {
    signal input head;
    signal input Ax;
    signal input Ay;
    signal input R8x;
    signal input R8y;
    signal input S;
    signal output key;
    component meter = MeterKey();
    meter.Ax <== Ax;
    meter.Ay <== Ay;
    key <== meter.word;
    component signature = MeterSignature();
    signature.head <== head;
    signature.Ax <== Ax;
    signature.Ay <== Ay;
    signature.minusFour <== meter.minusFour;
    signature.R8x <== R8x;
    signature.R8y <== R8y;
    signature.S <== S;
}
component main = Signed();
"""


def run(prover: SnarkjsProver, main: str, changes: Sequence[Change], inputs: Any) -> list[int]:
    """The witness of a changed circuit; raises `ProverError` where a constraint that is left refuses it."""
    with tempfile.TemporaryDirectory() as name:
        sources = Path(name) / "circuits"
        shutil.copytree(SOURCES, sources)
        for file, old, new in changes:
            text = (sources / file).read_text()
            assert text.count(old) == 1, (file, old)
            (sources / file).write_text(text.replace(old, new))
        directory = compile_main("mutant", main, default_cache() / "mutants", sources=sources, options=("--wasm", "--O0"))
    circuit: Any = SimpleNamespace(circuit=SimpleNamespace(wasm=directory / "mutant.wasm"))
    return prover.witness(circuit, inputs)


def refusing_template(error: ProverError) -> str:
    """The innermost of our templates in which the circuit refused."""
    trace = re.findall(r"Error in template (\w+)_\d+", str(error))
    return next((name for name in trace if name in TEMPLATES), str(error))


Point = tuple[int, int]
NEUTRAL: Point = (0, 1)
B8: Point = (
    5299619240641551281634865583518297030282874472190772894086521144482721001553,
    16950150798460657717958625567821834550301663161624707787222815936182638968203,
)
ORDER_8: Point = (
    4342719913949491028786768530115087822524712248835451589697801404893164183326,
    4826523245007015323400664741523384119579596407052839571721035538011798951543,
)


def add(p: Point, q: Point) -> Point:
    """Sum of two points of BabyJubJub in Edwards form."""
    product = 168696 * p[0] * q[0] * p[1] * q[1]
    x = (p[0] * q[1] + p[1] * q[0]) * pow(1 + product, -1, ORDER)
    y = (p[1] * q[1] - 168700 * p[0] * q[0]) * pow(1 - product, -1, ORDER)
    return x % ORDER, y % ORDER


def negative(p: Point) -> Point:
    return -p[0] % ORDER, p[1]


def times(scalar: int, p: Point) -> Point:
    result = NEUTRAL
    for bit in bin(scalar)[2:]:
        result = add(result, result)
        if bit == "1":
            result = add(result, p)
    return result


def montgomery(p: Point) -> Point:
    u = (1 + p[1]) * pow(1 - p[1], -1, ORDER) % ORDER
    return u, u * pow(p[0], -1, ORDER) % ORDER
