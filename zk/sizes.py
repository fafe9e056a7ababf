"""Constraints of the circuits and of their parts: `python -m zk.sizes`, or with circuits such as `24x10 96x1 fork96`.

The parts of an account are compiled alone, so that their sum is a little off the account's: the compiler shares what two parts
both need and drops what is constant.
"""

from __future__ import annotations

import sys

from zk.compile import FORK, STATEMENT, compile_circuit, compile_main
from zk.r1cs import read_header

PARTS = (
    ("15 heads", "log", "WindowHead(24)", 15),
    ("meter key", "signature", "MeterKey()", 1),
    ("signature", "signature", "MeterSignature()", 1),
    ("- challenge's bits", "signature", "SignedBits()", 1),
    ("- ladder", "curve", "IncompleteDoubleAdd()", 254),
    ("- window points", "curve", "OddMultiple(windowTable(0), quartic(windowTable(0), 0), quartic(windowTable(0), 4))", 63),
    ("circomlib's signature", "eddsa", "EdDSAPoseidonVerifier()", 1),
    ("today's readings", "bitify", "Num2Bits(24)", 24),
    ("mask", "slots", "Mask(24)", 1),
    ("counted days", "deviation", "CountedDays(24)", 1),
    ("baseline", "deviation", "Baseline(24)", 1),
    ("promise", "deviation", "Promise(24)", 1),
    ("deviations", "deviation", "Deviations(24)", 1),
    ("compression, N = 1", "statement", "Compression(24, 1)", 1),
)
"""Name, file, template, and how often an account of 24 intervals has it. A dash marks a part of the part above; circomlib's
signature is not used and stands there for comparison."""

_LIBRARY = {"bitify": "circomlib/circuits/bitify.circom", "eddsa": "circomlib/circuits/eddsaposeidon.circom"}


def part_size(file: str, template: str) -> int:
    """Constraints of one template."""
    name = "part"
    include = _LIBRARY.get(file, f"{file}.circom")
    main = f'pragma circom 2.1.6;\ninclude "{include}";\ncomponent main = {template};\n'
    return read_header(compile_main(name, main) / f"{name}.r1cs").constraints


def circuit_size(text: str) -> int:
    """Constraints of a circuit written as `24x10` (intervals, accounts) or `fork24`."""
    if text.startswith(FORK):
        circuit = compile_circuit(int(text.removeprefix(FORK)), 1, kind=FORK)
    else:
        intervals, accounts = text.split("x")
        circuit = compile_circuit(int(intervals), int(accounts), kind=STATEMENT)
    return read_header(circuit.r1cs).constraints


def main(arguments: list[str]) -> None:
    """Prints the parts of an account and some circuits, or the circuits asked for."""
    if not arguments:
        for title, file, template, times in PARTS:
            print(f"{title:24}{times * part_size(file, template):8}")
        arguments = ["24x1", "48x1", "96x1", "24x10", "fork24", "fork48", "fork96"]
    for text in arguments:
        print(f"{text:24}{circuit_size(text):8}")


if __name__ == "__main__":
    main(sys.argv[1:])
