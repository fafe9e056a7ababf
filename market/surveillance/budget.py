"""How long looking may take: a limit of wall-clock time that everything that clears a session asks about before it does.

Orders cost little and clearing again for each of them much, so that a log can be written whose surveillance does not end.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

_UNTIL: ContextVar[float | None] = ContextVar("until", default=None)


class OutOfTime(Exception):
    """The time is up; what was looked at so far says nothing."""


@contextmanager
def within(seconds: float | None) -> Iterator[None]:
    """Lets `check` raise once so many seconds have passed, in this thread; None sets no limit."""
    before = _UNTIL.set(None if seconds is None else time.monotonic() + seconds)
    try:
        yield
    finally:
        _UNTIL.reset(before)


def check() -> None:
    """Raises `OutOfTime` if the time is up."""
    until = _UNTIL.get()
    if until is not None and time.monotonic() >= until:
        raise OutOfTime
