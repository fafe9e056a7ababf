"""Readings and signed windows in; series and windows out. Both are private: they leave this module only towards their
owner, the forecast and the prover."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from sqlalchemy import insert
from sqlmodel import Session, col, select

from app.context import Context
from app.database import Account, Fork, MeterKey, MeterWindow, Reading, ZoneRow, known
from app.errors import Refused
from app.readings import reading_rows
from app.services import accounts
from oracle.ingest.csv import parse_csv
from zk.windows import HISTORY_DAYS, Window, WindowError, check_head, check_window, contradictions

_storing = threading.Lock()
"""Held while windows are compared and stored: two that contradict each other must not come in past each other."""


@dataclass(frozen=True)
class SignedWindow:
    """A window as it is handed in. `key` is the word of the key version that signed it; without one it is found."""

    account: int
    window: Window
    key: int | None = None


class _ForkError(Exception):
    """A verified window that contradicts a stored one."""

    def __init__(self, evidence: Fork, refused: Refused) -> None:
        super().__init__(refused.detail)
        self.evidence = evidence
        self.refused = refused


HEADS_A_DAY = 200
"""Provisional windows that are kept for a day of a key: two an interval of a quarter hour. Anyone may hand windows in."""


def import_csv(ctx: Context, text: str, zone_number: int = 1) -> int:
    """Stores a CSV of readings, all rows or none. Returns the number of readings that are new. The same reading twice is one; a
    different value for a stored interval is refused, naming the interval."""
    zone = ctx.zone(zone_number)
    days = parse_csv(text.splitlines(), offset=zone.offset, interval_minutes=zone.interval_minutes).days
    with ctx.database.session() as db:
        registered = set(db.exec(select(Account.index)).all())
        accounts = {meter: _account(meter, registered) for meter in {day.meter for day in days}}
        starts = {
            account: [
                zone.interval_start(day.day, t) for day in days if accounts[day.meter] == account for t in (0, zone.intervals)
            ]
            for account in accounts.values()
        }
        stored = {
            (row.account, row.start): row.import_wh - row.export_wh
            for account, edges in starts.items()
            for row in _between(db, account, min(edges), max(edges))
        }
        new = []
        for day in days:
            for row in reading_rows(accounts[day.meter], zone, day):
                key = (accounts[day.meter], int(row["start"] or 0))
                if key not in stored:
                    new.append(row)
                elif stored[key] != int(row["import_wh"] or 0) - int(row["export_wh"] or 0):
                    raise Refused(
                        f"Account {key[0]} has another reading for day {day.day}, interval {zone.interval_of(key[1])}.",
                        status=409,
                        field="net_load_wh",
                        expected="the stored reading: a correction stands beside the log, it does not replace it",
                        got="another value",
                    )
        if new:
            db.execute(insert(Reading), new)
    return len(new)


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
                for item in items:
                    stored += _store_window(db, item)
                    db.flush()
        except _ForkError as fork:
            with ctx.database.session() as db:
                found = db.exec(select(Fork).where(Fork.key == fork.evidence.key, Fork.day == fork.evidence.day)).first()
                if found is None:
                    db.add(fork.evidence)
            raise fork.refused from fork
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
    except ValueError as error:
        raise Refused("The window does not verify.", field="window", expected=str(error), got=f"day {window.day}") from error


def _refuse_fork(account: int, key: str, earlier: Window, window: Window) -> None:
    differing = contradictions(earlier, window)
    if not differing and not (earlier.final and window.final and earlier.head != window.head):
        return
    interval = differing[0] if differing else len(window.readings)
    raise _ForkError(
        Fork(key=key, day=window.day, interval=interval, one=earlier.to_record(), other=window.to_record()),
        Refused(
            f"The meter of account {account} signed two different windows for day {window.day}; both are kept as evidence.",
            status=409,
            field="window",
            expected="one history: what is under a signed head never changes",
            got=f"another reading in interval {differing[0]}" if differing else "another final head",
        ),
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


def _account(meter: str, registered: set[int]) -> int:
    if not meter.isdecimal() or int(meter) not in registered:
        raise Refused(
            f"Account {meter} is not registered.", field="account", expected="a registered account's index", got=meter
        )
    return int(meter)
