"""The agent's process is killed at random moments, its marketplace fails as it likes, and there is still one history.

Real processes of the command line, a real file that grows, real kills (SIGKILL); the receiver judges by what reached it.
"""

from __future__ import annotations

import json
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest

from oracle.agent import Agent
from zk.windows import Window, check_chain, check_window, contradictions

WATTPROOF = [sys.executable, "-c", "from app.cli import main; main()"]
BEGIN = datetime(2017, 7, 1, 8, tzinfo=UTC)  # midnight at UTC-8
FROM = 17_348
ROUNDS = 12


class Receiver:
    """A marketplace that notes every window that reaches it, and answers as the dice say."""

    def __init__(self, dice: random.Random) -> None:
        self.dice = dice
        self.windows: list[Window] = []
        self.refusals = 0
        self.reliable = False
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                face = 0.0 if receiver.reliable else receiver.dice.random()
                if face > 0.75:
                    receiver.refusals += 1
                    return self._answer(503, {"detail": "not now"})
                receiver.windows += [Window.from_record(item["window"]) for item in body]
                if face > 0.5:
                    receiver.refusals += 1
                    return self.connection.close()  # it has them, and the agent does not know
                return self._answer(201, {"done": ["stored"]})

            def _answer(self, status: int, document: dict[str, Any]) -> None:
                content = json.dumps(document).encode()
                self.send_response(status)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.handle_error = lambda *_: None  # type: ignore[method-assign]
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"

    @contextmanager
    def running(self) -> Iterator[str]:
        thread = threading.Thread(target=self.server.serve_forever, daemon=True)
        thread.start()
        try:
            yield self.url
        finally:
            self.server.shutdown()
            self.server.server_close()


def waited(condition: Callable[[], bool], seconds: float) -> bool:
    until = time.monotonic() + seconds
    while not condition() and time.monotonic() < until:
        time.sleep(0.005)
    return condition()


def wattproof(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*WATTPROOF, *arguments], capture_output=True, text=True, timeout=120)


def set_up(folder: Path) -> dict[str, Any]:
    made = wattproof(
        "meter", "init", str(folder), "--meter", "home-01", "--account", "7", "--from-day", "2017-07-01", "--offset", "-28800",
        "--json",
    )  # fmt: skip
    assert made.returncode == 0, made.stderr
    return json.loads(made.stdout)  # type: ignore[no-any-return]


class Meterman:
    """Appends readings to the file, a row at a time in two pieces, sometimes a second, different reading for an interval."""

    def __init__(self, path: Path, dice: random.Random, pause: float) -> None:
        self.path = path
        self.dice = dice
        self.pause = pause
        self.hours = 0
        self.stop = threading.Event()
        self.thread = threading.Thread(target=self._write, daemon=True)

    def row(self, hour: int) -> str:
        return f"home-01,{(BEGIN + timedelta(hours=hour)).isoformat()},{self.dice.randint(-5000, 5000)}\n"

    def _write(self) -> None:
        with self.path.open("a") as handle:
            handle.write("meter,interval_start,net_load_wh\n")
            while not self.stop.wait(self.pause):
                hours = [self.hours]
                if self.dice.random() < 0.25 and self.hours % 24:
                    # A correction, perhaps of what a process signed that was killed since.
                    hours.append(self.hours - self.dice.randint(1, min(10, self.hours % 24)))
                for hour in hours:
                    text = self.row(hour)
                    for piece in (text[:20], text[20:]):
                        handle.write(piece)
                        handle.flush()
                self.hours += 1


@pytest.mark.slow
@pytest.mark.parametrize("seed", [1, 2])
def test_kills_at_random_moments_never_fork_the_log_and_lose_nothing(tmp_path: Path, seed: int) -> None:
    dice = random.Random(seed)
    folder, csv = tmp_path / "gateway", tmp_path / "readings.csv"
    registered = set_up(folder)
    receiver = Receiver(random.Random(seed + 100))
    man = Meterman(csv, random.Random(seed + 200), 0.02)
    output = tmp_path / "output.txt"
    worked = 0
    with receiver.running() as url:
        run = [
            *WATTPROOF, "meter", "run", str(folder), "--readings", str(csv), "--clock", "readings", "--grace", "0",
            "--provisional-every", "0.05", "--url", url,
        ]  # fmt: skip
        man.thread.start()
        for number in range(ROUNDS):
            with output.open("a") as sink:
                before = sink.tell()
                process = subprocess.Popen(run, stdout=sink, stderr=subprocess.STDOUT)
            if number % 4:  # at work: it has said something since it began
                assert waited(lambda size=before: output.stat().st_size > size, 60)  # type: ignore[misc]
                worked += 1
            time.sleep(dice.uniform(0.0, 1.2))
            assert process.poll() is None, output.read_text()[before:]
            process.send_signal(signal.SIGKILL)
            process.wait()
        man.stop.set()
        man.thread.join()
        receiver.reliable = True
        ended = wattproof(*run[len(WATTPROOF) :], "--once")
        assert ended.returncode == 0, ended.stdout + ended.stderr
    received = receiver.windows
    finals = {window.head: window for window in received if window.final}
    by_day: dict[int, list[Window]] = {}
    for window in received:
        by_day.setdefault(window.day, []).append(window)
    for day, windows in by_day.items():
        heads = {window.head: window for window in windows}
        assert len({head for head, window in heads.items() if window.final}) <= 1, f"two final heads for day {day}"
        for one, other in combinations(heads.values(), 2):
            assert contradictions(one, other) == (), f"the log forked on day {day}"
    agent = Agent(folder)
    meter = agent.versions[0].meter
    assert str(meter.key.word()) == registered["key"]
    check_chain(sorted(finals.values(), key=lambda window: window.day))
    for window in {window.head: window for window in received}.values():
        check_window(window, meter.key)
    logged = [window for window in meter.windows(0, 1 << 31) if window.final]
    assert sorted(finals) == sorted(window.head for window in logged), "every day was delivered, and none that is not logged"
    # The run was worth something: days were closed by processes that were killed, and the marketplace misbehaved.
    days = output.read_text().count("closed: ")
    assert worked == 3 * ROUNDS // 4 and days >= 5 and receiver.refusals >= 3, (worked, days, receiver.refusals)
    assert any(not window.final for window in received)
    complete = [window for window in logged if window.complete]
    assert len(complete) >= 1
    secret = (folder / "1" / "key").read_text()
    assert secret not in output.read_text(), "the key was printed"


@pytest.mark.slow
def test_a_second_process_is_refused_and_a_stopped_one_ends_in_order(tmp_path: Path) -> None:
    folder = tmp_path / "gateway"
    set_up(folder)
    run = [*WATTPROOF, "meter", "run", str(folder), "--readings", "-", "--clock", "readings", "--json"]
    first = subprocess.Popen(run, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert first.stdin is not None and first.stdout is not None
    rows = "".join(f"home-01,{(BEGIN + timedelta(hours=h)).isoformat()},{h}\n" for h in range(30))
    first.stdin.write("meter,interval_start,net_load_wh\n" + rows)
    first.stdin.flush()
    assert json.loads(first.stdout.readline()) == {"event": "closed", "day": FROM, "missing_intervals": 0}
    for command in (run[3:], ["meter", "rotate", str(folder)]):
        second = wattproof(*command)
        assert second.returncode == 1
        assert "another process runs this meter" in " ".join(second.stderr.split())
    assert wattproof("meter", "status", str(folder)).returncode == 0
    first.send_signal(signal.SIGUSR1)
    assert json.loads(first.stdout.readline()) == {"event": "provisional", "day": FROM + 1, "missing_intervals": 18}
    first.send_signal(signal.SIGTERM)
    assert first.wait(timeout=20) == 0
    assert "Traceback" not in (first.stderr.read() if first.stderr else "")
    state = json.loads(wattproof("meter", "status", str(folder), "--json").stdout)
    assert state["running_day"] == FROM + 1
    assert state["readings_waiting"] == {str(FROM + 1): 6}


@pytest.mark.slow
def test_a_marketplace_that_is_away_gets_everything_later(tmp_path: Path) -> None:
    folder, csv = tmp_path / "gateway", tmp_path / "readings.csv"
    set_up(folder)
    csv.write_text(
        "meter,interval_start,net_load_wh\n"
        + "".join(f"home-01,{(BEGIN + timedelta(hours=h)).isoformat()},{h}\n" for h in range(24 * 3))
        + "home-01,2017-07-0"
    )
    run = ["meter", "run", str(folder), "--readings", str(csv), "--clock", "readings", "--once"]
    away = wattproof(*run, "--url", "http://127.0.0.1:9")
    assert away.returncode == 1
    assert "17 windows still wait" in away.stderr and "no end" in away.stderr
    receiver = Receiver(random.Random(3))
    receiver.reliable = True
    with receiver.running() as url:
        assert wattproof(*run, "--url", url).returncode == 0
        assert [window.day for window in receiver.windows] == list(range(FROM - 14, FROM + 3))
        assert wattproof(*run, "--url", url).returncode == 0
        assert len(receiver.windows) == 17, "nothing is sent twice once it was taken"
        assert wattproof(*run, "--url", url, "--again").returncode == 0
        assert len(receiver.windows) == 34
