"""What the guardian decides (docs/protocol.md sections 10 and 11): sessions whose prices are unlike earlier ones, and
exemptions. And why a session is under review."""

from __future__ import annotations

from collections.abc import Sequence

from app.context import Context
from app.database import MarketSession, known
from app.errors import Refused
from app.services import bands, clearing, sessions, unwinding
from contracts.encoding import GROUP_ROWS, IntervalCertificate, ResultRow, excluded_words, groups_of
from contracts.units import Mode, SessionState, Side
from settlement.statements import IntervalResult

ROLE = "guardian"


def outside(ctx: Context, view: sessions.SessionView) -> list[bands.Outside]:
    """Why a session is under review: its prices that lie outside their bands, as these are now. Empty in any other state."""
    return bands.outside(ctx, view.terms, _results(ctx, view)) if view.state is SessionState.UNDER_REVIEW else []


def release(ctx: Context, session_id: int, reason: str) -> list[str]:
    """The clearing under review stands; its prices enter the history, its promises are committed."""
    view = _reviewed(ctx, session_id)
    call = ctx.client.encode_release(session_id, _certificate(ctx, session_id), reason, view.terms.mode)
    ctx.send("review", ROLE, call, session_id)
    done = [f"session {session_id}: released"]
    if view.certificates is not None:
        done += clearing.clear_session(ctx, session_id)
    return done


def cancel(ctx: Context, session_id: int, reason: str) -> list[str]:
    """The session under review comes to nothing; everybody gets back what is locked."""
    view = _reviewed(ctx, session_id)
    ctx.send("review", ROLE, ctx.client.encode_cancel_reviewed(session_id, reason, view.terms.mode), session_id)
    return [f"session {session_id}: cancelled", *unwinding.unwind_session(ctx, session_id)]


def exclude(ctx: Context, session_id: int, orders: Sequence[tuple[int, Side]], evidence: bytes) -> list[str]:
    """The session may be cleared again without these live orders (account, side), inside the band; `evidence` is a hash of what
    the guardian has to say for it."""
    view = _reviewed(ctx, session_id)
    if view.terms.mode not in (Mode.COMPETITIVE, Mode.COOPERATIVE):
        raise Refused(
            "Blocks are released or cancelled as a whole.",
            status=409,
            field="session",
            expected="a competitive or cooperative session",
            got=view.terms.mode.name.lower(),
        )
    live = {(order.account, order.side) for _, order in view.book.live}
    for account, side in orders:
        if (account, side) not in live:
            raise Refused(
                "Only live orders can be excluded.",
                field="orders",
                expected=f"live orders of session {session_id}",
                got=f"the {side.name.lower()} of account {account}",
            )
    ctx.send("review", ROLE, ctx.client.encode_exclude(session_id, excluded_words(orders), evidence), session_id)
    return [f"session {session_id}: {len(orders)} orders excluded; it can be cleared again without them"]


def exempt(ctx: Context, session_id: int, account: int, intervals: Sequence[int], reason: str) -> list[str]:
    """A seller's intervals of the day cost no penalty and are not rated."""
    view = sessions.view(ctx, session_id)
    if foreign := sorted(set(intervals) - set(view.terms.intervals)):
        raise Refused(
            "These intervals are not the session's.",
            field="intervals",
            expected=f"some of {list(view.terms.intervals)}",
            got=str(foreign),
        )
    place = next((number for number, row in enumerate(view.rows) if row.account == account and _sells(row)), None)
    if place is None:
        raise Refused(
            f"Account {account} has sold nothing in session {session_id}.",
            status=409,
            field="account",
            expected="a seller, or a reserve, of a session that is cleared",
            got=str(account),
        )
    group, row = divmod(place, GROUP_ROWS)
    mask = sum(1 << t for t in set(intervals))
    call = ctx.client.encode_exempt(session_id, group, row, groups_of(view.rows)[group], mask, reason)
    ctx.send("exempt", ROLE, call, session_id)
    return [f"session {session_id}: account {account} exempted in {len(set(intervals))} intervals"]


def _sells(row: ResultRow) -> bool:
    return row.live and row.side is Side.OFFER and (any(row.fills) or row.reserves)


def _reviewed(ctx: Context, session_id: int) -> sessions.SessionView:
    view = sessions.view(ctx, session_id)
    if view.state is not SessionState.UNDER_REVIEW:
        raise Refused(
            f"Session {session_id} is not under review.",
            status=409,
            field="session",
            expected="a session whose prices lie outside the guard's band",
            got=view.state.name.title().replace("_", ""),
        )
    return view


def _certificate(ctx: Context, session_id: int) -> list[int]:
    """The words that the contract accepted."""
    with ctx.database.session() as db:
        row = known(db.get(MarketSession, session_id), "session", session_id)
    return [int(word, 16) for word in row.certificate or ()]


def _results(ctx: Context, view: sessions.SessionView) -> Sequence[IntervalResult]:
    if view.certificates is not None:
        return view.certificates
    return [IntervalCertificate.from_word(word) for word in _certificate(ctx, view.terms.session)]
