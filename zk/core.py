"""The native core (zk/native, Rust) with this package's types: proving keys, proofs, Poseidon and EdDSA over many inputs.

`available()` says whether it is installed; without it nothing else here works, and the rest of the package does the same in
Python or with snarkjs. All calls run without the interpreter's lock and on all cores.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from zk.groth16 import G1, G2, Proof, VerifyingKey

if TYPE_CHECKING:
    import wattproof_native as _native
else:
    try:
        import wattproof_native as _native
    except ImportError:
        _native = None

_WORD = 32


class CoreError(ValueError):
    """What the native core refuses: a file, witness or argument that is not what it must be; the message says which and why."""


def available() -> bool:
    """Whether the native core is installed."""
    return _native is not None


class ProvingKey:
    """A proving key in memory, for proofs from any thread. It is not changed by what happens to its file afterwards."""

    def __init__(self, path: Path, sha256: str | None = None, *, check_points: bool = True) -> None:
        """Reads a zkey file; raises `CoreError` naming file and section.

        sha256          the content's expected hash, hexadecimal
        check_points    whether to check every point's curve and subgroup (seconds); otherwise the content must be known
        """
        try:
            self._key = _native.ProvingKey.load(str(path), sha256, check_points)
        except ValueError as error:
            raise CoreError(str(error)) from error
        self.sha256: str = self._key.sha256
        self.wires, self.public, self.domain = self._key.sizes

    @property
    def verifying_key(self) -> VerifyingKey:
        """The verifying key within."""
        return _verifying_key(self._key.verifying_key)

    def prove(self, witness: bytes) -> Proof:
        """A fresh proof of a witness, 32 little-endian bytes a wire. It was verified; `CoreError` if it cannot be one."""
        try:
            return Proof.from_words(_words(self._key.prove(witness)))
        except ValueError as error:
            raise CoreError(str(error)) from error


def make_key(r1cs: Path, zkey: Path) -> VerifyingKey:
    """Writes a development key for the constraint system to `zkey`, from a secret that is forgotten."""
    try:
        return _verifying_key(_native.make_key(str(r1cs), str(zkey)))
    except ValueError as error:
        raise CoreError(str(error)) from error


def verify(key: VerifyingKey, public: Sequence[int], proof: Proof) -> bool:
    """Whether `proof` shows the statement behind the public signals, as `zk.verifier.verify`, in milliseconds."""
    return verify_many(key, [(public, proof)])


def verify_many(key: VerifyingKey, proofs: Sequence[tuple[Sequence[int], Proof]]) -> bool:
    """Whether all of these proofs hold: one product of pairings with random coefficients. True for none.

    Raises `CoreError` where the key's points are not in their groups.
    """
    if any(len(public) != len(key.ic) - 1 or not all(0 <= value < 1 << 256 for value in public) for public, _ in proofs):
        return False
    if not all(0 <= word < 1 << 256 for _, proof in proofs for word in proof.words()):
        return False
    signals = b"".join(_elements(public) for public, _ in proofs)
    words = b"".join(word.to_bytes(_WORD, "big") for _, proof in proofs for word in proof.words())
    try:
        return _prepared(key).verify(signals, words)
    except ValueError as error:
        raise CoreError(str(error)) from error


def poseidon_many(rows: Sequence[Sequence[int]]) -> list[int]:
    """Poseidon of every row of field elements, all of one length (1 to 16)."""
    if not rows:
        return []
    try:
        return _integers(_native.poseidon(b"".join(map(_elements, rows)), len(rows[0])))
    except ValueError as error:
        raise CoreError(str(error)) from error


def public_points(scalars: Sequence[int]) -> list[tuple[int, int]]:
    """The points `scalar * B8` of BabyJubJub."""
    flat = _integers(_native.public_keys(_elements(scalars)))
    return list(zip(flat[::2], flat[1::2], strict=True))


def sign_many(
    scalars: Sequence[int], nonces: Sequence[int], keys: Sequence[tuple[int, int]], messages: Sequence[int]
) -> list[tuple[int, int, int]]:
    """EdDSA signatures (R8.x, R8.y, S): key i signs message i. A nonce must never serve for two messages."""
    points = b"".join(map(_elements, keys))
    try:
        flat = _integers(_native.sign(_elements(scalars), _elements(nonces), points, _elements(messages)))
    except ValueError as error:
        raise CoreError(str(error)) from error
    return list(zip(flat[::3], flat[1::3], flat[2::3], strict=True))


def verify_signatures(
    keys: Sequence[tuple[int, int]], messages: Sequence[int], signatures: Sequence[tuple[int, int, int]]
) -> list[bool]:
    """Whether each signature is its key's over its message."""
    good = [all(0 <= value < 1 << 256 for value in (*k, m, *s)) for k, m, s in zip(keys, messages, signatures, strict=True)]
    rows = [row for row, fits in zip(zip(keys, messages, signatures, strict=True), good, strict=True) if fits]
    arguments = (b"".join(_elements(k) for k, _, _ in rows), _elements([m for _, m, _ in rows]))
    verdicts = iter(_native.verify_signatures(*arguments, b"".join(_elements(s) for _, _, s in rows)))
    return [fits and next(verdicts) == 1 for fits in good]


@lru_cache(maxsize=64)
def _prepared(key: VerifyingKey) -> _native.VerifyingKey:
    return _native.VerifyingKey(b"".join(word.to_bytes(_WORD, "big") for word in key.words()))


def _elements(values: Sequence[int]) -> bytes:
    return b"".join([value.to_bytes(_WORD, "little") for value in values])


def _integers(content: bytes) -> list[int]:
    return [int.from_bytes(content[at : at + _WORD], "little") for at in range(0, len(content), _WORD)]


def _words(content: bytes) -> list[int]:
    return [int.from_bytes(content[at : at + _WORD], "big") for at in range(0, len(content), _WORD)]


def _verifying_key(content: bytes) -> VerifyingKey:
    words = _words(content)

    def second(at: int) -> G2:
        x1, x0, y1, y0 = words[at : at + 4]
        return G2(x0, x1, y0, y1)

    ic = tuple(G1(words[at], words[at + 1]) for at in range(14, len(words), 2))
    return VerifyingKey(G1(words[0], words[1]), second(2), second(6), second(10), ic)
