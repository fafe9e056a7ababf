"""Delegates are accounts, envelopes, counters, excluded orders, fees, payers and ratings, exemptions, replacements"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """What earlier contracts said of delegates, orders and settlements means nothing to these."""
    op.execute("DELETE FROM settledrow")
    _promise(sa.Column("opened", sa.Integer(), nullable=False))
    op.create_table(
        "replaced",
        sa.Column("id", sa.Integer(), primary_key=True),
        sa.Column("session", sa.Integer(), nullable=False, index=True),
        sa.Column("account", sa.Integer(), nullable=False),
        sa.Column("reserve", sa.Integer(), nullable=False),
        sa.Column("intervals", sa.String(), nullable=False),
        sa.Column("extra", sa.Integer(), nullable=False),
        sa.Column("consented", sa.Boolean(), nullable=False),
        sa.Column("transaction", sa.String(), nullable=False),
    )
    op.execute("DELETE FROM submission")
    with op.batch_alter_table("account") as account:
        account.drop_column("delegate")
        account.add_column(sa.Column("envelope", sa.Integer(), nullable=False, server_default="0"))
    with op.batch_alter_table("account") as account:
        account.add_column(sa.Column("delegate", sa.Integer(), nullable=True))
        account.create_index("ix_account_delegate", ["delegate"])
        account.alter_column("envelope", server_default=None)
    with op.batch_alter_table("submission") as submission:
        submission.add_column(sa.Column("counter", sa.String(), nullable=False))
    with op.batch_alter_table("settledrow") as row:
        row.add_column(sa.Column("payer", sa.Integer(), nullable=False))
        row.add_column(sa.Column("rating", sa.Integer(), nullable=False))
    with op.batch_alter_table("session") as session:
        session.add_column(sa.Column("excluded", sa.JSON(), nullable=False, server_default="[]"))
        session.add_column(sa.Column("intake_paid", sa.Integer(), nullable=False, server_default="0"))
    with op.batch_alter_table("session") as session:
        session.alter_column("excluded", server_default=None)
        session.alter_column("intake_paid", server_default=None)
    op.create_table(
        "exemption",
        sa.Column("id", sa.Integer(), primary_key=True),
        sa.Column("session", sa.Integer(), nullable=False, index=True),
        sa.Column("account", sa.Integer(), nullable=False),
        sa.Column("intervals", sa.String(), nullable=False),
        sa.Column("reason", sa.String(), nullable=False),
        sa.Column("transaction", sa.String(), nullable=False),
    )


def _promise(*difference: sa.Column[int] | sa.UniqueConstraint) -> None:
    """Makes the table anew: a unique constraint without a name cannot be dropped."""
    op.drop_table("promise")
    op.create_table(
        "promise",
        sa.Column("id", sa.Integer(), primary_key=True),
        sa.Column("session", sa.Integer(), nullable=False, index=True),
        sa.Column("account", sa.Integer(), nullable=False, index=True),
        sa.Column("day", sa.Integer(), nullable=False, index=True),
        sa.Column("mask", sa.String(), nullable=False),
        sa.Column("target", sa.JSON(), nullable=False),
        sa.Column("event_day", sa.Boolean(), nullable=False),
        sa.Column("transaction", sa.String(), nullable=False),
        *difference,
    )


def downgrade() -> None:
    op.execute("DELETE FROM settledrow")
    op.drop_table("replaced")
    _promise(sa.UniqueConstraint("session", "account"))
    op.execute("DELETE FROM submission")
    op.drop_table("exemption")
    with op.batch_alter_table("session") as session:
        session.drop_column("intake_paid")
        session.drop_column("excluded")
    with op.batch_alter_table("settledrow") as row:
        row.drop_column("rating")
        row.drop_column("payer")
    with op.batch_alter_table("submission") as submission:
        submission.drop_column("counter")
    with op.batch_alter_table("account") as account:
        account.drop_index("ix_account_delegate")
        account.drop_column("delegate")
        account.drop_column("envelope")
    with op.batch_alter_table("account") as account:
        account.add_column(sa.Column("delegate", sa.String(), nullable=True))
