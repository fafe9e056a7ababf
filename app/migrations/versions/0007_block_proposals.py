"""Proposals for block sessions, and what was found for them here"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """What was taken in before knows no proposals: no chain has block 0 under this hash, so everything is taken in anew."""
    op.create_table(
        "proposal",
        sa.Column("id", sa.Integer(), primary_key=True),
        sa.Column("session", sa.Integer(), nullable=False, index=True),
        sa.Column("key", sa.String(), nullable=False),
        sa.Column("account", sa.Integer(), nullable=False),
        sa.Column("welfare", sa.String(), nullable=False),
        sa.Column("certificate", sa.JSON(), nullable=False),
        sa.Column("words", sa.JSON(), nullable=False),
        sa.Column("accepted", sa.Boolean(), nullable=False),
        sa.Column("transaction", sa.String(), nullable=False),
    )
    op.create_table(
        "blockdraft",
        sa.Column("id", sa.Integer(), primary_key=True),
        sa.Column("session", sa.Integer(), nullable=False, index=True),
        sa.Column("key", sa.String(), nullable=False),
        sa.Column("log", sa.String(), nullable=False),
        sa.Column("account", sa.Integer(), nullable=False),
        sa.Column("words_a_call", sa.Integer(), nullable=False),
        sa.Column("certificate", sa.JSON(), nullable=False),
        sa.Column("words", sa.JSON(), nullable=False),
        sa.Column("welfare", sa.String(), nullable=False),
        sa.Column("gap", sa.Float(), nullable=False),
        sa.Column("complete", sa.Boolean(), nullable=False),
        sa.UniqueConstraint("session", "key"),
    )
    op.execute("UPDATE meta SET value = '0 0x' WHERE key = 'indexed'")


def downgrade() -> None:
    op.drop_table("blockdraft")
    op.drop_table("proposal")
