"""How far the pull of a container's image is."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0017"
down_revision = "0016"


def upgrade() -> None:
    """Forward."""
    op.add_column("containers", sa.Column("progress", sa.String(length=64), nullable=True))


def downgrade() -> None:
    """Back."""
    with op.batch_alter_table("containers", schema=None) as batch_op:
        batch_op.drop_column("progress")
