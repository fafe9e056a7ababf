"""Groth16Verifier on a key whose secrets the test knows, so that it can make proofs and near-proofs."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence

import pytest
from contracts_world import R, address_of, key_of
from eth_hash.auto import keccak
from machine import fast_backend
from py_ecc.optimized_bn128 import FQ, G1, G2, add, multiply, normalize

from contracts.artifacts import load
from contracts.chain import Chain, open_chain
from contracts.refusals import ContractRefusal

Q = 21888242871839275222246405745257275088696311157297823662689037894645226208583
RNG = random.Random(11)
ALPHA, BETA, GAMMA, DELTA, *IC = (RNG.randrange(1, R) for _ in range(8))


def g1(k: int) -> list[int]:
    return [int(c) for c in normalize(multiply(G1, k))]


def g2(k: int) -> list[int]:
    """x.c1, x.c0, y.c1, y.c0"""
    return [int(c) for part in normalize(multiply(G2, k)) for c in (part.coeffs[1], part.coeffs[0])]


KEY = [*g1(ALPHA), *g2(BETA), *g2(GAMMA), *g2(DELTA), *(c for k in IC for c in g1(k))]


def proof(signals: Sequence[int]) -> list[int]:
    """e(A, B) = e(alpha, beta) e(L, gamma) e(C, delta), solved for C."""
    a, b = RNG.randrange(1, R), RNG.randrange(1, R)
    total = IC[0] + sum(s * k for s, k in zip(signals, IC[1:], strict=True))
    c = (a * b - ALPHA * BETA - total * GAMMA) * pow(DELTA, -1, R) % R
    return [*g1(a), *g2(b), *g1(c)]


@pytest.fixture(scope="module")
def verifier() -> Iterator[tuple[Chain, str]]:
    with open_chain(fast_backend(), 1_500_000_000) as chain:
        chain.fund(address_of("deployer"))
        contract = chain.transact(None, load("Groth16Verifier").creation(KEY, True), key_of("deployer")).contract
        assert contract
        yield chain, contract


def holds(verifier: tuple[Chain, str], words: Sequence[int], signals: Sequence[int]) -> bool:
    return all_hold(verifier, [[*signals, *words]])


def all_hold(verifier: tuple[Chain, str], claims: Sequence[Sequence[int]]) -> bool:
    """Verdict on claims of three signals and eight proof words each."""
    chain, address = verifier
    function = load("Groth16Verifier").functions["verify"]
    return bool(function.result(chain.call(address, function.call(claims))))


def test_a_proof_holds_for_its_signals_only(verifier: tuple[Chain, str]) -> None:
    signals = [RNG.randrange(R) for _ in range(3)]
    good = proof(signals)
    assert holds(verifier, good, signals)
    assert holds(verifier, proof([0, 0, 0]), [0, 0, 0])
    for i in range(3):
        assert not holds(verifier, good, [s + (j == i) for j, s in enumerate(signals)])
    assert not holds(verifier, proof(signals[::-1]), signals)
    assert not holds(verifier, [*good[:1], Q - good[1], *good[2:]], signals)


def test_malformed_points_and_signals_are_false_and_do_not_revert(verifier: tuple[Chain, str]) -> None:
    signals = [1, 2, 3]
    good = proof(signals)
    for i in range(8):
        assert not holds(verifier, [w ^ (i == j) for j, w in enumerate(good)], signals), "off the curve"
        assert not holds(verifier, [w + Q * (i == j) for j, w in enumerate(good)], signals), "not reduced"
    assert not holds(verifier, [0] * 8, signals)
    for i in range(3):
        assert not holds(verifier, good, [s + R * (i == j) for j, s in enumerate(signals)]), "signal not below r"


def test_points_at_infinity(verifier: tuple[Chain, str]) -> None:
    total = (IC[0] + 5 * IC[1] + 6 * IC[2] + 7 * IC[3]) % R
    c = (-ALPHA * BETA - total * GAMMA) * pow(DELTA, -1, R) % R
    assert holds(verifier, [0, 0, *g2(3), *g1(c)], [5, 6, 7]), "A at infinity is a valid point"
    assert not holds(verifier, [0, 0, *g2(3), *g1(c + 1)], [5, 6, 7])


def moved(words: Sequence[int], by: int) -> list[int]:
    """The proof with `by` times the generator added to C."""
    point = add((FQ(words[6]), FQ(words[7]), FQ(1)), multiply(G1, by % R))
    return [*words[:6], *(int(c) for c in normalize(point))]


def test_many_claims_hold_together_and_none_hides_among_them(verifier: tuple[Chain, str]) -> None:
    claims = []
    for _ in range(5):
        signals = [RNG.randrange(R) for _ in range(3)]
        claims.append([*signals, *proof(signals)])
    assert not all_hold(verifier, [])
    for number in range(1, 6):
        assert all_hold(verifier, claims[:number])
    assert all_hold(verifier, [claims[0]] * 3)
    for guilty in range(5):
        for place in range(11):
            bad = [w + 1 if i == place else w for i, w in enumerate(claims[guilty])]
            assert not all_hold(verifier, [bad if i == guilty else claim for i, claim in enumerate(claims)]), (guilty, place)
    for i in range(3):
        for claim in (
            [*claims[1][:i], claims[1][i] + R, *claims[1][i + 1 :]],
            [*claims[1][:4], claims[1][4] + Q, *claims[1][5:]],
        ):
            assert not all_hold(verifier, [claims[0], claim]), "not reduced"
    swapped = [[*claims[0][:3], *claims[1][3:]], [*claims[1][:3], *claims[0][3:]]]
    assert not all_hold(verifier, swapped), "their product is that of two good claims"


def test_wrong_claims_do_not_cancel_each_other(verifier: tuple[Chain, str]) -> None:
    """What plain multiplication would let through, and what coefficients would that depend on less than every word."""
    signals = [[RNG.randrange(R) for _ in range(3)] for _ in range(3)]
    good = [[*s, *proof(s)] for s in signals]

    def shifted(*by: int) -> list[list[int]]:
        return [[*c[:3], *moved(c[3:], k)] if k else c for c, k in zip(good, by, strict=True)]

    assert all_hold(verifier, shifted(0, 0, 0))
    k = RNG.randrange(R)
    for by in ((k, -k, 0), (0, k, -k), (k, k, -2 * k)):
        assert not all_hold(verifier, shifted(*by))
    # fitted to the coefficients of another call: of the honest one, and of the first attempt
    for known in (shifted(0, 0, 0), shifted(0, k, -k)):
        rho = coefficients(known)
        fitted = [0, k, -k * rho[1] * pow(rho[2], -1, R)]
        assert not all_hold(verifier, shifted(*fitted))
    # signals that sum up to the honest ones
    wrong = [[c[0] + d, *c[1:]] for c, d in zip(good[:2], (1, -1), strict=True)]
    assert not all_hold(verifier, wrong)


def coefficients(claims: Sequence[Sequence[int]]) -> list[int]:
    """rho, from docs/protocol.md section 9."""
    seed = keccak(b"".join(w.to_bytes(32, "big") for claim in claims for w in claim))
    return [1, *(int.from_bytes(keccak(seed + i.to_bytes(32, "big"))[16:], "big") for i in range(1, len(claims)))]


@pytest.mark.parametrize(("word", "point"), [(0, "alpha"), (3, "beta"), (6, "gamma"), (13, "delta"), (14, "IC"), (21, "IC")])
def test_a_key_off_its_curve_is_not_deployed(verifier: tuple[Chain, str], word: int, point: str) -> None:
    chain, _ = verifier
    key = [w ^ (i == word) for i, w in enumerate(KEY)]
    with pytest.raises(ContractRefusal) as caught:
        chain.transact(None, load("Groth16Verifier").creation(key, False), key_of("deployer"))
    assert caught.value.error_name == "KeyPointRefused" and caught.value.arguments == {"point": point}


def test_the_development_mark_is_the_keys(verifier: tuple[Chain, str]) -> None:
    chain, address = verifier
    function = load("Groth16Verifier").functions["development"]
    assert function.result(chain.call(address, function.call())) is True
    plain = chain.transact(None, load("Groth16Verifier").creation(KEY, False), key_of("deployer")).contract
    assert plain and function.result(chain.call(plain, function.call())) is False
