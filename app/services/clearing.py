"""Clearing a session: the engine computes, the independent checker agrees, the contract decides, the promises are committed."""

from __future__ import annotations

from app.context import Context
from app.errors import Refused
from app.services import sessions
from contracts.encoding import row_words
from contracts.orderlog import OrderLog
from contracts.units import SessionState
from market.clearing.certificate import check_clearing
from market.clearing.uniform import clear


def clear_session(ctx: Context, session_id: int) -> list[str]:
    """Clears a closed session and commits every group of result rows; returns what was done."""
    view = sessions.view(ctx, session_id)
    done: list[str] = []
    if view.state is SessionState.CLOSED:
        clearing = clear(view.book, view.sold_before)
        verdict = check_clearing(view.book, clearing.certificates, clearing.rows, view.sold_before)
        if not verdict.accepted:
            raise RuntimeError(f"the engine's clearing of session {session_id} was refused by the checker: {verdict}")
        log = OrderLog.of([[int(word, 16) for word in batch.words] for batch in view.batches], len(view.terms.intervals))
        ctx.send("clear", "operator", ctx.client.encode_clear(session_id, log, clearing.certificate_words), session_id)
        volume = sum(certificate.volume for certificate in clearing.certificates)
        done.append(f"session {session_id}: cleared {volume} Wh from {len(view.book.live)} live orders")
        view = sessions.view(ctx, session_id)
    if view.clearing is None:
        raise Refused(
            f"Session {session_id} cannot be cleared: it is {view.state.name.capitalize()}.",
            status=409,
            field="session",
            expected="a closed gate and no clearing yet",
            got=view.state.name.capitalize(),
        )
    for index, group in enumerate(view.clearing.groups):
        if not ctx.client.committed(session_id, index):
            words = [word for row in group for word in row_words(row)]
            ctx.send("commit", "operator", ctx.client.encode_commit(session_id, index, words), session_id)
            done.append(f"session {session_id}: committed group {index} of {len(group)} rows")
    return done
