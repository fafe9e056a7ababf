"""Block sessions (docs/protocol.md section 12): what is found is checked and proposed where it beats the best on chain; after
the challenge the best of anybody's is accepted.

What a search found is kept, so that it is made once, and a pass in several calls goes on where it stands: its state is in the
chain's last event.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

from sqlmodel import col, select

from app.context import Context
from app.database import BlockDraft, Proposal
from app.errors import Refused
from app.services import bands, sessions
from contracts.block_words import BlockSolution, PassState, proposal, words_a_call
from contracts.block_words import Proposal as Words
from contracts.client import BestProposal
from contracts.encoding import IntervalCertificate
from contracts.events import ProposalContinued
from contracts.refusals import ContractRefusal
from contracts.times import utc
from contracts.units import PPM, Mode, SessionState
from market.clearing.blocks import BlockResult, clear_blocks
from market.clearing.proposed import block_book, proposed

RETRY_AFTER_S = 60
"""Seconds of wall-clock time for which the background lets a session rest for which it could propose nothing."""

ACCOUNT, SECONDS = "WATTPROOF_BLOCK_ACCOUNT", "WATTPROOF_BLOCK_SECONDS"


@dataclass(frozen=True, slots=True)
class ProposalView:
    """A proposal as the chain has it. `welfare` in Wh times micro-euro per kWh; `gap` is known of what was found here; `best`:
    it is the one that is, or would be, accepted; `outside`: prices outside the guard's bands as these are now."""

    key: str
    account: int
    welfare: int
    volume: int
    gap: float | None
    complete: bool | None
    best: bool
    accepted: bool
    outside: tuple[bands.Outside, ...]
    transaction: str


def proposals(ctx: Context, view: sessions.SessionView) -> list[ProposalView]:
    """Every proposal that was the best when it came, in chain order."""
    session_id = view.terms.session
    with ctx.database.session() as db:
        rows = db.exec(select(Proposal).where(Proposal.session == session_id).order_by(col(Proposal.id))).all()
        drafts = {d.key: d for d in db.exec(select(BlockDraft).where(BlockDraft.session == session_id)).all()}
    found = []
    for row in rows:
        draft = drafts.get(row.key)
        certificates = _certificates(sessions.solution_of(row))
        found.append(
            ProposalView(
                row.key,
                row.account,
                int(row.welfare),
                sum(certificate.volume for certificate in certificates),
                draft.gap if draft else None,
                draft.complete if draft else None,
                row is rows[-1],
                row.accepted,
                tuple(bands.outside(ctx, view.terms, certificates)),
                row.transaction,
            )
        )
    return found


def propose(ctx: Context, session_id: int, *, again: bool = True) -> list[str]:
    """Searches for a proposal, has it checked, and proposes it where it beats the best on chain; returns what was done.

    With `again` a search that ran out of time is made once more, and it is said why nothing is proposed. Raises `Refused` where
    the session takes no proposals, or this process cannot make one.
    """
    ctx.send_again()  # a call that a reorganisation took back must not be made a second time
    view = sessions.view(ctx, session_id)
    _require_challenge(ctx, view)
    account = _own_account(ctx)
    best = ctx.client.best_proposal(session_id)
    _require_bond(ctx, account, best)
    draft = _kept(ctx, view, account)
    if draft is None or (again and not draft.complete):
        draft = _search(ctx, view, account, draft)
    words = _words(view, draft)
    if best is not None and best.key == words.key():
        return [f"session {session_id}: the best proposal is this marketplace's"] if again else []
    solution = sessions.solution_of(draft)
    outside = bool(bands.outside(ctx, view.terms, _certificates(solution)))
    least = needed(best, ctx.client.block_improvement(), outside)
    worth = proposed(view.book, solution, view.sold_before).welfare  # the checker's word, not the search's
    if worth < least:
        said = f"session {session_id}: nothing is proposed, what was found is worth {worth} and {least} are needed"
        return [said] if again else []
    sent = _send(ctx, session_id, words)
    parts = f" in {sent} transactions" if sent > 1 else ""
    volume = sum(solution.volumes)
    return [f"session {session_id}: proposed {volume} Wh{parts}, at most {draft.gap:.4%} of the welfare may be missing"]


def propose_due(ctx: Context, view: sessions.SessionView) -> list[str]:
    """What the background does while a challenge lasts: as `propose`, where an account is there for it. What stands in the way
    is told, and the session rests a while."""
    session_id = view.terms.session
    if not ctx.settings.block_account or ctx.now() >= view.terms.challenge_end:
        return []
    try:
        return propose(ctx, session_id, again=False)
    except (Refused, ContractRefusal) as refusal:
        ctx.retry_at[session_id] = time.monotonic() + RETRY_AFTER_S
        fields = [f"{e.field}: expected {e.expected}, got {e.got}" for e in getattr(refusal, "errors", ())]
        return [f"session {session_id}: nothing is proposed: {' '.join([str(refusal), *fields])}"]


def needed(best: BestProposal | None, improvement_ppm: int, outside: bool) -> int:
    """The welfare from which on the contract takes a proposal; `outside` tells whether its prices lie outside the band."""
    if best is None:
        return 0
    if best.outside and not outside:
        return best.welfare
    return best.welfare + max(1, best.welfare * improvement_ppm // PPM)


def acceptable(ctx: Context, view: sessions.SessionView) -> bool:
    """Whether a block session waits for its best proposal to be accepted."""
    return ctx.now() >= view.terms.challenge_end and ctx.client.best_proposal(view.terms.session) is not None


def accept(ctx: Context, view: sessions.SessionView) -> list[str]:
    """Makes the best proposal, whoever found it, the result of a closed session; returns what was done."""
    session_id, end = view.terms.session, view.terms.challenge_end
    if (now := ctx.now()) < end:
        raise _refused(session_id, f"a challenge that is over, from {utc(end)} on", utc(now), "is not cleared yet")
    best = ctx.client.best_proposal(session_id)
    if best is None:
        raise _refused(session_id, "a proposal", "none", "cannot be cleared: nobody proposed anything in time")
    with ctx.database.session() as db:
        row = db.exec(
            select(Proposal)
            .where(Proposal.session == session_id, Proposal.key == best.key.hex())
            .order_by(col(Proposal.id).desc())
        ).first()
    if row is None:
        raise RuntimeError(f"session {session_id}: its best proposal is not in the chain's log")
    solution = sessions.solution_of(row)
    ctx.send("accept", "operator", ctx.client.encode_accept(session_id, solution.certificate()), session_id)
    return [f"session {session_id}: accepted the proposal of account {best.account}, {sum(solution.volumes)} Wh"]


def reclaim(ctx: Context, view: sessions.SessionView) -> list[str]:
    """Gives the bond of a cancelled session's best proposal back to its finder; returns what was done."""
    session_id = view.terms.session
    if view.terms.mode is not Mode.BLOCK or view.state is not SessionState.CANCELLED:
        return []
    best = ctx.client.best_proposal(session_id)
    if best is None or not best.bonded:
        return []
    ctx.send("reclaim", "operator", ctx.client.encode_reclaim(session_id), session_id)
    return [f"session {session_id}: cancelled, account {best.account} has its bond back"]


# ---------------------------------------------------------------------------------------------------------------------- search


def _search(ctx: Context, view: sessions.SessionView, account: int, before: BlockDraft | None) -> BlockDraft:
    """Searches and keeps what was found; `before` where that is no better."""
    terms, settings = view.terms, ctx.settings
    book = block_book(view.book, view.sold_before)
    left = max(1.0, (terms.challenge_end - ctx.now()) / 3)  # two searches and the transactions have to fit
    seconds = min(settings.block_seconds, left)
    found = clear_blocks(book, seconds, settings.block_gap)
    if strange := _strange(ctx, view, found):  # prices nearer to the usual ones may suit everybody as well
        near = [
            price if middle is None else middle
            for middle, price in zip(bands.middles(ctx, terms), found.solution.prices, strict=True)
        ]
        nearer = clear_blocks(book, seconds, settings.block_gap, near)
        if nearer.welfare >= found.welfare and _strange(ctx, view, nearer) <= strange:
            found = nearer
    if not found.complete and not any(found.solution.volumes):
        raise _refused(terms.session, "a proposal with trade", f"none within {seconds:g} s", "got no proposal", SECONDS)
    if before is not None and found.welfare <= int(before.welfare):
        before.gap, before.complete = min(before.gap, found.gap), before.complete or found.complete
        with ctx.database.session() as db:
            db.add(before)
        return before
    return _keep(ctx, view, account, found)


def _strange(ctx: Context, view: sessions.SessionView, found: BlockResult) -> int:
    """How many prices lie outside the guard's bands."""
    return len(bands.outside(ctx, view.terms, _certificates(found.solution)))


def _keep(ctx: Context, view: sessions.SessionView, account: int, found: BlockResult) -> BlockDraft:
    book = block_book(view.book, view.sold_before)
    words = words_a_call(len(book.intervals), len(book.live), ctx.settings.clearing_gas)
    made = proposal(book, found.solution, view.order_log, account, words)
    key, session_id = made.key().hex(), view.terms.session
    with ctx.database.session() as db:
        row = db.exec(select(BlockDraft).where(BlockDraft.session == session_id, BlockDraft.key == key)).first()
        row = row or BlockDraft(
            session=session_id,
            key=key,
            log=view.order_log.hash().hex(),
            account=account,
            words_a_call=words,
            certificate=[hex(word) for word in made.certificate],
            table=[hex(word) for word in made.table],
            welfare=str(found.welfare),
            gap=found.gap,
            complete=found.complete,
        )
        row.gap, row.complete = found.gap, found.complete
        db.add(row)
    return row


def _kept(ctx: Context, view: sessions.SessionView, account: int) -> BlockDraft | None:
    """The last that was found for this log and account."""
    with ctx.database.session() as db:
        return db.exec(
            select(BlockDraft)
            .where(
                BlockDraft.session == view.terms.session,
                BlockDraft.log == view.order_log.hash().hex(),
                BlockDraft.account == account,
            )
            .order_by(col(BlockDraft.id).desc())
        ).first()


# --------------------------------------------------------------------------------------------------------------------- sending


def _words(view: sessions.SessionView, draft: BlockDraft) -> Words:
    book = block_book(view.book, view.sold_before)
    return proposal(book, sessions.solution_of(draft), view.order_log, draft.account, draft.words_a_call)


def _send(ctx: Context, session_id: int, words: Words) -> int:
    """Sends what is left of a proposal's pass; returns the number of calls."""
    state = _left(ctx, session_id, words.key())
    intervals = len(words.certificate)
    first = PassState.from_words(state, intervals).calls if state else 0
    for number in range(first, len(words.calls)):
        if number > first:
            state = _left(ctx, session_id, words.key())
        ctx.send("propose", "operator", ctx.client.encode_propose(session_id, words, number, state), session_id)
    return len(words.calls) - first


def _left(ctx: Context, session_id: int, key: bytes) -> tuple[int, ...]:
    """The state that the last call of a pass left; empty before the first, and after the last."""
    state: tuple[int, ...] = ()
    if any(ctx.client.proposal_state(session_id, key)):
        for _, event in ctx.client.events(None, None, ProposalContinued):
            if isinstance(event, ProposalContinued) and (event.session, event.key) == (session_id, key):
                state = event.state
    return state


# -------------------------------------------------------------------------------------------------------------------- refusals


def _require_challenge(ctx: Context, view: sessions.SessionView) -> None:
    terms, now = view.terms, ctx.now()
    if terms.mode is not Mode.BLOCK:
        raise _refused(terms.session, "a block session", terms.mode.name.lower(), "takes no proposals")
    if view.state is not SessionState.CLOSED or now >= terms.challenge_end:
        open_ = f"a proposal from {utc(terms.gate_close)} and before {utc(terms.challenge_end)}"
        raise _refused(terms.session, open_, utc(now), "takes no proposals now")


def _own_account(ctx: Context) -> int:
    account = ctx.settings.block_account
    if not account:
        raise _refused(0, "the operator's account that locks the bond", "none", "", ACCOUNT)
    if account > ctx.client.accounts() or ctx.client.owner_of(account).lower() != ctx.address("operator").lower():
        raise _refused(0, f"an account of the operator, {ctx.address('operator')}", f"account {account}", "", ACCOUNT)
    return account


def _require_bond(ctx: Context, account: int, best: BestProposal | None) -> None:
    """Outbidding oneself locks nothing more."""
    if best is not None and best.bonded and best.account == account:
        return
    bond, available = ctx.client.block_bond(), ctx.client.balance(account).available
    if available < bond:
        raise Refused(
            f"Account {account} cannot lock the bond of a proposal.",
            status=409,
            field=ACCOUNT,
            expected=f"an account with {bond} micro-euro available",
            got=f"{available} micro-euro",
        )


def _refused(session_id: int, expected: str, got: str, said: str, field: str = "session") -> Refused:
    detail = f"Session {session_id} {said}." if session_id else "This marketplace proposes nothing for block sessions."
    return Refused(detail, status=409, field=field, expected=expected, got=got)


def _certificates(solution: BlockSolution) -> Sequence[IntervalCertificate]:
    return [IntervalCertificate.from_word(word) for word in solution.certificate()]
