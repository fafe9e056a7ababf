"""Accounts, their balances, their forecasts."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Header, Query

from app.access import require_reader
from app.api import models
from app.api.body import JsonRoute
from app.api.depends import OPERATOR_UNLESS_DEVELOPMENT, Ctx
from app.api.ids import AccountIndex, SessionQuery, SignerAddress
from app.api.times import at
from app.database import MeterKey
from app.errors import Refused
from app.services import accounts, forecasting

router = APIRouter(tags=["accounts"], route_class=JsonRoute)

READ_ACCESS = (
    "`ReadAccess ACCOUNT.UNTIL.SIGNATURE`: EIP-712 `ReadAccess(uint256 account,uint256 until)` in the market's domain, signed "
    "by the owner of the account or of its delegate; `until` in seconds of chain time, at most a day ahead."
)


@router.get("/accounts")
def list_accounts(
    ctx: Ctx,
    owner: Annotated[str | None, Query(pattern=r"^0x[0-9a-fA-F]{40}$", description="Only accounts of this address.")] = None,
    actor: Annotated[
        str | None,
        Query(pattern=r"^0x[0-9a-fA-F]{40}$", description="Only accounts that this address may place orders for."),
    ] = None,
    cursor: Annotated[str | None, Query(pattern=r"^[0-9]{1,10}$")] = None,
    limit: Annotated[int, Query(ge=1, le=500)] = 100,
) -> models.AccountPage:
    """Accounts by index, with their balances."""
    found, after = accounts.page(ctx, owner, min(int(cursor or 0), 2**32), limit, actor=actor)
    return models.AccountPage(items=[shown(view) for view in found], next_cursor=str(after) if after else None)


@router.post("/accounts", status_code=201, dependencies=OPERATOR_UNLESS_DEVELOPMENT)
def register(ctx: Ctx, new: models.NewAccount) -> models.Account:
    """Registers an account for an owner on chain; only the owner can use it.

    Anyone may ask for one on a development chain; elsewhere the operator does, or the owner itself by `Accounts.register`.
    """
    if int(new.owner, 16) == 0:
        raise Refused("An account needs an owner.", field="owner", expected="an address other than zero", got=new.owner)
    return shown(accounts.register(ctx, new.owner, new.label))


@router.get("/accounts/{index}")
def show_account(ctx: Ctx, index: AccountIndex) -> models.Account:
    """One account."""
    return shown(accounts.view(ctx, index))


@router.get("/signers/{address}")
def show_signer(ctx: Ctx, address: SignerAddress) -> models.Signer:
    """The counter that an address has to state in what it signs now."""
    return models.Signer(address=address, counter=str(ctx.client.counter_of(address)))


@router.get("/accounts/{index}/meters")
def list_meters(ctx: Ctx, index: AccountIndex) -> models.MeterKeyList:
    """The versions of an account's meter key, as the chain has them, the oldest first."""
    return models.MeterKeyList(items=[meter_key(row) for row in accounts.meter_keys(ctx, index)])


@router.get("/accounts/{index}/forecast")
def show_forecast(
    ctx: Ctx,
    index: AccountIndex,
    session: SessionQuery,
    authorization: Annotated[str | None, Header(description=READ_ACCESS)] = None,
) -> models.Forecast:
    """Forecast of load and production, and what could be shifted, for a session's intervals: for the account's owner only."""
    require_reader(ctx, index, authorization)
    f = forecasting.for_session(ctx, index, session)
    return models.Forecast(
        intervals=list(f.intervals),
        starts=[at(start) for start in f.starts],
        load_wh=list(f.load),
        pv_wh=list(f.pv),
        net_load_wh=list(f.net_load),
        baseline_wh=list(f.baseline) if f.baseline is not None else None,
        flexible_wh=list(f.flexible),
        method=f.method,
        day=models.DayLoad(net_load_wh=list(f.day_net_load)),
    )


def meter_key(row: MeterKey) -> models.MeterKey:
    return models.MeterKey(
        account=row.account,
        key=row.key,
        zone=row.zone,
        from_day=row.from_day,
        state="suspended" if row.suspended else "bound",
    )


def shown(view: accounts.AccountView) -> models.Account:
    return models.Account(
        index=view.index,
        owner=view.owner,
        delegate=(
            models.Delegate(account=view.delegate, owner=view.delegate_owner)
            if view.delegate is not None and view.delegate_owner is not None
            else None
        ),
        label=view.label,
        meter=view.meter,
        envelope_wh=view.envelope,
        available=view.available,
        locked=view.locked,
        reputation=view.reputation,
    )
