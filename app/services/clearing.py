"""Clearing a session: the engine computes, the independent checker agrees, the contract decides, the promises are committed.

A long log is cleared in several transactions. What the contract needs to go on stands in its last event, so that a clearing
that was interrupted, here or by anybody, goes on where it stands.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from app.context import Context
from app.errors import Refused
from app.services import blocks, sessions
from contracts.calls import Call, ClearingPass
from contracts.clearing_words import CallTooLarge, Chunk, PassState, chain_hash, plan_chunks
from contracts.encoding import extend_log, groups_of
from contracts.events import ClearingContinued
from contracts.orderlog import OrderLog
from contracts.refusals import ContractRefusal
from contracts.units import Mode, SessionState
from market.clearing.engine import AnyClearing, check, clear

OVERTAKEN = ("StateMismatch", "LogMismatch")
"""What the contract says where somebody else has gone on with the clearing."""

MOST_OVERTAKEN = 20
"""So often a clearing is gone on with at once; after that the background tries again later."""


def clear_session(ctx: Context, session_id: int) -> list[str]:
    """Clears a closed session (or one under review, without the orders that the guardian has excluded) and commits every group
    of result rows; returns what was done. A block session is cleared by the best proposal, once its challenge is over."""
    view = sessions.view(ctx, session_id)
    if view.terms.mode not in sessions.SERVED:
        raise Refused(
            f"Session {session_id} takes no orders and is not cleared here.",
            status=409,
            field="session",
            expected="a session of mode " + " or ".join(mode.name.lower() for mode in sessions.SERVED),
            got=view.terms.mode.name.lower(),
        )
    done: list[str] = []
    if view.terms.mode is Mode.BLOCK:
        if view.state is SessionState.CLOSED:
            done += blocks.accept(ctx, view)
            view = sessions.view(ctx, session_id)
    elif view.state is SessionState.CLOSED or (view.state is SessionState.UNDER_REVIEW and view.book.excluded):
        clearing = clear(view.book, view.sold_before)
        verdict = check(view.book, clearing, view.sold_before)
        if not verdict.accepted:
            raise RuntimeError(f"the engine's clearing of session {session_id} was refused by the checker: {verdict}")
        sent = overtaken = 0
        for call in calls(ctx, view, clearing):
            try:
                ctx.send("clear", "operator", call, session_id)
            except ContractRefusal as refusal:
                overtaken += 1
                if refusal.error_name not in OVERTAKEN or overtaken > MOST_OVERTAKEN:
                    raise
            else:
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


def calls(ctx: Context, view: sessions.SessionView, clearing: AnyClearing) -> Iterator[Call]:
    """The calls that are left until the clearing is accepted, each to be sent before the next is asked for; after one that was
    not taken the next begins where the clearing stands then."""
    log = view.order_log
    levels = clearing.level_words
    whole = ClearingPass.whole(log, clearing.certificate_words, levels, ctx.settings.clearing_account)
    whole = whole._replace(excluded=view.book.excluded_words())
    session, key = view.terms.session, whole.key(log.hash())
    while ctx.client.state(session) is view.state:
        state = _left(ctx, session, key)
        chunk = _plan(ctx, view, log, levels, state)[0]  # anew each time: anybody may have gone on in between
        part = whole.part(log, chunk, state, levels)
        yield ctx.client.encode_clear(session, part) if chunk.completes else ctx.client.encode_take(session, part)


def _plan(
    ctx: Context, view: sessions.SessionView, log: OrderLog, levels: Sequence[int], state: tuple[int, ...]
) -> list[Chunk]:
    """What each call has to take from `state` on, within the gas that the settings give."""
    cooperative, first, level = view.terms.mode is Mode.COOPERATIVE, 0, 0
    if state:
        reached = PassState.from_words(state, log.intervals, cooperative=cooperative)
        first = _batches_taken(log, reached.log)
        level = _levels_checked(levels, reached.levels.left) if reached.levels else 0
    target = ctx.settings.clearing_gas
    try:
        return plan_chunks(
            log.batches,
            log.intervals,
            cooperative=cooperative,
            live_rows=len(view.book.rows),
            sold=bool(view.sold_before),
            levels=len(levels),
            first=first,
            level=level,
            target=target,
        )
    except CallTooLarge as error:
        raise Refused(
            f"Session {view.terms.session} cannot be cleared with {target} gas a transaction: {error.field} alone needs "
            f"{error.needed}.",
            status=409,
            field="clearing_gas",
            expected=f"at least {error.needed}",
            got=str(target),
        ) from None


def _batches_taken(log: OrderLog, reached: bytes) -> int:
    """How many batches of the log have the hash `reached`."""
    taken, so_far = 0, bytes(32)
    while so_far != reached:
        so_far = extend_log(so_far, log.batches[taken])
        taken += 1
    return taken


def _levels_checked(levels: Sequence[int], left: bytes) -> int:
    """How many levels are before those with the hash `left`."""
    checked, hash_ = len(levels), chain_hash(())
    while hash_ != left:
        checked -= 1
        hash_ = chain_hash(levels[checked : checked + 1], hash_)
    return checked


def _left(ctx: Context, session_id: int, key: bytes) -> tuple[int, ...]:
    """The state that the last call for this clearing left; empty before the first."""
    state: tuple[int, ...] = ()
    for _, event in ctx.client.events(None, None, ClearingContinued):
        if isinstance(event, ClearingContinued) and (event.session, event.key) == (session_id, key):
            state = event.state
    return state
