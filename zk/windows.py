"""The meter's log (docs/protocol.md section 8): one signed window a day, each head chained to the day before.

A window commits to T readings of net load, Wh, and says which of them are valid. Readings and salts are private: a `Window`
does not print them. The circuit reads exactly this format; changing anything here is a new log.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

from zk.eddsa import SUBGROUP_ORDER, PrivateKey, PublicKey, Signature, verify
from zk.field import ORDER, require_bits, require_element
from zk.poseidon import poseidon

INTERVALS = (24, 48, 96)
"""Intervals a day may have."""

HISTORY_DAYS = 14
"""Days before the delivery day that a baseline may look at."""

READING_OFFSET = 1 << 23
"""Added to a reading before packing; a reading lies strictly between -2^23 and 2^23 Wh."""

SLOTS = 9
"""Values packed into one field element."""

FINAL_TAG = 5
PROVISIONAL_TAG = 6

_READING_BITS = 28
_DAY_BITS = 32

_SALT_DOMAIN = b"wattproof window salt 1"


class WindowError(ValueError):
    """A window that cannot be closed or does not verify. `field` is a path such as `readings[3]`, `expected` a phrase, `got`
    what came."""

    def __init__(self, field: str, expected: str, got: object) -> None:
        super().__init__(field, expected, got)
        self.field = field
        self.expected = expected
        self.got = got

    def __str__(self) -> str:
        return f"{self.field}: expected {self.expected}, got {self.got}"


@dataclass(frozen=True, slots=True)
class Window:
    """One meter-day.

    day         days since 1970-01-01 in the zone's standard time
    readings    net load per interval, Wh, signed; None where there is no valid reading
    salt        field element that hides the readings behind the head
    previous    head of the final window of the day before; 0 before a key's first window
    final       a provisional window covers elapsed intervals only and is not chained
    head        Poseidon(previous, tag + 8 * day + 2^40 * validity, salt, packed readings)
    signature   the meter's, over the head
    """

    day: int
    readings: tuple[int | None, ...] = field(repr=False)
    salt: int = field(repr=False)
    previous: int
    final: bool
    head: int
    signature: Signature = field(repr=False)

    @property
    def validity(self) -> int:
        """Bit t is set where interval t has a valid reading."""
        return validity_of(self.readings)

    @property
    def complete(self) -> bool:
        """Whether every interval of the day has a valid reading."""
        return None not in self.readings

    def to_record(self) -> dict[str, Any]:
        """The window as JSON-ready values, secrets included, for a store or for the member it belongs to."""
        return {
            "day": self.day,
            "readings": list(self.readings),
            "salt": str(self.salt),
            "previous": str(self.previous),
            "final": self.final,
            "head": str(self.head),
            "signature": [str(self.signature.r8x), str(self.signature.r8y), str(self.signature.s)],
        }

    @classmethod
    def from_record(cls, record: Mapping[str, Any]) -> Window:
        """The inverse of `to_record`; verifies no head and no signature. Takes each value in the one form in which it is
        written and within its range, and no other fields; raises `WindowError` naming the field."""
        for name in _FIELDS:
            if name not in record:
                raise WindowError(name, "a value", "nothing")
        for name in record:
            if name not in _FIELDS:
                raise WindowError(name, f"none but the fields {', '.join(_FIELDS)}", "a field of another name")
        if type(record["final"]) is not bool:
            raise WindowError("final", "true or false", _told(record["final"]))
        readings, signature = _list("readings", record, INTERVALS), _list("signature", record, (3,))
        numbers = zip(signature, (ORDER, ORDER, SUBGROUP_ORDER), strict=True)
        return cls(
            day=_integer("day", record["day"], 0, (1 << _DAY_BITS) - 1),
            readings=tuple(
                None if wh is None else _integer(f"readings[{t}]", wh, 1 - READING_OFFSET, READING_OFFSET - 1)
                for t, wh in enumerate(readings)
            ),
            salt=_decimal("salt", record["salt"], ORDER),
            previous=_decimal("previous", record["previous"], ORDER),
            final=record["final"],
            head=_decimal("head", record["head"], ORDER),
            signature=Signature(*(_decimal(f"signature[{i}]", value, order) for i, (value, order) in enumerate(numbers))),
        )


_FIELDS = ("day", "readings", "salt", "previous", "final", "head", "signature")
_DECIMAL = re.compile("0|[1-9][0-9]{0,76}")


def _list(name: str, record: Mapping[str, Any], lengths: Sequence[int]) -> list[Any]:
    value = record[name]
    if not isinstance(value, list) or len(value) not in lengths:
        raise WindowError(name, f"a list of {' or '.join(map(str, lengths))} values", _told(value))
    return value


def _integer(name: str, value: object, lowest: int, highest: int) -> int:
    if type(value) is not int or not lowest <= value <= highest:
        raise WindowError(name, f"a whole number from {lowest} to {highest}", _told(value))
    return value


def _decimal(name: str, value: object, order: int) -> int:
    if not isinstance(value, str) or not _DECIMAL.fullmatch(value) or int(value) >= order:
        raise WindowError(name, f"text of decimal digits, a number from 0 to {order - 1}", _told(value))
    return int(value)


def _told(value: object) -> str:
    """A refused value in a few words. Text is not repeated: a salt is a secret even where it is malformed."""
    if type(value) is int:
        return str(value) if value.bit_length() <= 64 else f"an integer of {value.bit_length()} bits"
    if isinstance(value, (str, list)):
        return f"{'text of' if isinstance(value, str) else 'a list of'} length {len(value)}"
    return f"a value of type {type(value).__name__}"


def elements_for(intervals: int) -> int:
    """Field elements that `intervals` packed values take."""
    return -(-intervals // SLOTS)


def pack_slots(values: Sequence[int], bits: int) -> tuple[int, ...]:
    """Non-negative `values` in slots of `bits` bits, nine an element; raises `ValueError` where one does not fit."""
    packed = [0] * elements_for(len(values))
    for t, value in enumerate(values):
        packed[t // SLOTS] |= require_bits(f"values[{t}]", value, bits) << bits * (t % SLOTS)
    return tuple(packed)


def unpack_slots(packed: Sequence[int], bits: int, count: int) -> tuple[int, ...]:
    """The inverse of `pack_slots` for `count` values; raises `ValueError` where bits lie outside the slots."""
    values = tuple(packed[t // SLOTS] >> bits * (t % SLOTS) & (1 << bits) - 1 for t in range(count))
    if len(packed) != elements_for(count) or pack_slots(values, bits) != tuple(packed):
        raise ValueError(f"packed: expected {elements_for(count)} elements with {count} slots of {bits} bits and nothing else")
    return values


def validity_of(readings: Sequence[int | None]) -> int:
    """Bitmap of the intervals with a valid reading."""
    return sum(1 << t for t, reading in enumerate(readings) if reading is not None)


def offset_readings(readings: Sequence[int | None]) -> tuple[int, ...]:
    """Readings + 2^23, and 0 where there is none; raises `WindowError` naming the interval of a reading that does not fit."""
    for t, reading in enumerate(readings):
        if reading is not None and not -READING_OFFSET < reading < READING_OFFSET:
            raise WindowError(f"readings[{t}]", "a net load strictly between -2^23 and 2^23 Wh", reading)
    return tuple(0 if reading is None else reading + READING_OFFSET for reading in readings)


def pack_readings(readings: Sequence[int | None]) -> tuple[int, ...]:
    """The packed readings as they enter the head."""
    return pack_slots(offset_readings(readings), _READING_BITS)


def window_head(day: int, readings: Sequence[int | None], salt: int, previous: int, final: bool) -> int:
    """The head of one day's window."""
    word = _first_word(day, readings, final)
    return poseidon((require_element("previous", previous), word, require_element("salt", salt), *pack_readings(readings)))


def _first_word(day: int, readings: Sequence[int | None], final: bool) -> int:
    """Tag, day and validity in one word."""
    if len(readings) not in INTERVALS:
        raise WindowError("readings", f"{', '.join(map(str, INTERVALS))} intervals", len(readings))
    if not 0 <= day < 1 << _DAY_BITS:
        raise WindowError("day", f"0 to 2^{_DAY_BITS}-1", day)
    return (FINAL_TAG if final else PROVISIONAL_TAG) + 8 * day + (validity_of(readings) << 40)


def close_window(
    key: PrivateKey,
    day: int,
    readings: Sequence[int | None],
    previous: int,
    *,
    final: bool = True,
    salt: int | None = None,
) -> Window:
    """Closes and signs one day.

    `readings` has a net load in Wh or None for each interval of the day, `previous` is the head of the final window of the day
    before (0 for a key's first). The salt is derived from key and contents unless one is given, so that the same contents
    have the same head whenever they are signed. Raises `WindowError`.
    """
    values = tuple(readings)
    chosen = _derived_salt(key, day, values, previous, final) if salt is None else salt
    head = window_head(day, values, chosen, previous, final)
    return Window(day, values, chosen, previous, final, head, key.sign(head))


def _derived_salt(key: PrivateKey, day: int, readings: Sequence[int | None], previous: int, final: bool) -> int:
    """The salt of docs/protocol.md section 8. Every field has a fixed length, so that no two contents are the same bytes."""
    word = _first_word(day, readings, final)
    content = (require_element("previous", previous), word, *pack_readings(readings))
    return key.salt(_SALT_DOMAIN + b"".join(value.to_bytes(32, "little") for value in content))


def start_log(key: PrivateKey, from_day: int, intervals: int) -> tuple[Window, ...]:
    """The 14 final windows without readings with which a new key starts, for the days before `from_day`."""
    if from_day < HISTORY_DAYS:
        raise WindowError("from_day", f"at least {HISTORY_DAYS}", from_day)
    log: list[Window] = []
    for day in range(from_day - HISTORY_DAYS, from_day):
        log.append(close_window(key, day, (None,) * intervals, log[-1].head if log else 0))
    return tuple(log)


def check_window(window: Window, key: PublicKey) -> None:
    """Raises `WindowError` unless the head is the one of the window's contents and the signature is `key`'s."""
    check_head(window)
    if not verify(key, window.head, window.signature):
        raise WindowError("signature", f"the key {key.word()}'s over the window of day {window.day}", "another")


def check_head(window: Window) -> None:
    """Raises `WindowError` unless the head is the one of the window's contents."""
    head = window_head(window.day, window.readings, window.salt, window.previous, window.final)
    if head != window.head:
        raise WindowError("head", f"the hash of the window of day {window.day}, {head}", window.head)


def check_chain(windows: Sequence[Window]) -> None:
    """Raises `WindowError` unless the windows are of consecutive days, each chained to a final one before it."""
    for earlier, later in pairwise(windows):
        if later.day != earlier.day + 1:
            raise WindowError("day", f"the window of day {earlier.day + 1} after day {earlier.day}", f"day {later.day}")
        if not earlier.final:
            raise WindowError("final", f"a final window of day {earlier.day} before day {later.day}", "a provisional one")
        if later.previous != earlier.head:
            raise WindowError("previous", f"the head of day {earlier.day} in the window of day {later.day}", "another head")


def contradictions(one: Window, other: Window) -> tuple[int, ...]:
    """Intervals to which two windows of one day give different readings: under one key's signatures, fork evidence.

    An interval that only one of them has is none: provisional windows cover what has elapsed, and validity may be cleared.
    """
    if one.day != other.day or len(one.readings) != len(other.readings):
        raise WindowError("windows", "two windows of one day", f"days {one.day} and {other.day}")
    pairs = zip(one.readings, other.readings, strict=True)
    return tuple(t for t, (a, b) in enumerate(pairs) if a is not None and b is not None and a != b)
