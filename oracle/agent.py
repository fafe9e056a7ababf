"""The meter agent's folder: versions of the key with their logs, readings of the days that are not closed, and what is due.

    meter.json        whose meter this is: its name in the readings, account, standard-time offset, interval length
    pending.json      readings that stand under no final head yet
    1/, 2/, ...       a version of the key each: key (readable by its owner alone), log.json, delivered.json, and
                      log.json.retired once it must sign nothing more

A version's folder appears whole or not at all. A key whose log was lost never starts another, and one whose log was put back to
an earlier state must not go on: either would fork it. `Agent.retire` ends such versions and begins the next.
Days belong to the last version that counts on them. Nothing here knows the time; callers say how far it has come.
"""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from oracle.meter import Meter, MeterError, is_retired, keep, retire
from oracle.readings import DayReadings
from zk.eddsa import SEED_BYTES, KeyFormatError, PrivateKey, PublicKey
from zk.files import new_directory
from zk.windows import HISTORY_DAYS, Window

_FORMAT = 1

FARTHEST_DAYS = 31
"""Days beyond the next to be closed of which readings are taken: one wrong date must not close years of empty days."""

_LAST_DAY = 1 << 32


@dataclass(frozen=True)
class Site:
    """Where the meter hangs: its name in the readings, its account, and the zone's standard-time offset (s) and interval
    length (min)."""

    meter: str
    account: int
    offset: int
    interval_minutes: int

    def __post_init__(self) -> None:
        if self.interval_minutes not in (15, 30, 60):
            raise MeterError(f"interval_minutes: expected 15, 30 or 60, got {self.interval_minutes}")
        if not -50_400 <= self.offset <= 50_400:
            raise MeterError(f"offset: expected -50400 to 50400 s from UTC, got {self.offset}")
        if not 0 < self.account < 1 << 32:
            raise MeterError(f"account: expected 1 to 2^32-1, got {self.account}")

    @property
    def intervals(self) -> int:
        """Intervals of a day, T."""
        return 1440 // self.interval_minutes

    def end(self, day: int, interval: int) -> int:
        """When an interval ends, Unix seconds."""
        return day * 86_400 - self.offset + (interval + 1) * self.interval_minutes * 60


class KeyVersion:
    """One version of the meter's key with its log. `until` is the day from which on the next version counts."""

    def __init__(self, folder: Path, until: int = _LAST_DAY) -> None:
        self.number = int(folder.name)
        self.folder = folder
        self.until = until
        self.retired = is_retired(folder / "log.json")
        self.meter = Meter.open(folder / "log.json", _read_key(folder / "key"))

    @classmethod
    def make(cls, folder: Path, from_day: int, intervals: int) -> KeyVersion:
        """A new key with an empty log, generated here."""
        key = PrivateKey.generate()
        with new_directory(folder) as scratch:
            scratch.chmod(0o700)
            _write_key(scratch / "key", key)
            Meter.create(scratch / "log.json", key, from_day, intervals)
        return cls(folder)

    @property
    def key(self) -> PublicKey:
        return self.meter.key

    @property
    def from_day(self) -> int:
        return self.meter.from_day


class Agent:
    """A meter's folder, opened. One process at a time may write: hold `alone(folder)` around everything but reading."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.site = _read_site(folder)
        self.versions: list[KeyVersion] = []
        self.lost: list[int] = []
        """Numbers of retired versions that cannot be read any more."""
        for path in _version_folders(folder):
            try:
                self.versions.append(KeyVersion(path))
            except MeterError:
                if not is_retired(path / "log.json"):
                    raise
                self.lost.append(int(path.name))
        self._bound()
        self._pending = _Pending(folder / "pending.json", self.site.intervals)

    @classmethod
    def init(cls, folder: Path, site: Site, from_day: int) -> Agent:
        """A new meter with a new key from `from_day` on. Refused where there is one already."""
        if (folder / "1").exists():
            raise MeterError(f"{folder}: there is a meter already; `rotate` gives it another key")
        known = _read_site(folder) if (folder / "meter.json").exists() else site  # a set-up that was cut short goes on
        if known != site:
            raise MeterError(f"{folder}: expected {known}, got {site}; this folder was set up for another meter")
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        keep(folder / "meter.json", {"format": _FORMAT, **asdict(site)})
        KeyVersion.make(folder / "1", from_day, site.intervals)
        return cls(folder)

    def rotate(self, from_day: int | None = None) -> KeyVersion:
        """A new version of the key, in force from `from_day` on (by default from the day after the running one); the old
        version goes on closing the days before."""
        current, running = self.current()
        newest = self.versions[-1]
        if current is not newest:
            raise MeterError(f"version {newest.number} counts from day {newest.from_day} on: the next one comes after that day")
        day = running + 1 if from_day is None else from_day
        unsigned = running + 1 if current.meter.signed(running) else running
        earliest = max(unsigned, current.from_day + 1)
        if day < earliest:
            raise MeterError(f"from_day: expected day {earliest} or later, got {day}: earlier days are signed by the old key")
        made = KeyVersion.make(_next_folder(self.folder), day, self.site.intervals)
        self.versions.append(made)
        self._bound()
        return made

    @classmethod
    def retire(cls, folder: Path, from_day: int) -> Agent:
        """Ends every version so far, at once and for good, and makes the next one, in force from `from_day` on: for a log that
        is lost or was put back to an earlier state. Days before `from_day` that are not closed stay without a window.

        Works where a log or a key cannot be read; may be called again where it was cut short.
        """
        site = _read_site(folder)
        earliest = HISTORY_DAYS
        for path in _version_folders(folder):
            try:
                earliest = max(earliest, KeyVersion(path).from_day + 1)
            except MeterError:
                continue  # lost: the chain still refuses a version that is not after it
        if from_day < earliest:
            raise MeterError(f"from_day: expected at least {earliest}, after the versions so far, got {from_day}")
        for path in _version_folders(folder):
            retire(path / "log.json")
        KeyVersion.make(_next_folder(folder), from_day, site.intervals)
        return cls(folder)

    @property
    def signs(self) -> bool:
        """Whether there is a version that is not retired."""
        return not all(version.retired for version in self.versions)

    def current(self) -> tuple[KeyVersion, int]:
        """The version that signs next, and the day that it closes next; raises `MeterError` where all are retired."""
        if not self.signs:
            raise MeterError(f"{self.folder}: every version of the key is retired; `rotate --retire` makes the next")
        for version in self.versions:
            if not version.retired and version.meter.next_day < version.until:
                break
        return version, version.meter.next_day

    def version_on(self, day: int) -> KeyVersion:
        """The version that counts on a day."""
        for version in reversed(self.versions):
            if version.from_day <= day:
                return version
        raise MeterError(f"day: expected day {self.versions[0].from_day} or later, got {day}: no key counts on it")

    def take(self, days: Iterable[DayReadings], latest: int | None = None) -> list[str]:
        """Takes readings in and keeps them; returns what could not be taken, by day and interval and without values.

        `latest` (Unix seconds) refuses intervals that end later. Another reading for an interval replaces one that nobody has
        signed; one under a provisional head is taken back instead, and stays so; one of a closed day stays as it is.
        """
        notes: list[str] = []
        version, running = self.current()
        signed = version.meter.signed(running)
        for item in days:
            if item.meter != self.site.meter:
                notes.append(f"day {item.day}: readings of another meter ({item.meter}), not of {self.site.meter}")
            elif len(item.net) != self.site.intervals:
                notes.append(f"day {item.day}: expected {self.site.intervals} intervals, got {len(item.net)}")
            elif item.day < running:
                notes += self._compare_closed(item)
            elif item.day > running + FARTHEST_DAYS:
                notes.append(f"day {item.day}: expected at most {FARTHEST_DAYS} days after the running day {running}")
            else:
                notes += self._take_day(item, signed if item.day == running else {}, latest)
        self._pending.store()
        return notes

    def close_due(self, now: int, grace: int) -> list[Window]:
        """Closes for good every day that is complete, or over since `grace` seconds at `now`; a gap stays one. Returns the new
        windows."""
        closed: list[Window] = []
        while True:
            version, first = self.current()
            due = []
            for day in range(first, version.until):
                readings = self._pending.readings(day)
                if None in readings and self.site.end(day, self.site.intervals - 1) + grace > now:
                    break
                due.append((day, self._consistent(version.meter, day, readings)))
                if len(due) == FARTHEST_DAYS:
                    break
            if not due:
                break
            closed += version.meter.close_days(due)
            self._pending.drop_before(version.meter.next_day)
        return closed

    def provisional(self, now: int) -> Window | None:
        """A provisional window over what has elapsed of the running day at `now`; None where there is no reading in it."""
        version, day = self.current()
        elapsed = sum(1 for t in range(self.site.intervals) if self.site.end(day, t) <= now)
        readings = self._pending.readings(day)[:elapsed] + (None,) * (self.site.intervals - elapsed)
        if all(reading is None for reading in readings):
            return None
        return version.meter.provisional(day, self._consistent(version.meter, day, readings), elapsed)

    def newest(self) -> int | None:
        """End of the last interval with a reading that is not closed, Unix seconds; None where there is none."""
        return self._pending.newest(self.site)

    def waiting(self) -> dict[int, int]:
        """Number of readings that are not closed, by day."""
        return self._pending.counts()

    def export(self, day: int) -> dict[str, Any]:
        """The windows of `day` and the 14 days before under the key that counts on it, salts included: for the owner alone."""
        return self.version_on(day).meter.export(day, self.site.account)

    def _bound(self) -> None:
        for version, following in zip(self.versions, self.versions[1:], strict=False):
            version.until = following.from_day

    def _compare_closed(self, item: DayReadings) -> list[str]:
        if item.day < self.versions[0].from_day:
            return [f"day {item.day}: before the first day of the meter's key, {self.versions[0].from_day}"]
        found = self.version_on(item.day).meter.windows(item.day, item.day)
        if not found or not found[0].final:
            return [f"day {item.day}: no version of the key closes it, the one that would have is retired"]
        (window,) = found
        late = [t for t, (old, new) in enumerate(zip(window.readings, item.net, strict=True)) if new is not None and new != old]
        return [f"day {item.day}, intervals {late}: came after the day was closed and are left out"] if late else []

    def _take_day(self, item: DayReadings, signed: dict[int, frozenset[int]], latest: int | None) -> list[str]:
        notes = []
        for t, reading in enumerate(item.net):
            if reading is None or self._pending.taken_back(item.day, t):
                continue
            if latest is not None and self.site.end(item.day, t) > latest:
                notes.append(f"day {item.day}, interval {t}: ends in the future")
            elif signed.get(t, {reading}) != {reading}:
                self._pending.take_back(item.day, t)
                notes.append(
                    f"day {item.day}, interval {t}: another reading than the one that was signed; the interval is void"
                )
            else:
                self._pending.put(item.day, t, reading)
        return notes

    @staticmethod
    def _consistent(meter: Meter, day: int, readings: tuple[int | None, ...]) -> tuple[int | None, ...]:
        """The readings without those that contradict a signed head: the last guard against a fork."""
        signed = meter.signed(day)
        return tuple(None if value is None or signed.get(t, {value}) != {value} else value for t, value in enumerate(readings))


class _Pending:
    """Readings that stand under no final head, and intervals of them that were taken back; one file, replaced whole."""

    def __init__(self, path: Path, intervals: int) -> None:
        self._path = path
        self._intervals = intervals
        self._days: dict[int, dict[int, int]] = {}
        self._void: dict[int, set[int]] = {}
        self._stored: object = None
        if path.exists():
            try:
                content = json.loads(path.read_bytes())
                self._days = {int(d): {int(t): int(wh) for t, wh in row.items()} for d, row in content["days"].items()}
                self._void = {int(d): {int(t) for t in row} for d, row in content["void"].items()}
            except (KeyError, TypeError, ValueError, AttributeError) as error:
                raise MeterError(f"{path.name}: expected pending readings, got {type(error).__name__}") from error
            self._stored = self._content()

    def put(self, day: int, interval: int, wh: int) -> None:
        self._days.setdefault(day, {})[interval] = wh

    def take_back(self, day: int, interval: int) -> None:
        self._days.get(day, {}).pop(interval, None)
        self._void.setdefault(day, set()).add(interval)

    def taken_back(self, day: int, interval: int) -> bool:
        return interval in self._void.get(day, ())

    def readings(self, day: int) -> tuple[int | None, ...]:
        found = self._days.get(day, {})
        return tuple(found.get(t) for t in range(self._intervals))

    def newest(self, site: Site) -> int | None:
        found = [(day, max(row)) for day, row in self._days.items() if row]
        return site.end(*max(found)) if found else None

    def counts(self) -> dict[int, int]:
        return {day: len(row) for day, row in sorted(self._days.items()) if row}

    def drop_before(self, day: int) -> None:
        self._days = {d: row for d, row in self._days.items() if d >= day}
        self._void = {d: row for d, row in self._void.items() if d >= day}
        self.store()

    def store(self) -> None:
        content = self._content()
        if content != self._stored:
            keep(self._path, content)
            self._stored = content

    def _content(self) -> object:
        days = {str(day): {str(t): wh for t, wh in sorted(row.items())} for day, row in sorted(self._days.items())}
        return {"days": days, "void": {str(day): sorted(row) for day, row in sorted(self._void.items())}}


def _version_folders(folder: Path) -> list[Path]:
    numbers = sorted(int(path.name) for path in folder.iterdir() if path.name.isdecimal() and path.is_dir())
    if numbers != list(range(1, len(numbers) + 1)) or not numbers:
        raise MeterError(f"{folder}: expected a folder for each version of the key, 1, 2, ..., got {numbers}")
    return [folder / str(number) for number in numbers]


def _next_folder(folder: Path) -> Path:
    return folder / str(len(_version_folders(folder)) + 1)


def tomorrow(folder: Path, now: int) -> int:
    """The day after the one of `now` (Unix seconds) in the standard time of a folder's zone."""
    return (now + _read_site(folder).offset) // 86_400 + 1


@contextmanager
def alone(folder: Path) -> Iterator[None]:
    """Holds the folder alone among all processes; raises `MeterError` at once where another holds it."""
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    with (folder / "lock").open("a") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise MeterError(f"{folder}: another process runs this meter") from None
        yield


def _write_key(path: Path, key: PrivateKey) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as handle:
        handle.write(key.seed().hex())
        handle.flush()
        os.fsync(handle.fileno())


def _read_key(path: Path) -> PrivateKey:
    """The secret; refused where others than its owner may read it. No message shows anything of the content."""
    try:
        mode = path.stat().st_mode & 0o777
        text = path.read_text().strip()
    except (OSError, UnicodeDecodeError) as error:
        raise MeterError(f"{path}: expected the meter's key, got {type(error).__name__}") from None
    if mode & 0o077:
        raise MeterError(f"{path}: expected a key that only its owner can read (chmod 600), got mode {mode:o}")
    try:
        return PrivateKey(bytes.fromhex(text))
    except (ValueError, KeyFormatError):
        raise MeterError(f"{path}: expected {2 * SEED_BYTES} hexadecimal digits, got something else") from None


def _read_site(folder: Path) -> Site:
    path = folder / "meter.json"
    try:
        content = json.loads(path.read_bytes())
        if content["format"] != _FORMAT:
            raise MeterError(f"{path}: expected format {_FORMAT}, got {content['format']}")
        return Site(str(content["meter"]), int(content["account"]), int(content["offset"]), int(content["interval_minutes"]))
    except FileNotFoundError:
        raise MeterError(f"{folder}: there is no meter here; `wattproof meter init` sets one up") from None
    except (OSError, KeyError, TypeError, json.JSONDecodeError) as error:
        raise MeterError(f"{path}: expected a meter's description, got {type(error).__name__}") from error
