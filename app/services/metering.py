"""Readings and signed windows in; series and windows out. Both are private: they leave this module only towards their
owner, the forecast and the prover."""

from __future__ import annotations

import io
import threading
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import groupby

from sqlalchemy import insert
from sqlmodel import Session, col, select

from app.context import Context
from app.database import Account, Fork, MeterKey, MeterWindow, Reading, ZoneRow, known
from app.errors import FieldError, Refused, shown
from app.readings import reading_rows
from app.services import accounts
from oracle.ingest.csv import MAX_ERRORS, CsvError, RowError, parse_csv
from zk.windows import HISTORY_DAYS, Window, WindowError, check_head, check_window, contradictions

_storing = threading.Lock()
"""Held while readings or windows are compared and stored: two that contradict each other must not come in past each other."""

AHEAD = 86_400
"""Seconds by which an interval may end after chain time, which is that of the latest block and may lag behind the meters'."""


@dataclass(frozen=True)
class SignedWindow:
    """A window as it is handed in. `key` is the word of the key version that signed it; without one it is found."""

    account: int
    window: Window
    key: int | None = None


class _ForkRefused(Refused):
    """A verified window that contradicts a stored one."""

    def __init__(self, evidence: Fork, detail: str, *, expected: str, got: str) -> None:
        super().__init__(detail, status=409, field="window", expected=expected, got=got)
        self.evidence = evidence


HEADS_A_DAY = 200
"""Provisional windows that are kept for a day of a key: two an interval of a quarter hour. Anyone may hand windows in."""


def import_csv(ctx: Context, text: str, zone_number: int = 1) -> int:
    """Stores a CSV of readings, all rows or none. Returns the number of readings that are new. The same reading twice is one;
    refused by row are what is broken, what ends more than `AHEAD` after chain time, and another value for a stored interval."""
    zone = ctx.zone(zone_number)
    with ctx.database.session() as db:
        accounts = {str(index): index for index in db.exec(select(Account.index)).all()}
    lines, until = io.StringIO(text, newline=""), ctx.now() + AHEAD
    try:
        found = parse_csv(lines, offset=zone.offset, interval_minutes=zone.interval_minutes, meters=accounts, until=until)
    except CsvError as error:
        raise _refused_rows(error.errors) from error
    new, differing = [], []
    with _storing, ctx.database.session() as db:
        for meter, group in groupby(found.days, lambda day: day.meter):
            days = list(group)
            first, end = zone.interval_start(days[0].day, 0), zone.interval_start(days[-1].day + 1, 0)
            stored = {row.start: row.import_wh - row.export_wh for row in _between(db, accounts[meter], first, end)}
            for day in days:
                for row in reading_rows(accounts[meter], zone, day):
                    start = int(row["start"] or 0)
                    if start not in stored:
                        new.append(row)
                    elif stored[start] != int(row["import_wh"] or 0) - int(row["export_wh"] or 0):
                        differing.append(found.row_of(meter, day.day, zone.interval_of(start)))
        if differing:
            expected = "the reading that is stored: a correction stands beside the log, it does not replace it"
            errors = [RowError(row, "(row)", expected, "another") for row in sorted(differing)[:MAX_ERRORS]]
            raise _refused_rows(errors, status=409)
        if new:
            db.execute(insert(Reading), new)
    return len(new)


def _refused_rows(errors: Sequence[RowError], *, status: int = 422) -> Refused:
    count = len({error.row for error in errors})
    what = f"{count} {'row' if count == 1 else 'rows'} of the file"
    if errors[0].row == 1:
        what = "The header of the file"
    elif len(errors) >= MAX_ERRORS:
        what = f"At least {what}"
    refused = Refused(f"{what} cannot be taken; nothing was stored.", status=status)
    refused.errors = [FieldError(f"row {e.row}, column {shown(e.column)}", e.expected, shown(e.got)) for e in errors]
    return refused


def store_windows(ctx: Context, items: Iterable[SignedWindow]) -> int:
    """Takes signed windows in, all of them or none. Returns the number of windows that are newly stored.

    Each head and signature must verify under a version of the account's meter key and continue that key's log. A window that
    contradicts a stored one is refused, and both are kept as evidence of the fork; the same window again is harmless. So is one
    of a day before the 14 that precede the named version's first: it is dropped, since nothing can be proven with it.
    """
    ctx.refresh()
    stored = 0
    with _storing:
        try:
            with ctx.database.session() as db:
                for number, item in enumerate(items):
                    try:
                        stored += _store_window(db, item)
                    except Refused as refused:
                        refused.errors = [replace(error, field=f"[{number}].{error.field}") for error in refused.errors]
                        raise
                    db.flush()
        except _ForkRefused as fork:
            with ctx.database.session() as db:
                found = db.exec(select(Fork).where(Fork.key == fork.evidence.key, Fork.day == fork.evidence.day)).first()
                if found is None:
                    db.add(fork.evidence)
            raise
    return stored


def _store_window(db: Session, item: SignedWindow) -> bool:
    """Takes one window in; returns whether it is newly stored."""
    account, window = item.account, item.window
    known(db.get(Account, account), "account", account)
    if _is_stored(db, item):
        return False  # before anything that takes time: anyone may send the same window any number of times
    version = _signer(db, item)
    if window.day < version.from_day - HISTORY_DAYS:
        return False
    stored = _signed(db, version.key, window.day, window.day)
    for earlier in stored:
        _refuse_fork(account, version.key, earlier, window)
    if any(earlier.head == window.head for earlier in stored):
        return False
    if len(stored) >= HEADS_A_DAY and not window.final:
        raise Refused(
            f"The meter of account {account} has signed day {window.day} often enough.",
            status=429,
            field="window",
            expected=f"at most {HEADS_A_DAY} provisional windows a day",
            got="another",
        )
    days = {near.day: near for near in _signed(db, version.key, window.day - 1, window.day + 1) if near.final}
    before, after = days.get(window.day - 1), days.get(window.day + 1)
    if before is not None and before.head != window.previous:
        raise _broken(f"The window of day {window.day} does not continue the log of account {account}.", "day before")
    if after is not None and window.final and after.previous != window.head:
        raise _broken(f"The window of day {window.day} is not the one that day {window.day + 1} continues.", "day after")
    db.add(MeterWindow(key=version.key, day=window.day, head=str(window.head), window=window.to_record()))
    return True


def _is_stored(db: Session, item: SignedWindow) -> bool:
    """Whether this very window has come in under a key version of the account."""
    bound = [version.key for version in accounts.versions(db, item.account)]
    query = select(MeterWindow.window).where(
        MeterWindow.day == item.window.day, MeterWindow.head == str(item.window.head), col(MeterWindow.key).in_(bound)
    )
    return item.window.to_record() in db.exec(query).all()


def _broken(detail: str, where: str) -> Refused:
    expected = "the head of the day before" if where == "day before" else "the head that the day after continues"
    return Refused(detail, status=409, field="window.previous", expected=expected, got="another head")


def _signer(db: Session, item: SignedWindow) -> MeterKey:
    """The version of the account's key that signed the window; raises `Refused` unless one did that has a say on its day.

    A version that is named may have signed earlier days as well: its log was begun before it was known from when it counts.
    """
    account, window = item.account, item.window
    bound = accounts.versions(db, account)
    if not bound:
        raise Refused(
            f"Account {account} has no meter.", field="account", expected="an account with a meter key", got=str(account)
        )
    ends = [version.from_day for version in bound[1:]] + [1 << 32]
    # A version's log matters from the 14 days before its first, and ends where the next version counts.
    days = {version.key: range(version.from_day - HISTORY_DAYS, end) for version, end in zip(bound, ends, strict=True)}
    listed = "; ".join(f"{key}: days {r.start} to {r.stop - 1}" for key, r in days.items())
    if item.key is not None and hex(item.key) not in days:
        raise Refused(
            f"This key is not a version of account {account}'s.", field="key", expected=f"one of {listed}", got=hex(item.key)
        )
    named = [version for version in bound if item.key is None or version.key == hex(item.key)]
    possible = [
        version
        for version in named
        if window.day < days[version.key].stop and (item.key is not None or window.day >= days[version.key].start)
    ]
    if not possible:
        raise Refused(
            f"No key version of account {account} signs day {window.day}.",
            field="window.day",
            expected=listed if item.key is None else f"days {days[hex(item.key)].start} to {days[hex(item.key)].stop - 1}",
            got=f"day {window.day}",
        )
    _check_contents(db, window, possible[-1].zone)
    for version in reversed(possible):
        try:
            check_window(window, accounts.point(db, version.key))
        except WindowError:
            continue
        if version.suspended:
            raise Refused(
                f"The meter key of account {account} from day {version.from_day} is suspended: it signed two histories.",
                status=409,
                field="key",
                expected="a window of a key version in force",
                got=version.key,
            )
        return version
    raise Refused(
        f"The window of day {window.day} is not signed by the meter of account {account}.",
        field="window.signature",
        expected=f"a signature by {' or '.join(version.key for version in possible)} over the head",
        got="another",
    )


def _check_contents(db: Session, window: Window, zone_number: int) -> None:
    zone: ZoneRow = known(db.get(ZoneRow, zone_number), "zone", zone_number)
    intervals = 1440 // zone.minutes
    if len(window.readings) != intervals:
        raise Refused(
            f"The window of day {window.day} does not fit the zone.",
            field="window.readings",
            expected=f"{intervals} intervals",
            got=f"{len(window.readings)}",
        )
    try:
        check_head(window)
    except WindowError as error:
        raise Refused(
            "The window does not verify.", field=f"window.{error.field}", expected=error.expected, got=str(error.got)
        ) from error


def _refuse_fork(account: int, key: str, earlier: Window, window: Window) -> None:
    differing = contradictions(earlier, window)
    if not differing and not (earlier.final and window.final and earlier.head != window.head):
        return
    interval = differing[0] if differing else len(window.readings)
    raise _ForkRefused(
        Fork(key=key, day=window.day, interval=interval, one=earlier.to_record(), other=window.to_record()),
        f"The meter of account {account} signed two different windows for day {window.day}; both are kept as evidence.",
        expected="one history: what is under a signed head never changes",
        got=f"another reading in interval {differing[0]}" if differing else "another final head",
    )


def windows(ctx: Context, account: int, day: int) -> list[Window]:
    """The 14 windows before `day` and the one of `day` as far as they have come in, ascending; none where no key is in force.

    All are of the key version in force on `day`: the days before a new key counts are its own, empty ones. Of a day without a
    final window it is the newest provisional one.
    """
    with ctx.database.session() as db:
        version = accounts.version_on(db, account, day)
        if version is None or version.suspended:
            return []
        found = _signed(db, version.key, day - HISTORY_DAYS, day)
    chosen: dict[int, Window] = {}
    for window in found:
        if window.day not in chosen or not chosen[window.day].final:
            chosen[window.day] = window
    return [chosen[day] for day in sorted(chosen)]


def has_window(ctx: Context, account: int, day: int) -> bool:
    """Whether the final window of a day has come in, of the key version in force on it."""
    return any(window.day == day and window.final for window in windows(ctx, account, day))


def _signed(db: Session, key: str, first: int, last: int) -> list[Window]:
    """Every signed window of a key's days `first` to `last`, in the order in which they came in."""
    query = select(MeterWindow).where(MeterWindow.key == key, col(MeterWindow.day) >= first, col(MeterWindow.day) <= last)
    return [Window.from_record(row.window) for row in db.exec(query.order_by(col(MeterWindow.id))).all()]


def _between(db: Session, account: int, start: int, end: int) -> Sequence[Reading]:
    return db.exec(
        select(Reading)
        .where(Reading.account == account, col(Reading.start) >= start, col(Reading.start) < end)
        .order_by(col(Reading.start))
    ).all()
