"""The agent and a real marketplace: what it signs comes in under the right version, once key and token are good."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from app_house import House

from app.services import metering
from oracle.agent import Agent

pytestmark = [pytest.mark.needs("key"), pytest.mark.slow]


class Gateway:
    """A meter's folder beside a marketplace, used by the command line alone."""

    def __init__(self, house: House) -> None:
        self.house = house
        self.zone = house.ctx.zone(1)
        self.from_day = self.zone.day_of(house.ctx.now()) + 1
        self.account = house.anyone.post("/accounts", {"owner": "0x" + "12" * 20})["index"]
        self.folder = house.folder / "gateway"
        self.csv = house.folder / "readings.csv"
        self.csv.write_text("meter,interval_start,import_wh,export_wh\n")

    def __call__(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        ended = subprocess.run(
            [sys.executable, "-c", "from app.cli import main; main()", "meter", *arguments],
            capture_output=True,
            text=True,
            timeout=120,
        )
        assert "Traceback" not in ended.stderr, ended.stderr
        return ended

    def deliver(self) -> subprocess.CompletedProcess[str]:
        readings = ("--readings", str(self.csv), "--clock", "readings", "--grace", "0", "--once")
        return self("run", str(self.folder), *readings, "--url", self.house.url)

    def measure(self, *days: int) -> None:
        with self.csv.open("a") as handle:
            for day in days:
                for t in range(24):
                    start = datetime.fromtimestamp(self.zone.interval_start(day, t), UTC).isoformat()
                    handle.write(f"home-01,{start},{100 + t},{t}\n")

    def register(self, printed: str) -> Any:
        made = json.loads(printed)
        return self.house.api.post("/meters", {name: made[name] for name in ("account", "x", "y", "from_day")})

    def received(self, day: int) -> list[int]:
        return [window.head for window in metering.windows(self.house.ctx, self.account, day)]


def words(text: str) -> str:
    return " ".join(text.split())


def test_a_meters_way_from_its_key_to_a_new_one(house: House) -> None:
    gateway = Gateway(house)
    first = gateway.from_day
    made = gateway(
        "init", str(gateway.folder), "--meter", "home-01", "--account", str(gateway.account), "--from-day", str(first),
        "--offset", "-28800", "--json",
    )  # fmt: skip
    assert made.returncode == 0, made.stderr
    gateway.measure(first, first + 1)

    too_early = gateway.deliver()
    assert too_early.returncode == 1 and "has no meter" in words(too_early.stdout)
    bound = gateway.register(made.stdout)
    assert int(bound["key"], 16) == int(json.loads(made.stdout)["key"])
    assert gateway.deliver().returncode == 0, "what waited was kept"
    logged = Agent(gateway.folder).versions[0].meter
    assert gateway.received(first + 1) == [window.head for window in logged.windows_for(first + 1)]
    found = json.loads(gateway("status", str(gateway.folder), "--json").stdout)
    assert found["versions"][0]["windows_to_deliver"] == 0
    assert found["versions"][0]["delivered_to_day"] == first + 1

    rotated = gateway("rotate", str(gateway.folder), "--from-day", str(first + 4), "--json")
    assert rotated.returncode == 0, rotated.stderr
    gateway.measure(*range(first + 2, first + 6))
    half = gateway.deliver()  # the new version is not bound yet: the old one's days are delivered all the same
    assert half.returncode == 1 and "not a version of account" in words(half.stdout)
    assert len(gateway.received(first + 3)) == 15
    gateway.register(rotated.stdout)
    assert gateway.deliver().returncode == 0
    fresh = Agent(gateway.folder).versions[1].meter
    assert gateway.received(first + 5) == [window.head for window in fresh.windows_for(first + 5)]
    assert gateway.received(first + 3) == [window.head for window in logged_again(gateway.folder, first + 3)]
    versions = house.anyone.get(f"/accounts/{gateway.account}/meters")["items"]
    assert [version["from_day"] for version in versions] == [first, first + 4]


def test_a_key_that_is_registered_late_is_delivered_all_the_same(house: House) -> None:
    """The agent cannot know the registered day: what lies too early to matter is taken off its hands."""
    gateway = Gateway(house)
    first = gateway.from_day
    made = gateway(
        "init", str(gateway.folder), "--meter", "home-01", "--account", str(gateway.account), "--from-day", str(first),
        "--offset", "-28800", "--json",
    )  # fmt: skip
    late = {**json.loads(made.stdout), "from_day": first + 5}
    gateway.register(json.dumps(late))
    gateway.measure(*range(first, first + 7))
    ended = gateway.deliver()
    assert ended.returncode == 0, ended.stdout
    found = json.loads(gateway("status", str(gateway.folder), "--json").stdout)
    assert found["versions"][0]["windows_to_deliver"] == 0
    logged = Agent(gateway.folder).versions[0].meter
    assert gateway.received(first + 5) == [window.head for window in logged.windows_for(first + 5)]


def test_a_lost_log_ends_its_key_and_the_folder_goes_on(tmp_path: Path) -> None:
    def wattproof(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-c", "from app.cli import main; main()", "meter", *arguments]
        ended = subprocess.run(command, capture_output=True, text=True, timeout=120)
        assert "Traceback" not in ended.stderr, ended.stderr
        return ended

    folder = str(tmp_path / "gateway")
    readings = tmp_path / "readings.csv"
    rows = [f"m,2017-11-{20 + n // 24}T{n % 24:02}:00:00Z,{n}" for n in range(72)]
    readings.write_text("\n".join(["meter,interval_start,net_load_wh", *rows, ""]))
    assert wattproof(
        "init", folder, "--meter", "m", "--account", "7", "--from-day", "2017-11-20", "--offset", "0"
    ).returncode == 0  # fmt: skip
    (tmp_path / "gateway" / "1" / "log.json").unlink()
    run = ("run", folder, "--readings", str(readings), "--clock", "readings", "--grace", "0", "--once")
    assert wattproof(*run).returncode == 1
    made = wattproof("rotate", folder, "--retire", "--from-day", "2017-11-21", "--json")
    assert made.returncode == 0, made.stderr
    assert json.loads(made.stdout)["version"] == 2
    ended = wattproof(*run)
    assert ended.returncode == 0 and "retired: version 1" in ended.stdout
    status = wattproof("status", folder)
    assert "key version 1: retired, its log is lost" in status.stdout
    found = json.loads(wattproof("status", folder, "--json").stdout)
    assert found["lost_versions"] == [1]
    assert [(v["version"], v["retired"], v["next_day"]) for v in found["versions"]] == [(2, False, 17_493)]
    later = wattproof("rotate", folder, "--retire", "--json")  # from tomorrow on, by the machine's clock
    assert later.returncode == 0, later.stderr
    assert "key version 2 from day 17491 (2017-11-21), retired" in wattproof("status", folder).stdout
    assert json.loads(later.stdout)["from_day"] == int(time.time()) // 86_400 + 1


def logged_again(folder: Path, day: int) -> Any:
    return Agent(folder).version_on(day).meter.windows_for(day)


def test_wrong_arguments_are_answered_in_words(house: House, tmp_path: Path) -> None:
    gateway = Gateway(house)
    nothing = gateway("status", str(tmp_path / "nothing"))
    assert nothing.returncode == 1 and "there is no meter here" in words(nothing.stderr)
    for change, expected in (
        (("--interval", "45"), "15, 30 or 60"),
        (("--offset", "999999"), "-50400 to 50400"),
        (("--from-day", "3"), "at least 14"),
        (("--from-day", "soon"), "a date or a number of days"),
        (("--from-day", "16777215"), "day 0 to 2932896"),
        (("--from-day", "9" * 5000), "a date or a number of days"),
        (("--from-day", "1950-01-01"), "day 0 to 2932896"),
    ):
        arguments = {"--meter": "m", "--account": "7", "--from-day": "17000", "--offset": "0", change[0]: change[1]}
        ended = gateway("init", str(tmp_path / "new"), *(part for pair in arguments.items() for part in pair))
        assert ended.returncode != 0 and expected in words(ended.stderr), ended.stderr
        assert not (tmp_path / "new" / "1").exists()
    made = gateway("init", str(tmp_path / "new"), "--meter", "m", "--account", "7", "--from-day", "17000", "--offset", "0")
    assert made.returncode == 0, made.stderr
    assert (tmp_path / "new" / "1" / "key").read_text() not in made.stdout + made.stderr
    bad = tmp_path / "bad.csv"
    bad.write_text("time,power\n1,2\n")
    ended = gateway("run", str(tmp_path / "new"), "--readings", str(bad), "--once")
    assert ended.returncode == 1 and "readings: row 1" in words(ended.stderr)
    ended = gateway("run", str(tmp_path / "new"), "--readings", str(tmp_path), "--once")
    assert ended.returncode == 1 and "cannot be read" in words(ended.stderr)
    ended = gateway("export", str(tmp_path / "new"), "--day", "17000", "--out", str(tmp_path / "out.json"))
    assert ended.returncode == 1 and "expected a signed day" in words(ended.stderr)
    assert not (tmp_path / "out.json").exists()
