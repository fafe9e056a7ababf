"""What is due by the chain's clock: closed sessions are cleared, delivered ones proven and settled. Runs again and again."""

from __future__ import annotations

import logging
import threading
import time

from app.context import Context
from app.errors import told
from app.services import blocks, clearing, forks, proving, replacing, sessions, settling, surveillance, unwinding
from contracts.units import Mode, SessionState

log = logging.getLogger(__name__)

WITH_WORK = (
    SessionState.CLOSED,
    SessionState.UNDER_REVIEW,
    SessionState.CLEARED,
    SessionState.DELIVERING,
    SessionState.SETTLING,
)
"""States in which something may be due, beside Cancelled."""

FORKS = 0
"""Number under which fork reports are served, since no session has it."""


def run_due(ctx: Context, *, patient: bool = False) -> list[str]:
    """Does everything that is due now, then screens what can be screened; returns what was done.

    One session's trouble does not keep the others from being served: it is told in a line of its own. With `patient`, sessions
    that failed within the last `RETRY_AFTER_S` seconds of wall-clock time are left alone.
    """
    done: list[str] = []
    with ctx.working:
        for session_id in [FORKS, *sessions.all_ids(ctx)]:
            if patient and time.monotonic() < ctx.retry_at.get(session_id, 0.0):
                continue
            try:
                done += _serve(ctx, session_id)
            except Exception as error:
                what = "fork reports" if session_id == FORKS else f"session {session_id}"
                log.error("%s: background work failed: %s", what, told(error))
                ctx.retry_at[session_id] = time.monotonic() + proving.RETRY_AFTER_S
                done.append(f"{what}: failed, will be tried again: {type(error).__name__}")
    return done + surveillance.screen_due(ctx)  # what has a deadline on chain comes first


def _serve(ctx: Context, session_id: int) -> list[str]:
    if session_id == FORKS:
        return forks.report_forks(ctx)
    state = ctx.client.state(session_id)
    if state is SessionState.CANCELLED:
        return unwinding.unwind_session(ctx, session_id)
    if state not in WITH_WORK:
        return []
    view = sessions.view(ctx, session_id)
    if view.terms.mode not in sessions.SERVED:
        return []
    if view.terms.mode is Mode.BLOCK and state is SessionState.CLOSED and not blocks.acceptable(ctx, view):
        return blocks.propose_due(ctx, view)
    if state is SessionState.UNDER_REVIEW and not view.book.excluded:
        return []  # the guardian's to decide
    if state in (SessionState.CLOSED, SessionState.UNDER_REVIEW):
        return clearing.clear_session(ctx, session_id)
    done: list[str] = []
    if view.certificates is not None and ctx.client.progress(session_id).uncommitted:
        done += clearing.clear_session(ctx, session_id)  # interrupted after the clearing, or released by the guardian
    if ctx.settings.replace_failing and view.certificates is not None and state in replacing.REPLACEABLE:
        done += replacing.replace_failing(ctx, session_id)
    if state is SessionState.SETTLING:
        done += proving.prove_session(ctx, session_id, again=False) + settling.settle_session(ctx, session_id)
    return done


class Runner:
    """Calls `run_due` every few seconds in a thread of its own until it is stopped.

    A development chain makes a block only when it is sent something; its clock is therefore moved along with the wall clock, so
    that gates close and deliveries end without anybody's doing.
    """

    def __init__(self, ctx: Context, every_s: float = 5.0, clock_every_s: float = 20.0) -> None:
        self._ctx = ctx
        self._every = every_s
        self._clock_every = clock_every_s
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="runner", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Ends the thread after the work that it is at."""
        self._stop.set()
        self._thread.join(timeout=30)

    def _run(self) -> None:
        moved, seen = time.monotonic(), self._ctx.now()
        hour = seen // 3600
        while not self._stop.wait(self._every):
            try:
                if self._ctx.chain.is_development and time.monotonic() - moved >= self._clock_every:
                    passed, moved = time.monotonic() - moved, time.monotonic()
                    self._ctx.chain.advance_to(seen + round(passed))  # nothing happens on a node that mines by the clock
                    seen = self._ctx.now()
                self._ctx.send_again()
                done = run_due(self._ctx, patient=True)
                if done or self._ctx.now() // 3600 != hour:
                    hour = self._ctx.now() // 3600
                    done += self._ctx.follow_clock()
                for line in done:
                    log.info("%s", line)
            except Exception as error:
                # One session's trouble must not end the service; the next round tries again.
                log.error("background work failed and will be tried again: %s", told(error))
