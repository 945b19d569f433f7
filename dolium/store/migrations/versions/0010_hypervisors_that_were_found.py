"""The physical machines under hosts that are servers, as Nova tells."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"


def upgrade() -> None:
    """Forward."""
    op.add_column("hosts", sa.Column("hypervisor", sa.String(length=255), nullable=True))


def downgrade() -> None:
    """Back."""
    with op.batch_alter_table("hosts", schema=None) as batch_op:
        batch_op.drop_column("hypervisor")
