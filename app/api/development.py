"""What exists on development chains only: a wallet for visitors, play money, a clock that can be moved."""

from __future__ import annotations

from datetime import datetime

from fastapi import APIRouter

from app.api import models
from app.api.accounts import shown
from app.api.body import JsonRoute
from app.api.depends import Ctx
from app.api.times import at, seconds
from app.demo import wallets
from app.errors import Refused
from app.services import accounts, runner, sessions
from contracts.units import SessionState

FARTHEST = 400 * 86_400
"""Seconds by which the clock can be moved at once."""

router = APIRouter(prefix="/dev", tags=["development chains only"], route_class=JsonRoute)


@router.get("/wallet")
def wallet(ctx: Ctx) -> models.DevWallet:
    """A wallet whose key everyone knows, so that the pages can be tried without one's own."""
    ctx.require_development("development wallet")
    visitor = wallets.owner(wallets.VISITOR)
    found, _ = accounts.page(ctx, visitor.address, 0, 1)
    return models.DevWallet(
        private_key="0x" + bytes(visitor.key).hex(),
        address=visitor.address,
        account=found[0].index if found else None,
        warning="Everyone knows this key. It exists on development chains only; never send anything of worth to it.",
    )


@router.post("/faucet")
def faucet(ctx: Ctx, funds: models.Funds) -> models.Account:
    """Deposits play money into an account."""
    return shown(accounts.fund(ctx, funds.account, funds.amount))


@router.post("/counter")
def increment_counter(ctx: Ctx) -> models.Signer:
    """Takes back whatever the development wallet has signed and nobody has carried to the chain yet."""
    ctx.require_development("development wallet")
    visitor = wallets.owner(wallets.VISITOR)
    ctx.chain.fund(visitor.address)
    ctx.client.increment_counter(bytes(visitor.key))
    return models.Signer(address=visitor.address, counter=str(ctx.client.counter_of(visitor.address)))


@router.post("/advance")
def advance(ctx: Ctx, target: models.Advance) -> models.Advanced:
    """Moves the chain's clock on and does everything that is due then."""
    ctx.require_development("clock to move")
    done: list[str] = []
    moments, now = _moments(ctx, target), ctx.now()
    past = [moment for moment in moments if moment <= now]  # what they call for is due now, and done once
    for moment in [*past[-1:], *(moment for moment in moments if moment > now)]:
        if moment > ctx.now():
            ctx.chain.advance_to(moment)
            done.append(f"clock moved to {at(moment).isoformat()}")
        if target.only_clock:
            continue
        done += ctx.follow_clock()
        done += runner.run_due(ctx)
    if not target.only_clock:
        done += ctx.follow_clock()  # what was settled just now may call for the next session
    return models.Advanced(time=at(ctx.now()), done=done)


def _moments(ctx: Ctx, target: models.Advance) -> list[int]:
    if isinstance(target.to, datetime):
        moment = seconds("to", target.to)
        if not ctx.now() <= moment <= ctx.now() + FARTHEST:
            raise Refused(
                "The clock goes forward only, and not that far.",
                field="to",
                expected=f"a time from now to {FARTHEST // 86_400} days ahead",
                got=target.to.isoformat(),
            )
        return [moment]
    if target.session is None:
        raise Refused("Which session?", field="session", expected=f"the session whose {target.to} is meant", got="nothing")
    view = sessions.view(ctx, target.session)
    terms = view.terms
    if view.state is SessionState.CANCELLED:
        raise Refused(
            "The session is cancelled.", status=409, field="session", expected="a session that goes on", got=str(target.session)
        )
    day_end = terms.zone.interval_start(terms.day, terms.zone.intervals)
    # The clock must not jump over the clearing: the gate's close comes before delivery, delivery before the proofs.
    stages = {
        "gate_open": [terms.gate_open],
        "gate_close": [terms.gate_close],
        "delivery_start": [terms.gate_close, terms.delivery_start],
        "delivery_end": [terms.gate_close, terms.delivery_start, terms.delivery_end],
        "settled": [terms.gate_close, terms.delivery_start, terms.delivery_end, day_end + 1800, terms.proof_deadline + 1],
    }
    return stages[target.to]
