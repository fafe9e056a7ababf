"""The meter agent at work: readings in, days closed and signed, windows delivered, again and again until it is told to stop.

Whatever is signed stands in the log on disk before it is delivered, so that the process may be killed at any point.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any

import httpx

from app.client import Api, ApiError
from oracle.agent import Agent, KeyVersion
from oracle.agent_delivery import BackOff, Cursor
from oracle.agent_input import CsvRows, Lines
from zk.windows import Window

DELIVERY_BATCH = 100
"""Windows a request."""

TOLERANCE_S = 300
"""Seconds by which a reading may be ahead of this machine's clock."""

Say = Callable[[str, dict[str, Any]], None]
"""Takes what happened: an event's name and its fields, never a reading."""

Deliver = Callable[[KeyVersion, Sequence[Window]], None]
"""Hands windows over; raises `DeliveryError` unless the marketplace has them afterwards."""


class DeliveryError(RuntimeError):
    """The marketplace did not take windows, or cannot be reached."""


class Gateway:
    """One meter's agent with its source of readings. Hold `alone(folder)` for as long as it works."""

    def __init__(
        self, agent: Agent, lines: Lines, deliver: Deliver | None, say: Say, *, wall: bool, grace: int, every: float
    ) -> None:
        """`wall` lets this machine's clock say which days are over, else the readings alone do; `grace` seconds a day is kept
        open for late readings; `every` seconds a provisional window is signed, 0 for never."""
        self._agent = agent
        self._lines = lines
        self._rows = CsvRows(agent.site.offset, agent.site.interval_minutes)
        self._restarts = 0
        self._deliver = deliver
        self._say = say
        self._wall = wall
        self._grace = grace
        self._every = every
        self._signed_at = time.monotonic()
        self._newest = 0
        self._cursors = {
            version.number: (version, Cursor(version.folder / "delivered.json", version.meter), BackOff())
            for version in agent.versions
        }
        self.wanted = False
        """Set to have a provisional window signed in the next round."""

    def round(self, wait_s: float) -> bool:
        """Does what is due, waiting up to `wait_s` seconds for readings; returns whether readings came in."""
        lines = self._lines.poll(wait_s)
        if self._lines.restarts != self._restarts:
            self._restarts = self._lines.restarts
            self._rows.restart()
        days, problems = self._rows.read(lines)
        now = int(time.time())
        for problem in problems + (self._agent.take(days, now + TOLERANCE_S if self._wall else None) if days else []):
            self._say("left out", {"what": problem})
        self._newest = max(self._newest, self._agent.newest() or 0)
        until = now if self._wall else self._newest
        for window in self._agent.close_due(until, self._grace):
            missing = window.readings.count(None)
            self._say("closed", {"day": window.day, "missing_intervals": missing})
        if self.wanted or (self._every and time.monotonic() - self._signed_at >= self._every):
            self.wanted, self._signed_at = False, time.monotonic()
            self.provisional(until)
        self.deliver()
        return bool(lines)

    def provisional(self, now: int | None = None) -> None:
        """Signs a provisional window of the running day, where there is a reading."""
        moment = (int(time.time()) if self._wall else self._newest) if now is None else now
        window = self._agent.provisional(moment)
        if window is not None:
            self._say("provisional", {"day": window.day, "missing_intervals": window.readings.count(None)})

    def deliver(self, *, now: bool = False) -> int:
        """Delivers what is due, each version of the key for itself, so that a suspended one does not hold its successor up.
        Returns how many windows still wait; with `now` nothing is put off."""
        waiting = 0
        for version, cursor, back_off in self._cursors.values():
            while self._deliver is not None and (now or back_off.due(time.monotonic())) and (due := cursor.due(DELIVERY_BATCH)):
                try:
                    self._deliver(version, due)
                except DeliveryError as error:
                    pause = back_off.failed(time.monotonic())
                    self._say("not delivered", {"version": version.number, "why": str(error), "again_in_s": round(pause)})
                    break
                cursor.delivered(due)
                back_off.succeeded()
                self._say("delivered", {"version": version.number, "days": sorted({window.day for window in due})})
            waiting += len(cursor.due(1 << 32))
        return waiting


def to_marketplace(url: str, account: int, timeout: float = 30.0) -> Deliver:
    """Delivers to a marketplace's API."""
    api = Api(url, None, timeout)

    def deliver(version: KeyVersion, windows: Sequence[Window]) -> None:
        key = str(version.key.word())
        body = [{"account": account, "key": key, "window": window.to_record()} for window in windows]
        try:
            answer = api.post("/windows", body)
        except ApiError as error:
            raise DeliveryError(f"the marketplace refused: {error}") from error
        except (httpx.HTTPError, ValueError) as error:
            raise DeliveryError(f"the marketplace cannot be reached: {type(error).__name__}") from error
        if not isinstance(answer, dict) or "done" not in answer:
            raise DeliveryError("something answered that is no marketplace")

    return deliver
