"""Accounts: registering them on chain, binding meters, balances, and play money on development chains."""

from __future__ import annotations

from dataclasses import dataclass

from sqlmodel import col, func, select

from app.context import Context
from app.database import Account, known
from app.errors import Refused
from zk.eddsa import PublicKey


@dataclass(frozen=True)
class AccountView:
    """An account with its balance in micro-euro."""

    index: int
    owner: str
    delegate: str | None
    label: str | None
    has_meter: bool
    available: int
    locked: int


def register(ctx: Context, owner: str, label: str | None = None) -> AccountView:
    """Registers a new account for `owner` on chain. The label stays in this database."""
    ctx.send("register", "operator", ctx.client.encode_register(owner))
    with ctx.database.session() as db:
        row = db.exec(
            select(Account).where(func.lower(Account.owner) == owner.lower()).order_by(col(Account.index).desc()).limit(1)
        ).one()
        row.label = label
        db.add(row)
        index = row.index
    return view(ctx, index)


def bind_meter(ctx: Context, account: int, key: PublicKey, zone: int, from_day: int) -> None:
    """Binds a meter's public key to an account. The key must be a point of the prime-order subgroup (the contract sees
    its hash only).
    """
    with ctx.database.session() as db:
        known(db.get(Account, account), "account", account)
    try:
        key.check()
    except ValueError as error:
        raise Refused("This is no meter key.", field="x, y", expected=str(error), got=f"({key.x}, {key.y})") from error
    ctx.send("meter", "metering", ctx.client.encode_bind_meter(account, zone, key.word(), from_day))
    with ctx.database.session() as db:
        row = known(db.get(Account, account), "account", account)
        row.meter_x, row.meter_y = str(key.x), str(key.y)
        db.add(row)


def fund(ctx: Context, account: int, amount: int) -> AccountView:
    """Mints development money and deposits it into an account; refused off development chains."""
    ctx.require_development("play money")
    with ctx.database.session() as db:
        known(db.get(Account, account), "account", account)
    client = ctx.client
    for call in (
        client.encode_mint(ctx.address("operator"), amount),
        client.encode_approve(amount),
        client.encode_deposit(account, amount),
    ):
        ctx.send("fund", "operator", call)
    return view(ctx, account)


def view(ctx: Context, index: int) -> AccountView:
    """One account."""
    ctx.refresh()
    with ctx.database.session() as db:
        return _view(ctx, known(db.get(Account, index), "account", index))


def page(ctx: Context, owner: str | None, after: int, limit: int) -> tuple[list[AccountView], int | None]:
    """Accounts by ascending index, and the index to go on after."""
    ctx.refresh()
    with ctx.database.session() as db:
        query = select(Account).where(col(Account.index) > after).order_by(col(Account.index)).limit(limit + 1)
        if owner is not None:
            query = query.where(func.lower(Account.owner) == owner.lower())
        rows = list(db.exec(query).all())
    return [_view(ctx, row) for row in rows[:limit]], rows[limit - 1].index if len(rows) > limit else None


def labels(ctx: Context) -> dict[int, str | None]:
    """Label by account."""
    with ctx.database.session() as db:
        return {row.index: row.label for row in db.exec(select(Account)).all()}


def _view(ctx: Context, row: Account) -> AccountView:
    balance = ctx.client.balance(row.index)
    return AccountView(
        row.index, row.owner, row.delegate, row.label, row.meter_from_day is not None, balance.available, balance.locked
    )
