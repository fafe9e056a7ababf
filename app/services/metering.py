"""Readings and signed windows in; series and windows out. Both are private: they leave this module only towards their
owner, the forecast and the prover."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from sqlalchemy import insert
from sqlmodel import Session, col, select

from app.context import Context
from app.database import Account, MeterWindow, Reading, known
from app.errors import Refused
from app.readings import reading_rows
from oracle.ingest.csv import parse_csv
from zk.eddsa import PublicKey
from zk.windows import HISTORY_DAYS, Window, WindowError, check_window, contradictions


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


def store_windows(ctx: Context, items: Iterable[tuple[int, Window]]) -> None:
    """Takes signed windows in, all of them or none.

    Each head and signature must verify under the account's meter key and continue its log. A window that contradicts a stored
    one is refused as fork evidence; the same window again is harmless.
    """
    with ctx.database.session() as db:
        for account, window in items:
            _store_window(db, account, window)
            db.flush()


def _store_window(db: Session, account: int, window: Window) -> None:
    row: Account = known(db.get(Account, account), "account", account)
    if row.meter_x is None or row.meter_y is None:
        raise Refused(
            f"Account {account} has no meter.", field="account", expected="an account with a meter key", got=str(account)
        )
    try:
        check_window(window, PublicKey(int(row.meter_x), int(row.meter_y)))
    except WindowError as error:
        raise Refused("The window does not verify.", field="window", expected=str(error), got=f"day {window.day}") from error
    stored = db.get(MeterWindow, (account, window.day))
    if stored is not None:
        earlier = Window.from_record(stored.window)
        if contradictions(earlier, window) or (earlier.final and earlier.head != window.head):
            raise Refused(
                f"The meter of account {account} signed two different windows for day {window.day}.",
                status=409,
                field="window",
                expected="one window a day",
                got="another head",
            )
        if earlier.final:
            return
    before = db.get(MeterWindow, (account, window.day - 1))
    if before is not None and before.window["head"] != str(window.previous):
        raise Refused(
            f"The window of day {window.day} does not continue the log of account {account}.",
            status=409,
            field="window.previous",
            expected="the head of the day before",
            got="another head",
        )
    db.merge(MeterWindow(account=account, day=window.day, window=window.to_record()))


def windows(ctx: Context, account: int, day: int) -> list[Window]:
    """The 14 windows before `day` and the one of `day`, as far as they have come in, ascending."""
    with ctx.database.session() as db:
        rows = db.exec(
            select(MeterWindow)
            .where(MeterWindow.account == account, col(MeterWindow.day) >= day - HISTORY_DAYS, col(MeterWindow.day) <= day)
            .order_by(col(MeterWindow.day))
        ).all()
    return [Window.from_record(row.window) for row in rows]


def has_window(ctx: Context, account: int, day: int) -> bool:
    """Whether the final window of a day has come in."""
    with ctx.database.session() as db:
        row = db.get(MeterWindow, (account, day))
    return row is not None and bool(row.window["final"])


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
