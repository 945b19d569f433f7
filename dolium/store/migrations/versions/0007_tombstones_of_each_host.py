"""Tombstones of each host: a container may be gone from one and live on another."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    """Forward."""
    _anew(
        "container_uuid",
        "host",
        name="tombstones_of_host_key",
        copy="SELECT * FROM tombstones_before",
    )


def downgrade() -> None:
    """Back: of several the newest stays."""
    newest = (
        "SELECT * FROM tombstones_before AS one WHERE NOT EXISTS (SELECT 1 FROM tombstones_before "
        "AS other WHERE other.container_uuid = one.container_uuid AND (other.at > one.at "
        "OR (other.at = one.at AND other.host > one.host)))"
    )
    _anew("container_uuid", name="tombstones_key", copy=newest)


def _anew(*key: str, name: str, copy: str) -> None:
    op.drop_index("ix_tombstones_host", table_name="tombstones")
    op.rename_table("tombstones", "tombstones_before")
    op.create_table(
        "tombstones",
        sa.Column("container_uuid", sa.String(length=36), nullable=False),
        sa.Column("host", sa.String(length=255), nullable=False),
        sa.Column("revision", sa.BigInteger(), nullable=False),
        sa.Column("at", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint(*key, name=name),
    )

    op.execute(f"INSERT INTO tombstones {copy}")
    op.drop_table("tombstones_before")
    op.create_index("ix_tombstones_host", "tombstones", ["host", "revision"], unique=False)
