"""When a proof failed, and of what there is no statement"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """What has failed before is tried again."""
    with op.batch_alter_table("deliveryproof") as proof:
        proof.add_column(sa.Column("failed_at", sa.Integer(), nullable=True))
        proof.add_column(sa.Column("refused", sa.String(), nullable=True))


def downgrade() -> None:
    with op.batch_alter_table("deliveryproof") as proof:
        proof.drop_column("refused")
        proof.drop_column("failed_at")
