"""Readings as they arise: the lines of a growing CSV file or of a pipe, whole lines only, and what they say.

A line that is still being written must not be read: "41" may become "412". The layout is that of `oracle/ingest/csv.py`.
"""

from __future__ import annotations

import os
import queue
import threading
from collections.abc import Iterable
from functools import partial
from pathlib import Path
from typing import IO, Protocol

from oracle.ingest.csv import CsvError, RowError, parse_csv
from oracle.meter import MeterError
from oracle.readings import DayReadings

BATCH = 5000
"""Lines taken at once."""

_VALUES = ("net_load_wh", "import_wh", "export_wh", "pv_wh")


class Lines(Protocol):
    """Where lines come from."""

    def poll(self, wait_s: float) -> list[str]:
        """Whole lines that have come in, at most `BATCH`; waits up to `wait_s` seconds for the first."""
        ...

    @property
    def ended(self) -> bool:
        """Whether nothing more will come."""
        ...

    @property
    def restarts(self) -> int:
        """How often the lines began anew, with a header."""
        ...


class FileLines:
    """A CSV file that grows. It may be missing at first; one that was replaced or cut is read from its beginning."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._handle: IO[bytes] | None = None
        self._rest = b""
        self._pause = threading.Event()
        self.restarts = 0
        self.ended = False

    def poll(self, wait_s: float) -> list[str]:
        lines = self._read()
        if not lines and wait_s:
            self._pause.wait(wait_s)
            lines = self._read()
        return lines

    @property
    def unfinished(self) -> bool:
        """Whether the file ends within a line."""
        return bool(self._rest)

    def _read(self) -> list[str]:
        if self._handle is not None and self._replaced(self._handle):
            self._handle.close()
            self._handle, self._rest = None, b""
            self.restarts += 1
        if self._handle is None:
            try:
                self._handle = self._path.open("rb")
            except FileNotFoundError:
                return []
            except OSError as error:
                raise MeterError(f"readings: {self._path} cannot be read: {error.strerror}") from error
        lines: list[str] = []
        while len(lines) < BATCH:
            piece = self._handle.readline()
            if not piece:
                break
            self._rest += piece
            if not self._rest.endswith(b"\n"):
                break
            lines.append(_text(self._rest))
            self._rest = b""
        return lines

    def _replaced(self, handle: IO[bytes]) -> bool:
        try:
            now = self._path.stat()
        except FileNotFoundError:
            return False  # moved away: what it still holds is read until another takes its place
        opened = os.fstat(handle.fileno())
        return (now.st_ino, now.st_dev) != (opened.st_ino, opened.st_dev) or now.st_size < handle.tell()


class PipeLines:
    """The lines of a pipe, read in a thread of its own so that a silent pipe stops nothing."""

    restarts = 0

    def __init__(self, stream: IO[bytes]) -> None:
        self._queue: queue.Queue[bytes | None] = queue.Queue(maxsize=4 * BATCH)
        self._over = False
        self._stream = stream
        threading.Thread(target=self._pump, name="readings", daemon=True).start()

    @property
    def ended(self) -> bool:
        return self._over and self._queue.empty()

    def poll(self, wait_s: float) -> list[str]:
        lines: list[str] = []
        wait: float | None = wait_s
        while len(lines) < BATCH:
            try:
                piece = self._queue.get(timeout=wait) if wait else self._queue.get_nowait()
            except queue.Empty:
                break
            wait = 0
            if piece is None:
                self._over = True
                break
            if piece.endswith(b"\n"):
                lines.append(_text(piece))
        return lines

    def _pump(self) -> None:
        for piece in self._stream:
            self._queue.put(piece)
        self._queue.put(None)


class CsvRows:
    """Turns lines into readings. A broken row is named and left out; it does not stop the rows around it."""

    def __init__(self, offset: int, interval_minutes: int) -> None:
        self._parse = partial(parse_csv, offset=offset, interval_minutes=interval_minutes)
        self._header: str | None = None
        self._row = 0

    def restart(self) -> None:
        """The next line is a header again."""
        self._header, self._row = None, 0

    def read(self, lines: Iterable[str]) -> tuple[list[DayReadings], list[str]]:
        """Readings, and what was wrong by row and column, without the values; `MeterError` where the header is none of the
        layout's.
        """
        body = list(lines)
        if body and self._header is None:
            self._header, self._row = body.pop(0), 1
            try:
                self._parse([self._header])
            except CsvError as error:
                raise MeterError(f"readings: {error}") from error
        if not body or self._header is None:
            return [], []
        first, self._row = self._row + 1, self._row + len(body)
        try:
            return list(self._parse([self._header, *body]).days), []
        except CsvError:
            return self._one_by_one(first, body)

    def _one_by_one(self, first: int, body: list[str]) -> tuple[list[DayReadings], list[str]]:
        days: list[DayReadings] = []
        problems = []
        for row, line in enumerate(body, first):
            try:
                days += self._parse([self._header or "", line]).days
            except CsvError as error:
                problems += [_without_value(row, found) for found in error.errors]
        return days, problems


def _without_value(row: int, error: RowError) -> str:
    got = "" if error.column in _VALUES else f", got {error.got[:40]!r}"
    return f"row {row}, column {error.column}: expected {error.expected}{got}"


def _text(line: bytes) -> str:
    return line.decode("utf-8", errors="replace").rstrip("\r\n")
