"""Capsules: which containers belong to one, and changes of capsules."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0016"
down_revision = "0015"


def upgrade() -> None:
    """Forward."""
    op.add_column("containers", sa.Column("capsule_id", sa.String(length=36), nullable=True))
    op.add_column("containers", sa.Column("part", sa.String(length=16), nullable=True))
    op.create_index("ix_containers_capsule", "containers", ["capsule_id"])
    op.add_column("changes", sa.Column("kind", sa.String(length=16), nullable=True))


def downgrade() -> None:
    """Back."""
    with op.batch_alter_table("changes", schema=None) as batch_op:
        batch_op.drop_column("kind")
    op.drop_index("ix_containers_capsule", "containers")
    with op.batch_alter_table("containers", schema=None) as batch_op:
        batch_op.drop_column("part")
        batch_op.drop_column("capsule_id")
