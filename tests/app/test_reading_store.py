"""The database keeps readings as the oracle's store in memory does."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from app import migrate
from app.database import Database
from app.readings import DatabaseReadings
from market.session import Zone
from oracle.readings import DayReadings, MemoryReadings, ReadingStore

pytestmark = pytest.mark.slow

VALUES = st.lists(st.none() | st.integers(-5000, 5000), min_size=24, max_size=24).filter(
    lambda v: any(x is not None for x in v)
)
DAYS = st.lists(st.tuples(st.sampled_from(["1", "2"]), st.integers(17_000, 17_003), VALUES, st.booleans()), max_size=6)


def day_of(meter: str, day: int, net: list[int | None], produces: bool) -> DayReadings:
    pv = tuple(None if value is None else 7 for value in net)
    load = tuple(None if value is None else value + 7 for value in net)
    return DayReadings(meter, day, tuple(net), load if produces else None, pv if produces else None)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(DAYS, DAYS)
def test_it_holds_what_memory_holds(tmp_path: Path, first: list, second: list) -> None:  # type: ignore[type-arg]
    url = f"sqlite:///{tmp_path / 'readings.sqlite'}"
    migrate.upgrade(url)
    migrate.reset(url)
    database = Database(url)
    stores: list[ReadingStore] = [MemoryReadings(), DatabaseReadings(database, Zone(1, -28800, 60))]
    for store in stores:
        store.put(day_of(*item) for item in first)
        store.put(day_of(*item) for item in second)
    memory, kept = stores
    assert kept.meters() == memory.meters()
    for meter in ("1", "2", "3"):
        assert kept.days(meter, 17_001, 17_002) == memory.days(meter, 17_001, 17_002)
        assert kept.day(meter, 17_000) == memory.day(meter, 17_000)
    database.close()


def test_a_database_file_is_its_owners_alone(tmp_path: Path) -> None:
    path = tmp_path / "market.sqlite"
    before = os.umask(0o022)
    try:
        migrate.upgrade(f"sqlite:///{path}")
        database = Database(f"sqlite:///{path}")
        database.set_meta("key", "value")
        copy = migrate.keep_copy(f"sqlite:///{path}", "before")
        modes = {file.name: file.stat().st_mode & 0o777 for file in tmp_path.iterdir()}
        database.close()
    finally:
        os.umask(before)
    assert copy is not None and modes == dict.fromkeys((path.name, f"{path.name}-wal", f"{path.name}-shm", copy.name), 0o600)
    path.chmod(0o644)
    migrate.upgrade(f"sqlite:///{path}")
    assert path.stat().st_mode & 0o777 == 0o600, "one that was made before as well"


def test_a_database_in_memory_makes_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for url in ("sqlite://", "sqlite:///:memory:"):
        migrate.upgrade(url)
    assert list(tmp_path.iterdir()) == []
