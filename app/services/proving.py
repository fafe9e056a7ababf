"""Proofs of delivery: for each seller of a session, from its meter's windows to a verified record on chain.

One seller's failure never stops the others; why it failed is kept beside its name, without any reading in it.
"""

from __future__ import annotations

import logging

from sqlmodel import select

from app.context import Context
from app.database import DeliveryProof
from app.errors import Refused
from app.outbox import enqueue
from app.services import accounts, metering, sessions
from contracts.refusals import ContractRefusal
from contracts.units import SessionState
from oracle.feed import Delivery, FeedResult, prove_deliveries
from zk.statement import Shared

log = logging.getLogger(__name__)


def prove_session(ctx: Context, session_id: int, *, again: bool = True) -> list[str]:
    """Proves the delivery of every seller that has a window and no record yet; returns what was done.

    Without `again` those are left out whose proof has failed before: nothing new will come of the same windows.
    """
    view = sessions.view(ctx, session_id)
    if view.state is SessionState.SETTLED:
        return []
    if view.state is not SessionState.SETTLING:
        raise Refused(
            f"Deliveries of session {session_id} cannot be proven: it is {view.state.name.capitalize()}.",
            status=409,
            field="session",
            expected="a session whose delivery is over",
            got=view.state.name.capitalize(),
        )
    recorded = sessions.records(ctx, session_id)
    with ctx.database.session() as db:
        rows = db.exec(select(DeliveryProof).where(DeliveryProof.session == session_id)).all()
    given_up = set() if again else {row.account for row in rows if row.status == "failed"}
    sellers = [
        account
        for account in sorted(view.sold)
        if account not in recorded and account not in given_up and metering.has_window(ctx, account, view.terms.day)
    ]
    done: list[str] = []
    deliveries = []
    for account in sellers:
        _store(ctx, session_id, account, status="proving", error=None)
        deliveries.append(_delivery(ctx, view, account))
    terms = view.terms
    shared = Shared(ctx.chain.chain_id, int(terms.deliveries, 16), terms.session, terms.day, terms.mask)
    for delivery in deliveries:
        (result,) = prove_deliveries(shared, [delivery], ctx.prover(terms.zone.intervals))
        error = result.error
        if result.ok:
            error = _record(ctx, view, result, delivery.mask)
        if error:
            _store(ctx, session_id, result.account, status="failed", error=error)
            log.warning("session %s: the delivery of account %s could not be proven", session_id, result.account)
            done.append(f"session {session_id}: delivery of account {result.account} not proven: {error}")
        else:
            done.append(f"session {session_id}: delivery of account {result.account} proven and recorded")
    ctx.refresh()
    return done


def _delivery(ctx: Context, view: sessions.SessionView, account: int) -> Delivery:
    return Delivery(
        account=account,
        key=accounts.meter_key(ctx, account, view.terms.day),
        windows=metering.windows(ctx, account, view.terms.day),
        admissible=ctx.client.admissible(view.terms.zone.number, account, view.terms.day),
        # Only what was sold is proven: the deviation of any other interval would tell of consumption for nothing.
        mask=sum(1 << t for t, fill in zip(view.terms.intervals, view.sold[account], strict=True) if fill),
    )


def _record(ctx: Context, view: sessions.SessionView, result: FeedResult, mask: int) -> str:
    """Sends a proof to the chain; returns why it was not taken, or nothing."""
    assert result.proved is not None and result.result is not None
    terms, account = view.terms, result.account
    entries = [account | result.result.count << 32, *result.result.words[6:]]
    call = ctx.client.encode_prove(terms.session, mask, result.proved.public[0], entries, list(result.proved.proof.words()))
    try:
        ctx.client.simulate(ctx.address("operator"), call)
    except ContractRefusal as refusal:
        return str(refusal)
    with ctx.database.session() as db:
        sent = enqueue(db, "prove", "operator", call, terms.session)
        proof = db.exec(
            select(DeliveryProof).where(DeliveryProof.session == terms.session, DeliveryProof.account == account)
        ).one()
        proof.status, proof.outbox = "sent", sent.id
        proof.witness_ms, proof.prove_ms = result.proved.witness_ms, result.proved.prove_ms
        proof.constraints = ctx.constraints(terms.zone.intervals)
        db.add(proof)
        assert sent.id is not None
        sent_id = sent.id
    ended = ctx.relayer.wait(sent_id)
    if ended.status != "confirmed":
        return f"the chain did not take the proof: {ended.error}"
    _store(ctx, terms.session, account, status="verified", error=None)
    return ""


def _store(ctx: Context, session_id: int, account: int, *, status: str, error: str | None) -> None:
    with ctx.database.session() as db:
        row = db.exec(
            select(DeliveryProof).where(DeliveryProof.session == session_id, DeliveryProof.account == account)
        ).first()
        row = row or DeliveryProof(session=session_id, account=account)
        row.status, row.error = status, error
        db.add(row)
