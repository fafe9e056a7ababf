"""Jobs for the tests of the workers, in a module that their processes can import."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from oracle.jobs import BatchResult, ProvingJob, prove_batch


def square(number: int) -> int:
    return number * number


def told_process(_: int) -> int:
    return os.getpid()


def die_at_first(mark: Path) -> str:
    """Is killed by itself the first time, and done the second."""
    if not mark.exists():
        mark.write_text(str(os.getpid()))
        os.kill(os.getpid(), 9)
    return "done"


def die(_: int) -> None:
    os.kill(os.getpid(), 9)


def fail_for_three(number: int) -> int:
    if number == 3:
        raise KeyError("a reading of 4711 Wh")
    return number


def sleep_with_a_child(mark: Path) -> None:
    """Starts a process, writes down its id and its own, and never comes back."""
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    (mark.parent / f".{mark.name}").write_text(f"{os.getpid()} {child.pid}")
    (mark.parent / f".{mark.name}").rename(mark)
    time.sleep(600)


def prove_slowly(job: ProvingJob) -> BatchResult:
    """Proves, but leaves time to be killed first: says so in a file beside the key's, until that is gone."""
    result = prove_batch(job)
    mark = Path(os.environ["WATTPROOF_TEST_MARK"])
    if not mark.exists():
        mark.write_text(str(os.getpid()))
        time.sleep(600)
    return result


def map_until_killed(mark: str) -> None:
    """What a process does that is killed in the middle of its workers' jobs."""
    from oracle.workers import Workers

    workers = Workers(2, timeout=600)
    list(workers.map(sleep_with_a_child, [Path(mark + "-1"), Path(mark + "-2")]))


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell in the background has its children ignore it
    map_until_killed(sys.argv[1])
