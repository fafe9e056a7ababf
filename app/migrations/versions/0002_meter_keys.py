"""Versions of meter keys, windows by key, fork evidence"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from zk.eddsa import PublicKey

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "meterkey",
        sa.Column("key", sa.String(), primary_key=True),
        sa.Column("account", sa.Integer(), nullable=False, index=True),
        sa.Column("zone", sa.Integer(), nullable=False),
        sa.Column("from_day", sa.Integer(), nullable=False),
        sa.Column("suspended", sa.Boolean(), nullable=False),
    )
    op.create_table(
        "meterpoint",
        sa.Column("key", sa.String(), primary_key=True),
        sa.Column("x", sa.String(), nullable=False),
        sa.Column("y", sa.String(), nullable=False),
    )
    op.rename_table("meterwindow", "meterwindow_before")
    op.create_table(
        "meterwindow",
        sa.Column("id", sa.Integer(), primary_key=True),
        sa.Column("key", sa.String(), nullable=False),
        sa.Column("day", sa.Integer(), nullable=False),
        sa.Column("head", sa.String(), nullable=False),
        sa.Column("window", sa.JSON(), nullable=False),
        sa.Column("received", sa.DateTime(timezone=True), nullable=False),
        sa.UniqueConstraint("key", "head"),
    )
    op.create_index("ix_meterwindow_key_day", "meterwindow", ["key", "day"])
    op.create_table(
        "fork",
        sa.Column("id", sa.Integer(), primary_key=True),
        sa.Column("key", sa.String(), nullable=False, index=True),
        sa.Column("day", sa.Integer(), nullable=False),
        sa.Column("interval", sa.Integer(), nullable=False),
        sa.Column("one", sa.JSON(), nullable=False),
        sa.Column("other", sa.JSON(), nullable=False),
        sa.Column("status", sa.String(), nullable=False),
        sa.Column("error", sa.String(), nullable=True),
        sa.Column("outbox", sa.Integer(), sa.ForeignKey("outbox.id"), nullable=True),
        sa.Column("received", sa.DateTime(timezone=True), nullable=False),
        sa.UniqueConstraint("key", "day"),
    )
    _carry_over(op.get_bind())
    op.drop_table("meterwindow_before")
    with op.batch_alter_table("account") as account:
        for column in ("meter_key", "meter_from_day", "meter_x", "meter_y"):
            account.drop_column(column)


def _carry_over(db: sa.Connection) -> None:
    """Each account's key becomes its first version, its windows become that key's. All keys so far were bound in zone 1."""
    account, meterkey, meterpoint, windows, before = (
        _table(db, name) for name in ("account", "meterkey", "meterpoint", "meterwindow", "meterwindow_before")
    )
    for row in db.execute(sa.select(account)).all():
        point = PublicKey(int(row.meter_x), int(row.meter_y)) if row.meter_x and row.meter_y else None
        # An account whose binding the chain does not have at the moment still has its point and its windows.
        key = row.meter_key or (hex(point.word()) if point else None)
        if key is None:
            continue
        if row.meter_key:
            bound = {"key": key, "account": row.index, "zone": 1, "from_day": row.meter_from_day, "suspended": False}
            db.execute(sa.insert(meterkey).values(bound))
        if point is not None:
            db.execute(sa.insert(meterpoint).values(key=key, x=str(point.x), y=str(point.y)))
        kept = db.execute(sa.select(before).where(before.c.account == row.index).order_by(before.c.day)).all()
        for window in kept:
            found = {"key": key, "day": window.day, "head": window.window["head"]}
            db.execute(sa.insert(windows).values(**found, window=window.window, received=window.received))


def downgrade() -> None:
    """Keeps each account's newest key and its windows; what the older tables have no place for is lost."""
    with op.batch_alter_table("account") as account:
        account.add_column(sa.Column("meter_key", sa.String(), nullable=True))
        account.add_column(sa.Column("meter_from_day", sa.Integer(), nullable=True))
        account.add_column(sa.Column("meter_x", sa.String(), nullable=True))
        account.add_column(sa.Column("meter_y", sa.String(), nullable=True))
    op.rename_table("meterwindow", "meterwindow_before")
    op.create_table(
        "meterwindow",
        sa.Column("account", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("day", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("window", sa.JSON(), nullable=False),
        sa.Column("received", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("account", "day"),
    )
    _carry_back(op.get_bind())
    for table in ("fork", "meterwindow_before", "meterpoint", "meterkey"):
        op.drop_table(table)


def _carry_back(db: sa.Connection) -> None:
    account, meterkey, meterpoint, windows, before = (
        _table(db, name) for name in ("account", "meterkey", "meterpoint", "meterwindow", "meterwindow_before")
    )
    newest = {row.account: row for row in db.execute(sa.select(meterkey).order_by(meterkey.c.from_day)).all()}
    for index, bound in newest.items():
        point = db.execute(sa.select(meterpoint).where(meterpoint.c.key == bound.key)).first()
        values = {"meter_key": bound.key, "meter_from_day": bound.from_day}
        if point is not None:
            values |= {"meter_x": point.x, "meter_y": point.y}
        db.execute(sa.update(account).where(account.c.index == index).values(values))
        kept = db.execute(sa.select(before).where(before.c.key == bound.key).order_by(before.c.id)).all()
        for row in {row.day: row for row in sorted(kept, key=lambda row: bool(row.window["final"]))}.values():
            found = {"account": index, "day": row.day, "window": row.window, "received": row.received}
            db.execute(sa.insert(windows).values(found))


def _table(db: sa.Connection, name: str) -> sa.Table:
    return sa.Table(name, sa.MetaData(), autoload_with=db)
