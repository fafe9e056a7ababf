"""The packing argument of docs/circuits.md: slots of an element cannot lend each other value, as integers or modulo r."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from zk_cases import METER, account, build_log, shared

from zk.field import ORDER
from zk.keys import KeyPaths
from zk.prover import ProverError, SnarkjsProver
from zk.statement import make_statement
from zk.windows import READING_OFFSET, SLOTS, pack_slots, unpack_slots

SLOT = 1 << 28
TOP = (1 << 24) - 1
DIGITS_OF_R = [ORDER >> 28 * t & SLOT - 1 for t in range(SLOTS)]
DIGITS_OF_R[-1] += (ORDER >> 28 * SLOTS) << 28

READINGS = st.lists(st.integers(0, TOP), min_size=SLOTS, max_size=SLOTS)
MOVES = st.lists(st.integers(-(1 << 20), 1 << 20), min_size=SLOTS - 1, max_size=SLOTS - 1)


def packed(values: list[int]) -> int:
    return sum(value << 28 * t for t, value in enumerate(values))


def moved(values: list[int], moves: list[int], turns: int) -> list[int]:
    """Every vector of integers with the same packed value modulo r: carries between neighbours, and turns around the field."""
    result = [value + turns * digit for value, digit in zip(values, DIGITS_OF_R, strict=True)]
    for t, move in enumerate(moves):
        result[t] += move * SLOT
        result[t + 1] -= move
    return result


@given(READINGS, MOVES, st.integers(-3, 3))
def test_another_vector_of_the_same_element_leaves_the_slots(values: list[int], moves: list[int], turns: int) -> None:
    other = moved(values, moves, turns)
    assert packed(other) % ORDER == packed(values) % ORDER
    assert other == values or any(not 0 <= value < SLOT for value in other)


@given(READINGS, READINGS)
def test_vectors_in_range_differ_where_their_elements_do(values: list[int], others: list[int]) -> None:
    assert (packed(values) % ORDER == packed(others) % ORDER) is (values == others)


@given(st.lists(READINGS, min_size=1, max_size=14))
def test_sums_of_fourteen_windows_do_not_carry(days: list[list[int]]) -> None:
    total = sum(pack_slots(day, 28)[0] for day in days)
    assert total < ORDER
    assert list(unpack_slots((total,), 28, SLOTS)) == [sum(column) for column in zip(*days, strict=True)]


def test_sums_at_the_extremes() -> None:
    for pattern in ([TOP] * SLOTS, [0] * SLOTS, [TOP, 0] * 4 + [TOP], [0, TOP] * 4 + [0]):
        total = sum(pack_slots(pattern, 28)[0] for _ in range(14))
        assert list(unpack_slots((total,), 28, SLOTS)) == [14 * value for value in pattern]
        assert 14 * TOP + 13 < SLOT
    # The room that is left: a sixteenth window would still fit, a seventeenth would not.
    assert 16 * TOP < SLOT < 17 * TOP


@given(st.integers(1, 14), st.integers(0, 14 * TOP))
def test_quotient_and_remainder_are_unique(count: int, total: int) -> None:
    if total > count * TOP:
        total %= count * TOP + 1
    mean, remainder = divmod(total, count)
    # What the circuit asks: 24 bits, 4 bits, and 4 bits of count - 1 - remainder.
    passing = [
        (total - other) // count
        for other in range(16)
        if (total - other) % count == 0 and 0 <= total - other <= count * TOP and 0 <= count - 1 - other < 16
    ]
    assert passing == [mean]
    assert remainder < count


# ------------------------------------------------------------------------------------------------------------- the circuit

HIGH, LOW = READING_OFFSET - 1, 1 - READING_OFFSET


def statement_of(days: list[list[int | None]]) -> Any:
    everything = (1 << 24) - 1
    return make_statement(shared(everything), [account(mask=everything, windows=build_log(METER, days))])


@pytest.mark.needs("node")
@pytest.mark.slow
@pytest.mark.parametrize("first", [HIGH, LOW])
def test_neighbours_at_opposite_extremes(first: int, key: KeyPaths, prover: SnarkjsProver) -> None:
    other = LOW if first == HIGH else HIGH
    row: list[int | None] = [first, other] * 12
    inverse: list[int | None] = [other, first] * 12
    for today in (row, inverse):
        statement = statement_of([row] * 14 + [today])
        assert tuple(prover.witness(key, statement.witness)[1:4]) == statement.public
        assert statement.accounts[0].deviations == tuple((a or 0) - (b or 0) for a, b in zip(row, today, strict=True))


@pytest.mark.needs("node")
@pytest.mark.slow
@settings(max_examples=12, deadline=None)
@given(st.lists(st.lists(st.sampled_from((HIGH, LOW, 0, 1, -1)), min_size=24, max_size=24), min_size=15, max_size=15))
def test_windows_of_extreme_readings(key: KeyPaths, prover: SnarkjsProver, days: list[list[int | None]]) -> None:
    statement = statement_of(days)
    assert tuple(prover.witness(key, statement.witness)[1:4]) == statement.public


@pytest.mark.needs("node")
@pytest.mark.slow
@pytest.mark.parametrize("t", range(23))
def test_value_moved_to_the_next_interval(t: int, key: KeyPaths, prover: SnarkjsProver) -> None:
    """Within an element the packed sum stays and the ranges refuse; from one element to the next the sum itself changes."""
    honest = statement_of([[100] * 24] * 15).witness
    for name, template in (("readings", "Account"), ("mean", "Baseline"), ("promise", "Promise")):
        inputs: Any = copy.deepcopy(honest)
        if name == "mean":
            # In multiples of the count, so that the sum stays: mean and remainder carry it.
            inputs["mean"][0][t] += (SLOT * pow(14, -1, ORDER)) % ORDER
            inputs["remainder"][0][t + 1] -= 1
        else:
            inputs["hidden"] = [int(name == "promise")]
            inputs[name][0][t] += SLOT
            inputs[name][0][t + 1] -= 1
        with pytest.raises(ProverError) as caught:
            prover.witness(key, inputs)
        assert f"Error in template {template}_" in str(caught.value)
