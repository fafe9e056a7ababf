"""The meter's gateway: holds the signing key, closes one window a day, and never signs two histories (docs/protocol.md section
8).

The log lives in one file that is replaced whole before a window leaves the meter. After a crash or a restart the meter goes on
from that file, so that its log cannot fork; readings and salts in it are private, and the file is readable by its owner alone.
The key is not in it.

An interval once under a signed head, final or provisional, never changes its value: `close` and `provisional` refuse that. A
correction may only take a provisional reading back (None) before the day's final head.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from zk.eddsa import PrivateKey, PublicKey
from zk.files import locked, sync_folder, write_whole
from zk.windows import HISTORY_DAYS, Window, WindowError, check_chain, check_window, close_window, start_log

_FORMAT = 1


class MeterError(ValueError):
    """What a meter refuses: a forked or foreign log, a day out of order, a changed reading. The message names day and field."""


@dataclass(frozen=True, slots=True)
class Exported:
    """What `Meter.export` wrote: the account, its key, and that key's signed windows, private."""

    account: int
    key: PublicKey
    windows: tuple[Window, ...] = field(repr=False)

    @classmethod
    def read(cls, path: Path) -> Self:
        """Reads the file; every window must be signed by the key. Raises `MeterError` naming file and field."""
        try:
            content = json.loads(path.read_bytes())
            if content["format"] != _FORMAT:
                raise MeterError(f"{path}: expected windows of format {_FORMAT}, got {content['format']}")
            key = PublicKey(int(content["key"]["x"]), int(content["key"]["y"]))
            windows = tuple(Window.from_record(record) for record in content["windows"])
            account = int(content["account"])
        except OSError as error:
            raise MeterError(f"{path}: {error.strerror}") from error
        except (KeyError, TypeError, ValueError) as error:
            if isinstance(error, MeterError):
                raise
            raise MeterError(f"{path}: expected windows as `wattproof meter export` writes them, got {error!r:.60}") from error
        try:
            key.check()
            for window in windows:
                check_window(window, key)
        except ValueError as error:
            raise MeterError(f"{path}: {error}") from error
        return cls(account, key, windows)


class Meter:
    """A meter with its log. Use `create` for a new key and `open` afterwards.

    Several processes may hold the same file: each write takes a lock and is refused where another process went on in the
    meantime.
    """

    def __init__(self, path: Path, key: PrivateKey, finals: Sequence[Window], provisionals: Sequence[Window]) -> None:
        self._path = path
        self._key = key
        self._finals = list(finals)
        self._provisionals = list(provisionals)

    @classmethod
    def create(cls, path: Path, key: PrivateKey, from_day: int, intervals: int) -> Meter:
        """A new log for a key in force from `from_day` on: 14 empty windows. Refused where the file exists already."""
        with locked(_lock(path)):
            if path.exists():
                raise MeterError(f"path: expected no log at {path.name} yet, a key starts its log once")
            try:
                empty = start_log(key, from_day, intervals)
            except WindowError as error:
                raise MeterError(str(error)) from error
            meter = cls(path, key, empty, ())
            meter._store()
        return meter

    @classmethod
    def open(cls, path: Path, key: PrivateKey) -> Meter:
        """The meter with the log at `path`; raises `MeterError` unless the log is whole, chained and signed by `key`."""
        finals, provisionals = _read(path, key.public)
        try:
            check_chain(finals)
            for window in (*finals, *provisionals):
                check_window(window, key.public)
        except WindowError as error:
            raise MeterError(f"{path.name}: {error}") from error
        return cls(path, key, finals, provisionals)

    @property
    def key(self) -> PublicKey:
        return self._key.public

    @property
    def intervals(self) -> int:
        """Intervals of a day, T."""
        return len(self._finals[-1].readings)

    @property
    def from_day(self) -> int:
        """The day from which on the key counts; the windows before it are empty."""
        return self._finals[0].day + HISTORY_DAYS

    @property
    def next_day(self) -> int:
        """The day that can be closed next."""
        return self._finals[-1].day + 1

    def signed(self, day: int) -> dict[int, frozenset[int]]:
        """Readings of the running day that stand under a provisional head, by interval: they cannot become others any more."""
        found: dict[int, frozenset[int]] = {}
        for window in self._provisionals:
            for t, reading in enumerate(window.readings):
                if window.day == day and reading is not None:
                    found[t] = found.get(t, frozenset()) | {reading}
        return found

    def close(self, day: int, readings: Sequence[int | None]) -> Window:
        """Closes a day for good and returns its window. The same day with the same readings gives the window that exists."""
        return self.close_days([(day, readings)])[0]

    def close_days(self, days: Iterable[tuple[int, Sequence[int | None]]]) -> list[Window]:
        """Closes consecutive days with one write of the log: all of them, or none where one is refused (`MeterError`)."""
        with self._writing():
            finals, provisionals = list(self._finals), list(self._provisionals)
            out = []
            for day, readings in days:
                window = self._closed(finals, day, tuple(readings))
                if window is None:
                    self._check_signed(provisionals, day, readings)
                    window = self._sign(day, readings, finals[-1].head, final=True)
                    finals.append(window)
                    provisionals.clear()
                out.append(window)
            self._replace(finals, provisionals)
        return out

    def provisional(self, day: int, readings: Sequence[int | None], elapsed: int) -> Window:
        """Signs the first `elapsed` intervals of the day that is running; later ones must be None. It is not chained."""
        if not 0 < elapsed <= self.intervals:
            raise MeterError(f"elapsed: expected 1..{self.intervals} intervals, got {elapsed}")
        if any(reading is not None for reading in readings[elapsed:]):
            raise MeterError(f"readings: expected none after the first {elapsed} intervals of day {day}")
        with self._writing():
            if day != self.next_day:
                raise MeterError(f"day: expected the running day {self.next_day}, got {day}")
            for window in self._provisionals:
                if window.readings == tuple(readings):
                    return window
            self._check_signed(self._provisionals, day, readings)
            window = self._sign(day, readings, self._finals[-1].head, final=False)
            self._replace(self._finals, [*self._provisionals, window])
        return window

    def windows(self, first: int, last: int) -> list[Window]:
        """The owner's windows, salts included, of days `first` to `last`; of the running day the newest provisional one."""
        return [window for window in (*self._finals, *self._provisionals[-1:]) if first <= window.day <= last]

    def windows_for(self, day: int) -> list[Window]:
        """The 15 windows that a proof about `day` takes; raises `MeterError` where the day is not signed yet."""
        found = self.windows(day - HISTORY_DAYS, day)
        if len(found) != HISTORY_DAYS + 1:
            have = f"{self._finals[0].day}..{self._finals[-1].day}"
            raise MeterError(f"day: expected a signed day with {HISTORY_DAYS} before it, got {day}; closed are {have}")
        return found

    def export(self, day: int, account: int) -> dict[str, Any]:
        """The 15 windows that a proof about `day` takes, salts included, with key and account: for the meter's owner alone."""
        return {
            "format": _FORMAT,
            "account": account,
            "key": {"x": str(self.key.x), "y": str(self.key.y)},
            "from_day": self.from_day,
            "day": day,
            "windows": [window.to_record() for window in self.windows_for(day)],
        }

    def _closed(self, finals: Sequence[Window], day: int, readings: tuple[int | None, ...]) -> Window | None:
        """The window of a day that is closed already; None for the next day."""
        if day == finals[-1].day + 1:
            return None
        if not finals[0].day <= day <= finals[-1].day:
            raise MeterError(f"day: expected day {finals[-1].day + 1} next, got {day}")
        window = finals[day - finals[0].day]
        if window.readings != readings:
            changed = [t for t, (old, new) in enumerate(zip(window.readings, readings, strict=False)) if old != new]
            raise MeterError(f"readings: day {day} is closed with other readings, they differ in intervals {changed}")
        return window

    def _check_signed(self, provisionals: Sequence[Window], day: int, readings: Sequence[int | None]) -> None:
        for window in provisionals:
            if window.day != day:
                continue
            pairs = zip(window.readings, readings, strict=False)
            changed = [t for t, (old, new) in enumerate(pairs) if old is not None and new is not None and old != new]
            if changed:
                raise MeterError(f"readings: day {day} was signed with other values in intervals {changed}")

    def _sign(self, day: int, readings: Sequence[int | None], previous: int, *, final: bool) -> Window:
        if len(readings) != self.intervals:
            raise MeterError(f"readings: expected {self.intervals} intervals on day {day}, got {len(readings)}")
        try:
            return close_window(self._key, day, readings, previous, final=final)
        except WindowError as error:
            raise MeterError(f"day {day}: {error}") from error

    @contextmanager
    def _writing(self) -> Iterator[None]:
        """Holds the log's lock for one write and makes sure that the log is still the one that this meter knows."""
        with locked(_lock(self._path)):
            if is_retired(self._path):
                raise MeterError(
                    f"{self._path.name}: expected a log that is in use; this one is retired and signs nothing more"
                )
            finals, provisionals = _read(self._path, self.key)
            if finals != self._finals or provisionals != self._provisionals:
                raise MeterError(f"{self._path.name}: another process went on with this log; open it again")
            yield

    def _replace(self, finals: list[Window], provisionals: list[Window]) -> None:
        before = self._finals, self._provisionals
        self._finals, self._provisionals = finals, provisionals
        try:
            self._store()
        except BaseException:
            self._finals, self._provisionals = before
            raise

    def _store(self) -> None:
        content = {
            "format": _FORMAT,
            "key": str(self._key.public.word()),
            "finals": [window.to_record() for window in self._finals],
            "provisionals": [window.to_record() for window in self._provisionals],
        }
        keep(self._path, content)


def keep(path: Path, content: object) -> None:
    """Replaces a JSON file whole, readable by its owner alone, and does not return before a power cut would leave it there."""
    write_whole(path, json.dumps(content, separators=(",", ":")).encode())
    sync_folder(path.parent)  # the rename itself; write_whole has seen to the content


def retire(path: Path) -> None:
    """Marks the log at `path`, which may be lost: nothing is ever signed with it again."""
    with locked(_lock(path)):
        if not is_retired(path):
            keep(_retired(path), {"format": _FORMAT})


def is_retired(path: Path) -> bool:
    """Whether the log at `path` was retired."""
    return _retired(path).exists()


def _lock(path: Path) -> Path:
    return path.with_name(f"{path.name}.lock")


def _retired(path: Path) -> Path:
    return path.with_name(f"{path.name}.retired")


def _read(path: Path, key: PublicKey) -> tuple[list[Window], list[Window]]:
    try:
        content = json.loads(path.read_bytes())
        if content["format"] != _FORMAT:
            raise MeterError(f"{path.name}: expected a log of format {_FORMAT}, got {content['format']}")
        if content["key"] != str(key.word()):
            raise MeterError(f"{path.name}: expected the log of key {key.word()}, got that of {content['key']}")
        return [Window.from_record(r) for r in content["finals"]], [Window.from_record(r) for r in content["provisionals"]]
    except WindowError as error:
        raise MeterError(f"{path.name}: {error}") from error
    except (OSError, KeyError, TypeError, json.JSONDecodeError, UnicodeDecodeError) as error:
        raise MeterError(f"{path.name}: expected a meter's log, got {type(error).__name__}") from error
