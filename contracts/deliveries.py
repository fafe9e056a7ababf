"""What a proof of delivery is on chain: entries, batches, and the picks of a settlement (docs/protocol.md, 9 and 10)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from contracts.encoding import EncodingError, hash_words, words_for

PROOF_WORDS = 8

_WORD32 = (1 << 32) - 1
_HEAD_BITS = 160
_DEVIATIONS_A_WORD = 9
_PICKS_A_WORD = 8


@dataclass(frozen=True, slots=True)
class Entry:
    """One account of a batch: `count` complete days in its baseline, `mask` of the proven intervals of the day, and the D words
    of packed deviations as the proof made them public."""

    account: int
    count: int
    mask: int
    deviations: tuple[int, ...]

    def words(self) -> list[int]:
        """`account:32 | count:32 | mask:96` and the deviation words."""
        return [self.account | self.count << 32 | self.mask << 64, *self.deviations]


@dataclass(frozen=True, slots=True)
class ProofBatch:
    """One proof as `prove` takes it: C, the entries' words, and `A.x, A.y, B.x.c1, B.x.c0, B.y.c1, B.y.c0, C.x, C.y`."""

    chain: int
    entries: tuple[int, ...]
    proof_words: tuple[int, ...]


def decode_delivery(words: Sequence[int], intervals: int) -> tuple[Entry, ...]:
    """The entries in a batch's words, for days of `intervals` intervals; raises `EncodingError` on words that are none."""
    size = 1 + words_for(intervals, _DEVIATIONS_A_WORD)
    if len(words) % size:
        raise EncodingError("entries", f"a multiple of {size} words", len(words))
    found = []
    for start in range(0, len(words), size):
        head = words[start]
        if head >> _HEAD_BITS:
            raise EncodingError("entries", f"no bits outside account, count and mask in word {start}", f"{head:#x}")
        found.append(Entry(head & _WORD32, head >> 32 & _WORD32, head >> 64, tuple(words[start + 1 : start + size])))
    return tuple(found)


def recorded_entries(words: Sequence[int], recorded: int, intervals: int) -> tuple[Entry, ...]:
    """Of the entries in a batch's words those that `recorded` names, a bit each: what the contract keeps the hash of."""
    return tuple(entry for i, entry in enumerate(decode_delivery(words, intervals)) if recorded >> i & 1)


def delivery_words(entries: Sequence[Entry]) -> list[int]:
    """The words of a batch's entries."""
    return [word for entry in entries for word in entry.words()]


def delivery_hash(entries: Sequence[Entry]) -> bytes:
    """What the contract keeps of a batch: the hash of its recorded entries."""
    return hash_words(delivery_words(entries))


def pick_words(per_row: Sequence[Sequence[tuple[int, int]]]) -> list[int]:
    """`picks` of a settlement: for each chosen seller row its records as (batch, entry); 32 bits each, eight a word."""
    items = []
    for picks in per_row:
        items.append(len(picks))
        for batch, entry in picks:
            if not (0 <= batch < 1 << 16 and 0 <= entry < 1 << 16):
                raise EncodingError("picks", "batch and entry below 2^16", f"{batch} and {entry}")
            items.append(batch | entry << 16)
    words = [0] * words_for(len(items), _PICKS_A_WORD)
    for i, item in enumerate(items):
        words[i // _PICKS_A_WORD] |= item << 32 * (i % _PICKS_A_WORD)
    return words
