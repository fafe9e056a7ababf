"""Explanations of prices, kept in the process: anybody may ask for one, and each clears its session once a participant.

One is worked out at a time, once per log, and as far as a second or two go; what was asked for is cut out of it.
"""

from __future__ import annotations

import hashlib
import json
import threading
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from app.errors import Refused
from market.orders import OrderBook
from market.surveillance.explain import IntervalExplanation, explain, participants
from market.surveillance.observed import Observed

MOST = 200
"""Participants without whom a session is cleared again, at most."""

WORK = 1_000_000
"""Participants times entries of the log times intervals, at most: about a second of clearing."""

KEPT = 16
"""Explanations that are kept, the latest asked for."""

WAIT_S = 20.0
"""How long a request waits for those before it."""

Intervals = tuple[IntervalExplanation, ...]


@dataclass
class Explanations:
    """What was worked out, by a hash of all that it is made of, and the lock of whoever works one out."""

    found: OrderedDict[bytes, tuple[Intervals, int]] = field(default_factory=OrderedDict)
    working: threading.Lock = field(default_factory=threading.Lock)
    reading: threading.Lock = field(default_factory=threading.Lock)

    def get(self, key: bytes) -> tuple[Intervals, int] | None:
        with self.reading:
            if key in self.found:
                self.found.move_to_end(key)
            return self.found.get(key)

    def put(self, key: bytes, value: tuple[Intervals, int]) -> None:
        with self.reading:
            self.found[key] = value
            while len(self.found) > KEPT:
                self.found.popitem(last=False)


def explained(
    kept: Explanations, book: OrderBook, log: Sequence[Sequence[str]], sold: Mapping[int, int], most: int
) -> tuple[Intervals, int]:
    """The explanation of a book, whose words in the log are `log`, with the `most` participants that trade most, or as many as
    `WORK` allows, and how many were left out. Raises `Refused` (503) where too many others are waited for."""
    made_of = [str(book.terms), list(log), sorted(book.excluded), sorted(sold.items())]
    key = hashlib.sha256(json.dumps(made_of).encode()).digest()
    found = kept.get(key)
    if found is None:
        if not kept.working.acquire(timeout=WAIT_S):
            raise Refused("Others are being answered; ask again.", status=503)
        try:
            found = kept.get(key)
            if found is None:
                found = _work_out(book, sold)
                kept.put(key, found)
        finally:
            kept.working.release()
    intervals, count = found
    shown = tuple(replace(row, without=row.without[:most]) for row in intervals)
    return shown, count - (len(shown[0].without) if shown else 0)


def _work_out(book: OrderBook, sold: Mapping[int, int]) -> tuple[Intervals, int]:
    """With as many participants as are shown at most, and how many there are."""
    observed = Observed(book, (0,) * len(book.orders), sold)
    names = participants(observed)
    work = max(len(book.orders) * len(book.terms.intervals), 1)
    return explain(observed, names[: min(MOST, WORK // work)]), len(names)
