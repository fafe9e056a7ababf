"""Proofs of delivery: for the sellers of a session, from their meters' windows to verified records on chain, in batches.

One seller's failure never stops the others; why it failed is kept beside its name, without any reading in it. What is lost
between a proof and its transaction is proven again; what stands in the outbox is sent once. What failed is tried again until
the proof deadline, unless there is no statement about it: then only when there is something else to prove.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Mapping, Sequence
from contextlib import closing

from sqlmodel import col, select

from app.context import Context
from app.database import DeliveryProof, Outbox
from app.errors import Refused
from app.outbox import enqueue
from app.services import accounts, metering, sessions
from contracts.deliveries import ProofBatch
from contracts.refusals import ContractRefusal
from contracts.units import SessionState
from oracle.batching import fits_with
from oracle.feed import prove_deliveries
from oracle.jobs import BatchResult
from oracle.workers import WorkersError
from zk.keys import read_info
from zk.statement import AccountInput, Shared
from zk.windows import Window

log = logging.getLogger(__name__)

RETRY_AFTER_S = 60
"""Seconds for which what failed is left alone in the background: it would fail again at once. Chain time for a delivery."""


def prove_session(ctx: Context, session_id: int, *, again: bool = True) -> list[str]:
    """Proves the delivery of every seller that has a window and no record yet; returns what was done.

    Without `again`, as in the background, a delivery that failed is left alone for `RETRY_AFTER_S`; one of which there is no
    statement, as long as its windows and the intervals to prove are the same. Raises `Refused` where the contract would take
    no proof of the session now.
    """
    ctx.relayer.flush()
    view = sessions.view(ctx, session_id)
    _follow_outbox(ctx, session_id)
    if view.state is SessionState.SETTLED or (view.state is SessionState.SETTLING and ctx.now() > view.terms.proof_deadline):
        return []
    if view.state is not SessionState.SETTLING:
        raise Refused(
            f"Deliveries of session {session_id} cannot be proven: it is {view.state.name.capitalize()}.",
            status=409,
            field="session",
            expected="a session whose delivery is over",
            got=view.state.name.capitalize(),
        )
    return prove(ctx, view, _due(ctx, view, again=again))


def prove(ctx: Context, view: sessions.SessionView, due: Mapping[int, int]) -> list[str]:
    """Proves `due`, per account the intervals of the day, from the windows that have come in; returns what came of it."""
    session_id = view.terms.session
    if due:
        _require_open(ctx, session_id)  # first: a session still under auction might change the days that are admissible
    deliveries = _deliveries(ctx, view, due)
    if deliveries:
        _store(ctx, session_id, [item.account for item in deliveries], status="proving", error=None)
        refused = _prove(ctx, view, deliveries, separately=False)
        if refused:  # the chain took another proof in the meantime, or a key was suspended: the others must not suffer
            _prove(ctx, view, [item for item in deliveries if item.account in refused], separately=True)
        ctx.refresh()
    return _told(ctx, session_id, due)


def _due(ctx: Context, view: sessions.SessionView, *, again: bool) -> dict[int, int]:
    """Per seller whose window has come in the intervals to prove: what it sold and is not recorded, and nothing else, since the
    deviation of any other interval would tell of consumption for nothing."""
    terms = view.terms
    recorded = sessions.records(ctx, terms.session)
    due = {}
    for account, fills in sorted(view.sold.items()):
        mask = sum(1 << t for t, fill in zip(terms.intervals, fills, strict=True) if fill)
        for record in recorded.get(account, ()):
            mask &= ~record.mask
        if mask and metering.has_window(ctx, account, terms.day):
            due[account] = mask
    return due if again else rested(ctx, view, due)


def rested(ctx: Context, view: sessions.SessionView, due: Mapping[int, int]) -> dict[int, int]:
    """`due` without those that failed and are left alone for now."""
    terms, now = view.terms, ctx.now()
    with ctx.database.session() as db:
        rows = db.exec(
            select(DeliveryProof).where(DeliveryProof.session == terms.session, DeliveryProof.status == "failed")
        ).all()
    failed = {row.account: row for row in rows}
    return {
        account: mask
        for account, mask in due.items()
        if account not in failed or not _rests(ctx, failed[account], terms.day, mask, now)
    }


def _rests(ctx: Context, failed: DeliveryProof, day: int, mask: int, now: int) -> bool:
    """Whether a delivery that failed is left alone at `now`."""
    if failed.refused is not None:
        return failed.refused == _digest(metering.windows(ctx, failed.account, day), mask)
    return failed.failed_at is not None and now < failed.failed_at + RETRY_AFTER_S


def _digest(windows: Sequence[Window], mask: int) -> str:
    """Stands for what a statement is about: the heads hold all that is in the windows, and tell nothing of it."""
    return hashlib.sha256(repr((mask, [window.head for window in windows])).encode()).hexdigest()


def _deliveries(ctx: Context, view: sessions.SessionView, due: Mapping[int, int]) -> list[AccountInput]:
    terms = view.terms
    found = []
    for account, mask in due.items():
        try:
            key = accounts.meter_key(ctx, account, terms.day)
            admissible = ctx.client.admissible(terms.zone.number, account, terms.day)
        except (Refused, ContractRefusal) as refusal:
            _store(ctx, terms.session, [account], status="failed", error=str(refusal))
        else:
            windows = tuple(metering.windows(ctx, account, terms.day))
            found.append(AccountInput(account, key, windows, admissible, mask))
    return found


def _require_open(ctx: Context, session_id: int) -> None:
    """Refuses before anything is proven what the contract would refuse whatever the proof: it is asked with none."""
    try:
        ctx.client.simulate(ctx.address("operator"), ctx.client.encode_prove(session_id, []))
    except ContractRefusal as refusal:
        raise Refused(
            f"No delivery of session {session_id} can be proven now: {refusal}.",
            status=409,
            field="session",
            expected="a session whose proofs the contract takes",
            got=refusal.error_name,
        ) from refusal


def _prove(ctx: Context, view: sessions.SessionView, deliveries: Sequence[AccountInput], *, separately: bool) -> set[int]:
    """Proves and sends, several proofs in a transaction; returns the accounts of shared proofs that the chain refused."""
    terms = view.terms
    asked = {item.account: item for item in deliveries}
    shared = Shared(ctx.chain.chain_id, int(terms.deliveries, 16), terms.session, terms.day, terms.mask)
    keys = ctx.proving_keys(terms.zone.intervals)
    constraints = {key.circuit.accounts: read_info(key.info).constraints for key in keys}
    waiting: list[BatchResult] = []
    refused: set[int] = set()
    try:
        with closing(prove_deliveries(shared, deliveries, keys, ctx.workers.map, separately=separately)) as results:
            for result in results:
                log.info("session %s: %s of %s deliveries tried", terms.session, result.done, result.total)
                if result.batch is None:
                    (account,) = result.accounts
                    digest = _digest(asked[account].windows, asked[account].mask) if result.refused else None
                    _store(ctx, terms.session, [account], status="failed", error=result.error, refused=digest)
                    continue
                _proven(ctx, terms.session, result.batch, constraints[result.batch.size])
                if not fits_with([batch.size for batch in waiting], result.batch.size, terms.zone.intervals):
                    refused |= _send(ctx, terms.session, waiting)
                    waiting = []
                waiting.append(result.batch)
    except WorkersError:
        if not ctx.workers.closed:
            raise
        return refused  # this process is being ended; what is not sent is proven again by the next one
    return refused | _send(ctx, terms.session, waiting)


def _send(ctx: Context, session_id: int, batches: Sequence[BatchResult]) -> set[int]:
    """Sends batches in one transaction, and each in its own where the chain refuses that; returns accounts as `_prove` does."""
    if not batches:
        return set()
    error = _sent(ctx, session_id, batches)
    if not error:
        return set()
    if len(batches) > 1:
        return {account for batch in batches for account in _send(ctx, session_id, [batch])}
    (batch,) = batches
    if len(batch.accounts) > 1:
        return set(batch.accounts)
    _store(ctx, session_id, batch.accounts, status="failed", error=error)
    return set()


def _sent(ctx: Context, session_id: int, batches: Sequence[BatchResult]) -> str:
    """Puts batches on the chain; returns why they were not taken, or nothing."""
    ordered = sorted(batches, key=lambda batch: -batch.size)
    call = ctx.client.encode_prove(session_id, [_on_chain(batch) for batch in ordered])
    try:
        ctx.client.simulate(ctx.address("operator"), call)
    except ContractRefusal as refusal:
        return str(refusal)
    proven = [account for batch in batches for account in batch.accounts]
    with ctx.database.session() as db:
        sent = enqueue(db, "prove", "operator", call, session_id)
        for row in db.exec(
            select(DeliveryProof).where(DeliveryProof.session == session_id, col(DeliveryProof.account).in_(proven))
        ).all():
            row.status, row.outbox = "sent", sent.id
            db.add(row)
        assert sent.id is not None
        sent_id = sent.id
    ended = ctx.relayer.wait(sent_id)
    if ended.status != "confirmed":
        return f"the chain did not take the proof: {ended.error}"
    _store(ctx, session_id, proven, status="verified", error=None)
    return ""


def _on_chain(batch: BatchResult) -> ProofBatch:
    assert batch.public is not None
    return ProofBatch(batch.public[0], batch.entries, batch.proof)


def _proven(ctx: Context, session_id: int, batch: BatchResult, constraints: int) -> None:
    """Keeps what a proof took beside each of its accounts; the proof itself is not kept."""
    with ctx.database.session() as db:
        for row in db.exec(
            select(DeliveryProof).where(DeliveryProof.session == session_id, col(DeliveryProof.account).in_(batch.accounts))
        ).all():
            row.status, row.constraints = "proven", constraints
            row.witness_ms, row.prove_ms = batch.witness_ms, batch.prove_ms
            db.add(row)


def _follow_outbox(ctx: Context, session_id: int) -> None:
    """Tells what became of proofs that were on their way when an earlier process ended."""
    with ctx.database.session() as db:
        rows = db.exec(
            select(DeliveryProof, Outbox)
            .where(DeliveryProof.session == session_id, DeliveryProof.status == "sent")
            .join(Outbox, col(Outbox.id) == DeliveryProof.outbox)
        ).all()
        for proof, sent in rows:
            if sent.status == "confirmed":
                proof.status = "verified"
            elif sent.status == "failed":
                proof.status, proof.error = "failed", f"the chain did not take the proof: {sent.error}"
            db.add(proof)


def _told(ctx: Context, session_id: int, due: Mapping[int, int]) -> list[str]:
    """What came of the deliveries that were due."""
    with ctx.database.session() as db:
        rows = db.exec(
            select(DeliveryProof)
            .where(DeliveryProof.session == session_id, col(DeliveryProof.account).in_(due))
            .order_by(col(DeliveryProof.account))
        ).all()
    verified = [row for row in rows if row.status == "verified"]
    told = []
    if verified:
        told.append(f"session {session_id}: {len(verified)} of {len(due)} deliveries proven and recorded")
    for row in rows:
        if row.status == "failed":
            log.warning("session %s: the delivery of account %s could not be proven", session_id, row.account)
            told.append(f"session {session_id}: delivery of account {row.account} not proven: {row.error}")
    return told


def _store(
    ctx: Context, session_id: int, numbers: Sequence[int], *, status: str, error: str | None, refused: str | None = None
) -> None:
    failed_at = ctx.now() if status == "failed" else None
    with ctx.database.session() as db:
        for account in numbers:
            row = db.exec(
                select(DeliveryProof).where(DeliveryProof.session == session_id, DeliveryProof.account == account)
            ).first()
            row = row or DeliveryProof(session=session_id, account=account)
            row.status, row.error, row.failed_at, row.refused = status, error, failed_at, refused
            db.add(row)
