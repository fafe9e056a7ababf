"""Delivery records by batch"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Records of earlier contracts have no batch and fit no settlement any more."""
    op.execute("DELETE FROM deliveryrecord")
    with op.batch_alter_table("deliveryrecord") as record:
        record.add_column(sa.Column("batch", sa.Integer(), nullable=False))
        record.add_column(sa.Column("count", sa.Integer(), nullable=False))


def downgrade() -> None:
    with op.batch_alter_table("deliveryrecord") as record:
        record.drop_column("count")
        record.drop_column("batch")
