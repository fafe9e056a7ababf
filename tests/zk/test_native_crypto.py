"""Poseidon and signatures of the native core, bit for bit those of the Python that they stand in for."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from zk_cases import METER, OTHER_METER

from zk import core
from zk.eddsa import SUBGROUP_ORDER, PrivateKey, PublicKey, Signature, _verify, sign_many, verify_many
from zk.field import ORDER
from zk.groth16 import G1, G2, VerifyingKey
from zk.poseidon import MAX_INPUTS, poseidon_many, reference
from zk.windows import close_window

pytestmark = pytest.mark.needs("native")

elements = st.one_of(st.integers(0, ORDER - 1), st.sampled_from([0, 1, 2, ORDER - 1, ORDER // 2, 1 << 64, 1 << 128]))


@settings(deadline=None, max_examples=40)
@given(st.integers(1, MAX_INPUTS).flatmap(lambda n: st.lists(st.lists(elements, min_size=n, max_size=n), max_size=3)))
def test_poseidon_equals_python(rows: list[list[int]]) -> None:
    assert core.poseidon_many(rows) == [reference(row) for row in rows]


def test_poseidon_of_every_width() -> None:
    draw = random.Random(3)
    for width in range(1, MAX_INPUTS + 1):
        rows = [[draw.randrange(ORDER) for _ in range(width)] for _ in range(3)]
        assert core.poseidon_many(rows) == [reference(row) for row in rows]


@settings(deadline=None, max_examples=25)
@given(st.binary(min_size=32, max_size=32), elements)
def test_keys_and_signatures_equal_python(seed: bytes, message: int) -> None:
    key = PrivateKey(seed)
    signature = key.sign(message)
    assert signature == key._sign(message)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(core, "_native", None)
        assert PrivateKey(seed).public == key.public
        assert key.sign(message) == signature
    assert _verify(key.public, message, signature) and verify_many([key.public], [message], [signature]) == [True]


def test_python_and_native_refuse_the_same() -> None:
    message = 77
    signature = METER.sign(message)
    good = METER.public
    cases: list[tuple[PublicKey, int, Signature]] = [(good, message, signature)]
    for change in (1, ORDER, -1, ORDER - 1, 1 << 256):
        cases += [
            (PublicKey(good.x + change, good.y), message, signature),
            (PublicKey(good.x, good.y + change), message, signature),
            (good, message + change, signature),
            (good, message, Signature(signature.r8x + change, signature.r8y, signature.s)),
            (good, message, Signature(signature.r8x, signature.r8y + change, signature.s)),
            (good, message, Signature(signature.r8x, signature.r8y, signature.s + change)),
        ]
    cases += [
        (OTHER_METER.public, message, signature),
        (good, message, Signature(signature.r8x, signature.r8y, signature.s + SUBGROUP_ORDER)),
        (PublicKey(0, 1), message, Signature(0, 1, 0)),
        (PublicKey(0, ORDER - 1), message, Signature(0, 1, 0)),
        (PublicKey(ORDER - good.x, good.y), message, signature),
    ]
    keys, messages, signatures = map(list, zip(*cases, strict=True))
    expected = [_verify(*case) for case in cases]
    assert expected == [True] + [False] * (len(cases) - 1)
    assert verify_many(keys, messages, signatures) == expected


def test_many_meters_close_their_windows_at_once() -> None:
    draw = random.Random(4)
    meters = [PrivateKey(draw.randbytes(32)) for _ in range(30)]
    heads = poseidon_many([[draw.randrange(ORDER) for _ in range(6)] for _ in meters])
    signatures = sign_many(meters, heads)
    assert verify_many([meter.public for meter in meters], heads, signatures) == [True] * 30
    heads[7] += 1
    assert verify_many([meter.public for meter in meters], heads, signatures) == [i != 7 for i in range(30)]
    # A window closed with the native core is the one that Python closes.
    window = close_window(METER, 20_000, [5] * 24, 9, salt=11)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(core, "_native", None)
        assert close_window(METER, 20_000, [5] * 24, 9, salt=11) == window


def test_arguments_that_do_not_fit() -> None:
    assert core.poseidon_many([]) == [] and sign_many([], []) == [] and verify_many([], [], []) == []
    with pytest.raises(ValueError, match="inputs: expected 1 to 16"):
        poseidon_many([[1], [1, 2]])
    with pytest.raises(core.CoreError, match=r"inputs\[1\]: expected a field element"):
        core.poseidon_many([[1], [ORDER]])
    with pytest.raises(core.CoreError, match="inputs: expected 1 to 16"):
        core.poseidon_many([[1] * 17])
    with pytest.raises(ValueError, match="message: expected a field element"):
        sign_many([METER], [ORDER])
    with pytest.raises(ValueError, match="zip"):
        sign_many([METER, METER], [1])
    with pytest.raises(core.CoreError, match="scalars: expected 2 of 32 bytes"):
        core.sign_many([1], [1, 2], [(0, 1), (0, 1)], [1, 2])
    neutral = G2(0, 0, 0, 0)
    with pytest.raises(core.CoreError, match="verifying key: expected 14 words"):
        core.verify_many(VerifyingKey(G1(1, 2), neutral, neutral, neutral, ()), [])
