"""The circuit against its twin in plain integers, and its constraints for themselves."""

from __future__ import annotations

import random
from collections import defaultdict
from heapq import heapify, heappop, heappush

import pytest
from machine import ROOT
from zk_cases import METER, OTHER_METER, account, build_log, random_days, shared

from zk.compile import compile_circuit
from zk.field import ORDER
from zk.keys import KeyPaths
from zk.prover import SnarkjsProver
from zk.r1cs import R1cs, read_header, read_r1cs, value_of
from zk.statement import AccountInput, Statement, make_statement
from zk.windows import READING_OFFSET

pytestmark = [pytest.mark.needs("node"), pytest.mark.slow]

PRIVATE_INPUTS = 208
"""Private inputs of the circuit for 24 intervals and one account."""


def random_statement(seed: int, intervals: int = 24, size: int = 1) -> Statement:
    draw = random.Random(seed)
    items = []
    session_mask = draw.randrange(1, 1 << intervals)
    for _ in range(size):
        mask = session_mask & draw.randrange(1 << intervals) or session_mask
        meter = draw.choice((METER, OTHER_METER))
        days = random_days(draw.randrange(1 << 30), intervals, draw.choice((1, 5_000, READING_OFFSET)))
        for k in draw.sample(range(14), draw.randrange(3)):
            days[k][draw.randrange(intervals)] = None
        for t in range(intervals):
            if not mask >> t & 1 and draw.random() < 0.3:
                days[14][t] = None
        admissible = draw.randrange(1 << 14) | 0b11111 << draw.randrange(9)
        promise = None
        if draw.random() < 0.5:
            promise = tuple(draw.randrange(-5_000, 5_000) if session_mask >> t & 1 else 0 for t in range(intervals))
        windows = build_log(meter, days, last_final=draw.random() < 0.5, previous=draw.randrange(ORDER))
        salt = draw.randrange(ORDER)
        items.append(AccountInput(draw.randrange(1, 1 << 32), meter.public, windows, admissible, mask, promise, salt))
    return make_statement(shared(session_mask, session=draw.randrange(1 << 64)), items)


@pytest.mark.parametrize("seed", range(12))
def test_twin_and_circuit_agree(seed: int, key: KeyPaths, prover: SnarkjsProver) -> None:
    statement = random_statement(seed)
    assert tuple(prover.witness(key, statement.witness)[1:4]) == statement.public


def test_extreme_values(key: KeyPaths, prover: SnarkjsProver) -> None:
    top, low = READING_OFFSET - 1, 1 - READING_OFFSET
    for history, today in ((top, low), (low, top)):
        windows = build_log(METER, [[history] * 24] * 14 + [[today] * 24])
        bound = (1 << 24) - 1
        promise = tuple(bound if today == top else -bound for _ in range(24))
        everything = (1 << 24) - 1
        item = account((1 << 32) - 1, mask=everything, windows=windows, promise=promise, promise_salt=ORDER - 1)
        statement = make_statement(shared(everything, session=(1 << 64) - 1), [item])
        assert tuple(prover.witness(key, statement.witness)[1:4]) == statement.public


@pytest.mark.parametrize(("intervals", "size"), [(48, 1), (96, 2)])
def test_half_and_quarter_hours(intervals: int, size: int, prover: SnarkjsProver) -> None:
    # 96 intervals are 17 words an account: the chain absorbs each in two blocks.
    large = KeyPaths(compile_circuit(intervals, size), "none")
    for seed in (1, 2):
        statement = random_statement(seed, intervals, size)
        assert tuple(prover.witness(large, statement.witness)[1:4]) == statement.public


def test_size(key: KeyPaths) -> None:
    one = read_header(key.circuit.r1cs)
    assert one.public == 3
    assert one.constraints <= 11_400
    # The document's figure is the measured one.
    assert f"| T = 24, N = 1 | {one.constraints:,} |" in (ROOT / "docs" / "circuits.md").read_text()


@pytest.fixture(scope="module")
def system(key: KeyPaths) -> R1cs:
    return read_r1cs(key.circuit.r1cs)


@pytest.fixture(scope="module")
def witness(key: KeyPaths, prover: SnarkjsProver) -> list[int]:
    promise = (0, 0, 1, 2, 3, 4, *[0] * 18)
    return prover.witness(key, make_statement(shared(), [account(promise=promise, promise_salt=3)]).witness)


def test_an_honest_witness_satisfies_the_constraints(system: R1cs, witness: list[int]) -> None:
    assert system.violated(witness) == []


def inverse_wires(key: KeyPaths) -> set[int]:
    """Wires that only show a day to be incomplete, by an inverse: where it is complete, as all 14 are here, any will do."""
    return {wire for wire, name in wires(key) if ".counted.inverse[" in name}


def wires(key: KeyPaths) -> list[tuple[int, str]]:
    rows = (line.split(",") for line in key.circuit.sym.read_text().split())
    return [(int(wire), name) for _, wire, _, name in rows if wire != "-1"]


def test_no_wire_is_free(key: KeyPaths, system: R1cs, witness: list[int]) -> None:
    """Each wire, changed alone, breaks a constraint."""
    free = set(range(1, system.header.wires))
    for a, b, c in system.constraints:
        left, right, product = (value_of(part, witness) for part in (a, b, c))
        steps: dict[int, list[int]] = defaultdict(lambda: [0, 0, 0])
        for position, part in enumerate((a, b, c)):
            for wire, coefficient in part:
                steps[wire][position] += coefficient
        for wire, (da, db, dc) in steps.items():
            if wire in free and ((left + da) * (right + db) - product - dc) % ORDER:
                free.discard(wire)
    assert free == inverse_wires(key)
    assert len(free) == 14


def test_inputs_leave_no_freedom(key: KeyPaths, system: R1cs, witness: list[int]) -> None:
    """With the inputs fixed, no other wire can move, together with any others: the constraints' derivatives have full rank."""
    # Wires: 1, the outputs C and y, gamma, the private inputs, the rest.
    fixed = {0, *range(3, 4 + PRIVATE_INPUTS)}
    rows: dict[int, dict[int, int]] = {}
    users: dict[int, set[int]] = defaultdict(set)
    for number, (a, b, c) in enumerate(system.constraints):
        left, right = value_of(a, witness), value_of(b, witness)
        slopes: dict[int, int] = defaultdict(int)
        for part, factor in ((a, right), (b, left), (c, -1)):
            for wire, coefficient in part:
                slopes[wire] += coefficient * factor
        rows[number] = {wire: value % ORDER for wire, value in slopes.items() if wire not in fixed and value % ORDER}
        for wire in rows[number]:
            users[wire].add(number)
    movable = set(range(system.header.wires)) - fixed
    shortest = [(len(row), number) for number, row in rows.items()]
    heapify(shortest)
    while shortest:
        length, number = heappop(shortest)
        if number not in rows or len(rows[number]) != length:
            continue  # an entry from before the row changed
        row = rows.pop(number)
        for wire in row:
            users[wire].discard(number)
        if not row:
            continue
        pivot = min(row, key=lambda wire: len(users[wire]))
        movable.discard(pivot)
        inverse = pow(row[pivot], -1, ORDER)
        for other in list(users[pivot]):
            target = rows[other]
            factor = target[pivot] * inverse
            for wire, value in row.items():
                target[wire] = (target.get(wire, 0) - factor * value) % ORDER
                if target[wire]:
                    users[wire].add(other)
                else:
                    del target[wire]
                    users[wire].discard(other)
            heappush(shortest, (len(target), other))
    assert movable == inverse_wires(key)
    assert len(movable) == 14
