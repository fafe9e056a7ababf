"""Alerts of the surveillance, what they were made from, and the guardian's decisions about them"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "screening",
        sa.Column("session", sa.Integer(), primary_key=True, autoincrement=False),
        sa.Column("facts", sa.String(), nullable=False),
        sa.Column("made", sa.Integer(), nullable=False),
    )
    op.create_table(
        "alert",
        sa.Column("id", sa.Integer(), primary_key=True),
        sa.Column("session", sa.Integer(), nullable=False, index=True),
        sa.Column("hash", sa.String(), nullable=False, index=True),
        sa.Column("detector", sa.String(), nullable=False, index=True),
        sa.Column("severity", sa.String(), nullable=False),
        sa.Column("evidence", sa.JSON(), nullable=False),
        sa.Column("made", sa.Integer(), nullable=False),
        sa.UniqueConstraint("session", "hash"),
    )
    op.create_table(
        "decision",
        sa.Column("id", sa.Integer(), primary_key=True),
        sa.Column("session", sa.Integer(), nullable=False, index=True),
        sa.Column("alert", sa.String(), nullable=False, index=True),
        sa.Column("outcome", sa.Integer(), nullable=False),
        sa.Column("reason", sa.String(), nullable=False),
        sa.Column("transaction", sa.String(), nullable=False),
    )


def downgrade() -> None:
    op.drop_table("decision")
    op.drop_table("alert")
    op.drop_table("screening")
