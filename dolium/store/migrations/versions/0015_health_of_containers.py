"""What the health checks of containers say."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0014"


def upgrade() -> None:
    """Forward."""
    op.add_column("containers", sa.Column("health", sa.String(length=16), nullable=True))


def downgrade() -> None:
    """Back."""
    with op.batch_alter_table("containers", schema=None) as batch_op:
        batch_op.drop_column("health")
