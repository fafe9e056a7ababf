"""Records of deliveries as the chain keeps them: batches of entries, each a mask and its packed deviations (docs/protocol.md
sections 9 and 10).

For market sessions the recorded deviation is `baseline - metered`, before the direction's sign and without the promise, which
is public.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import reduce
from operator import or_

from contracts.deliveries import Entry, delivery_words, pick_words
from contracts.units import Direction
from market.errors import FieldError
from zk.words import pack_deviations, unpack_deviations

Batch = Sequence[Entry]
"""The recorded entries of one proof."""

BATCH_HEAD = 2
"""Words of calldata that a batch takes beside its entries: where it begins, and how long it is."""


class RecordError(FieldError):
    """A record that the Deliveries contract would not hold."""


@dataclass(frozen=True, slots=True)
class Record:
    """One delivery: `mask` of the day's intervals, and the D words of packed deviations as the proof made them public."""

    mask: int
    words: tuple[int, ...]

    def deviations(self, intervals: int) -> dict[int, int]:
        """Deviation in Wh per interval of the mask, for a day of `intervals` intervals."""
        values = unpack_deviations(self.words, self.mask, intervals)
        if pack_deviations(values) != self.words:
            raise RecordError("words", f"zero slots outside the mask {self.mask:#x}", [hex(word) for word in self.words])
        return {t: value for t, value in enumerate(values) if value is not None}


def record_of(deviations: Mapping[int, int], intervals: int) -> Record:
    """A record from deviations in Wh per interval of the day."""
    packed = pack_deviations([deviations.get(t) for t in range(intervals)])
    return Record(sum(1 << t for t in deviations), packed)


def delivered(records: Sequence[Record], direction: Direction, intervals: int) -> dict[int, int]:
    """Delivered flexibility in Wh (it may be negative) per recorded interval; raises `RecordError` where masks overlap."""
    out: dict[int, int] = {}
    for record in records:
        for t, deviation in record.deviations(intervals).items():
            if t in out:
                raise RecordError("mask", f"interval {t} in one record only", f"{record.mask:#x} again")
            out[t] = direction.sign * deviation
    return out


def records_of(batches: Sequence[Batch]) -> dict[int, list[Record]]:
    """Per account its records, in the order of the chain."""
    found: dict[int, list[Record]] = {}
    for batch in batches:
        for entry in batch:
            found.setdefault(entry.account, []).append(Record(entry.mask, entry.deviations))
    return found


@dataclass(frozen=True, slots=True)
class Joining:
    """Records of one account that become one: the `picks` (batch, entry) of `batches`, and the `entry` that they make, which
    stands in a batch of its own."""

    batches: tuple[Batch, ...]
    picks: tuple[tuple[int, int], ...]
    entry: Entry


def joinings(batches: Sequence[Batch], account: int, most_words: int) -> tuple[list[Joining], list[Batch]]:
    """What to join, in this order, until the account's records and the entries that stand in one batch with them take at most
    `most_words` words of a call, and the batches that hold its records then. One record stays as it is, whatever it takes."""
    held = [(batch, place) for batch in batches for place, entry in enumerate(batch) if entry.account == account]
    found: list[Joining] = []
    while len(held) > 1 and _words(batch for batch, _ in held) > most_words:
        count = 2
        while count < len(held) and _words(batch for batch, _ in held[: count + 1]) <= most_words:
            count += 1
        parts, held = held[:count], held[count:]
        entries = [batch[place] for batch, place in parts]
        columns = zip(*(entry.deviations for entry in entries), strict=True)
        # disjoint masks, and zero outside them: what one of them holds, none of the others does
        whole = replace(
            entries[0],
            mask=reduce(or_, (entry.mask for entry in entries)),
            deviations=tuple(reduce(or_, column) for column in columns),
        )
        picks = tuple((number, place) for number, (_, place) in enumerate(parts))
        found.append(Joining(tuple(batch for batch, _ in parts), picks, whole))
        held.insert(0, ((whole,), 0))
    return found, [batch for batch, _ in held]


def _words(batches: Iterable[Batch]) -> int:
    return sum(BATCH_HEAD + sum(1 + len(entry.deviations) for entry in batch) for batch in batches)


def supply(batches: Sequence[Batch], sellers: Sequence[int]) -> tuple[list[list[int]], list[int]]:
    """`batches` and `picks` of a settle call for the chosen seller rows of these accounts, in turn: the words of the batches
    that hold a record of theirs, and which entries of them those are."""
    wanted = set(sellers)
    supplied: list[list[int]] = []
    places: dict[int, list[tuple[int, int]]] = {}
    for batch in batches:
        if wanted.isdisjoint(entry.account for entry in batch):
            continue
        for place, entry in enumerate(batch):
            places.setdefault(entry.account, []).append((len(supplied), place))
        supplied.append(delivery_words(batch))
    return supplied, pick_words([places.get(account, []) for account in sellers])
