"""Accounts: registering them on chain, versions of their meter keys, balances, and play money on development chains."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from sqlmodel import Session, col, func, or_, select

from app.access import delegate_owner
from app.context import Context
from app.database import Account, MeterKey, MeterPoint, known
from app.errors import Refused
from zk.eddsa import KeyFormatError, PublicKey


@dataclass(frozen=True)
class AccountView:
    """An account with its balance in micro-euro. `meter` is the state of its newest key version, `delegate` the account whose
    owner may act for it, `envelope` Wh an interval, `reputation` 0 (never rated) or 1 to 10001."""

    index: int
    owner: str
    delegate: int | None
    delegate_owner: str | None
    label: str | None
    meter: Literal["none", "bound", "suspended"]
    envelope: int
    available: int
    locked: int
    reputation: int


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


def bind_meter(ctx: Context, account: int, key: PublicKey, zone: int, from_day: int) -> MeterKey:
    """Binds the next version of an account's meter key, in force from `from_day` on. The same binding again is harmless.

    The key must be a point of the prime-order subgroup (the contract sees its hash only).
    """
    with ctx.database.session() as db:
        known(db.get(Account, account), "account", account)
    try:
        key.check()
    except KeyFormatError as error:
        raise Refused("This is no meter key.", field="x, y", expected=error.expected, got=str(error.got)) from error
    ctx.refresh()
    word = key.word()
    with ctx.database.session() as db:  # first, so that no window comes in under a key whose point is lost
        db.merge(MeterPoint(key=hex(word), x=str(key.x), y=str(key.y)))
        bound = db.get(MeterKey, hex(word))
    if bound is None or (bound.account, bound.zone, bound.from_day) != (account, zone, from_day):
        ctx.send("meter", "metering", ctx.client.encode_bind_meter(account, zone, word, from_day))
    with ctx.database.session() as db:
        return db.exec(select(MeterKey).where(MeterKey.key == hex(word))).one()


def versions(db: Session, account: int) -> list[MeterKey]:
    """The versions of an account's meter key, the oldest first."""
    return list(db.exec(select(MeterKey).where(MeterKey.account == account).order_by(col(MeterKey.from_day))).all())


def version_on(db: Session, account: int, day: int) -> MeterKey | None:
    """The version that counts on `day`, suspended or not, as `Accounts.keyAt` finds it; None before the first."""
    query = select(MeterKey).where(MeterKey.account == account, MeterKey.from_day <= day)
    return db.exec(query.order_by(col(MeterKey.from_day).desc()).limit(1)).first()


def require_key(db: Session, account: int, day: int) -> MeterKey:
    """The version in force on `day`; raises `Refused` where there is none or it is suspended."""
    known(db.get(Account, account), "account", account)
    found = version_on(db, account, day)
    if found is None:
        raise Refused(
            f"Account {account} has no meter key on day {day}.",
            status=409,
            field="account",
            expected=f"an account with a meter key in force on day {day}",
            got=str(account),
        )
    if found.suspended:
        raise Refused(
            f"The meter key of account {account} from day {found.from_day} is suspended: it signed two histories.",
            status=409,
            field="account",
            expected=f"an account with a meter key in force on day {day}; a new version has to be bound",
            got=f"key {found.key}",
        )
    return found


def point(db: Session, key: str) -> PublicKey:
    """The point behind a key's word; raises `Refused` where it was never handed in here."""
    row = db.get(MeterPoint, key)
    if row is None:
        raise Refused(
            f"The point of meter key {key} is not known here.",
            status=409,
            field="key",
            expected="a key that was registered here (POST /meters with the same account and from_day)",
            got=key,
        )
    return PublicKey(int(row.x), int(row.y))


def meter_key(ctx: Context, account: int, day: int) -> PublicKey:
    """The account's meter key in force on `day`; raises `Refused` where there is none, or it is suspended."""
    with ctx.database.session() as db:
        return point(db, require_key(db, account, day).key)


def meter_keys(ctx: Context, account: int) -> list[MeterKey]:
    """The versions of an account's meter key, the oldest first."""
    ctx.refresh()
    with ctx.database.session() as db:
        known(db.get(Account, account), "account", account)
        return versions(db, account)


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
        row: Account = known(db.get(Account, index), "account", index)
        newest = versions(db, index)[-1:]
        delegate = delegate_owner(db, row)
    return _view(ctx, row, newest, delegate)


def page(
    ctx: Context, owner: str | None, after: int, limit: int, *, actor: str | None = None
) -> tuple[list[AccountView], int | None]:
    """Accounts by ascending index, and the index to go on after: of one owner, or all for which `actor` may place orders."""
    ctx.refresh()
    with ctx.database.session() as db:
        query = select(Account).where(col(Account.index) > after).order_by(col(Account.index)).limit(limit + 1)
        if owner is not None:
            query = query.where(func.lower(Account.owner) == owner.lower())
        if actor is not None:
            own = select(Account.index).where(func.lower(Account.owner) == actor.lower())
            query = query.where(or_(func.lower(Account.owner) == actor.lower(), col(Account.delegate).in_(own)))
        rows = list(db.exec(query).all())
        found = [(row, versions(db, row.index)[-1:], delegate_owner(db, row)) for row in rows[:limit]]
    return [_view(ctx, *each) for each in found], rows[limit - 1].index if len(rows) > limit else None


def of_same_owner(db: Session, index: int) -> list[int]:
    """The accounts that belong to the owner of one."""
    owner = db.exec(select(Account.owner).where(Account.index == index)).one()
    return list(db.exec(select(Account.index).where(func.lower(Account.owner) == owner.lower())).all())


def labels(ctx: Context) -> dict[int, str | None]:
    """Label by account."""
    with ctx.database.session() as db:
        return {row.index: row.label for row in db.exec(select(Account)).all()}


def _view(ctx: Context, row: Account, newest: list[MeterKey], delegate: str | None) -> AccountView:
    balance = ctx.client.balance(row.index)
    meter: Literal["none", "bound", "suspended"] = "none"
    if newest:
        meter = "suspended" if newest[0].suspended else "bound"
    return AccountView(
        index=row.index,
        owner=row.owner,
        delegate=row.delegate,
        delegate_owner=delegate,
        label=row.label,
        meter=meter,
        envelope=row.envelope,
        available=balance.available,
        locked=balance.locked,
        reputation=balance.reputation,
    )
