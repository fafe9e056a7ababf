"""Groth16 over BN254: points, verification key and proof as plain integers, in the contracts' order and in snarkjs' JSON.

Words follow EIP-197: an element `c0 + c1 * i` of the quadratic extension is written c1 first.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

BASE_ORDER = 21888242871839275222246405745257275088696311157297823662689037894645226208583
"""q, the order of the field of the points' coordinates."""

PUBLIC_SIGNALS = 3
"""Public signals of every circuit of the statement: C, y, gamma."""


@dataclass(frozen=True, slots=True)
class G1:
    """An affine point of the first group; (0, 0) is its neutral element."""

    x: int
    y: int

    def words(self) -> tuple[int, ...]:
        return (self.x, self.y)

    def to_snarkjs(self) -> list[str]:
        return [str(self.x), str(self.y), "1"]

    @classmethod
    def from_snarkjs(cls, value: Sequence[str]) -> Self:
        x, y, z = (int(v) for v in value)
        if z != 1 or not (0 <= x < BASE_ORDER and 0 <= y < BASE_ORDER):
            raise ValueError(f"expected an affine point of G1 with coordinates below q, got {value}")
        return cls(x, y)


@dataclass(frozen=True, slots=True)
class G2:
    """An affine point of the second group, coordinates `x0 + x1 * i` and `y0 + y1 * i`."""

    x0: int
    x1: int
    y0: int
    y1: int

    def words(self) -> tuple[int, ...]:
        return (self.x1, self.x0, self.y1, self.y0)

    def to_snarkjs(self) -> list[list[str]]:
        return [[str(self.x0), str(self.x1)], [str(self.y0), str(self.y1)], ["1", "0"]]

    @classmethod
    def from_snarkjs(cls, value: Sequence[Sequence[str]]) -> Self:
        (x0, x1), (y0, y1), z = ([int(v) for v in pair] for pair in value)
        if z != [1, 0] or not all(0 <= v < BASE_ORDER for v in (x0, x1, y0, y1)):
            raise ValueError(f"expected an affine point of G2 with coordinates below q, got {value}")
        return cls(x0, x1, y0, y1)


@dataclass(frozen=True, slots=True)
class VerifyingKey:
    """What a verifier needs: four fixed points and one point per public signal plus one."""

    alpha: G1
    beta: G2
    gamma: G2
    delta: G2
    ic: tuple[G1, ...]

    def words(self) -> tuple[int, ...]:
        """22 words in the contract's constructor order: alpha, beta, gamma, delta, ic[0..3]."""
        fixed = (*self.alpha.words(), *self.beta.words(), *self.gamma.words(), *self.delta.words())
        return (*fixed, *(word for point in self.ic for word in point.words()))

    def to_snarkjs(self) -> dict[str, Any]:
        """snarkjs' verification key."""
        return {
            "protocol": "groth16",
            "curve": "bn128",
            "nPublic": len(self.ic) - 1,
            "vk_alpha_1": self.alpha.to_snarkjs(),
            "vk_beta_2": self.beta.to_snarkjs(),
            "vk_gamma_2": self.gamma.to_snarkjs(),
            "vk_delta_2": self.delta.to_snarkjs(),
            "IC": [point.to_snarkjs() for point in self.ic],
        }

    @classmethod
    def from_snarkjs(cls, value: Mapping[str, Any]) -> Self:
        """From snarkjs' verification key; raises `ValueError` naming what does not fit."""
        if value.get("protocol") != "groth16" or value.get("curve") != "bn128":
            raise ValueError(f"expected a groth16 key on bn128, got {value.get('protocol')} on {value.get('curve')}")
        if len(value["IC"]) != PUBLIC_SIGNALS + 1:
            raise ValueError(f"IC: expected {PUBLIC_SIGNALS + 1} points, got {len(value['IC'])}")
        return cls(
            G1.from_snarkjs(value["vk_alpha_1"]),
            G2.from_snarkjs(value["vk_beta_2"]),
            G2.from_snarkjs(value["vk_gamma_2"]),
            G2.from_snarkjs(value["vk_delta_2"]),
            tuple(G1.from_snarkjs(point) for point in value["IC"]),
        )


@dataclass(frozen=True, slots=True)
class Proof:
    """A proof: three points."""

    a: G1
    b: G2
    c: G1

    def words(self) -> tuple[int, ...]:
        """Eight words: A.x, A.y, B.x.c1, B.x.c0, B.y.c1, B.y.c0, C.x, C.y."""
        return (*self.a.words(), *self.b.words(), *self.c.words())

    @classmethod
    def from_words(cls, words: Sequence[int]) -> Self:
        """The inverse of `words`; raises `ValueError` unless there are eight words below q."""
        if len(words) != 8 or not all(0 <= word < BASE_ORDER for word in words):
            raise ValueError(f"proof: expected eight words below q, got {len(words)}")
        ax, ay, bx1, bx0, by1, by0, cx, cy = words
        return cls(G1(ax, ay), G2(bx0, bx1, by0, by1), G1(cx, cy))

    def to_snarkjs(self) -> dict[str, Any]:
        return {
            "protocol": "groth16",
            "curve": "bn128",
            "pi_a": self.a.to_snarkjs(),
            "pi_b": self.b.to_snarkjs(),
            "pi_c": self.c.to_snarkjs(),
        }

    @classmethod
    def from_snarkjs(cls, value: Mapping[str, Any]) -> Self:
        return cls(G1.from_snarkjs(value["pi_a"]), G2.from_snarkjs(value["pi_b"]), G1.from_snarkjs(value["pi_c"]))
