"""What of a key version's log has reached the marketplace, and when to try again.

The cursor is written after the marketplace has said yes. A crash between the two sends the same windows again, which changes
nothing there.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from oracle.meter import Meter, MeterError, keep
from zk.windows import Window


class Cursor:
    """How far a version's log was delivered: every final window up to a day, and the newest provisional one after it."""

    def __init__(self, path: Path, meter: Meter) -> None:
        self._path = path
        self._meter = meter
        self.final = -1
        self.provisional: int | None = None
        if path.exists():
            try:
                content = json.loads(path.read_bytes())
                self.final = int(content["final"])
                self.provisional = None if content["provisional"] is None else int(content["provisional"])
            except (KeyError, TypeError, ValueError) as error:
                raise MeterError(f"{path.name}: expected a delivery cursor, got {type(error).__name__}") from error

    def due(self, limit: int) -> list[Window]:
        """The next windows to deliver, the oldest first, at most `limit`; empty where all have been."""
        waiting = self._meter.windows(self.final + 1, 1 << 32)
        return [window for window in waiting if window.final or window.head != self.provisional][:limit]

    def delivered(self, windows: Sequence[Window]) -> None:
        """Notes that the marketplace has these."""
        for window in windows:
            if window.final:
                self.final, self.provisional = window.day, None
            else:
                self.provisional = window.head
        self._store()

    def again(self) -> None:
        """Begins anew: the whole log is due."""
        self.final, self.provisional = -1, None
        self._store()

    def _store(self) -> None:
        head = None if self.provisional is None else str(self.provisional)
        keep(self._path, {"final": self.final, "provisional": head})


class BackOff:
    """When to try again: at once after a success, after 1, 2, 4, ... up to `longest` seconds after failures."""

    def __init__(self, longest: float = 300.0) -> None:
        self._longest = longest
        self._failures = 0
        self._at = 0.0

    def due(self, now: float) -> bool:
        """`now` is in seconds of any clock that only goes forward, here and below."""
        return now >= self._at

    def succeeded(self) -> None:
        self._failures, self._at = 0, 0.0

    def failed(self, now: float) -> float:
        """Notes a failure, returns the seconds to wait."""
        pause = min(2.0**self._failures, self._longest)
        self._failures = min(self._failures + 1, 30)
        self._at = now + pause
        return pause
