"""Alerts for operator and guardian, the guardian's decisions about them, and the explanation of a price for everybody."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path, Query

from app.api import models
from app.api.body import JsonRoute
from app.api.depends import GUARDIAN, OPERATOR_OR_GUARDIAN, Ctx
from app.api.ids import SessionId
from app.api.times import at
from app.services import explaining, surveillance
from market.surveillance.evidence import Detector

router = APIRouter(tags=["surveillance"], route_class=JsonRoute)

AlertId = Annotated[int, Path(ge=1, lt=2**53, description="An alert's number.")]


@router.get("/surveillance/alerts", dependencies=OPERATOR_OR_GUARDIAN)
def list_alerts(
    ctx: Ctx,
    session: Annotated[int | None, Query(ge=1, lt=2**53, description="Of one session.")] = None,
    detector: Annotated[Detector | None, Query(description="Of one detector.")] = None,
    open: Annotated[bool, Query(description="Only those that nobody has decided about.")] = False,
) -> models.AlertPage:
    """Alerts and notices, newest session first. The operator's and the guardian's to read: an alert is a suspicion."""
    found = surveillance.alerts(ctx, session=session, detector=detector, only_open=open)
    return models.AlertPage(items=[_alert(judged) for judged in found], next_cursor=None)


@router.get("/surveillance/alerts/{alert_id}", dependencies=OPERATOR_OR_GUARDIAN)
def show_alert(ctx: Ctx, alert_id: AlertId) -> models.Alert:
    """One alert with its evidence, its impact on the price, and what was decided about it."""
    return _alert(surveillance.alert(ctx, alert_id))


@router.post("/surveillance/alerts/{alert_id}/decision", dependencies=GUARDIAN, status_code=201)
def decide(ctx: Ctx, alert_id: AlertId, decision: models.NewDecision) -> models.Alert:
    """Records on chain, for ever, what was decided about an alert. Moves no money and changes no session."""
    with ctx.working:
        return _alert(surveillance.decide(ctx, alert_id, decision.outcome, decision.reason))


@router.get("/sessions/{session_id}/explanation")
def explain(
    ctx: Ctx,
    session_id: SessionId,
    participants: Annotated[
        int, Query(ge=0, le=explaining.MOST, description="Of those that trade most; fewer if the log is long.")
    ] = 50,
) -> models.Explanation:
    """Why each price is what it is: the orders at the margin, and what it would be without each participant, fewer where the
    log is long. Everything it is made of stands in the public log."""
    intervals, left_out = surveillance.explanation(ctx, session_id, participants)
    return models.Explanation(
        intervals=[
            models.IntervalExplanation(
                interval=found.interval,
                price=found.price,
                volume_wh=found.volume,
                low=found.low,
                high=found.high,
                marginal=[
                    models.MarginalOrder(
                        account=m.account,
                        side=m.side.name.lower(),  # type: ignore[arg-type]
                        limit=m.limit,
                        quantity_wh=m.quantity,
                        filled_wh=m.filled,
                    )
                    for m in found.marginal
                ],
                without=[models.WithoutAccount(account=w.account, price=w.price, volume_wh=w.volume) for w in found.without],
            )
            for found in intervals
        ],
        participants_left_out=left_out,
    )


def _alert(judged: surveillance.Judged) -> models.Alert:
    row = judged.alert
    assert row.id is not None
    return models.Alert(
        id=row.id,
        session=row.session,
        detector=row.detector,
        severity=row.severity,  # type: ignore[arg-type]
        open=judged.open,
        made=at(row.made),
        hash=row.hash,
        evidence=models.Evidence.model_validate(row.evidence),
        exclusion=models.Exclusion.model_validate(found) if (found := surveillance.exclusion(row)) else None,
        decisions=[
            models.AlertDecision(
                outcome=surveillance.OUTCOMES[d.outcome],  # type: ignore[arg-type]
                reason=d.reason,
                transaction=d.transaction,
            )
            for d in judged.decisions
        ],
    )
