"""Sessions as anyone may see them, and the orders that members send."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
from typing import Any

from fastapi import APIRouter
from sqlmodel import col, select

from app.api import models
from app.api.body import JsonRoute
from app.api.depends import Ctx
from app.api.ids import OrderId, SessionId
from app.api.times import at
from app.context import Context
from app.database import DeliveryProof, DeliveryRecord, Outbox
from app.services import accounts, bands, blocks, guarding, orders, sessions, settling
from contracts.clearing_words import CooperativeCertificate
from contracts.encoding import IntervalCertificate
from contracts.units import SessionState, Side
from settlement.records import delivered

router = APIRouter(tags=["sessions"], route_class=JsonRoute)

STATES = {state: state.name.title().replace("_", "") for state in SessionState}


@router.get("/sessions")
def list_sessions(ctx: Ctx) -> models.SessionPage:
    """All sessions, newest first."""
    return models.SessionPage(items=[_summary(sessions.view(ctx, id_)) for id_ in sessions.all_ids(ctx)], next_cursor=None)


@router.get("/sessions/{session_id}")
def show_session(ctx: Ctx, session_id: SessionId) -> models.SessionDetail:
    """One session: terms, result, transactions with their gas, settlement."""
    view = sessions.view(ctx, session_id)
    terms = view.terms
    with ctx.database.session() as db:
        sent = db.exec(
            select(Outbox).where(Outbox.session == session_id, Outbox.status == "confirmed").order_by(col(Outbox.id))
        ).all()
    certificates: Sequence[IntervalCertificate | CooperativeCertificate] = view.certificates or ()
    cleared = [_cleared(interval, c) for interval, c in zip(terms.intervals, certificates, strict=False)]
    recorded = sessions.records(ctx, session_id)
    return models.SessionDetail(
        **_summary(view).model_dump(),
        cleared=cleared,
        proposals=_proposals(ctx, view),
        outside=_outside(guarding.outside(ctx, view)),
        transactions=[
            models.Transaction(
                kind=row.kind,
                hash=row.transaction or "",
                gas=row.gas_used or 0,
                block=row.block or 0,
                time=at(row.chain_time or 0),
            )
            for row in sent
        ],
        settlement=_totals(ctx, view),
        proofs=_proof_count(ctx, view, recorded.keys()),
    )


@router.get("/sessions/{session_id}/proposals")
def list_proposals(ctx: Ctx, session_id: SessionId) -> models.ProposalList:
    """Proposals for a block session in chain order, each better than the one before."""
    return models.ProposalList(items=_proposals(ctx, sessions.view(ctx, session_id)))


@router.get("/sessions/{session_id}/book")
def show_book(ctx: Ctx, session_id: SessionId) -> models.Book:
    """Live orders as price levels per interval, best first: the steps of supply and demand."""
    view = sessions.view(ctx, session_id)
    intervals = []
    for j, interval in enumerate(view.terms.intervals):
        levels: dict[Side, list[models.Level]] = {Side.BID: [], Side.OFFER: []}
        for _, order in view.book.live:
            for step in order.steps:
                if step.quantities[j]:
                    levels[order.side].append(
                        models.Level(price=step.limits[j], quantity_wh=step.quantities[j], account=order.account)
                    )
        intervals.append(
            models.BookInterval(
                interval=interval,
                start=at(view.terms.zone.interval_start(view.terms.day, interval)),
                bids=sorted(levels[Side.BID], key=lambda level: -level.price),
                offers=sorted(levels[Side.OFFER], key=lambda level: level.price),
            )
        )
    return models.Book(intervals=intervals)


@router.get("/sessions/{session_id}/orders")
def list_orders(ctx: Ctx, session_id: SessionId) -> models.OrderPage:
    """Every entry of the session's log, replaced and cancelled ones too."""
    view = sessions.view(ctx, session_id)
    labels = accounts.labels(ctx)
    locks = view.book.locks()
    batches = sorted(view.batches, key=lambda batch: batch.first)
    transactions = {}
    ends = [*(batch.first for batch in batches), len(view.book.orders)][1:]
    for batch, end in zip(batches, ends, strict=True):
        transactions.update(dict.fromkeys(range(batch.first, end), batch.transaction))
    return models.OrderPage(
        items=[
            models.Order(
                position=position,
                account=order.account,
                label=labels.get(order.account),
                agent=order.agent or None,
                payer=order.payer,
                side="offer" if order.side is Side.OFFER else "bid",
                min_fill_ppm=order.min_fill_ppm,
                parent=_parent(order.parent),
                reserve=order.reserve,
                live=view.book.counts(position) and not order.cancels,
                cancels=order.cancels,
                steps=[models.StepModel(quantities=list(step.quantities), limits=list(step.limits)) for step in order.steps],
                fills=list(view.rows[position].fills) if view.rows else None,
                lock=locks[position],
                status="confirmed",
                tx=transactions[position],
            )
            for position, order in enumerate(view.book.orders)
        ]
    )


@router.post("/sessions/{session_id}/orders", status_code=202)
def place_orders(ctx: Ctx, session_id: SessionId, batch: models.SignedBatch) -> models.Submitted:
    """Hands in a batch of schedule orders signed by EIP-712. Sending the same batch again is harmless."""
    return _submitted(
        orders.submit(
            ctx,
            session_id,
            signer=batch.signer,
            words=[int(word, 16) for word in batch.words],
            nonce=int(batch.nonce),
            counter=int(batch.counter),
            deadline=batch.deadline,
            signature=bytes.fromhex(batch.signature[2:]),
        )
    )


@router.get("/orders/{order_id}")
def show_order(ctx: Ctx, order_id: OrderId) -> models.Submitted:
    """What became of a batch."""
    return _submitted(orders.submission(ctx, order_id))


@router.get("/sessions/{session_id}/deliveries")
def list_deliveries(ctx: Ctx, session_id: SessionId) -> models.DeliveryPage:
    """Promised and proven flexibility of each seller, Wh per session interval."""
    view = sessions.view(ctx, session_id)
    labels = accounts.labels(ctx)
    recorded = sessions.records(ctx, session_id)
    with ctx.database.session() as db:
        proofs = {row.account: row for row in db.exec(select(DeliveryProof).where(DeliveryProof.session == session_id)).all()}
        rows = db.exec(
            select(DeliveryRecord).where(DeliveryRecord.session == session_id).order_by(col(DeliveryRecord.id))
        ).all()
        gas = dict(
            db.exec(
                select(Outbox.transaction, Outbox.gas_used).where(Outbox.session == session_id, Outbox.kind == "prove")
            ).all()
        )
    record_of = {row.account: row for row in rows}
    recorded_by = Counter(row.transaction for row in rows)
    items = []
    for account, promised in sorted(view.sold.items()):
        proof = proofs.get(account)
        record = record_of.get(account)
        spent = gas.get(record.transaction) if record else None
        by_interval = delivered(recorded.get(account, []), view.terms.direction, view.terms.zone.intervals)
        values = [by_interval.get(t, 0) for t in view.terms.intervals] if account in recorded else None
        items.append(
            models.Delivery(
                account=account,
                label=labels.get(account),
                promised=list(promised),
                delivered=values,
                deviations=[d - p for d, p in zip(values, promised, strict=True)] if values is not None else None,
                **_proof_state(ctx, view, account in recorded, proof),
                tx=record.transaction if record else None,
                batch=record.batch if record else None,
                verify_gas=spent // recorded_by[record.transaction] if record and spent is not None else None,
                witness_ms=proof.witness_ms if proof else None,
                prove_ms=proof.prove_ms if proof else None,
                constraints=proof.constraints if proof else None,
            )
        )
    return models.DeliveryPage(items=items)


@router.get("/sessions/{session_id}/statements")
def list_statements(ctx: Ctx, session_id: SessionId) -> models.StatementPage:
    """What every participant earned, paid and forfeited, interval by interval. Provisional until the session is Settled."""
    computed = settling.statement(ctx, session_id)
    paid = settling.settled_rows(ctx, session_id)
    labels = accounts.labels(ctx)
    items: list[models.Statement] = []
    if computed is None:
        return models.StatementPage(items=[])
    for seller in computed.sellers:
        items.append(
            models.Statement(
                account=seller.account,
                label=labels.get(seller.account),
                role="seller",
                payer=seller.payer,
                final=(seller.account, Side.OFFER) in paid,
                earned=seller.earned,
                unpaid=seller.unpaid,
                penalty=seller.penalty,
                fee=seller.fee,
                rating=seller.rating,
                cost=0,
                refund=0,
                net=seller.change,
                lines=[
                    models.StatementLine(
                        interval=line.interval,
                        fill_wh=line.fill,
                        price=line.price,
                        delivered_wh=line.delivered,
                        ratio_ppm=line.ratio_ppm,
                        paid_ppm=line.paid_ppm,
                        earned=line.earned,
                        unpaid=line.unpaid,
                        penalty=line.penalty,
                        refund=0,
                        exempted=line.exempted,
                    )
                    for line in seller.lines
                ],
            )
        )
    for buyer in computed.buyers:
        items.append(
            models.Statement(
                account=buyer.account,
                label=labels.get(buyer.account),
                role="buyer",
                payer=buyer.payer,
                final=(buyer.account, Side.BID) in paid,
                earned=0,
                unpaid=0,
                penalty=0,
                fee=0,
                rating=0,
                cost=buyer.cost,
                refund=buyer.refund,
                net=buyer.change,
                lines=[
                    models.StatementLine(
                        interval=line.interval,
                        fill_wh=line.fill,
                        price=line.price,
                        delivered_wh=None,
                        ratio_ppm=None,
                        paid_ppm=None,
                        earned=0,
                        unpaid=0,
                        penalty=0,
                        refund=line.refund,
                    )
                    for line in buyer.lines
                ],
            )
        )
    return models.StatementPage(items=items)


def _cleared(interval: int, c: IntervalCertificate | CooperativeCertificate) -> models.Cleared:
    if isinstance(c, CooperativeCertificate):
        share = c.share if c.volume else None
        return models.Cleared(interval=interval, price=c.price, lo=None, hi=None, share=share, volume_wh=c.volume)
    return models.Cleared(interval=interval, price=c.price, lo=c.lo, hi=c.hi, share=None, volume_wh=c.volume)


def _parent(parent: tuple[int, Side] | None) -> models.Parent | None:
    return None if parent is None else models.Parent(account=parent[0], side="offer" if parent[1] is Side.OFFER else "bid")


def _outside(found: Sequence[bands.Outside]) -> list[models.OutsideBand]:
    return [models.OutsideBand(intervals=list(o.intervals), price=o.price, low=o.low, high=o.high) for o in found]


def _proposals(ctx: Context, view: sessions.SessionView) -> list[models.Proposal]:
    return [
        models.Proposal(
            key="0x" + one.key,
            account=one.account,
            welfare=one.welfare // 1000,
            volume_wh=one.volume,
            gap=one.gap,
            complete=one.complete,
            best=one.best,
            accepted=one.accepted,
            inside_band=not one.outside,
            outside=_outside(one.outside),
            tx=one.transaction,
        )
        for one in blocks.proposals(ctx, view)
    ]


def _submitted(value: orders.Submitted) -> models.Submitted:
    return models.Submitted(id=value.id, status=value.status, tx=value.tx, positions=value.positions, message=value.message)


def _proof_state(ctx: Context, view: sessions.SessionView, recorded: bool, proof: DeliveryProof | None) -> dict[str, Any]:
    """State of a delivery's proof, and why there is none."""
    if recorded:
        return {"state": "verified", "error": None}
    if ctx.now() > view.terms.proof_deadline:
        why = proof.error if proof and proof.error else "no window of the day came in"
        return {"state": "failed", "error": f"Nothing proven by the deadline ({why}): it counts as not delivered."}
    if proof is None:
        return {"state": "waiting", "error": None}
    return {"state": "failed" if proof.status == "failed" else "proving", "error": proof.error}


def _proof_count(ctx: Context, view: sessions.SessionView, recorded: Collection[int]) -> models.ProofCount:
    with ctx.database.session() as db:
        rows = db.exec(select(DeliveryProof).where(DeliveryProof.session == view.terms.session)).all()
    states = Counter(row.status for row in rows if row.account not in recorded)
    return models.ProofCount(
        expected=len(view.sold),
        proving=states["proving"],
        proven=states["proven"] + states["sent"],
        verified=len(recorded),
        failed=states["failed"],
    )


def _summary(view: sessions.SessionView) -> models.SessionSummary:
    terms = view.terms
    live: Sequence[object] = view.book.live
    return models.SessionSummary(
        id=terms.session,
        zone=models.Zone.model_validate(
            {"id": terms.zone.number, "offset_seconds": terms.zone.offset, "interval_minutes": terms.zone.interval_minutes}
        ),
        kind=terms.kind.name.lower(),  # type: ignore[arg-type]
        direction=terms.direction.name,  # type: ignore[arg-type]
        mode=terms.mode.name.lower(),  # type: ignore[arg-type]
        state=STATES[view.state],  # type: ignore[arg-type]
        day=terms.day,
        date=sessions.day_date(terms.day),
        intervals=list(terms.intervals),
        interval_starts=[at(terms.zone.interval_start(terms.day, t)) for t in terms.intervals],
        gate_open=at(terms.gate_open),
        gate_close=at(terms.gate_close),
        delivery_start=at(terms.delivery_start),
        delivery_end=at(terms.delivery_end),
        exemption_deadline=at(terms.exemption_deadline),
        proof_deadline=at(terms.proof_deadline),
        price_cap=terms.price_cap,
        min_quantity_wh=terms.min_quantity,
        collateral_ppm=terms.collateral_ppm,
        fee_ppm=terms.fee_ppm,
        fee_account=terms.fee_account or None,
        intake_fee=terms.intake_fee,
        challenge_end=at(terms.challenge_end) if terms.challenge_end else None,
        orders=len(live),
        entries=sum(order.entries for _, order in view.book.live),
        volume_wh=sum(c.volume for c in view.certificates) if view.certificates is not None else None,
    )


def _totals(ctx: Context, view: sessions.SessionView) -> models.SettlementTotals | None:
    if view.state is not SessionState.SETTLED:
        return None
    computed = settling.statement(ctx, view.terms.session)
    assert computed is not None
    rows = settling.settled_rows(ctx, view.terms.session).values()
    rounding = (view.rounding or 0) - view.intake_held
    # From the contract's own events, and only balanced if they also equal the statements computed here.
    extras = sum(taken.extra for taken in view.takeovers)
    paid_in = sum(row.cost + row.penalty for row in rows) + extras
    paid_out = sum(row.earned + row.refund for row in rows)
    return models.SettlementTotals(
        rewards=sum(row.earned for row in rows),
        penalties=sum(row.penalty for row in rows),
        refunds=sum(row.refund for row in rows),
        fees=computed.fees,
        replacements=extras,
        intake_fees=view.terms.intake_fee * len(view.book.orders),
        rounding=rounding,
        balanced=paid_in == paid_out + rounding and rounding == computed.rounding and settling.agrees(ctx, view.terms.session),
    )
