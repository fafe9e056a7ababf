"""The statement's public words: packed deviations, commitments, and their compression into (C, y, gamma).

docs/protocol.md section 9; what the contract Deliveries builds from its own state, and what the circuit computes.
"""

from __future__ import annotations

from collections.abc import Sequence

from eth_hash.auto import keccak

from zk.field import ORDER, horner, require_bits, require_element
from zk.poseidon import poseidon
from zk.windows import elements_for, pack_slots, unpack_slots

SHARED_WORDS = 5
"""Public words that all accounts of a proof share."""

PROMISE_TAG = 7
"""Domain tag of a promise's commitment."""

DEVIATION_OFFSET = 1 << 25
"""Added to a deviation before packing."""

PROMISE_OFFSET = 1 << 27
"""Added to a promise before packing."""

PROMISE_LIMIT = 1 << 24
"""A promise lies between minus this and this less 1, Wh: so every deviation fits its slot."""

_DEVIATION_BITS = 26
_PROMISE_BITS = 28
_ABSORBED = 15


class StatementError(ValueError):
    """A statement that cannot be proven; the message names the account and what is wrong."""


def account_words(intervals: int) -> int:
    """Public words of one account."""
    return 6 + elements_for(intervals)


def compress(words: Sequence[int], intervals: int) -> tuple[int, int, int]:
    """(C, gamma, y) of a statement's public words."""
    c = chain(words, intervals)
    gamma = challenge(c, words)
    return c, gamma, horner(words, gamma)


def chain(words: Sequence[int], intervals: int) -> int:
    """C, the Poseidon chain over the public words."""
    size = account_words(intervals)
    if len(words) <= SHARED_WORDS or (len(words) - SHARED_WORDS) % size:
        raise StatementError(f"words: expected {SHARED_WORDS} + {size} for each account, got {len(words)}")
    value = poseidon(words[:SHARED_WORDS])
    for start in range(SHARED_WORDS, len(words), size):
        for at in range(start, start + size, _ABSORBED):
            value = poseidon((value, *words[at : min(at + _ABSORBED, start + size)]))
    return value


def challenge(c: int, words: Sequence[int]) -> int:
    """gamma = keccak(C, words) mod r."""
    return int.from_bytes(keccak(b"".join(word.to_bytes(32, "big") for word in (c, *words))), "big") % ORDER


def pack_deviations(deviations: Sequence[int | None]) -> tuple[int, ...]:
    """Deviation words, nine a word: deviation + 2^25 in 26 bits, 0 outside the mask (None)."""
    for t, deviation in enumerate(deviations):
        if deviation is not None and not -DEVIATION_OFFSET <= deviation < DEVIATION_OFFSET:
            raise StatementError(f"deviations[{t}]: expected -2^25 to 2^25-1 Wh, got {deviation}")
    return pack_slots([0 if value is None else value + DEVIATION_OFFSET for value in deviations], _DEVIATION_BITS)


def unpack_deviations(words: Sequence[int], mask: int, intervals: int) -> tuple[int | None, ...]:
    """The inverse of `pack_deviations` for the intervals of `mask`."""
    slots = unpack_slots(words, _DEVIATION_BITS, intervals)
    return tuple(slot - DEVIATION_OFFSET if mask >> t & 1 else None for t, slot in enumerate(slots))


def commit_promise(account: int, session: int, promise: Sequence[int], salt: int) -> int:
    """Commitment to a hidden promise: Wh per interval of the day with the direction's sign, zero outside the session."""
    for t, value in enumerate(promise):
        if not -PROMISE_LIMIT <= value < PROMISE_LIMIT:
            raise StatementError(f"promise[{t}]: expected -2^24 to 2^24-1 Wh, got {value}")
    packed = pack_slots([value + PROMISE_OFFSET for value in promise], _PROMISE_BITS)
    owner = require_bits("account", account, 32) + (require_bits("session", session, 64) << 32)
    return poseidon((PROMISE_TAG, require_element("promise_salt", salt), owner, *packed))
