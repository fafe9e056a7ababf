"""The meter agent's folder: what it takes in, closes, voids and hands on, with a clock that the test moves."""

from __future__ import annotations

import json
import os
import stat
from pathlib import Path

import pytest

from oracle.agent import FARTHEST_DAYS, Agent, Site, alone
from oracle.agent_delivery import BackOff, Cursor
from oracle.agent_input import CsvRows, FileLines
from oracle.meter import MeterError
from oracle.readings import MAX_READING, DayReadings
from zk.windows import check_chain

SITE = Site("home-01", 7, -28_800, 60)
FROM = 17_348
FULL = tuple(range(100, 124))


def day(number: int, readings: tuple[int | None, ...] = FULL, meter: str = "home-01") -> DayReadings:
    return DayReadings(meter, number, readings)


def only(interval: int, value: int) -> tuple[int | None, ...]:
    return tuple(value if t == interval else None for t in range(24))


def end_of(number: int) -> int:
    return SITE.end(number, 23)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "gateway"


@pytest.fixture
def agent(folder: Path) -> Agent:
    return Agent.init(folder, SITE, FROM)


def test_the_key_is_made_here_and_is_the_owners_alone(agent: Agent, folder: Path) -> None:
    key = folder / "1" / "key"
    assert stat.S_IMODE(key.stat().st_mode) == 0o600
    secret = key.read_text()
    assert len(secret) == 64
    for path in folder.rglob("*"):
        if path.is_file() and path != key:
            assert secret not in path.read_text()
            assert stat.S_IMODE(path.stat().st_mode) & 0o077 == 0 or path.stat().st_size == 0
    key.chmod(0o640)
    with pytest.raises(MeterError, match="chmod 600") as caught:
        Agent(folder)
    assert secret not in str(caught.value)
    key.chmod(0o600)
    for broken in ("", secret[:-2], "zz" * 32):
        key.write_text(broken)
        with pytest.raises(MeterError, match="64 hexadecimal digits") as caught:
            Agent(folder)
        assert not broken or broken not in str(caught.value)


def test_a_folder_is_set_up_once_and_a_key_never_starts_a_second_log(agent: Agent, folder: Path) -> None:
    with pytest.raises(MeterError, match="a meter already"):
        Agent.init(folder, SITE, FROM)
    (folder / "1" / "log.json").unlink()
    with pytest.raises(MeterError, match=r"log\.json"):
        Agent(folder)
    with pytest.raises(MeterError, match="a meter already"):
        Agent.init(folder, SITE, FROM)


def test_a_set_up_that_was_cut_short_goes_on_but_not_for_another_meter(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(Path, "rename", lambda *_: (_ for _ in ()).throw(OSError("power cut")))
        with pytest.raises(OSError, match="power cut"):
            Agent.init(folder, SITE, FROM)
    with pytest.raises(MeterError, match="a folder for each version"):
        Agent(folder)
    with pytest.raises(MeterError, match="another meter"):
        Agent.init(folder, Site("home-02", 8, 0, 60), FROM)
    assert Agent.init(folder, SITE, FROM).current()[1] == FROM


def test_a_days_window_is_closed_when_it_is_complete_or_over(agent: Agent, folder: Path) -> None:
    agent.take([day(FROM, (*FULL[:23], None)), day(FROM + 1)])
    assert agent.close_due(end_of(FROM) + 59, 60) == [], "the first day has a gap and is open for late readings"
    agent.take([day(FROM, only(23, 9))])
    closed = agent.close_due(0, 60)
    assert [(window.day, window.complete) for window in closed] == [(FROM, True), (FROM + 1, True)]
    assert closed[0].readings == (*FULL[:23], 9)
    agent.take([day(FROM + 2, only(5, 1))])
    assert agent.close_due(end_of(FROM + 2) + 59, 60) == []
    assert [w.validity for w in agent.close_due(end_of(FROM + 2) + 60, 60)] == [1 << 5]
    # Days without any reading are closed empty once they are over, so that the log goes on.
    assert [w.validity for w in agent.close_due(end_of(FROM + 5), 0)] == [0, 0, 0]
    check_chain(Agent(folder).versions[0].meter.windows(0, 1 << 31))
    assert json.loads((folder / "pending.json").read_text())["days"] == {}


def test_readings_survive_a_restart_before_they_are_signed(agent: Agent, folder: Path) -> None:
    agent.take([day(FROM, (*FULL[:12], *[None] * 12))])
    again = Agent(folder)
    again.take([day(FROM, (*[None] * 12, *FULL[12:]))])
    assert [window.readings for window in again.close_due(0, 0)] == [FULL]


def test_a_signed_interval_never_changes_it_can_only_be_taken_back(agent: Agent, folder: Path) -> None:
    agent.take([day(FROM, only(3, 5))])
    agent.take([day(FROM, only(3, 6))])  # nobody has signed it yet
    first = agent.provisional(SITE.end(FROM, 3))
    assert first is not None and first.readings == only(3, 6) and not first.final
    (note,) = agent.take([day(FROM, only(3, 7))])
    assert f"day {FROM}, interval 3" in note and "7" not in note.replace(str(FROM), "")
    agent = Agent(folder)
    assert agent.take([day(FROM, only(3, 6))]) == [], "what was taken back stays so"
    agent.take([day(FROM, (*FULL[:3], None, *FULL[4:]))])
    second = agent.provisional(SITE.end(FROM, 9))
    assert second is not None and second.readings[3] is None and second.readings[:3] == FULL[:3]
    (final,) = agent.close_due(end_of(FROM), 0)
    assert final.readings == (*FULL[:3], None, *FULL[4:])


def test_lost_pending_readings_do_not_fork_the_log(agent: Agent, folder: Path) -> None:
    agent.take([day(FROM, only(3, 5))])
    assert agent.provisional(SITE.end(FROM, 3)) is not None
    (folder / "pending.json").unlink()
    agent = Agent(folder)
    agent._pending.put(FROM, 3, 6)  # as if it had never been compared
    assert agent.provisional(SITE.end(FROM, 4)).readings[3] is None  # type: ignore[union-attr]
    (final,) = agent.close_due(end_of(FROM), 0)
    assert final.readings == (None,) * 24


def test_a_provisional_window_covers_what_has_elapsed(agent: Agent) -> None:
    assert agent.provisional(SITE.end(FROM, 5)) is None, "no reading, nothing to sign"
    agent.take([day(FROM)])
    window = agent.provisional(SITE.end(FROM, 5))
    assert window is not None and window.readings == (*FULL[:6], *[None] * 18)
    assert agent.provisional(SITE.end(FROM, 5) + 1) == window
    assert agent.provisional(SITE.end(FROM, 0) - 1) is None


def test_late_foreign_and_far_readings_are_left_out_by_name(agent: Agent) -> None:
    agent.take([day(FROM)])
    agent.close_due(end_of(FROM), 0)
    assert agent.take([day(FROM)]) == []
    (late,) = agent.take([day(FROM, (None, 5, *[None] * 22))])
    assert f"day {FROM}, intervals [1]" in late and "closed" in late
    (early,) = agent.take([day(FROM - 1)])
    assert f"{FROM}" in early
    (foreign,) = agent.take([day(FROM + 1, meter="home-02")])
    assert "home-02" in foreign
    (quarters,) = agent.take([DayReadings("home-01", FROM + 1, (1,) * 96)])
    assert "24 intervals, got 96" in quarters
    (far,) = agent.take([day(FROM + 2 + FARTHEST_DAYS)])
    assert f"day {FROM + 2 + FARTHEST_DAYS}" in far
    future = agent.take([day(FROM + 1)], SITE.end(FROM + 1, 21))
    assert [note.split(":")[0] for note in future] == [f"day {FROM + 1}, interval {t}" for t in (22, 23)]
    assert agent.waiting() == {FROM + 1: 22}


def test_rotation_gives_a_new_key_a_log_of_its_own_and_the_old_one_ends(agent: Agent, folder: Path) -> None:
    agent.take([day(FROM), day(FROM + 1, only(0, 1))])
    agent.close_due(0, 0)
    assert agent.provisional(SITE.end(FROM + 1, 0)) is not None
    for wrong in (FROM, FROM + 1):
        with pytest.raises(MeterError, match=f"expected day {FROM + 2} or later, got {wrong}"):
            agent.rotate(wrong)
    made = agent.rotate(FROM + 3)
    assert made.key != agent.versions[0].key
    with pytest.raises(MeterError, match="the next one comes after"):
        agent.rotate(FROM + 9)
    agent = Agent(folder)
    agent.take([day(FROM + n) for n in (2, 3, 4)])
    closed = agent.close_due(end_of(FROM + 1), 0)
    assert [window.day for window in closed] == [FROM + n for n in (1, 2, 3, 4)]
    old, new = agent.versions
    assert (old.meter.next_day, new.meter.next_day) == (FROM + 3, FROM + 5)
    check_chain(old.meter.windows(0, 1 << 31))
    check_chain(new.meter.windows(0, 1 << 31))
    assert [w.validity for w in new.meter.windows(0, FROM + 2)] == [0] * 14
    assert closed[2].previous == new.meter.windows(FROM + 2, FROM + 2)[0].head
    assert agent.rotate().from_day == FROM + 6


def test_a_retired_version_never_signs_again(agent: Agent, folder: Path) -> None:
    """A folder from a backup: its log has forgotten what the key signed since."""
    agent.take([day(FROM), day(FROM + 1, only(0, 1))])
    agent.close_due(0, 0)
    old = agent.versions[0].meter
    for wrong in (FROM - 1, FROM):
        with pytest.raises(MeterError, match=f"expected at least {FROM + 1}"):
            Agent.retire(folder, wrong)
    assert Agent(folder).versions[0].retired is False, "what is refused changes nothing"
    agent = Agent.retire(folder, FROM + 5)
    assert [version.retired for version in agent.versions] == [True, False]
    kept = (folder / "1" / "log.json").read_bytes()
    for meter in (old, Agent(folder).versions[0].meter):
        with pytest.raises(MeterError, match="retired"):
            meter.close(FROM + 1, FULL)
        with pytest.raises(MeterError, match="retired"):
            meter.provisional(FROM + 1, only(0, 1), 1)
    notes = agent.take([day(FROM + n) for n in (0, 1, 3, 5)])
    assert [note.split(":")[0] for note in notes] == [f"day {FROM + 1}", f"day {FROM + 3}"]
    assert [window.day for window in agent.close_due(end_of(FROM + 6), 0)] == [FROM + 5, FROM + 6]
    assert agent.current()[0].number == 2
    assert (folder / "1" / "log.json").read_bytes() == kept
    assert len(agent.export(FROM)["windows"]) == 15, "what it signed can still be proven"  # type: ignore[arg-type]
    assert agent.rotate().number == 3


@pytest.mark.parametrize("damage", ["log lost", "log broken", "key lost"])
def test_a_lost_log_is_retired_in_the_same_folder(agent: Agent, folder: Path, damage: str) -> None:
    agent.take([day(FROM)])
    agent.close_due(0, 0)
    target = folder / "1" / ("key" if damage == "key lost" else "log.json")
    target.write_text("{") if damage == "log broken" else target.unlink()
    with pytest.raises(MeterError):
        Agent(folder)
    agent = Agent.retire(folder, FROM + 2)
    assert agent.lost == [1] and [version.number for version in agent.versions] == [2]
    agent.take([day(FROM), day(FROM + 2)])
    assert [window.day for window in agent.close_due(end_of(FROM + 2), 0)] == [FROM + 2]
    again = Agent.retire(folder, FROM + 9)
    assert again.lost == [1] and [(v.number, v.retired) for v in again.versions] == [(2, True), (3, False)]


def test_a_retirement_that_was_cut_short_signs_nothing_and_goes_on(
    agent: Agent, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    agent.take([day(FROM)])
    with monkeypatch.context() as patch:
        patch.setattr(Path, "rename", lambda *_: (_ for _ in ()).throw(OSError("power cut")))
        with pytest.raises(OSError, match="power cut"):
            Agent.retire(folder, FROM + 1)
    cut = Agent(folder)
    assert not cut.signs
    for act in (lambda: cut.close_due(end_of(FROM), 0), lambda: cut.provisional(end_of(FROM)), lambda: cut.rotate(FROM + 3)):
        with pytest.raises(MeterError, match="every version of the key is retired"):
            act()
    assert Agent.retire(folder, FROM + 1).current()[1] == FROM + 1


def test_a_new_version_outlives_a_power_cut(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The rename that makes a version appear is on the disk before anybody is told its key."""
    synced: list[tuple[Path, bool]] = []
    sync = os.fsync

    def noted(descriptor: int) -> None:
        synced.append((Path(os.readlink(f"/proc/self/fd/{descriptor}")), (folder / "1").exists()))
        sync(descriptor)

    monkeypatch.setattr(os, "fsync", noted)
    Agent.init(folder, SITE, FROM)
    assert (folder, True) in synced


def test_the_export_holds_what_a_proof_of_the_day_takes(agent: Agent) -> None:
    agent.take([day(FROM), day(FROM + 1)])
    agent.close_due(0, 0)
    agent.rotate(FROM + 2)
    found = agent.export(FROM + 1)
    assert [w["day"] for w in found["windows"]] == list(range(FROM - 13, FROM + 2))  # type: ignore[attr-defined]
    assert found["from_day"] == FROM and found["account"] == 7
    with pytest.raises(MeterError, match="signed day"):
        agent.export(FROM + 2)
    with pytest.raises(MeterError, match="no key counts"):
        agent.export(FROM - 1)


def test_one_process_at_a_time(folder: Path) -> None:
    with alone(folder), pytest.raises(MeterError, match="another process"), alone(folder):
        pass
    with alone(folder):
        pass


def test_damaged_files_are_named(agent: Agent, folder: Path) -> None:
    for name, content in (("pending.json", "[]"), ("pending.json", "{"), ("meter.json", "{}"), ("1/delivered.json", "[]")):
        kept = (folder / name).read_text() if (folder / name).exists() else None
        (folder / name).write_text(content)
        with pytest.raises(MeterError, match=Path(name).name):
            Cursor(folder / "1" / "delivered.json", Agent(folder).versions[0].meter)
        (folder / name).unlink() if kept is None else (folder / name).write_text(kept)


def test_the_cursor_delivers_each_window_in_order_and_remembers(agent: Agent, folder: Path) -> None:
    path = folder / "1" / "delivered.json"
    meter = agent.versions[0].meter
    cursor = Cursor(path, meter)
    assert [w.day for w in cursor.due(100)] == list(range(FROM - 14, FROM))
    first = cursor.due(5)
    cursor.delivered(first)
    assert [w.day for w in Cursor(path, meter).due(1)] == [FROM - 9]
    cursor.delivered(cursor.due(100))
    agent.take([day(FROM, only(0, 1))])
    provisional = agent.provisional(SITE.end(FROM, 0))
    assert provisional is not None
    assert cursor.due(100) == [provisional]
    cursor.delivered([provisional])
    assert Cursor(path, meter).due(100) == []
    agent.take([day(FROM, only(1, 1))])
    newer = agent.provisional(SITE.end(FROM, 1))
    assert cursor.due(100) == [newer]
    (final,) = agent.close_due(end_of(FROM), 0)
    assert Cursor(path, meter).due(100) == [final]
    cursor.delivered([final])
    assert cursor.due(100) == []
    cursor.again()
    assert len(Cursor(path, meter).due(100)) == 15


def test_failures_are_tried_again_later_and_later() -> None:
    back_off = BackOff(longest=10)
    assert back_off.due(0)
    assert [back_off.failed(100.0) for _ in range(6)] == [1, 2, 4, 8, 10, 10]
    assert not back_off.due(109.9) and back_off.due(110)
    back_off.succeeded()
    assert back_off.due(0) and back_off.failed(0) == 1


HEADER = "meter,interval_start,net_load_wh"


def row(hour: int, value: object, date: str = "2017-07-01") -> str:
    return f"home-01,{date}T{hour:02}:00:00-08:00,{value}"


def test_rows_are_read_as_they_come_and_broken_ones_are_named_without_their_values() -> None:
    rows = CsvRows(SITE.offset, 60)
    assert rows.read([]) == ([], [])
    assert rows.read([HEADER]) == ([], [])
    (found,), problems = rows.read([row(0, 5), row(1, -6)])
    assert (found.day, found.net[:3], problems) == (FROM, (5, -6, None), [])
    lines = [row(2, 7), row(3, MAX_READING + 1), "home-01,yesterday,7", row(4, "x"), "home-01", row(5, -MAX_READING)]
    days, problems = rows.read(lines)
    assert [item.net for item in days] == [only(2, 7), only(5, -MAX_READING)]
    assert [problem.split(":")[0] for problem in problems] == [
        "row 5, column net_load_wh", "row 6, column interval_start", "row 7, column net_load_wh", "row 8, column (row)",
    ]  # fmt: skip
    assert str(MAX_READING + 1) not in " ".join(problems)
    # Two readings of one interval: taken one after the other, the agent decides.
    days, problems = rows.read([row(6, 1), row(6, 2)])
    assert [item.net[6] for item in days] == [1, 2] and problems == []
    rows.restart()
    with pytest.raises(MeterError, match="readings: row 1"):
        rows.read(["time,power"])


def test_a_line_is_read_when_it_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "readings.csv"
    lines = FileLines(path)
    assert lines.poll(0) == []
    with path.open("w") as handle:
        for piece, found, unfinished in (
            ("meter,inter", [], True),
            ("val_start\nhome-01,4", ["meter,interval_start"], True),
            ("1", [], True),
            ("2\n\nx\n", ["home-01,412", "", "x"], False),
        ):
            handle.write(piece)
            handle.flush()
            assert (lines.poll(0), lines.unfinished) == (found, unfinished)
    path.write_text("anew\n")
    assert (lines.poll(0), lines.restarts) == (["anew"], 1)
    other = tmp_path / "other.csv"
    other.write_text("replaced\n")
    other.rename(path)
    assert (lines.poll(0), lines.restarts) == (["replaced"], 2)
