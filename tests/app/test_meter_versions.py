"""An account's meter key has versions: registered, listed, each with a log of its own; what an older database holds is kept."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from alembic import command
from app_house import House
from sqlmodel import select

from app import migrate
from app.client import ApiError
from app.database import Database, MeterKey, MeterPoint, MeterWindow
from app.errors import Refused
from app.services import accounts, metering
from oracle.meter import Meter
from zk.eddsa import PrivateKey
from zk.windows import Window, check_chain, close_window, start_log

Json = dict[str, Any]
OLD, NEW, FOREIGN = (PrivateKey(bytes([n]) * 32) for n in (1, 2, 3))
DAY = tuple(range(100, 124))


def binding(account: int, key: PrivateKey, from_day: int) -> Json:
    return {"account": account, "x": str(key.public.x), "y": str(key.public.y), "from_day": from_day}


def refused(call: Any, *arguments: Any) -> Json:
    with pytest.raises(ApiError) as caught:
        call(*arguments)
    return caught.value.document


class TwoKeys:
    """An account with a meter key from `old` on and a further one from `new` on, both logs kept by a gateway of its own."""

    def __init__(self, house: House, days_between: int = 5) -> None:
        self.house = house
        today = house.ctx.zone(1).day_of(house.ctx.now())
        self.old, self.new = today + 1, today + 1 + days_between
        self.account = house.anyone.post("/accounts", {"owner": "0x" + "12" * 20})["index"]
        self.first = Meter.create(house.folder / "1.json", OLD, self.old, 24)
        self.second = Meter.create(house.folder / "2.json", NEW, self.new, 24)

    def bind(self) -> None:
        for key, day in ((OLD, self.old), (NEW, self.new)):
            self.house.api.post("/meters", binding(self.account, key, day))

    def hand_in(self, windows: list[Window], key: PrivateKey | None = None) -> Json:
        word = {"key": str(key.public.word())} if key else {}
        items = [{"account": self.account, "window": window.to_record(), **word} for window in windows]
        return self.house.api.post("/windows", items)  # type: ignore[no-any-return]


@pytest.fixture
def two(house: House) -> TwoKeys:
    return TwoKeys(house)


@pytest.mark.needs("key")
@pytest.mark.slow
def test_versions_are_registered_listed_and_in_force_by_day(house: House, two: TwoKeys) -> None:
    assert house.anyone.get(f"/accounts/{two.account}/meters")["items"] == []
    assert house.anyone.get(f"/accounts/{two.account}")["meter"] == "none"
    two.bind()
    house.api.post("/meters", binding(two.account, OLD, two.old))  # the same binding again is harmless
    versions = house.anyone.get(f"/accounts/{two.account}/meters")["items"]
    assert [(v["key"], v["from_day"], v["state"]) for v in versions] == [
        (hex(OLD.public.word()), two.old, "bound"),
        (hex(NEW.public.word()), two.new, "bound"),
    ]
    shown = house.anyone.get(f"/accounts/{two.account}")
    assert shown["meter"] == "bound"
    for day, key in ((two.old, OLD), (two.new - 1, OLD), (two.new, NEW), (two.new + 400, NEW)):
        assert accounts.meter_key(house.ctx, two.account, day) == key.public
        assert house.ctx.client.key_at(two.account, day) == (key.public.word(), two.old if key is OLD else two.new)
    with pytest.raises(Refused, match=f"no meter key on day {two.old - 1}"):
        accounts.meter_key(house.ctx, two.account, two.old - 1)
    # Not in order, in the past, or held by somebody else.
    assert refused(house.api.post, "/meters", binding(two.account, FOREIGN, two.new))["status"] == 409
    assert refused(house.api.post, "/meters", binding(two.account, OLD, two.new + 1))["status"] == 409
    other = house.anyone.post("/accounts", {"owner": "0x" + "34" * 20})["index"]
    assert refused(house.api.post, "/meters", binding(other, OLD, two.new))["status"] == 409
    assert refused(house.api.post, "/meters", {**binding(other, OLD, two.new), "x": "1"})["errors"][0]["field"] == "x, y"
    assert len(house.anyone.get(f"/accounts/{two.account}/meters")["items"]) == 2


@pytest.mark.needs("key")
@pytest.mark.slow
def test_each_version_keeps_its_own_log(house: House, two: TwoKeys) -> None:
    two.bind()
    old_days = two.first.close_days((day, DAY) for day in range(two.old, two.new))
    new_days = two.second.close_days((day, DAY) for day in range(two.new, two.new + 2))
    two.hand_in(two.first.windows(0, two.new))
    # The new key's empty days are the old key's days: both are kept.
    two.hand_in(two.second.windows(0, two.new + 1), NEW)
    two.hand_in(two.second.windows(0, two.new + 1))
    with house.ctx.database.session() as db:
        assert len(db.exec(select(MeterWindow)).all()) == 14 + len(old_days) + 14 + len(new_days)
    found = metering.windows(house.ctx, two.account, two.new - 1)
    assert [window.head for window in found] == [window.head for window in two.first.windows_for(two.new - 1)]
    found = metering.windows(house.ctx, two.account, two.new)
    assert [window.head for window in found] == [window.head for window in two.second.windows_for(two.new)]
    assert sum(window.complete for window in found) == 1, "the days before the new key counts are empty in its log"
    assert metering.has_window(house.ctx, two.account, two.new)
    assert not metering.has_window(house.ctx, two.account, two.new + 2)


@pytest.mark.needs("key")
@pytest.mark.slow
def test_a_window_of_the_wrong_version_is_refused_with_what_and_where(house: House, two: TwoKeys) -> None:
    two.bind()
    before = two.first.windows(0, two.old - 1)
    late = close_window(OLD, two.new, DAY, before[-1].head)
    document = refused(two.hand_in, [late])
    assert document["errors"][0]["field"] == "[0].window.signature" and str(two.new) in document["detail"]
    document = refused(two.hand_in, [late], OLD)
    assert document["errors"][0]["field"] == "[0].window.day"
    assert document["errors"][0]["expected"] == f"days {two.old - 14} to {two.new - 1}"
    document = refused(two.hand_in, [two.first.close(two.old, DAY)], NEW)
    assert document["errors"][0]["field"] == "[0].window.signature"
    document = refused(two.hand_in, before, FOREIGN)
    assert document["errors"][0]["field"] == "[0].key" and hex(OLD.public.word()) in document["errors"][0]["expected"]
    stranger = start_log(FOREIGN, two.old, 24)
    assert refused(two.hand_in, list(stranger))["errors"][0]["field"] == "[0].window.signature"
    early = close_window(OLD, two.old - 15, (None,) * 24, 0)
    assert refused(two.hand_in, [early])["errors"][0]["field"] == "[0].window.day"
    quarter_hours = close_window(OLD, two.old, (1,) * 96, before[-1].head)
    document = refused(two.hand_in, [quarter_hours])
    assert (document["errors"][0]["field"], document["errors"][0]["expected"]) == ("[0].window.readings", "24 intervals")
    with house.ctx.database.session() as db:
        assert db.exec(select(MeterWindow)).all() == []


@pytest.mark.needs("key")
@pytest.mark.slow
def test_a_log_that_began_long_before_its_key_counts_comes_in(house: House, two: TwoKeys) -> None:
    """Of its early days nothing is stored; they are refused all the same where the named key has not signed them."""
    late = two.old + 20
    house.api.post("/meters", binding(two.account, OLD, late))
    two.first.close_days((day, DAY) for day in range(two.old, late + 1))
    log = two.first.windows(0, late)
    early = log[0]
    assert early.day == late - 34
    stranger = start_log(FOREIGN, two.old, 24)
    for window, field in (
        (stranger[0], "[2].window.signature"),
        (replace(early, previous=1), "[2].window.head"),
        (close_window(OLD, early.day, (1,) * 96, 0), "[2].window.readings"),
    ):
        assert refused(two.hand_in, [*log[1:3], window], OLD)["errors"][0]["field"] == field
    assert refused(two.hand_in, [early])["errors"][0]["field"] == "[0].window.day", "only who names the key is sure of it"
    assert two.hand_in(log[:10], OLD)["done"] == ["0 windows stored"]
    assert two.hand_in(log, OLD)["done"] == ["15 windows stored"]
    assert two.hand_in(log, OLD)["done"] == ["0 windows stored"], "they are there already"
    found = metering.windows(house.ctx, two.account, late)
    assert [window.day for window in found] == list(range(late - 14, late + 1))
    check_chain(found)


@pytest.mark.needs("key")
@pytest.mark.slow
def test_a_log_is_continued_whichever_way_its_days_come_in(house: House, two: TwoKeys) -> None:
    two.bind()
    days = two.first.close_days((two.old + n, DAY) for n in range(3))
    two.hand_in([days[2]])
    two.hand_in([days[0]])
    other = close_window(OLD, two.old + 1, DAY, days[0].head, salt=1)
    document = refused(two.hand_in, [other])
    assert document["status"] == 409 and f"day {two.old + 2} continues" in document["detail"]
    torn = close_window(OLD, two.old + 1, DAY, 7)
    document = refused(two.hand_in, [torn])
    assert document["errors"][0]["field"] == "[0].window.previous"
    two.hand_in([days[1]])


@pytest.mark.needs("key")
@pytest.mark.slow
def test_keys_outlive_a_chain_that_is_taken_in_anew(house: House, two: TwoKeys) -> None:
    two.bind()
    two.hand_in(two.first.windows(0, two.old))
    with house.ctx.database.session() as db:
        house.ctx.indexer._forget(db)
        assert db.exec(select(MeterKey)).all() == []
    house.ctx.database.set_meta("indexed", "0 0x00")
    house.ctx.refresh()
    assert accounts.meter_key(house.ctx, two.account, two.new) == NEW.public
    assert len(metering.windows(house.ctx, two.account, two.old)) == 14


def test_an_older_database_is_carried_over_whole(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'market.sqlite'}"
    command.upgrade(migrate._config(url), "0001")
    log = [*start_log(OLD, 17_000, 24)]
    log.append(close_window(OLD, 17_000, DAY, log[-1].head))
    engine = sa.create_engine(url)
    now = datetime.now(UTC)
    with engine.begin() as db:
        tables = {name: sa.Table(name, sa.MetaData(), autoload_with=db) for name in ("account", "meterwindow")}
        point = {"meter_x": str(OLD.public.x), "meter_y": str(OLD.public.y)}
        bound = {"meter_key": hex(OLD.public.word()), "meter_from_day": 17_000, **point}
        no_meter = dict.fromkeys(bound)
        rows = [{"index": 1, "owner": "0x11", "label": "a", **no_meter}, {"index": 2, "owner": "0x22", "label": "b", **bound}]
        db.execute(sa.insert(tables["account"]), rows)
        db.execute(
            sa.insert(tables["meterwindow"]),
            [{"account": 2, "day": w.day, "window": w.to_record(), "received": now} for w in log],
        )
    engine.dispose()

    migrate.upgrade(url)
    database = Database(url)
    with database.session() as db:
        version = accounts.version_on(db, 2, 17_000)
        assert version is not None
        assert (version.key, version.zone, version.from_day, version.suspended) == (hex(OLD.public.word()), 1, 17_000, False)
        assert accounts.versions(db, 1) == []
        assert accounts.point(db, version.key) == OLD.public
        kept = db.exec(select(MeterWindow).order_by(MeterWindow.day)).all()  # type: ignore[arg-type]
        assert [Window.from_record(row.window) for row in kept] == log
        assert all(row.key == version.key and row.head == row.window["head"] for row in kept)
    database.close()

    command.downgrade(migrate._config(url), "0001")
    with sa.create_engine(url).connect() as back:
        account = sa.Table("account", sa.MetaData(), autoload_with=back)
        row = back.execute(sa.select(account).where(account.c.index == 2)).one()
        assert (row.meter_key, row.meter_from_day, row.meter_x) == (hex(OLD.public.word()), 17_000, str(OLD.public.x))
        count = back.execute(sa.text("select count(*) from meterwindow where account = 2")).scalar()
        assert count == len(log)


def test_the_tables_are_the_ones_the_migrations_make(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'market.sqlite'}"
    migrate.upgrade(url)
    engine = sa.create_engine(url)
    for table in (MeterKey, MeterPoint, MeterWindow):
        made = sa.Table(table.__tablename__, sa.MetaData(), autoload_with=engine)  # type: ignore[arg-type]
        declared = table.__table__  # type: ignore[attr-defined]
        assert {c.name: c.nullable for c in made.columns} == {c.name: c.nullable for c in declared.columns}
    command.check(migrate._config(url))
    engine.dispose()
