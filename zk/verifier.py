"""Verifies Groth16 proofs with py_ecc, in Python: independent of the prover and of the contracts, about a second a proof.

`e(A, B) = e(alpha, beta) * e(IC(public), gamma) * e(C, delta)`, after checking what a verifier must not take on trust: that the
public signals are reduced, the points on their curves and B in the subgroup of prime order.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

from py_ecc.optimized_bn128 import (
    FQ,
    FQ2,
    FQ12,
    add,
    b,
    b2,
    curve_order,
    final_exponentiate,
    is_inf,
    is_on_curve,
    multiply,
    neg,
    pairing,
)

from zk.field import ORDER
from zk.groth16 import G1, G2, Proof, VerifyingKey

_Point = Any  # py_ecc's projective points are untyped triples


def verify(key: VerifyingKey, public: Sequence[int], proof: Proof) -> bool:
    """Whether `proof` shows the statement behind the public signals `(C, y, gamma)` under `key`."""
    if len(public) != len(key.ic) - 1 or not all(0 <= value < ORDER for value in public):
        return False
    try:
        a, b_, c = _g1("A", proof.a), _g2("B", proof.b), _g1("C", proof.c)
    except ValueError:
        return False
    signals = _g1("IC", key.ic[0])
    for value, point in zip(public, key.ic[1:], strict=True):
        signals = add(signals, multiply(_g1("IC", point), value))
    product = FQ12.one()
    for second, first in (
        (b_, neg(a)),
        (_g2("beta", key.beta), _g1("alpha", key.alpha)),
        (_g2("gamma", key.gamma), signals),
        (_g2("delta", key.delta), c),
    ):
        product = product * pairing(second, first, final_exponentiate=False)
    return bool(final_exponentiate(product) == FQ12.one())


@lru_cache(maxsize=16)  # the same few keys are read whenever a market is opened
def check_key(key: VerifyingKey) -> None:
    """Raises `ValueError` naming the point that is not in its group, or neutral where it must not be."""
    for name, first in (("alpha", key.alpha), *((f"IC[{i}]", point) for i, point in enumerate(key.ic))):
        if is_inf(_g1(name, first)) and name == "alpha":
            raise ValueError(f"{name}: expected another point than the neutral element")
    for name, second in (("beta", key.beta), ("gamma", key.gamma), ("delta", key.delta)):
        if is_inf(_g2(name, second)):
            raise ValueError(f"{name}: expected another point than the neutral element")


def _g1(name: str, point: G1) -> _Point:
    if (point.x, point.y) == (0, 0):
        return FQ.one(), FQ.one(), FQ.zero()
    result = (FQ(point.x), FQ(point.y), FQ.one())
    if not is_on_curve(result, b):
        raise ValueError(f"{name}: expected a point of G1, ({point.x}, {point.y}) is not on the curve")
    return result


def _g2(name: str, point: G2) -> _Point:
    if point == G2(0, 0, 0, 0):
        return FQ2.one(), FQ2.one(), FQ2.zero()
    result = (FQ2([point.x0, point.x1]), FQ2([point.y0, point.y1]), FQ2.one())
    if not is_on_curve(result, b2):
        raise ValueError(f"{name}: expected a point of G2, it is not on the curve")
    if not is_inf(multiply(result, curve_order)):
        raise ValueError(f"{name}: expected a point of G2, it lies outside the subgroup of prime order")
    return result
