"""`wattproof serve` as a person runs it: seeded, never empty, the same after a restart, clear about a port that is taken."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

pytestmark = [pytest.mark.needs("key", "node", "anvil"), pytest.mark.slow]

PROGRAM = [sys.executable, "-c", "from app.cli import main; main()", "serve"]


def told(process: subprocess.Popen[str]) -> str:
    """What a server has printed; ends it."""
    process.kill()
    assert process.stdout is not None
    return process.stdout.read()


def replay(data: Path, session: int) -> str:
    """What `wattproof replay` says."""
    command = [sys.executable, "-c", "from app.cli import main; main()", "replay", str(session)]
    environment = {**os.environ, "WATTPROOF_DATA_DIR": str(data)}
    told = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120, check=False)
    return told.stdout.strip() or told.stderr


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def serving(data: Path, port: int, *arguments: str, within: float) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    environment = {**os.environ, "WATTPROOF_DATA_DIR": str(data), "PORT": str(port), "HOST": "127.0.0.1", "COLUMNS": "200"}
    process = subprocess.Popen(
        [*PROGRAM, *arguments], env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, cwd=data.parent
    )
    url = f"http://127.0.0.1:{port}/api/v1"
    try:
        until = time.monotonic() + within
        while True:
            try:
                httpx.get(f"{url}/status", timeout=5)
                break
            except httpx.HTTPError:
                if process.poll() is not None or time.monotonic() > until:
                    process.kill()
                    assert process.stdout is not None
                    pytest.fail(f"serve did not answer: {process.stdout.read()}")
                time.sleep(0.2)
        yield url, process
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
            process.wait(30)


def killed_while_seeding(data: Path, port: int) -> None:
    """A first start that is killed with some of the members registered and no session opened."""
    environment = {**os.environ, "WATTPROOF_DATA_DIR": str(data), "PORT": str(port), "HOST": "127.0.0.1"}
    process = subprocess.Popen(PROGRAM, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, bufsize=1)
    assert process.stdout is not None
    while "registered on chain" not in (line := process.stdout.readline()):
        assert line or process.poll() is None, "serve ended"
    process.kill()
    process.wait()


def test_serve_opens_on_the_seeded_day_and_survives_restarts(tmp_path: Path) -> None:
    data, port = tmp_path / "var", free_port()
    killed_while_seeding(data, port)
    with serving(data, port, within=400) as (url, process):
        assert process.stdout is not None
        assert "was cut off while it was seeded" in process.stdout.readline()
        sessions = httpx.get(f"{url}/sessions").json()["items"]
        assert [s["state"] for s in sessions] == ["Open", "Settled"]
        assert sessions[0]["orders"] > 10
        genesis = httpx.get(f"{url}/status").json()["chain"]["genesis"]
        page = httpx.get(f"http://127.0.0.1:{port}/")
        assert page.status_code == 200
        assert "default-src 'self'" in page.headers["content-security-policy"]
        taken = subprocess.run(
            PROGRAM,
            env={**os.environ, "PORT": str(port), "WATTPROOF_DATA_DIR": str(tmp_path / "other")},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert taken.returncode == 1
        assert str(port) in taken.stderr
        assert "Traceback" not in taken.stderr

    with serving(data, port, within=60) as (url, process):
        assert httpx.get(f"{url}/status").json()["chain"]["genesis"] == genesis
        again = httpx.get(f"{url}/sessions").json()["items"]
        assert [s["id"] for s in again] == [2, 1]
        # The visitor's wallet moves the clock on: the session clears, is delivered, proven, settled, and the next one opens.
        done = httpx.post(f"{url}/dev/advance", json={"session": 2, "to": "settled"}, timeout=300).json()
        states = {s["id"]: s["state"] for s in httpx.get(f"{url}/sessions").json()["items"]}
        assert states[2] == "Settled", (done, told(process))
        assert states[3] == "Open", done
        settlement = httpx.get(f"{url}/sessions/2").json()["settlement"]
        assert settlement["balanced"]
        assert replay(data, 1) == "identical", "while the marketplace runs"
        process.kill()
        process.wait()

    assert replay(data, 2) == "identical", "after it has gone, from a copy of the chain"
    for _ in range(2):
        with serving(data, port, within=60) as (url, _):
            assert httpx.get(f"{url}/status").json()["chain"]["genesis"] == genesis
            assert len(httpx.get(f"{url}/sessions").json()["items"]) == 3

    (data / "chain.json").unlink()
    with serving(data, port, "--empty", within=60) as (url, _):
        status = httpx.get(f"{url}/status").json()
        assert status["chain"]["genesis"] != genesis
        assert "starts anew" in status["message"]
        assert len(list(data.glob("wattproof-*.sqlite"))) == 2, "what the database held is kept, both times"
        assert httpx.get(f"{url}/sessions").json()["items"] == []
