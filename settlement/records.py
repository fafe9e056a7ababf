"""Records of deliveries as the chain keeps them: a mask and its packed deviations, hashed one after another (docs/protocol.md
section 9).

For market sessions the recorded deviation is `baseline - metered`, before the direction's sign and without the promise, which
is public.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from contracts.encoding import hash_words
from contracts.units import Direction
from market.errors import FieldError
from zk.words import pack_deviations, unpack_deviations


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


def record_hash(records: Iterable[Record]) -> int:
    """The 160-bit hash that the contract stores for a (session, account) with these records in this order."""
    value = 0
    for record in records:
        value = int.from_bytes(hash_words([value, record.mask, *record.words]), "big") & (1 << 160) - 1
    return value


def records_words(per_row: Iterable[Sequence[Record]]) -> list[int]:
    """`records` of a settle call: for each chosen seller row with fills in turn, the number of its records, then each
    record."""
    words: list[int] = []
    for records in per_row:
        words.append(len(records))
        for record in records:
            words += [record.mask, *record.words]
    return words
