"""The meter's log: it survives restarts and crashes, and never says two things about one interval."""

from __future__ import annotations

import json
import os
import stat
from pathlib import Path

import pytest

from oracle.meter import Meter, MeterError
from zk.eddsa import PrivateKey, verify
from zk.windows import check_chain

KEY = PrivateKey(bytes(range(32)))
FROM = 20_000
DAY = tuple(range(100, 124))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "meter.json"


@pytest.fixture
def meter(path: Path) -> Meter:
    return Meter.create(path, KEY, FROM, 24)


def test_a_new_log_starts_with_fourteen_empty_days(meter: Meter, path: Path) -> None:
    windows = meter.windows(0, 1 << 31)
    assert [window.day for window in windows] == list(range(FROM - 14, FROM))
    assert all(window.validity == 0 and window.final for window in windows)
    assert (meter.from_day, meter.next_day, meter.intervals) == (FROM, FROM, 24)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert str(KEY.seed().hex()) not in path.read_text()
    with pytest.raises(MeterError, match="path"):
        Meter.create(path, KEY, FROM, 24)


def test_days_chain_and_are_handed_out_with_salts(meter: Meter) -> None:
    window = meter.close(FROM, DAY)
    assert window.readings == DAY
    assert window.salt
    assert verify(KEY.public, window.head, window.signature)
    check_chain(meter.windows(FROM - 14, FROM))
    assert len(meter.windows_for(FROM)) == 15
    with pytest.raises(MeterError, match="signed day"):
        meter.windows_for(FROM + 1)


def test_a_restart_does_not_fork_the_log(meter: Meter, path: Path) -> None:
    window = meter.close(FROM, DAY)
    again = Meter.open(path, KEY)
    assert again.windows(0, 1 << 31) == meter.windows(0, 1 << 31)
    assert again.close(FROM, DAY) == window
    later = again.close(FROM + 1, (None, *DAY[1:]))
    assert later.previous == window.head
    assert Meter.open(path, KEY).next_day == FROM + 2


def test_a_closed_day_does_not_change(meter: Meter, path: Path) -> None:
    meter.close(FROM, DAY)
    before = path.read_bytes()
    with pytest.raises(MeterError, match=r"closed with other readings.*\[0\]"):
        meter.close(FROM, (None, *DAY[1:]))
    with pytest.raises(MeterError, match="next"):
        meter.close(FROM + 2, DAY)
    with pytest.raises(MeterError, match="next"):
        meter.close(FROM - 15, DAY)
    with pytest.raises(MeterError, match="24 intervals"):
        meter.close(FROM + 1, DAY[1:])
    with pytest.raises(MeterError, match="2\\^23"):
        meter.close(FROM + 1, (1 << 23, *DAY[1:]))
    assert path.read_bytes() == before


def test_several_days_are_closed_together_or_not_at_all(meter: Meter, path: Path) -> None:
    with pytest.raises(MeterError):
        meter.close_days([(FROM, DAY), (FROM + 1, DAY), (FROM + 3, DAY)])
    assert meter.next_day == FROM
    assert [window.day for window in meter.close_days([(FROM, DAY), (FROM + 1, DAY)])] == [FROM, FROM + 1]
    check_chain(Meter.open(path, KEY).windows(FROM - 14, FROM + 1))


def test_a_provisional_head_binds_its_readings(meter: Meter, path: Path) -> None:
    morning = (*DAY[:12], *[None] * 12)
    window = meter.provisional(FROM, morning, 12)
    assert not window.final
    assert window.previous == meter.windows(FROM - 1, FROM - 1)[0].head
    assert meter.provisional(FROM, morning, 12) == window
    assert meter.windows_for(FROM)[-1] == window
    meter = Meter.open(path, KEY)
    with pytest.raises(MeterError, match=r"signed with other values in intervals \[3\]"):
        meter.provisional(FROM, (*DAY[:3], 9, *DAY[4:14], *[None] * 10), 14)
    with pytest.raises(MeterError, match=r"\[0\]"):
        meter.close(FROM, (1, *DAY[1:]))
    corrected = meter.provisional(FROM, (None, *DAY[1:14], *[None] * 10), 14)
    assert meter.windows_for(FROM)[-1] == corrected
    # What was signed once still binds after it was taken back.
    with pytest.raises(MeterError, match=r"\[0\]"):
        meter.close(FROM, (1, *DAY[1:]))
    final = meter.close(FROM, (None, *DAY[1:]))
    assert final.final
    assert meter.windows_for(FROM)[-1] == final
    with pytest.raises(MeterError, match="running day"):
        meter.provisional(FROM, morning, 12)


def test_provisional_heads_cover_elapsed_intervals_only(meter: Meter) -> None:
    with pytest.raises(MeterError, match="after the first 11"):
        meter.provisional(FROM, (*DAY[:12], *[None] * 12), 11)
    for elapsed in (0, 25):
        with pytest.raises(MeterError, match="elapsed"):
            meter.provisional(FROM, (None,) * 24, elapsed)


def test_two_processes_do_not_write_one_log(meter: Meter, path: Path) -> None:
    other = Meter.open(path, KEY)
    other.close(FROM, DAY)
    with pytest.raises(MeterError, match="another process"):
        meter.close(FROM, tuple(reversed(DAY)))
    assert Meter.open(path, KEY).close(FROM, DAY)


def test_a_crash_while_writing_leaves_the_old_log(meter: Meter, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = path.read_bytes()

    def dies(*_: object) -> None:
        raise OSError("disk full")

    monkeypatch.setattr(os, "replace", dies)
    with pytest.raises(OSError, match="disk full"):
        meter.close(FROM, DAY)
    monkeypatch.undo()
    assert path.read_bytes() == before
    assert meter.next_day == FROM
    # Nothing was handed out, so that the day may still be closed with other readings.
    assert meter.close(FROM, tuple(reversed(DAY))).day == FROM


def test_a_damaged_or_foreign_log_is_refused(meter: Meter, path: Path) -> None:
    meter.close(FROM, DAY)
    with pytest.raises(MeterError, match="expected the log of key"):
        Meter.open(path, PrivateKey(bytes(32)))
    content = json.loads(path.read_text())
    content["finals"][-1]["readings"][0] = 101
    path.write_text(json.dumps(content))
    with pytest.raises(MeterError, match="head"):
        Meter.open(path, KEY)
    del content["finals"][5]
    path.write_text(json.dumps(content))
    with pytest.raises(MeterError, match="day"):
        Meter.open(path, KEY)
    path.write_text("{")
    with pytest.raises(MeterError, match="meter's log"):
        Meter.open(path, KEY)
    path.unlink()
    with pytest.raises(MeterError, match="FileNotFoundError"):
        Meter.open(path, KEY)
