"""Named sets of limits."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"


def upgrade() -> None:
    """Forward."""
    op.create_table(
        "quota_classes",
        sa.Column("name", sa.String(length=255), nullable=False),
        sa.Column("limit_containers", sa.BigInteger(), nullable=True),
        sa.Column("limit_cpu_m", sa.BigInteger(), nullable=True),
        sa.Column("limit_memory_mib", sa.BigInteger(), nullable=True),
        sa.Column("limit_disk_gib", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("name"),
    )


def downgrade() -> None:
    """Back."""
    op.drop_table("quota_classes")
