"""The signature's circuit against a prover who chooses every wire in it, and what each of its constraint groups keeps out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from zk_cases import METER, OTHER_METER
from zk_mutants import (
    B8,
    NEUTRAL,
    ORDER_8,
    SIGNATURE,
    Change,
    Point,
    add,
    montgomery,
    negative,
    refusing_template,
    run,
    times,
)

from zk.eddsa import SUBGROUP_ORDER, PublicKey
from zk.field import ORDER
from zk.poseidon import poseidon
from zk.prover import ProverError, SnarkjsProver

pytestmark = [pytest.mark.needs("node"), pytest.mark.slow]

KEY: Point = (METER.public.x, METER.public.y)
HEAD = 123456789
HALF = pow(2, -1, SUBGROUP_ORDER)

LAST_EQUALITY = ("signature.circom", "    nonce.xout === R8x;\n    nonce.yout === R8y;\n", "")
SIGN_SQUARES = ("signature.circom", "        signs[i] * signs[i] === square;\n", "")
SIGN_SUM = ("signature.circom", "    (2 * h - (2 * (1 << 253) - 1)) * q === sum;\n", "")
BELOW_R = [
    ("signature.circom", "                same[i - LAST] * ones === 0;\n", ""),
    ("signature.circom", "    same[1] * (signs[LAST] + q) === 0;\n", ""),
]
SMALL_ORDER = ("signature.circom", "    inverse * four.xout === 1;\n", "")
ON_CURVE = ("curve.circom", "    out[1] * out[1] === cube + montgomeryA() * square + out[0];\n", "")
IN_TABLE = (
    "curve.circom",
    """    (fourth + LOW[3] * cube + LOW[2] * square + LOW[1] * out[0] + LOW[0])
        * (fourth + HIGH[3] * cube + HIGH[2] * square + HIGH[1] * out[0] + HIGH[0]) === 0;
""",
    "",
)


def inputs_for(head: int, key: Point, nonce: Point, scalar: int) -> dict[str, int]:
    return {"head": head, "Ax": key[0], "Ay": key[1], "R8x": nonce[0], "R8y": nonce[1], "S": scalar}


def signed(head: int, meter: Any = METER) -> dict[str, int]:
    signature = meter.sign(head)
    return inputs_for(head, (meter.public.x, meter.public.y), (signature.r8x, signature.r8y), signature.s)


@pytest.fixture(scope="module")
def accepts(prover: SnarkjsProver) -> Any:
    def check(changes: Sequence[Change], inputs: dict[str, int]) -> int:
        return run(prover, SIGNATURE, changes, inputs)[1]

    return check


@pytest.fixture(scope="module")
def refuses(prover: SnarkjsProver) -> Any:
    def check(changes: Sequence[Change], inputs: dict[str, int], template: str) -> None:
        with pytest.raises(ProverError) as caught:
            run(prover, SIGNATURE, changes, inputs)
        assert refusing_template(caught.value) == template

    return check


def test_honest_signatures(accepts: Any) -> None:
    for head in (0, 1, ORDER - 1, *(poseidon((i,)) for i in range(5))):
        for meter in (METER, OTHER_METER):
            assert accepts([], signed(head, meter)) == meter.public.word()


def test_another_head_key_nonce_or_scalar(refuses: Any) -> None:
    honest = signed(HEAD)
    other = signed(HEAD, OTHER_METER)
    for change in (
        {"head": HEAD + 1},
        {"S": honest["S"] + 1},
        {"Ax": other["Ax"], "Ay": other["Ay"]},
        {"R8x": other["R8x"], "R8y": other["R8y"]},
        {"R8x": ORDER - honest["R8x"]},
        {"R8x": 1},
    ):
        refuses([], honest | change, "MeterSignature")


def test_a_nonce_with_a_part_of_small_order(refuses: Any) -> None:
    """R8 + T signed as such: eight times the equation holds, the equation does not."""
    point, nonce = times(4, ORDER_8), 77
    for torsion in (point, ORDER_8, times(2, ORDER_8)):
        r8 = add(times(nonce, B8), torsion)
        challenge = poseidon((*r8, *KEY, HEAD))
        scalar = (nonce + 8 * challenge * METER._scalar) % SUBGROUP_ORDER
        refuses([], inputs_for(HEAD, KEY, r8, scalar), "MeterSignature")


@pytest.mark.parametrize("multiple", [8, 4, 2, 1])
def test_a_key_of_small_order(multiple: int, refuses: Any) -> None:
    """Whatever is signed, S * B8 = R8 would do."""
    key = times(multiple, ORDER_8)
    assert times(8, key) == NEUTRAL
    refuses([], inputs_for(HEAD, key, times(5, B8), 5), "MeterKey")


def test_a_key_of_small_order_without_the_guard(accepts: Any) -> None:
    assert accepts([SMALL_ORDER], inputs_for(HEAD, ORDER_8, times(5, B8), 5)) == PublicKey(*ORDER_8).word()


def test_a_key_off_the_curve(refuses: Any) -> None:
    refuses([], signed(HEAD) | {"Ax": 1}, "MeterKey")


def test_signs_of_another_challenge(refuses: Any, accepts: Any) -> None:
    """With a challenge of 0 the equation is S * B8 = R8: a signature without a secret."""
    forged = inputs_for(HEAD, KEY, times(99, B8), 99)
    zeros: Change = ("signature.circom", "signs[i] <-- ((h >> i) & 1) * 2 * q - q;", "signs[i] <-- -q;")
    refuses([], forged, "MeterSignature")
    refuses([zeros], forged, "SignedBits")
    assert accepts([zeros, SIGN_SUM], forged) == METER.public.word()


def test_signs_that_are_no_signs(refuses: Any) -> None:
    """The whole challenge in the lowest sign, zeros above it: the sum is right."""
    hint: Change = (
        "signature.circom",
        "signs[i] <-- ((h >> i) & 1) * 2 * q - q;",
        "signs[i] <-- i == 0 ? (2 * h - (2 * (1 << 253) - 1)) * q : 0;",
    )
    refuses([hint], signed(HEAD), "SignedBits")


def test_a_second_challenge_above_the_field(refuses: Any, accepts: Any) -> None:
    """h + r has the same residue; its bits are other ones, and with them another signature would hold."""
    nonce = 31337
    r8 = times(nonce, B8)
    head = next(i for i in range(100) if poseidon((*r8, *KEY, i)) < (1 << 254) - ORDER)
    challenge = poseidon((*r8, *KEY, head)) + ORDER
    scalar = (nonce + 8 * challenge * METER._scalar) % SUBGROUP_ORDER
    forged = inputs_for(head, KEY, r8, scalar)
    # h - 2^253 in the field is h + r - 2^253.
    bits: Change = (
        "signature.circom",
        "signs[i] <-- ((h >> i) & 1) * 2 * q - q;",
        "signs[i] <-- (i == 253 ? 1 : ((h - (1 << 253)) >> i) & 1) * 2 * q - q;",
    )
    refuses([], forged, "MeterSignature")
    refuses([bits], forged, "SignedBits")
    assert accepts([bits, *BELOW_R], forged) == METER.public.word()


BITS = 'pragma circom 2.1.6;\ninclude "signature.circom";\ncomponent main = SignedBits();\n'
PREFIX = (ORDER - 1) >> 192
BELOW = PREFIX << 192
"""The smallest number that shares its upper 62 of 254 bits with r - 1."""
SIGN_HINT = "signs[i] <-- ((h >> i) & 1) * 2 * q - q;"


@pytest.mark.parametrize("q", [1, 7, ORDER - 1])
def test_every_challenge_has_its_own_bits(q: int, prover: SnarkjsProver) -> None:
    for h in (0, 1, 2**192, 2**253 - 1, 2**253, 3 << 251, BELOW - 1, *(poseidon((i,)) for i in range(8))):
        signs = run(prover, BITS, [], {"h": h, "q": q})[1:255]
        assert signs == [q if h >> i & 1 else -q % ORDER for i in range(254)]
    for h in (BELOW, ORDER - 1):
        with pytest.raises(ProverError, match="Error in template SignedBits"):
            run(prover, BITS, [], {"h": h, "q": q})


def test_no_challenge_has_the_bits_of_another() -> None:
    """Above r there is nothing that the comparison lets pass: it asks for less in the upper 62 bits."""
    assert PREFIX == ORDER >> 192
    assert PREFIX & 1


@pytest.mark.parametrize("h", [0, 1, 2**191, 2**192, 2**200, 2**230, 2**251, (1 << 254) - ORDER - 1])
def test_bits_of_a_challenge_above_the_field(h: int, prover: SnarkjsProver) -> None:
    over = "signs[i] <-- (i == 253 ? 1 : ((h - (1 << 253)) >> i) & 1) * 2 * q - q;"
    with pytest.raises(ProverError, match="Error in template SignedBits"):
        run(prover, BITS, [("signature.circom", SIGN_HINT, over)], {"h": h, "q": 7})
    # The hint itself is right: without the comparison the same bits pass.
    signs = run(prover, BITS, [("signature.circom", SIGN_HINT, over), *BELOW_R], {"h": h, "q": 7})[1:255]
    assert sum((sign == 7) << i for i, sign in enumerate(signs)) == h + ORDER


def window_point(number: int) -> Point:
    """16^number * B8 / 2, of which window `number` takes odd multiples."""
    return times(HALF * 16**number % SUBGROUP_ORDER, B8)


def points_given(given: Point) -> Change:
    """The hint of the first window as a point of the prover's own."""
    base = montgomery(window_point(0))
    return (
        "curve.circom",
        "    out[0] <-- u;\n    out[1] <-- v;\n",
        "".join(f"    out[{i}] <-- TABLE[0][0] == {base[0]} ? {given[i]} : {name};\n" for i, name in enumerate(("u", "v"))),
    )


def missing_point(scalar: int, r8: Point) -> Point:
    """What the first window would have to be for a signature that nobody made."""
    challenge = poseidon((*r8, *KEY, HEAD))
    digits = scalar + (16**63 - 1) * HALF % SUBGROUP_ORDER
    first = times((2 * (digits & 15) - 15) % SUBGROUP_ORDER, window_point(0))
    wanted = add(r8, times(8 * challenge, KEY))
    return add(wanted, negative(add(times(scalar, B8), negative(first))))


def test_a_window_point_that_is_no_known_multiple(refuses: Any, accepts: Any) -> None:
    r8 = times(5, B8)
    point = montgomery(missing_point(4242, r8))
    forged = inputs_for(HEAD, KEY, r8, 4242)
    refuses([points_given(point)], forged, "OddMultiple")
    assert accepts([points_given(point), IN_TABLE], forged) == METER.public.word()


def test_a_window_point_off_the_curve(refuses: Any) -> None:
    base = montgomery(window_point(0))
    honest = signed(HEAD)
    refuses([points_given((base[0], base[1] + 1))], honest, "OddMultiple")
    refuses([points_given((0, 0))], honest, "OddMultiple")
    # On the table but another multiple than S wants: a point of the curve, and another sum.
    other = montgomery(times(3, window_point(0)))
    digit = (honest["S"] + (16**63 - 1) * HALF % SUBGROUP_ORDER) & 15
    if digit not in (6, 9):
        refuses([points_given(other)], honest, "MeterSignature")
    refuses([points_given((base[0], base[1] + 1)), ON_CURVE], honest, "MeterSignature")


@pytest.mark.parametrize(
    ("hint", "changed"),
    [
        ("first <-- (q[1] - p[1]) / (q[0] - p[0]);", "first <-- (q[1] - p[1]) / (q[0] - p[0]) + 1;"),
        ("second <-- 2 * p[1] / (p[0] - middle) - first;", "second <-- 2 * p[1] / (p[0] - middle) - first + 1;"),
        ("slope <-- (q[1] - p[1]) / (q[0] - p[0]);", "slope <-- (q[1] - p[1]) / (q[0] - p[0]) + 1;"),
    ],
)
def test_slopes_of_no_line_through_the_points(hint: str, changed: str, prover: SnarkjsProver) -> None:
    with pytest.raises(ProverError, match=r"Error in template Incomplete(Double)?Add_\d+"):
        run(prover, SIGNATURE, [("curve.circom", hint, changed)], signed(HEAD))


def test_without_the_last_equality_anybody_signs(accepts: Any) -> None:
    assert accepts([LAST_EQUALITY], signed(HEAD) | {"head": HEAD + 1}) == METER.public.word()


def test_the_same_sum_by_another_scalar(accepts: Any) -> None:
    """S and S + l are the same signature: nothing else can be stated by the second."""
    honest = signed(HEAD)
    assert accepts([], honest | {"S": honest["S"] + SUBGROUP_ORDER}) == METER.public.word()


def test_the_constant_point_and_the_digits_offset() -> None:
    from zk.compile import SOURCES

    text = (SOURCES / "curve.circom").read_text()
    start = montgomery(times(pow(128, -1, SUBGROUP_ORDER), B8))
    assert all(str(value) in text for value in start)
    assert str((16**63 - 1) * HALF % SUBGROUP_ORDER) in (SOURCES / "signature.circom").read_text()
    # Window 62 goes in front of 254 doublings: 2^254 / 2^7 = 16^62 / 2.
    assert (254 - 7) == 4 * 62 - 1


@pytest.mark.parametrize("step", [0, 1, 100, 253])
@pytest.mark.parametrize("sign", [1, -1])
def test_equal_points_in_the_ladder_tell_the_secret(step: int, sign: int) -> None:
    """docs/circuits.md: 2^j * d * E - 4 k A = sign * 4 A only for the key whose secret follows from j, d, k and sign."""
    d, k = 7, 2 * (0x1234567 % (1 << step)) + 1
    start = pow(128, -1, SUBGROUP_ORDER)
    if (k + sign) % SUBGROUP_ORDER == 0:
        # The multiples of A cancel: what is left, 2^j * d * E, is never neutral.
        assert pow(2, step, SUBGROUP_ORDER) * d * start % SUBGROUP_ORDER
        return
    secret = pow(2, step, SUBGROUP_ORDER) * d * start * pow(4 * (k + sign), -1, SUBGROUP_ORDER) % SUBGROUP_ORDER
    key = times(secret, B8)
    accumulator = add(times(pow(2, step) * d * start % SUBGROUP_ORDER, B8), negative(times(4 * k, key)))
    assert accumulator == times(4 * sign % SUBGROUP_ORDER, key)
