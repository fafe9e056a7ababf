"""Settlement: who can be settled is settled, by group; statements are computed here and compared with what the contract
paid.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from sqlmodel import select

from app.context import Context
from app.database import SettledRow
from app.errors import Refused
from app.services import sessions
from contracts.calls import Call
from contracts.deliveries import delivery_words
from contracts.encoding import GROUP_ROWS, ResultRow, groups_of
from contracts.units import SessionState, Side
from settlement.records import Batch, joinings, records_of, supply
from settlement.statements import SessionStatement, settle

MOST_BYTES = 120_000
"""Length of a call, below the 128 KiB that nodes pass a transaction on with."""

Chosen = tuple[int, ResultRow]
"""A row of a group and its place in it."""

Supplied = tuple[list[list[int]], list[int]]
"""`batches` and `picks` of a settle call."""


def statement(ctx: Context, session_id: int) -> SessionStatement | None:
    """The session's statements as they follow from clearing, records and rules; None before the clearing."""
    view = sessions.view(ctx, session_id)
    if view.amended is None or view.certificates is None:
        return None
    return settle(
        view.terms,
        view.certificates,
        view.rows,
        sessions.records(ctx, session_id),
        view.rules,
        sessions.exempted(ctx, session_id),
        view.amended.extras,
    )


def settled_rows(ctx: Context, session_id: int) -> dict[tuple[int, Side], SettledRow]:
    """What the contract has paid, by account and side."""
    with ctx.database.session() as db:
        rows = db.exec(select(SettledRow).where(SettledRow.session == session_id)).all()
    return {(row.account, Side(row.side)): row for row in rows}


def settle_session(ctx: Context, session_id: int) -> list[str]:
    """Settles every seller who is final, and the buyers once no seller is left; returns what was done."""
    view = sessions.view(ctx, session_id)
    if view.state is SessionState.SETTLED:
        return []
    if view.state is not SessionState.SETTLING or view.clearing is None or view.certificates is None:
        raise Refused(
            f"Session {session_id} cannot be settled: it is {view.state.name.capitalize()}.",
            status=409,
            field="session",
            expected="a session whose delivery is over",
            got=view.state.name.capitalize(),
        )
    done: list[str] = []
    batches = sessions.batches(ctx, session_id)
    known_records = records_of(batches)
    finished = {key for key in settled_rows(ctx, session_id)}
    late = ctx.now() > view.terms.proof_deadline

    def final(row: ResultRow) -> bool:
        recorded = 0  # exempted intervals wait as others do: what was delivered in them is paid
        for record in known_records.get(row.account, ()):
            recorded |= record.mask
        return late or all(recorded >> t & 1 for t, fill in zip(view.terms.intervals, row.fills, strict=True) if fill)

    def due(row: ResultRow, side: Side) -> bool:
        if not row.live or row.side is not side or (row.account, side) in finished:
            return False
        return any(row.fills) or row.reserves

    for side in (Side.OFFER, Side.BID):
        if side is Side.BID and any(due(row, Side.OFFER) for row in view.rows):
            break
        for index, words in enumerate(groups_of(view.rows)):
            group = view.rows[GROUP_ROWS * index : GROUP_ROWS * (index + 1)]
            chosen = [(bit, row) for bit, row in enumerate(group) if due(row, side) and (side is Side.BID or final(row))]
            if not chosen:
                continue

            def encoded(part: Sequence[Chosen], supplied: Supplied, index: int = index, words: Sequence[int] = words) -> Call:
                assert view.clearing is not None
                which = sum(1 << bit for bit, _ in part)
                certificate = view.clearing.certificate_words
                return ctx.client.encode_settle(session_id, index, which, words, certificate, view.rules.words(), *supplied)

            for part, call in _calls(ctx, session_id, batches, chosen, encoded):
                ctx.send("settle", "operator", call, session_id)
                finished.update((row.account, side) for _, row in part)
                kind = ("seller" if side is Side.OFFER else "buyer") + ("s" if len(part) > 1 else "")
                done.append(f"session {session_id}: settled {len(part)} {kind}")
    return done


def _calls(
    ctx: Context,
    session_id: int,
    batches: Sequence[Batch],
    chosen: Sequence[Chosen],
    encoded: Callable[[Sequence[Chosen], Supplied], Call],
) -> Iterator[tuple[Sequence[Chosen], Call]]:
    """The chosen rows of a group in as few calls as their size allows. The records of a seller that alone are too many are
    joined first."""
    accounts = [row.account for _, row in chosen if row.side is Side.OFFER]
    call = encoded(chosen, supply(batches, accounts))
    if len(call.data) <= MOST_BYTES or not accounts:  # buyers' rows alone, without records, always fit
        yield chosen, call
    elif len(chosen) > 1:
        half = len(chosen) // 2
        yield from _calls(ctx, session_id, batches, chosen[:half], encoded)
        yield from _calls(ctx, session_id, batches, chosen[half:], encoded)
    else:
        room = MOST_BYTES - len(encoded(chosen, supply([], accounts)).data)
        steps, joined = joinings(batches, accounts[0], room // 32)
        for step in steps:
            join = ctx.client.encode_join(session_id, [delivery_words(batch) for batch in step.batches], step.picks)
            ctx.send("join", "operator", join, session_id)
        yield chosen, encoded(chosen, supply(joined, accounts))


def agrees(ctx: Context, session_id: int) -> bool:
    """Whether the contract paid exactly what the statements say, for every row that it has settled."""
    computed = statement(ctx, session_id)
    if computed is None:
        return False
    paid = settled_rows(ctx, session_id)
    for seller in computed.sellers:
        row = paid.get((seller.account, Side.OFFER))
        expected = (seller.payer, seller.earned, seller.unpaid, seller.penalty, seller.rating)
        if row is None or (row.payer, row.earned, row.unpaid, row.penalty, row.rating) != expected:
            return False
    for buyer in computed.buyers:
        row = paid.get((buyer.account, Side.BID))
        if row is None or (row.payer, row.cost, row.refund) != (buyer.payer, buyer.cost, buyer.refund):
            return False
    return len(paid) == len(computed.sellers) + len(computed.buyers)
