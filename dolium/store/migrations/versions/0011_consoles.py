"""Tokens of consoles."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"


def upgrade() -> None:
    """Forward."""
    op.create_table(
        "consoles",
        sa.Column("token_sha256", sa.String(length=64), nullable=False),
        sa.Column("container_uuid", sa.String(length=36), nullable=False),
        sa.Column("exec_id", sa.String(length=64), nullable=False),
        sa.Column("until", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint("token_sha256"),
    )
    op.create_index("ix_consoles_until", "consoles", ["until"])


def downgrade() -> None:
    """Back."""
    op.drop_index("ix_consoles_until", table_name="consoles")
    op.drop_table("consoles")
