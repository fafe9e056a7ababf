"""Looks for private numbers in public bytes: readings in every form in which they could stand there, at any bit.

A single small number is no evidence, because 300 Wh is also a quantity that somebody offered, and neither are two with a zero
between. So a form holds as many values in a row as it takes not to be there by chance: two where they carry the meter log's
offset in its own or in wider slots, more where they do not; and none of them is close to zero.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from zk.windows import READING_OFFSET

Numbers = NDArray[np.uint64]

SEPARATOR = b"\xa5" * 64

LEAST = 64
"""Values closer to zero than this are not looked for, Wh."""


@dataclass(frozen=True)
class Form:
    """`number` values in a row, `bits` bits each with `offset` added (two's complement), `stride` bits from one to the next."""

    bits: int
    number: int
    offset: int
    stride: int


FORMS = (
    Form(28, 2, READING_OFFSET, 28),  # as the meter log packs them
    Form(24, 3, READING_OFFSET, 24),
    Form(26, 4, 1 << 25, 26),  # as deviations are packed
    Form(28, 3, 1 << 27, 28),  # as hidden promises are packed
    Form(16, 4, 0, 16),
    *(Form(32, number, offset, size) for size in (32, 64, 128, 256) for number, offset in ((2, READING_OFFSET), (4, 0))),
)


def windows(series: Iterable[Sequence[int]], number: int) -> set[tuple[int, ...]]:
    """All runs of `number` values none of which is close to zero."""
    runs = (tuple(map(int, one[at : at + number])) for one in series for at in range(len(one) - number + 1))
    return {run for run in runs if min(map(abs, run)) >= LEAST}


def find_series(public: bytes, series: Iterable[Sequence[int]]) -> list[str]:
    """The forms and orders in which consecutive values of one of the `series` stand in `public`."""
    known = [list(one) for one in series]
    found = []
    for endian, content in (("big-endian", public), ("little-endian", public[::-1])):
        by_size = {bits: _fields(content, bits) for bits in {form.bits for form in FORMS}}
        for form in FORMS:
            wanted = windows(known, form.number)
            for order, runs in (("first value first", wanted), ("last value first", {run[::-1] for run in wanted})):
                if run := _find(by_size[form.bits], form, runs):
                    found.append(f"{len(run)} values in {form}, {endian}, {order}")
    return found


def _find(fields: Numbers, form: Form, runs: set[tuple[int, ...]]) -> tuple[int, ...]:
    """A run that is there, nothing if none is."""
    mask = (1 << form.bits) - 1
    coded = {tuple((value + form.offset) & mask for value in run) for run in runs}
    usable = len(fields) - (form.number - 1) * form.stride
    if usable <= 0 or not coded:
        return ()
    values = np.array(sorted({value for run in coded for value in run}), dtype=np.uint64)
    places = np.arange(usable)
    for i in range(form.number):
        places = places[np.isin(fields[places + i * form.stride], values)]
    for at in places:
        run = tuple(int(fields[at + i * form.stride]) for i in range(form.number))
        if run in coded:
            return run
    return ()


def _fields(content: bytes, bits: int) -> Numbers:
    """The number in the `bits` bits from every bit on, at most 56 bits."""
    data = np.frombuffer(content + bytes(8), dtype=np.uint8)
    whole = np.zeros(len(content), dtype=np.uint64)
    for i in range(8):
        whole = whole << np.uint64(8) | data[i : len(content) + i]
    shifts = np.array([64 - bits - step for step in range(8)], dtype=np.uint64)
    result: Numbers = ((whole[:, None] >> shifts[None]) & np.uint64((1 << bits) - 1)).reshape(-1)
    return result


def find_bytes(public: bytes, secrets: Iterable[int | bytes]) -> list[str]:
    """Which secrets of 32 bytes (or numbers of that size) stand in `public`, as bytes of either order or as text."""
    found = []
    lower = public.lower()
    for secret in secrets:
        raw = secret if isinstance(secret, bytes) else secret.to_bytes(32, "big")
        forms = {"bytes": raw, "bytes reversed": raw[::-1]}
        texts = {"hexadecimal": raw.hex().lstrip("0").encode(), "decimal": str(int.from_bytes(raw, "big")).encode()}
        found += [name for name, form in forms.items() if form in public]
        found += [name for name, form in texts.items() if form in lower]
    return found


def find_texts(public: bytes, texts: Iterable[str]) -> list[str]:
    """Which texts stand in `public`, plain, as UTF-16 or as hexadecimal, in small letters or large ones."""
    lower = public.lower()
    found = []
    for text in texts:
        plain = text.lower().encode()
        forms = (plain, text.lower().encode("utf-16-be"), text.lower().encode("utf-16-le"), plain.hex().encode())
        found += [text] if any(form in lower for form in forms) else []
    return found


def find_addresses(public: bytes) -> list[str]:
    """Everything that looks like an e-mail or postal address."""
    patterns = (
        rb"[A-Za-z0-9._-]{2,64}@[A-Za-z0-9-]{2,63}\.[A-Za-z]{2,6}\b",
        rb"\b\d{4,5} [A-Z][a-z]{3,}\b",
        rb"\b[A-Z][a-z]{3,} (?:[Ss]treet|[Rr]oad|[Uu]lica|[Cc]esta) \d+",
    )
    return [match.decode() for pattern in patterns for match in re.findall(pattern, public)]
