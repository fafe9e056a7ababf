"""A marketplace that is ended while it proves leaves no process behind, however it is ended."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

pytestmark = [pytest.mark.needs("key", "node", "anvil"), pytest.mark.slow]


def descendants(pid: int) -> set[int]:
    """Processes that a process has started, and those that these have started, by /proc."""
    parents: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal():
            try:
                parent = int((entry / "stat").read_text().rsplit(")", 1)[1].split()[1])
            except OSError:
                continue
            parents.setdefault(parent, []).append(int(entry.name))
    found: set[int] = set()
    waiting = [pid]
    while waiting:
        children = parents.get(waiting.pop(), [])
        found.update(children)
        waiting += children
    return found


def proves(pid: int) -> bool:
    """Whether a process is a worker that has been given work: it has taken more than a second of the processor."""
    try:
        if b"multiprocessing.spawn" not in Path(f"/proc/{pid}/cmdline").read_bytes():
            return False
        ticks = [int(field) for field in Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[11:13]]
    except OSError:
        return False
    return sum(ticks) > 2 * os.sysconf("SC_CLK_TCK")


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGKILL])
def test_nothing_outlives_a_marketplace_that_is_ended_while_it_proves(tmp_path: Path, how: signal.Signals) -> None:
    environment = {**os.environ, "WATTPROOF_DATA_DIR": str(tmp_path / "var"), "PORT": "0"}
    command = [sys.executable, "-c", "from app.cli import main; main()", "serve"]
    server = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    try:
        until = time.monotonic() + 300
        while not any(proves(pid) for pid in descendants(server.pid)):
            assert server.poll() is None, server.stdout.read() if server.stdout else ""
            assert time.monotonic() < until, "it never came to prove"
            time.sleep(0.1)
        left = descendants(server.pid)
        assert len(left) >= 2, "a chain and a worker"
        server.send_signal(how)
        server.wait(40)
        until = time.monotonic() + 10
        while running := [pid for pid in left if Path(f"/proc/{pid}/stat").exists() and not ended(pid)]:
            assert time.monotonic() < until, running
            time.sleep(0.1)
    finally:
        server.kill()
        server.wait()


def ended(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] == "Z"
    except OSError:
        return True
