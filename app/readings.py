"""The database as the oracle's `ReadingStore`: readings by meter (the account's index as text) and day of one zone."""

from __future__ import annotations

from collections.abc import Iterable

from sqlalchemy import insert
from sqlmodel import Session, col, delete, select

from app.database import Database, Reading
from market.session import Zone
from oracle.readings import DayReadings


class DatabaseReadings:
    """Readings of one zone in the database."""

    def __init__(self, database: Database, zone: Zone) -> None:
        self._database = database
        self._zone = zone

    def put(self, days: Iterable[DayReadings]) -> None:
        """Stores days whole or not at all; a day that is put again replaces the one before."""
        with self._database.session() as db:
            for day in days:
                start, end = self._bounds(day.day, day.day)
                db.execute(
                    delete(Reading).where(
                        col(Reading.account) == int(day.meter), col(Reading.start) >= start, col(Reading.start) < end
                    )
                )
                rows = reading_rows(int(day.meter), self._zone, day)
                if rows:
                    db.execute(insert(Reading), rows)

    def day(self, meter: str, day: int) -> DayReadings | None:
        """One day; None where nothing of it is stored."""
        found = self.days(meter, day, day)
        return found[0] if found else None

    def days(self, meter: str, first: int, last: int) -> list[DayReadings]:
        """Stored days from `first` to `last`, both included, ascending."""
        with self._database.session() as db:
            rows = self._rows(db, int(meter), *self._bounds(first, last))
        by_day: dict[int, dict[int, Reading]] = {}
        for row in rows:
            by_day.setdefault(self._zone.day_of(row.start), {})[self._zone.interval_of(row.start)] = row
        return [self._day(meter, day, found) for day, found in by_day.items()]

    def meters(self) -> list[str]:
        """Meters with readings."""
        with self._database.session() as db:
            return [
                str(account) for account in db.exec(select(Reading.account).distinct().order_by(col(Reading.account))).all()
            ]

    def _bounds(self, first: int, last: int) -> tuple[int, int]:
        return self._zone.interval_start(first, 0), self._zone.interval_start(last + 1, 0)

    @staticmethod
    def _rows(db: Session, account: int, start: int, end: int) -> list[Reading]:
        query = select(Reading).where(Reading.account == account, col(Reading.start) >= start, col(Reading.start) < end)
        return list(db.exec(query.order_by(col(Reading.start))).all())

    def _day(self, meter: str, day: int, found: dict[int, Reading]) -> DayReadings:
        rows = [found.get(t) for t in range(self._zone.intervals)]
        net = tuple(row.import_wh - row.export_wh if row else None for row in rows)
        load = tuple(row.load_wh if row else None for row in rows)
        pv = tuple(row.pv_wh if row else None for row in rows)
        measured = any(value is not None for value in load)
        return DayReadings(meter, day, net, load if measured else None, pv if measured else None)


def reading_rows(account: int, zone: Zone, day: DayReadings) -> list[dict[str, int | None]]:
    """A day's readings as rows of the table; gaps have none."""
    return [
        {
            "account": account,
            "start": zone.interval_start(day.day, t),
            "import_wh": max(net, 0),
            "export_wh": max(-net, 0),
            "load_wh": day.load[t] if day.load else None,
            "pv_wh": day.pv[t] if day.pv else None,
        }
        for t, net in enumerate(day.net)
        if net is not None
    ]
