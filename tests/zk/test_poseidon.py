"""Poseidon against circomlibjs, for every width."""

from __future__ import annotations

import json
import random

import pytest
from zk_cases import circomlibjs

from zk.field import ORDER
from zk.poseidon import MAX_INPUTS, poseidon


@pytest.mark.needs("node")
def test_equals_circomlibjs_for_every_width() -> None:
    draw = random.Random(1)
    inputs = [[draw.randrange(ORDER) for _ in range(n)] for n in range(1, MAX_INPUTS + 1) for _ in range(3)]
    inputs += [[0] * n for n in range(1, MAX_INPUTS + 1)]
    inputs += [[ORDER - 1] * n for n in range(1, MAX_INPUTS + 1)]
    theirs = circomlibjs(json.dumps({"poseidon": [[str(v) for v in row] for row in inputs]}))["poseidon"]
    assert [str(poseidon(row)) for row in inputs] == theirs


def test_published_value() -> None:
    # Poseidon(1, 2), the value of circomlib's own tests.
    assert poseidon((1, 2)) == 7853200120776062878684798364095072458815029376092732009249414926327459813530


def test_position_matters() -> None:
    assert len({poseidon((1, 2, 0)), poseidon((2, 1, 0)), poseidon((1, 2)), poseidon((0, 1, 2))}) == 4


@pytest.mark.parametrize("inputs", [(), (1,) * 17, (ORDER,), (0, -1)])
def test_refuses(inputs: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="inputs"):
        poseidon(inputs)
