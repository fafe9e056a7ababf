"""Meters' signatures against circomlibjs, and keys that must not be registered."""

from __future__ import annotations

import json
import pickle
import random
from dataclasses import replace

import pytest
from zk_cases import METER, OTHER_METER, circomlibjs

from zk.eddsa import SUBGROUP_ORDER, KeyFormatError, PrivateKey, PublicKey, Signature, verify
from zk.field import ORDER
from zk.poseidon import poseidon


@pytest.mark.needs("node")
def test_circomlibjs_accepts_our_signatures() -> None:
    requests = []
    for number in range(5):
        meter = PrivateKey.generate()
        message = random.Random(number).randrange(ORDER)
        signature = meter.sign(message)
        for claimed in (message, (message + 1) % ORDER):
            requests.append(
                {
                    "A": [str(meter.public.x), str(meter.public.y)],
                    "R8": [str(signature.r8x), str(signature.r8y)],
                    "S": str(signature.s),
                    "message": str(claimed),
                }
            )
    assert circomlibjs(json.dumps({"verify": requests}))["verify"] == [True, False] * 5


@pytest.mark.needs("node")
def test_we_accept_the_signatures_of_circomlibjs() -> None:
    draw = random.Random(2)
    requests = [{"key": draw.randbytes(32).hex(), "message": str(draw.randrange(ORDER))} for _ in range(5)]
    for request, signed in zip(requests, circomlibjs(json.dumps({"sign": requests}))["sign"], strict=True):
        key = PublicKey(*map(int, signed["A"]))
        key.check()
        signature = Signature(*map(int, signed["R8"]), int(signed["S"]))
        assert verify(key, int(request["message"]), signature)
        assert not verify(key, int(request["message"]) ^ 1, signature)


def test_a_signature_is_of_one_key_one_message_one_form() -> None:
    signature = METER.sign(77)
    assert METER.sign(77) == signature
    assert verify(METER.public, 77, signature)
    assert not verify(OTHER_METER.public, 77, signature)
    assert not verify(METER.public, 78, signature)
    assert not verify(METER.public, 77 + ORDER, signature)
    assert not verify(METER.public, 77, replace(signature, s=signature.s + SUBGROUP_ORDER))
    assert not verify(METER.public, 77, replace(signature, s=(signature.s + 1) % SUBGROUP_ORDER))
    assert not verify(METER.public, 77, replace(signature, r8x=(signature.r8x + 1) % ORDER))
    assert not verify(METER.public, 77, replace(signature, r8x=ORDER - signature.r8x))


def test_nonces_do_not_repeat() -> None:
    assert len({METER.sign(message).r8x for message in range(20)}) == 20


def test_registered_word() -> None:
    assert METER.public.word() == poseidon((4, METER.public.x, METER.public.y))


def test_only_points_of_prime_order_are_keys() -> None:
    METER.public.check()
    with pytest.raises(KeyFormatError, match="neutral"):
        PublicKey(0, 1).check()
    with pytest.raises(KeyFormatError, match="subgroup"):
        PublicKey(0, ORDER - 1).check()  # order 2
    # The curve's generator has eight times the subgroup's order.
    generator = PublicKey(
        995203441582195749578291179787384436505546430278305826713579947235728471134,
        5472060717959818805561601436314318772137091100104008585924551046643952123905,
    )
    with pytest.raises(KeyFormatError, match="subgroup"):
        generator.check()
    with pytest.raises(KeyFormatError, match="not on the curve"):
        PublicKey(METER.public.x, METER.public.x).check()
    with pytest.raises(KeyFormatError, match="coordinates"):
        PublicKey(METER.public.x + ORDER, METER.public.y).check()


def test_a_private_key_does_not_show_itself() -> None:
    key = PrivateKey(bytes(range(32)))
    shown = f"{key!r} {key} {key:}"
    assert bytes(range(32)).hex() not in shown
    assert str(key._scalar) not in shown
    with pytest.raises(TypeError, match="not pickled"):
        pickle.dumps(key)
    assert PrivateKey(key.seed()).public == key.public


@pytest.mark.parametrize("size", [0, 31, 33])
def test_seed_length(size: int) -> None:
    with pytest.raises(KeyFormatError, match=f"expected 32 bytes, got {size}"):
        PrivateKey(bytes(size))
