"""Evidence has a salt: alerts without one are forgotten and made anew from the chain's log"""

from __future__ import annotations

from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("DELETE FROM alert")
    op.execute("DELETE FROM screening")


def downgrade() -> None:
    upgrade()
