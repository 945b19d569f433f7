"""A key for everything that two processes could choose at once: the id of the installation, the
range of a network.
"""

from __future__ import annotations

import msgspec
import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Forward."""
    ranges = op.create_table(
        "ranges",
        sa.Column("cidr", sa.String(length=49), nullable=False),
        sa.Column("network_uuid", sa.String(length=36), nullable=False),
        sa.PrimaryKeyConstraint("cidr"),
    )
    op.create_index("ix_ranges_network_uuid", "ranges", ["network_uuid"], unique=False)
    found = op.get_bind().execute(sa.text("SELECT uuid, document FROM networks")).all()
    rows = [
        {"cidr": subnet["cidr"], "network_uuid": uuid}
        for uuid, document in map(tuple, found)
        for subnet in msgspec.json.decode(bytes(document))["subnets"]
    ]
    if rows:
        op.bulk_insert(ranges, rows)
    _deployment(
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("uuid", sa.String(length=36), nullable=False),
        key="id",
        copy="INSERT INTO deployment (id, uuid, created_at) SELECT 1, uuid, created_at",
    )


def downgrade() -> None:
    """Back."""
    _deployment(
        sa.Column("uuid", sa.String(length=36), nullable=False),
        key="uuid",
        copy="INSERT INTO deployment (uuid, created_at) SELECT uuid, created_at",
    )
    op.drop_table("ranges")


def _deployment(*columns: sa.Column[object], key: str, copy: str) -> None:
    """Make the table anew with other columns, its row in it."""
    op.rename_table("deployment", "deployment_before")
    op.create_table(
        "deployment",
        *columns,
        sa.Column("created_at", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint(key, name=f"deployment_{key}_key"),
    )
    op.execute(f"{copy} FROM deployment_before")
    op.drop_table("deployment_before")
