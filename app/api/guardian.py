"""The guardian's decisions, signed with its key and asked for with its token, not the operator's."""

from __future__ import annotations

from fastapi import APIRouter

from app.api import models
from app.api.body import JsonRoute
from app.api.depends import GUARDIAN, Ctx
from app.api.ids import SessionId
from app.services import guarding
from contracts.units import Side

router = APIRouter(tags=["guardian"], dependencies=GUARDIAN, route_class=JsonRoute)


@router.post("/sessions/{session_id}/review/release")
def release(ctx: Ctx, session_id: SessionId, given: models.Reason) -> models.Done:
    """Under review: the clearing stands and its promises are committed."""
    with ctx.working:
        return models.Done(done=guarding.release(ctx, session_id, given.reason))


@router.post("/sessions/{session_id}/review/cancel")
def cancel(ctx: Ctx, session_id: SessionId, given: models.Reason) -> models.Done:
    """Under review: the session comes to nothing and locks are given back."""
    with ctx.working:
        return models.Done(done=guarding.cancel(ctx, session_id, given.reason))


@router.post("/sessions/{session_id}/review/exclude")
def exclude(ctx: Ctx, session_id: SessionId, exclusion: models.Exclusion) -> models.Done:
    """Under review, once: the session may be cleared again without some orders, inside the band."""
    orders = sorted({(order.account, Side[order.side.upper()]) for order in exclusion.orders})
    with ctx.working:
        return models.Done(done=guarding.exclude(ctx, session_id, orders, bytes.fromhex(exclusion.evidence[2:])))


@router.post("/sessions/{session_id}/exemptions", status_code=201)
def exempt(ctx: Ctx, session_id: SessionId, exemption: models.NewExemption) -> models.Done:
    """A seller's intervals cost no penalty; until the exemption deadline, and before its row is settled."""
    with ctx.working:
        done = guarding.exempt(ctx, session_id, exemption.account, exemption.intervals, exemption.reason)
    return models.Done(done=done)
