"""A few processes of this machine that do jobs: a function and its argument go over a pipe, the result comes back.

A process that dies is replaced and its job done again, a few times; a job that takes too long is ended from outside, with
everything that it started. Arguments and results hold readings: they stay in memory, and of an error only its kind and place
are told.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import threading
import time
import traceback
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from types import TracebackType
from typing import Any, Self, TypeVar

Task = TypeVar("Task")
Result = TypeVar("Result")

_START_SECONDS = 60.0

# Processes are started afresh, not forked: this one has threads, whose locks a fork would copy as they are.
_SPAWN = multiprocessing.get_context("spawn")


class WorkersError(RuntimeError):
    """The workers cannot do jobs: they were closed while jobs were left, or their processes do not start."""


@dataclass(frozen=True, slots=True)
class Lost:
    """A job without a result, and why: its process died too often, it took too long, or its function raised."""

    reason: str


class Workers:
    """Up to `count` processes, started when there are jobs and kept until `close`. A context manager.

    timeout     seconds that one job may take
    attempts    times that a job is tried whose process dies
    """

    def __init__(self, count: int, *, timeout: float, attempts: int = 3) -> None:
        if count < 1 or attempts < 1 or timeout <= 0:
            raise ValueError(f"workers: expected positive numbers, got {count}, {timeout} and {attempts}")
        self._count = count
        self._timeout = timeout
        self._attempts = attempts
        self._mapping = threading.Lock()
        self._changing = threading.Lock()
        self._closed = False
        self._workers: list[_Worker] = []

    @property
    def closed(self) -> bool:
        """Whether `close` was called: there will be no more jobs."""
        return self._closed

    @property
    def processes(self) -> list[int]:
        """Ids of the processes that there are."""
        return [worker.pid for worker in self._workers]

    def map(self, function: Callable[[Task], Result], tasks: Sequence[Task]) -> Iterator[tuple[Task, Result | Lost]]:
        """Each task with its result, as soon as it is there, in any order.

        `function` is a top-level one, and doing a task twice must do no harm. One call at a time, others wait. Raises
        `WorkersError`.
        """
        with self._mapping:
            waiting = deque(_Job(function, task) for task in tasks)
            unstarted = 0
            try:
                while waiting or any(worker.job for worker in self._workers):
                    busy = self._assign(waiting)
                    soonest = min(worker.deadline for worker in busy)
                    wait([worker.connection for worker in busy], max(0.0, soonest - time.monotonic()))
                    for worker in busy:
                        job = worker.job
                        try:
                            if worker.connection.poll():
                                answer = worker.take()
                            elif time.monotonic() < worker.deadline:
                                continue
                            else:
                                self._drop(worker)
                                answer = Lost(f"not done after {self._timeout:g} s")
                        except (EOFError, OSError):
                            self._drop(worker)
                            if job and (died := job.again(self._attempts)) is None:
                                waiting.append(job)
                                continue
                            answer = died if job else None
                        if job:
                            yield job.task, answer
                        elif not worker.ready:
                            unstarted += 1
                            if unstarted == self._attempts:
                                raise WorkersError(f"a worker process did not start in {unstarted} attempts")
            finally:
                # An answer that nobody waits for any more must not be taken for the next job's.
                for worker in [worker for worker in self._workers if worker.job]:
                    self._drop(worker)

    def close(self) -> None:
        """Ends all processes, also while they work; it can be called twice and from another thread."""
        with self._changing:
            self._closed = True
            for worker in self._workers:
                worker.end()
            self._workers = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def _assign(self, waiting: deque[_Job]) -> list[_Worker]:
        """Starts processes where they are needed, gives jobs to those that are free; returns those that owe an answer."""
        with self._changing:
            if self._closed:
                raise WorkersError("the workers were closed while jobs were left")
            for worker in [w for w in self._workers if w.ready and not w.job and not w.process.is_alive()]:
                worker.end()  # it died while it had nothing to do: no job shall bear that
                self._workers.remove(worker)
            wanted = min(self._count, len(waiting) + sum(1 for worker in self._workers if worker.job))
            while len(self._workers) < wanted:
                self._workers.append(_Worker())
            for worker in self._workers:
                if waiting and worker.ready and not worker.job:
                    worker.give(waiting.popleft(), self._timeout)
            return [worker for worker in self._workers if worker.job or not worker.ready]

    def _drop(self, worker: _Worker) -> None:
        worker.end()
        with self._changing:
            if worker in self._workers:
                self._workers.remove(worker)


@dataclass(slots=True)
class _Job:
    function: Callable[[Any], Any]
    task: Any
    died: int = 0

    def again(self, attempts: int) -> Lost | None:
        """Counts a process that died of this job; what to tell when it was the last."""
        self.died += 1
        return Lost(f"its process died {self.died} times") if self.died == attempts else None


class _Worker:
    """One process. `ready` once it has started; until then, and while it has a job, it owes an answer by `deadline`."""

    def __init__(self) -> None:
        self.connection, other = _SPAWN.Pipe()
        self.process = _SPAWN.Process(target=_serve, args=(other,), name="proving worker", daemon=True)
        self.process.start()
        other.close()
        self.job: _Job | None = None
        self.ready = False
        self.deadline = time.monotonic() + _START_SECONDS

    @property
    def pid(self) -> int:
        assert self.process.pid is not None
        return self.process.pid

    def give(self, job: _Job, seconds: float) -> None:
        self.job, self.deadline = job, time.monotonic() + seconds
        with contextlib.suppress(BrokenPipeError):  # it has died: the pipe says so when it is asked for the answer
            self.connection.send((job.function, job.task))

    def take(self) -> Any:
        """What it has sent: that it is ready (None), or its job's result."""
        answer = self.connection.recv()
        self.ready, self.job = True, None
        return answer

    def end(self) -> None:
        """Kills the process and whatever it has started."""
        with contextlib.suppress(OSError):
            os.killpg(self.pid, signal.SIGKILL)
        self.process.kill()
        self.process.join()


def _serve(connection: Connection) -> None:
    """The process: answers jobs until the other end is closed."""
    os.setsid()  # a group of its own, so that it can be ended together with a prover that it has started
    threading.Thread(target=_end_with_parent, daemon=True).start()
    connection.send(None)
    while True:
        try:
            function, task = connection.recv()
        except EOFError:
            return
        try:
            answer = function(task)
        except Exception as error:
            place = traceback.extract_tb(error.__traceback__)[-1]
            answer = Lost(f"{type(error).__name__} in {place.name}, line {place.lineno}")
        connection.send(answer)


def _end_with_parent() -> None:
    """Ends the whole group when the process that wants the answers is gone, however it went."""
    parent = multiprocessing.parent_process()
    assert parent is not None
    wait([parent.sentinel])
    os.killpg(0, signal.SIGKILL)
