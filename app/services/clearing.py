"""Clearing a session: the engine computes, the independent checker agrees, the contract decides, the promises are committed.

A long log is cleared in several transactions. What the contract needs to go on stands in its last event, so that a clearing
that was interrupted, here or by anybody, goes on where it stands.
"""

from __future__ import annotations

from collections.abc import Iterator

from app.context import Context
from app.errors import Refused
from app.services import sessions
from contracts.calls import ClearingPass
from contracts.encoding import groups_of
from contracts.events import ClearingContinued
from contracts.orderlog import OrderLog
from contracts.units import SessionState
from market.clearing.certificate import check_clearing


def clear_session(ctx: Context, session_id: int) -> list[str]:
    """Clears a closed session (or one under review, without the orders that the guardian has excluded) and commits every group
    of result rows; returns what was done."""
    view = sessions.view(ctx, session_id)
    done: list[str] = []
    if view.state is SessionState.CLOSED or (view.state is SessionState.UNDER_REVIEW and view.book.excluded):
        clearing = sessions.compute(view)
        verdict = check_clearing(view.book, clearing.certificates, clearing.rows, view.sold_before)
        if not verdict.accepted:
            raise RuntimeError(f"the engine's clearing of session {session_id} was refused by the checker: {verdict}")
        sent = 0
        for part in passes(ctx, view, clearing):
            ctx.send("clear", "operator", ctx.client.encode_clear(session_id, part), session_id)
            sent += 1
        parts = f" in {sent} transactions" if sent > 1 else ""
        done.append(f"session {session_id}: cleared {clearing.volume} Wh from {len(view.book.live)} live orders{parts}")
        view = sessions.view(ctx, session_id)
    if view.state is SessionState.UNDER_REVIEW:
        return [*done, f"session {session_id}: a price lies outside its band, the guardian has to decide"]
    if view.clearing is None:
        raise Refused(
            f"Session {session_id} cannot be cleared: it is {view.state.name.capitalize()}.",
            status=409,
            field="session",
            expected="a closed gate and no clearing yet",
            got=view.state.name.capitalize(),
        )
    for index, words in enumerate(groups_of(view.clearing.rows)):
        if not ctx.client.committed(session_id, index, view.terms.mode):
            call = ctx.client.encode_commit(session_id, index, words, view.terms.mode)
            ctx.send("commit", "operator", call, session_id)
            done.append(f"session {session_id}: committed group {index}")
    return done


def passes(ctx: Context, view: sessions.SessionView, clearing: sessions.AnyClearing) -> Iterator[ClearingPass]:
    """The calls of `clear` that are left, each to be sent before the next is asked for."""
    whole = OrderLog.of([[int(word, 16) for word in batch.words] for batch in view.batches], len(view.terms.intervals))
    makers = [(account, side) for account, side, _ in view.book.rows]
    claim = ClearingPass(
        certificate=clearing.certificate_words,
        levels=clearing.level_words,
        live=view.book.live_words(),
        excluded=view.book.excluded_words(),
        state=(),
        sizes=(),
        words=(),
        hints=(),
        rest=(),
        beneficiary=ctx.settings.clearing_account,
    )
    key = claim.key(whole.hash())
    state = _left(ctx, view.terms.session, key)
    reached = state[0].to_bytes(32, "big") if state else bytes(32)
    chunks = whole.chunks(ctx.settings.clearing_words, reached) or [OrderLog((), whole.intervals)]
    for number, chunk in enumerate(chunks):
        if number:
            state = _left(ctx, view.terms.session, key)
        rest = [hashed for later in chunks[number + 1 :] for hashed in later.hashes()]
        yield claim._replace(state=state, sizes=chunk.sizes, words=chunk.words, hints=chunk.hints(makers), rest=rest)


def _left(ctx: Context, session_id: int, key: bytes) -> tuple[int, ...]:
    """The state that the last call for this clearing left; empty before the first."""
    state: tuple[int, ...] = ()
    for _, event in ctx.client.events(None, None, ClearingContinued):
        if isinstance(event, ClearingContinued) and (event.session, event.key) == (session_id, key):
            state = event.state
    return state
