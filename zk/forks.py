"""Fork evidence (docs/protocol.md section 8): two windows signed by one key that contradict each other, as inputs of
circuits/fork.circom.

Its proof tells key, day and interval and no reading. The evidence itself holds both windows and is as private as they are.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

from zk.eddsa import PublicKey
from zk.statement import WitnessInputs
from zk.windows import Window, WindowError, check_window, contradictions, pack_readings


class ForkError(ValueError):
    """Two windows that are no fork evidence; the message says what is missing."""


@dataclass(frozen=True, slots=True)
class ForkEvidence:
    """Two windows of one day, as one key signed them."""

    one: Window
    other: Window

    def interval(self) -> int:
        """The first interval in which the windows contradict each other, or T where they do so as a whole.

        Raises `ForkError` where they do not.
        """
        try:
            found = contradictions(self.one, self.other)
        except WindowError as error:
            raise ForkError(str(error)) from error
        if found:
            return found[0]
        if self.one.head == self.other.head:
            raise ForkError(f"heads: expected two heads for day {self.one.day}, got one twice")
        for window in (self.one, self.other):
            if not window.final:
                raise ForkError(
                    f"readings: expected an interval of day {window.day} to which both give different readings, or two final "
                    "windows; got none, and a provisional window"
                )
        return len(self.one.readings)


@dataclass(frozen=True, slots=True)
class ForkStatement:
    """A fork ready to be proven.

    key         the key's word
    day         the day of both windows
    interval    the contradiction's interval, or T for one as a whole
    intervals   intervals a day, T
    """

    kind: ClassVar[str] = "fork"
    size: ClassVar[int] = 1

    key: int
    day: int
    interval: int
    intervals: int
    witness: WitnessInputs = field(repr=False)

    @property
    def public(self) -> tuple[int, int, int]:
        """(key word, day, t), in the order of the circuit's public signals."""
        return self.key, self.day, self.interval


def make_fork(a: Window, b: Window, key: PublicKey) -> ForkStatement:
    """The statement that `key` signed both windows although they contradict each other.

    Raises `ForkError` naming what is missing: a signature, the same day, a contradiction.
    """
    interval = ForkEvidence(a, b).interval()
    for window in (a, b):
        try:
            check_window(window, key)
        except WindowError as error:
            raise ForkError(str(error)) from error
    windows = (a, b)
    witness: WitnessInputs = {
        "day": a.day,
        "t": interval,
        "Ax": key.x,
        "Ay": key.y,
        "previous": [window.previous for window in windows],
        "final": [int(window.final) for window in windows],
        "salt": [window.salt for window in windows],
        "valid": [[int(reading is not None) for reading in window.readings] for window in windows],
        "packed": [list(pack_readings(window.readings)) for window in windows],
        "R8x": [window.signature.r8x for window in windows],
        "R8y": [window.signature.r8y for window in windows],
        "S": [window.signature.s for window in windows],
    }
    return ForkStatement(key.word(), a.day, interval, len(a.readings), witness)
