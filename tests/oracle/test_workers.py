"""Jobs in processes of their own: whatever happens to a process, every job ends, once, and nothing is left behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import oracle_chores as chores
import pytest

from oracle.workers import Lost, Workers, WorkersError

pytestmark = pytest.mark.slow


def alive(pid: int) -> bool:
    """Whether a process still runs, or a thread of it; one that has ended and that nobody has asked after does not."""
    try:
        ended = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] == "Z"
        return not ended or len(list(Path(f"/proc/{pid}/task").iterdir())) > 1
    except OSError:
        return False


def wait_for(condition: Callable[[], bool], seconds: float = 20) -> None:
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until, "waited in vain"
        time.sleep(0.02)


def ids(mark: Path) -> list[int]:
    wait_for(mark.exists)
    return [int(pid) for pid in mark.read_text().split()]


@pytest.fixture
def workers() -> Iterator[Workers]:
    with Workers(2, timeout=30) as made:
        yield made


def test_every_task_has_its_result(workers: Workers) -> None:
    assert dict(workers.map(chores.square, range(50))) == {n: n * n for n in range(50)}
    assert len(workers.processes) == 2
    before = workers.processes
    assert {pid for _, pid in workers.map(chores.told_process, range(20))} <= set(before), "processes are kept"
    assert os.getpid() not in before
    assert list(workers.map(chores.square, [])) == []


def test_no_more_processes_than_jobs(workers: Workers) -> None:
    assert list(workers.map(chores.square, [3])) == [(3, 9)]
    assert len(workers.processes) == 1


def test_a_job_whose_process_is_killed_is_done_again(workers: Workers, tmp_path: Path) -> None:
    marks = [tmp_path / str(n) for n in range(4)]
    assert dict(workers.map(chores.die_at_first, marks)) == dict.fromkeys(marks, "done")
    assert not any(alive(int(mark.read_text())) for mark in marks)


def test_a_job_that_always_kills_its_process_is_given_up_and_stops_no_other() -> None:
    with Workers(1, timeout=30, attempts=2) as workers:
        assert list(workers.map(chores.die, [7])) == [(7, Lost("its process died 2 times"))]
        assert list(workers.map(chores.square, [7])) == [(7, 49)], "a new process took over"


def test_an_idle_process_that_dies_costs_no_job_an_attempt() -> None:
    with Workers(1, timeout=30, attempts=1) as workers:
        for _ in range(4):
            assert list(workers.map(chores.square, [2])) == [(2, 4)]
            os.kill(workers.processes[0], signal.SIGKILL)
            wait_for(lambda: not alive(workers.processes[0]))


def test_a_job_is_ended_at_its_time_limit_with_all_it_started(tmp_path: Path) -> None:
    with Workers(1, timeout=2) as workers:
        list(workers.map(chores.square, [1]))
        started = time.monotonic()
        assert list(workers.map(chores.sleep_with_a_child, [tmp_path / "mark"])) == [
            (tmp_path / "mark", Lost("not done after 2 s"))
        ]
        assert 2 <= time.monotonic() - started < 8
        wait_for(lambda: not any(alive(pid) for pid in ids(tmp_path / "mark")))
        assert list(workers.map(chores.square, [7])) == [(7, 49)]


def test_an_exception_is_the_jobs_own_and_its_words_stay_inside(workers: Workers) -> None:
    results = dict(workers.map(chores.fail_for_three, range(5)))
    lost = results.pop(3)
    assert results == {0: 0, 1: 1, 2: 2, 4: 4}
    assert isinstance(lost, Lost)
    assert "KeyError in fail_for_three" in lost.reason
    assert "4711" not in lost.reason


def test_closing_ends_processes_at_work_and_what_they_started(tmp_path: Path) -> None:
    workers = Workers(2, timeout=600)
    marks = [tmp_path / "1", tmp_path / "2"]
    raised: list[BaseException] = []

    def run() -> None:
        try:
            list(workers.map(chores.sleep_with_a_child, marks))
        except BaseException as error:
            raised.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    started = [pid for mark in marks for pid in ids(mark)]
    assert all(alive(pid) for pid in started)
    workers.close()
    thread.join(10)
    assert not thread.is_alive()
    assert isinstance(raised[0], WorkersError)
    wait_for(lambda: not any(alive(pid) for pid in started))
    workers.close()
    with pytest.raises(WorkersError):
        list(workers.map(chores.square, [1]))


def test_what_is_left_unread_is_not_taken_for_the_next_answer(workers: Workers) -> None:
    for _ in workers.map(chores.square, range(10)):
        break
    assert dict(workers.map(chores.square, [100, 200])) == {100: 10_000, 200: 40_000}


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_no_process_outlives_the_one_that_wants_the_answers(tmp_path: Path, how: signal.Signals) -> None:
    mark = tmp_path / "mark"
    parent = subprocess.Popen([sys.executable, chores.__file__, str(mark)], stderr=subprocess.DEVNULL)
    started = [pid for n in (1, 2) for pid in ids(tmp_path / f"mark-{n}")]
    assert len(started) == 4
    assert all(alive(pid) for pid in started)
    parent.send_signal(how)
    parent.wait(20)
    wait_for(lambda: not any(alive(pid) for pid in started))


@pytest.mark.parametrize(("count", "timeout", "attempts"), [(0, 1, 1), (1, 0, 1), (1, 1, 0)])
def test_numbers_that_make_no_sense_are_refused(count: int, timeout: float, attempts: int) -> None:
    with pytest.raises(ValueError, match="positive"):
        Workers(count, timeout=timeout, attempts=attempts)
