"""Members that fail and reserves that take over (docs/protocol.md section 14)."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query

from app.api import models
from app.api.body import JsonRoute
from app.api.depends import OPERATOR, OPERATOR_UNLESS_DEVELOPMENT, Ctx
from app.api.ids import SessionId
from app.services import accounts, replacing, sessions
from contracts.encoding import intervals_of
from contracts.replacements import ReplacementConsent, SignedConsent

router = APIRouter(tags=["replacements"], route_class=JsonRoute)

Account = Annotated[int, Query(gt=0, lt=2**32)]
Intervals = Annotated[
    list[Annotated[int, Query(ge=0, lt=96)]] | None, Query(max_length=96, description="Of the day; none: all to come.")
]


@router.get("/sessions/{session_id}/replacements")
def list_replacements(ctx: Ctx, session_id: SessionId) -> models.Replacements:
    """Replacements that were made, in chain order, and members whose records show that they fail."""
    made, labels = sessions.view(ctx, session_id).takeovers, accounts.labels(ctx)
    return models.Replacements(
        items=[
            models.TakenOver(
                account=one.account,
                label=labels.get(one.account),
                reserve=one.reserve,
                reserve_label=labels.get(one.reserve),
                intervals=list(intervals_of(one.intervals)),
                extra=one.extra,
                consented=one.consented,
            )
            for one in made
        ],
        failing=[
            models.FailingMember(
                account=one.account,
                label=labels.get(one.account),
                intervals=list(one.intervals),
                needed=one.needed,
                replaceable=one.replaceable,
            )
            for one in replacing.failing(ctx, session_id)
        ],
    )


@router.get("/sessions/{session_id}/reserves")
def list_reserves(
    ctx: Ctx, session_id: SessionId, account: Account, intervals: Intervals = None, forced: bool = False
) -> models.StandIns:
    """Who could take over from a member, in merit order; `forced` leaves out what needs its consent."""
    found = replacing.reserves(ctx, session_id, account, intervals or (), forced=forced)
    return models.StandIns(
        items=[
            models.StandIn(reserve=one.reserve, intervals=list(one.intervals), wh=list(one.wh), extra=one.extra)
            for one in found
        ]
    )


@router.get("/sessions/{session_id}/replacements/consent")
def draft_consent(
    ctx: Ctx,
    session_id: SessionId,
    account: Account,
    reserve: Account,
    nonce: Annotated[int, Query(ge=0, lt=2**53)],
    deadline: Annotated[int, Query(gt=0, lt=2**40)],
    intervals: Intervals = None,
) -> models.ConsentDraft:
    """What a member signs so that a reserve takes over, at what that costs now."""
    asked = replacing.consent(ctx, session_id, account, reserve, intervals or (), nonce, deadline)
    return models.ConsentDraft(most=asked.most, typed_data=asked.typed_data(ctx.client.domain_of("Replacement")))


@router.post("/sessions/{session_id}/replacements", status_code=201, dependencies=OPERATOR)
def replace(ctx: Ctx, session_id: SessionId, wanted: models.NewReplacement) -> models.Done:
    """Replaces a member whose records show that it fails, by the cheapest reserves; its consent is not needed."""
    with ctx.working:
        return models.Done(done=replacing.replace_by_proof(ctx, session_id, wanted.account, wanted.intervals))


@router.post("/sessions/{session_id}/replacements/consented", status_code=201, dependencies=OPERATOR_UNLESS_DEVELOPMENT)
def carry(ctx: Ctx, session_id: SessionId, given: models.Consented) -> models.Done:
    """Carries a replacement that the member has signed."""
    mask = sum(1 << t for t in set(given.intervals))
    consent = ReplacementConsent(session_id, given.account, given.reserve, mask, given.most, given.nonce, given.deadline)
    signed = SignedConsent(given.signer, given.most, given.nonce, given.deadline, bytes.fromhex(given.signature[2:]))
    with ctx.working:
        return models.Done(done=replacing.replace_by_consent(ctx, session_id, consent, signed))
