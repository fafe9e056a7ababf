"""The market operator's actions. Each does what is due and may be called again."""

from __future__ import annotations

from fastapi import APIRouter

from app.api import models
from app.api.body import JsonRoute
from app.api.depends import OPERATOR, Ctx
from app.api.ids import SessionId, ZoneId
from app.api.sessions import show_session
from app.api.times import seconds
from app.errors import Refused
from app.services import blocks, clearing, proving, sessions, settling, surveillance
from contracts.units import Direction, Kind, Mode

router = APIRouter(tags=["operator"], dependencies=OPERATOR, route_class=JsonRoute)


@router.post("/zones/{zone}/holidays", status_code=201)
def set_holidays(ctx: Ctx, zone: ZoneId, holidays: models.Holidays) -> models.Done:
    """Declares future days of a zone as holidays."""
    ctx.zone(zone)
    days = [sessions.day_number(day) for day in holidays.dates]
    ctx.send("holidays", "operator", ctx.client.encode_set_holidays(zone, days, True))
    return models.Done(done=[f"{len(days)} holidays set in zone {zone}"])


@router.post("/sessions", status_code=201)
def open_session(ctx: Ctx, new: models.NewSession) -> models.SessionDetail:
    """Opens a session on chain."""
    if len(set(new.intervals)) != len(new.intervals):
        raise Refused("An interval stands twice.", field="intervals", expected="each interval once", got=str(new.intervals))
    with ctx.working:
        session_id = sessions.open_session(
            ctx,
            zone=new.zone,
            kind=Kind[new.kind.upper()],
            direction=Direction[new.direction],
            mode=Mode[new.mode.upper()],
            day=sessions.day_number(new.date),
            mask=sum(1 << t for t in new.intervals),
            gate_open=seconds("gate_open", new.gate_open),
            gate_close=seconds("gate_close", new.gate_close),
            exemption_deadline=seconds("exemption_deadline", new.exemption_deadline),
            proof_deadline=seconds("proof_deadline", new.proof_deadline),
            price_cap=new.price_cap,
            min_quantity=new.min_quantity_wh,
            fee_ppm=new.fee_ppm,
            fee_account=new.fee_account,
            intake_fee=new.intake_fee,
            challenge_end=seconds("challenge_end", new.challenge_end) if new.challenge_end is not None else None,
            rules=new.rules,
        )
    return show_session(ctx, session_id)


@router.post("/sessions/{session_id}/proposal")
def propose(ctx: Ctx, session_id: SessionId) -> models.Done:
    """Searches for a better proposal for a closed block session and hands it in."""
    with ctx.working:
        return models.Done(done=blocks.propose(ctx, session_id))


@router.post("/sessions/{session_id}/clearing")
def clear(ctx: Ctx, session_id: SessionId) -> models.Done:
    """Clears a closed session, a block session by its best proposal, and commits its promises; whatever the surveillance then
    finds in sessions is told after it."""
    with ctx.working:
        done = clearing.clear_session(ctx, session_id)
    return models.Done(done=[*done, *surveillance.screen_due(ctx)])


@router.post("/sessions/{session_id}/proofs")
def prove(ctx: Ctx, session_id: SessionId) -> models.Done:
    """Proves the deliveries whose windows have come in, and records them on chain."""
    with ctx.working:
        return models.Done(done=proving.prove_session(ctx, session_id))


@router.post("/sessions/{session_id}/settlement")
def settle(ctx: Ctx, session_id: SessionId) -> models.Done:
    """Settles who can be settled."""
    with ctx.working:
        return models.Done(done=settling.settle_session(ctx, session_id))
