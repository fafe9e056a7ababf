"""Readings: value types, the store in memory, the shipped homes."""

from __future__ import annotations

from pathlib import Path

import pytest

import oracle
from oracle.readings import MAX_READING, DayReadings, MemoryReadings, ReadingError, load_homes, series_of

NET = tuple(range(24))


def test_a_day_is_a_day() -> None:
    assert DayReadings("a", 5, NET).complete
    assert not DayReadings("a", 5, (None, *NET[1:])).complete
    for bad in ((), NET[:-1], (MAX_READING + 1, *NET[1:]), (-MAX_READING - 1, *NET[1:])):
        with pytest.raises(ReadingError, match="net"):
            DayReadings("a", 5, bad)
    with pytest.raises(ReadingError, match="load: expected 24"):
        DayReadings("a", 5, NET, NET[:-1], NET)


def test_the_shipped_homes() -> None:
    homes = load_homes()
    assert len(homes) == 17
    assert sum(int(home.valid.sum()) for home in homes.values()) == 148_920
    home = homes["home-01"]
    # 2016-08-01 is day 17014; the first hour of data is the last of 2016-07-31.
    assert home.first_day == 17_013
    assert home.day(17_013).net[22:] == (None, 2276)
    assert home.day(17_014).load is not None
    assert home.day(17_014).load[:4] == (851, 835, 838, 1478)
    noon = home.day(17_014)
    assert noon.net == tuple(load - pv for load, pv in zip(noon.load or (), noon.pv or (), strict=True))
    assert home.days.stop - 1 == 17_378
    assert not home.day(17_378).complete
    with pytest.raises(ReadingError, match="day"):
        home.day(17_379)


def test_the_data_go_with_their_notice_and_stay_small() -> None:
    folder = Path(oracle.__file__).parent / "data"
    assert {file.name for file in folder.iterdir()} == {"NOTICE", "homes17_60min.parquet"}
    assert (folder / "homes17_60min.parquet").stat().st_size < 1_500_000
    notice = (folder / "NOTICE").read_text()
    assert "Copyright (c) 2020 Jose Ramon Vazquez-Canteli, Intelligent Environments Laboratory" in notice
    assert "Permission is hereby granted" in notice


def test_a_series_from_days_and_back() -> None:
    home = load_homes()["home-03"]
    days = [home.day(day) for day in (17_020, 17_018, 17_021)]
    series = series_of(days)
    assert [series.day(item.day) for item in days] == days
    assert not series.valid[1].any()
    assert series.until(17_019).days == range(17_018, 17_019)
    assert len(series.until(17_000).load) == 0


def test_the_store_in_memory() -> None:
    store = MemoryReadings()
    store.put([DayReadings("b", 2, NET), DayReadings("a", 2, NET), DayReadings("a", 1, NET)])
    store.put([DayReadings("a", 2, (None, *NET[1:]))])
    assert store.meters() == ["a", "b"]
    assert [item.day for item in store.days("a", 0, 9)] == [1, 2]
    assert store.days("a", 2, 2) == [DayReadings("a", 2, (None, *NET[1:]))]
    assert store.day("a", 3) is None
    assert store.day("c", 1) is None

    def broken() -> list[DayReadings]:
        return [DayReadings("c", 1, NET), DayReadings("c", 2, NET[:-1])]

    with pytest.raises(ReadingError):
        store.put(broken())
    assert store.meters() == ["a", "b"]
