"""Meters' keys and signatures: EdDSA with Poseidon on BabyJubJub, as circomlib's EdDSAPoseidonVerifier checks it.

`S * B8 = R8 + 8 * h * A` with `h = Poseidon(R8x, R8y, Ax, Ay, message)`. Coordinates and messages are elements of BN254's
scalar field, scalars live modulo the prime order of B8. Nonces are derived from the secret and the message, so that no random
generator can leak a key; windows' salts are derived likewise. Neither Python's integers nor the native core run in constant
time: a signer that an attacker can time belongs in a device of its own.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import NoReturn, Self

from zk import core
from zk.field import ORDER, require_element
from zk.poseidon import poseidon

SUBGROUP_ORDER = 2736030358979909402780800718157159386076813972158567259200215660948447373041
"""Prime order of the subgroup that B8 generates; the curve has eight times as many points."""

KEY_TAG = 4
"""Domain tag of a registered key's word."""

SEED_BYTES = 32
"""Length of a private key's seed."""

# The curve: _A * x^2 + y^2 = 1 + _D * x^2 * y^2.
_A = 168700
_D = 168696
_BASE = (
    5299619240641551281634865583518297030282874472190772894086521144482721001553,
    16950150798460657717958625567821834550301663161624707787222815936182638968203,
)


class KeyFormatError(ValueError):
    """A key that is not what it should be. `field` is which, `expected` a phrase, `got` what came, never a secret."""

    def __init__(self, field: str, expected: str, got: object) -> None:
        super().__init__(f"{field}: expected {expected}, got {got}")
        self.field = field
        self.expected = expected
        self.got = got


@dataclass(frozen=True, slots=True)
class Signature:
    """R8 (a point) and S (a scalar below the subgroup's order)."""

    r8x: int
    r8y: int
    s: int


@dataclass(frozen=True, slots=True)
class PublicKey:
    """A point of BabyJubJub. Nothing is checked at construction: call `check` before a key is registered."""

    x: int
    y: int

    def word(self) -> int:
        """The word under which the key is registered: Poseidon(4, x, y)."""
        return poseidon((KEY_TAG, self.x, self.y))

    def check(self) -> None:
        """Raises `KeyFormatError` unless the key is on the curve, in the prime subgroup and not its neutral element."""
        if not (0 <= self.x < ORDER and 0 <= self.y < ORDER):
            raise KeyFormatError("key", "coordinates from 0 to r-1", f"({self.x}, {self.y})")
        if not _on_curve(self.x, self.y):
            raise KeyFormatError("key", "a point of BabyJubJub", f"({self.x}, {self.y}), which is not on the curve")
        if (self.x, self.y) == (0, 1):
            raise KeyFormatError("key", "a point of prime order", "the neutral element")
        if _affine(_multiply((self.x, self.y, 1), SUBGROUP_ORDER)) != (0, 1):
            raise KeyFormatError("key", "a point of prime order", f"({self.x}, {self.y}), which lies outside the subgroup")


class PrivateKey:
    """A meter's secret. Never shown, compared or hashed; `seed()` gives it out for storage."""

    def __init__(self, seed: bytes) -> None:
        if len(seed) != SEED_BYTES:
            raise KeyFormatError("seed", f"{SEED_BYTES} bytes", len(seed))
        self._seed = bytes(seed)
        wide = hashlib.blake2b(b"scalar", key=self._seed, person=b"wattproof-meter").digest()
        self._scalar = int.from_bytes(wide, "little") % (SUBGROUP_ORDER - 1) + 1
        self._nonce_key = hashlib.blake2b(b"nonce", key=self._seed, person=b"wattproof-meter").digest()
        self._salt_key = hashlib.blake2b(b"salt", key=self._seed, person=b"wattproof-meter").digest()
        if core.available():
            ((x, y),) = core.public_points([self._scalar])
        else:
            x, y = _affine(_multiply_fixed(_BASE, self._scalar))
        self.public = PublicKey(x, y)

    @classmethod
    def generate(cls) -> Self:
        """A new key from the system's random generator."""
        return cls(secrets.token_bytes(SEED_BYTES))

    def seed(self) -> bytes:
        """The secret itself, 32 bytes: for a key store, never for a log."""
        return self._seed

    def sign(self, message: int) -> Signature:
        """Signature over one field element; the same message gives the same signature."""
        return sign_many([self], [message])[0]

    def salt(self, content: bytes) -> int:
        """A field element that the secret and `content` decide, and that nobody can foresee or recognise without the secret:
        BLAKE2b-512 under a key of its own, modulo the field's order (bias below 2^-257)."""
        return int.from_bytes(hashlib.blake2b(content, key=self._salt_key).digest(), "little") % ORDER

    def _nonce(self, message: int) -> int:
        wide = hashlib.blake2b(message.to_bytes(32, "little"), key=self._nonce_key).digest()
        return int.from_bytes(wide, "little") % (SUBGROUP_ORDER - 1) + 1

    def _sign(self, message: int) -> Signature:
        nonce = self._nonce(message)
        r8x, r8y = _affine(_multiply_fixed(_BASE, nonce))
        challenge = poseidon((r8x, r8y, self.public.x, self.public.y, message))
        return Signature(r8x, r8y, (nonce + 8 * challenge * self._scalar) % SUBGROUP_ORDER)

    def __repr__(self) -> str:
        return f"PrivateKey(public={self.public})"

    def __reduce__(self) -> NoReturn:
        raise TypeError("a private key is not pickled; store seed() instead")


def sign_many(keys: Sequence[PrivateKey], messages: Sequence[int]) -> list[Signature]:
    """Signatures, key i's over message i, on all cores where the native core is installed."""
    for message in messages:
        require_element("message", message)
    if not core.available():
        return [key._sign(message) for key, message in zip(keys, messages, strict=True)]
    nonces = [key._nonce(message) for key, message in zip(keys, messages, strict=True)]
    points = [(key.public.x, key.public.y) for key in keys]
    return [Signature(*values) for values in core.sign_many([key._scalar for key in keys], nonces, points, messages)]


def verify(key: PublicKey, message: int, signature: Signature) -> bool:
    """Whether `signature` is `key`'s over `message`. A key that `check` would refuse verifies nothing that can be relied on."""
    return verify_many([key], [message], [signature])[0]


def verify_many(keys: Sequence[PublicKey], messages: Sequence[int], signatures: Sequence[Signature]) -> list[bool]:
    """`verify` for each, on all cores where the native core is installed."""
    if not core.available():
        return [_verify(*row) for row in zip(keys, messages, signatures, strict=True)]
    points = [(key.x, key.y) for key in keys]
    return core.verify_signatures(points, messages, [(s.r8x, s.r8y, s.s) for s in signatures])


def _verify(key: PublicKey, message: int, signature: Signature) -> bool:
    elements = (signature.r8x, signature.r8y, key.x, key.y, message)
    if not all(0 <= value < ORDER for value in elements) or not 0 <= signature.s < SUBGROUP_ORDER:
        return False
    if not _on_curve(key.x, key.y) or not _on_curve(signature.r8x, signature.r8y):
        return False
    eight = _affine(_multiply((key.x, key.y, 1), 8))
    if eight[0] == 0:
        return False
    right = _add((signature.r8x, signature.r8y, 1), _multiply_fixed(eight, poseidon(elements)))
    return _affine(_multiply_fixed(_BASE, signature.s)) == _affine(right)


def _on_curve(x: int, y: int) -> bool:
    x2, y2 = x * x % ORDER, y * y % ORDER
    return (_A * x2 + y2 - 1 - _D * x2 * y2) % ORDER == 0


# Points are (X, Y, Z) with x = X/Z and y = Y/Z. The addition law is complete on this curve: a is a square, d is not.


def _add(p: tuple[int, int, int], q: tuple[int, int, int]) -> tuple[int, int, int]:
    z = p[2] * q[2] % ORDER
    zz = z * z % ORDER
    x = p[0] * q[0] % ORDER
    y = p[1] * q[1] % ORDER
    cross = (p[0] + p[1]) * (q[0] + q[1]) - x - y
    xy = _D * x * y % ORDER
    minus, plus = zz - xy, zz + xy
    return z * minus % ORDER * cross % ORDER, z * plus % ORDER * (y - _A * x) % ORDER, minus * plus % ORDER


def _double(p: tuple[int, int, int]) -> tuple[int, int, int]:
    x2, y2 = p[0] * p[0] % ORDER, p[1] * p[1] % ORDER
    ax2 = _A * x2
    total = ax2 + y2
    rest = total - 2 * p[2] * p[2]
    return 2 * p[0] * p[1] % ORDER * rest % ORDER, total * (ax2 - y2) % ORDER, total * rest % ORDER


def _multiply(p: tuple[int, int, int], scalar: int) -> tuple[int, int, int]:
    result = (0, 1, 1)
    for bit in bin(scalar)[2:]:
        result = _double(result)
        if bit == "1":
            result = _add(result, p)
    return result


def _multiply_fixed(point: tuple[int, int], scalar: int) -> tuple[int, int, int]:
    """`_multiply` for a point that comes back: one addition a digit, from a table that is kept."""
    result = (0, 1, 1)
    for multiples in _table(point):
        digit = scalar & 15
        if digit:
            result = _add(result, multiples[digit])
        scalar >>= 4
    return result


@lru_cache(maxsize=256)
def _table(point: tuple[int, int]) -> list[list[tuple[int, int, int]]]:
    """Multiples 0 to 15 of `16^i * point` for each of the 64 hexadecimal digits of a scalar. Costs about one multiplication."""
    table = []
    power = (*point, 1)
    for _ in range(64):
        multiples = [(0, 1, 1), power]
        while len(multiples) < 16:
            multiples.append(_add(multiples[-1], power))
        table.append(multiples)
        power = _add(multiples[-1], power)
    return table


def _affine(p: tuple[int, int, int]) -> tuple[int, int]:
    inverse = pow(p[2], -1, ORDER)
    return p[0] * inverse % ORDER, p[1] * inverse % ORDER
