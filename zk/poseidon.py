"""The Poseidon hash over BN254's scalar field, equal to circomlib's (x^5, width t = inputs + 1, capacity element first, output
element 0).

Round constants and matrix come from the Grain LFSR of the Poseidon paper (Grassi et al., "Poseidon: A New Hash Function for
Zero-Knowledge Proof Systems", appendix E and F), seeded with the field, S-box, width and round numbers. They are made on first
use of a width and kept for the process.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from operator import mul

from zk import core
from zk.field import ORDER, inverses, require_element

MAX_INPUTS = 16
"""Largest number of inputs of one hash."""

_BITS = 254
_FULL_ROUNDS = 8
_PARTIAL_ROUNDS = (56, 57, 56, 60, 60, 63, 64, 63, 60, 66, 60, 65, 70, 60, 64, 68)
"""Partial rounds for t = 2..17: the paper's numbers for 128 bits, rounded up to a multiple of t as circomlib has them."""


def poseidon(inputs: Sequence[int]) -> int:
    """Poseidon of 1 to 16 field elements; raises `ValueError` for another number of inputs or an input outside the field."""
    return poseidon_many([inputs])[0]


def poseidon_many(rows: Sequence[Sequence[int]]) -> list[int]:
    """Poseidon of every row, all of one length, with the native core's help where it is installed."""
    for row in rows:
        if not 1 <= len(row) <= MAX_INPUTS or len(row) != len(rows[0]):
            raise ValueError(f"inputs: expected 1 to {MAX_INPUTS} elements in every row alike, got {len(row)}")
        for i, value in enumerate(row):
            require_element(f"inputs[{i}]", value)
    if core.available():
        return core.poseidon_many(rows)
    return [reference(row) for row in rows]


def reference(inputs: Sequence[int]) -> int:
    """Poseidon in Python alone, of inputs that are checked: what the native core is compared with."""
    parameters = _parameters(len(inputs) + 1)
    matrix = parameters.matrix
    state = [0, *inputs]
    for constants in parameters.first_rounds:
        state = [_fifth(x + c) for x, c in zip(state, constants, strict=True)]
        state = [sum([m * x for m, x in zip(row, state, strict=True)]) % ORDER for row in matrix]
    # A partial round raises element 0 only. So its matrix splits into a sparse one and a block that leaves element 0 alone, and
    # the block can wait until after the last partial round: 2t products a round instead of t^2 (the paper's appendix B).
    for constant, row, column in parameters.partial_rounds:
        head = _fifth(state[0] + constant)
        tail = state[1:]
        state = [
            (row[0] * head + sum([m * x for m, x in zip(row[1:], tail, strict=True)])) % ORDER,
            *[(x + v * head) % ORDER for x, v in zip(tail, column, strict=True)],
        ]
    tail = state[1:]
    state = [state[0], *[sum([m * x for m, x in zip(row, tail, strict=True)]) % ORDER for row in parameters.after_partial]]
    for constants in parameters.last_rounds:
        state = [_fifth(x + c) for x, c in zip(state, constants, strict=True)]
        state = [sum([m * x for m, x in zip(row, state, strict=True)]) % ORDER for row in matrix]
    return state[0]


@dataclass(frozen=True, slots=True)
class _Parameters:
    matrix: list[list[int]]
    first_rounds: list[list[int]]
    partial_rounds: list[tuple[int, list[int], list[int]]]
    """Per round the constant of element 0, the sparse matrix's first row, and its first column below the top."""
    after_partial: list[list[int]]
    last_rounds: list[list[int]]


def _fifth(x: int) -> int:
    square = x * x % ORDER
    return square * square % ORDER * x % ORDER


@cache
def _parameters(width: int) -> _Parameters:
    partial = _PARTIAL_ROUNDS[width - 2]
    constants, matrix = _generate(width, partial)
    half = _FULL_ROUNDS // 2
    last = constants[half + partial :]
    rounds = []
    carried = [0] * width
    block = [[int(i == j) for j in range(width - 1)] for i in range(width - 1)]
    for added in constants[half : half + partial]:
        total = [(a + b) % ORDER for a, b in zip(carried, added, strict=True)]
        carried = _apply(matrix, [0, *total[1:]])
        # matrix * diag(1, previous block) = diag(1, block) * sparse
        columns = list(zip(*block, strict=True))
        dense = [[row[0], *(sum(map(mul, row[1:], column)) % ORDER for column in columns)] for row in matrix]
        block = [row[1:] for row in dense[1:]]
        rounds.append((total[0], dense[0], _solve(block, [row[0] for row in dense[1:]])))
    last[0] = [(a + b) % ORDER for a, b in zip(carried, last[0], strict=True)]
    return _Parameters(matrix, constants[:half], rounds, block, last)


def _apply(matrix: list[list[int]], vector: Sequence[int]) -> list[int]:
    return [sum(m * x for m, x in zip(row, vector, strict=True)) % ORDER for row in matrix]


def _solve(matrix: list[list[int]], right: Sequence[int]) -> list[int]:
    """The vector x with `matrix * x = right`, for an invertible matrix (Gauss and Jordan)."""
    rows = [[*row, value] for row, value in zip(matrix, right, strict=True)]
    for i in range(len(rows)):
        pivot = next(k for k in range(i, len(rows)) if rows[k][i])
        rows[i], rows[pivot] = rows[pivot], rows[i]
        inverse = pow(rows[i][i], -1, ORDER)
        rows[i] = [x * inverse % ORDER for x in rows[i]]
        for k in range(len(rows)):
            if k != i and rows[k][i]:
                factor = rows[k][i]
                rows[k] = [(x - factor * y) % ORDER for x, y in zip(rows[k], rows[i], strict=True)]
    return [row[-1] for row in rows]


def _generate(width: int, partial: int) -> tuple[list[list[int]], list[list[int]]]:
    """Round constants (a list per round) and the Cauchy matrix for one width, from one Grain stream."""
    bits = _grain(width, partial)

    def number() -> int:
        value = 0
        for _ in range(_BITS):
            value = value << 1 | next(bits)
        return value

    constants = []
    for _ in range(_FULL_ROUNDS + partial):
        row: list[int] = []
        while len(row) < width:
            candidate = number()
            if candidate < ORDER:
                row.append(candidate)
        constants.append(row)
    while True:
        points = [number() % ORDER for _ in range(2 * width)]
        if len(set(points)) == 2 * width and all((x + y) % ORDER for x in points[:width] for y in points[width:]):
            break
    return constants, [inverses([x + y for y in points[width:]]) for x in points[:width]]


def _grain(width: int, partial: int) -> Iterator[int]:
    """The self-shrunk bits of the Grain LFSR: of each pair, the second bit if the first is 1."""
    seed = f"{1:02b}{0:04b}{_BITS:012b}{width:012b}{_FULL_ROUNDS:010b}{partial:010b}" + "1" * 30
    state = int(seed[::-1], 2)  # oldest bit lowest
    # The nearest tap is 18 bits back, so that 16 new bits can be made at once.
    step, mask, top = 16, (1 << 16) - 1, 80 - 16
    clocks = 0
    while True:
        fresh = (state ^ state >> 13 ^ state >> 23 ^ state >> 38 ^ state >> 51 ^ state >> 62) & mask
        state = state >> step | fresh << top
        clocks += step
        if clocks <= 160:
            continue
        for i in range(0, step, 2):
            if fresh >> i & 1:
                yield fresh >> i + 1 & 1
