"""Groups of containers, why each is where it is, and CPUs that one container has for itself."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    """Forward."""
    op.create_table(
        "placement_groups",
        sa.Column(
            "id",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            autoincrement=True,
            nullable=False,
        ),
        sa.Column("project_id", sa.String(length=64), nullable=False),
        sa.Column("name", sa.String(length=255), nullable=False),
        sa.Column("revision", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("project_id", "name", name="uq_placement_groups_name"),
        sqlite_autoincrement=True,
    )
    op.add_column("containers", sa.Column("group_id", sa.BigInteger(), nullable=True))
    op.add_column("containers", sa.Column("placed_reason", sa.Text(), nullable=True))
    op.create_index("ix_containers_group", "containers", ["group_id"])
    for table, column in DEDICATED:
        op.add_column(table, sa.Column(column, sa.Integer(), nullable=False, server_default="0"))


def downgrade() -> None:
    """Back."""
    op.drop_index("ix_containers_group", table_name="containers")
    # SQLite drops no column before 3.35: alembic copies the table.
    with op.batch_alter_table("containers", table_kwargs={"sqlite_autoincrement": True}) as batch:
        batch.drop_column("group_id")
        batch.drop_column("placed_reason")
    for table, column in DEDICATED:
        with op.batch_alter_table(table) as batch:
            batch.drop_column(column)
    op.drop_table("placement_groups")


DEDICATED = (
    ("hosts", "total_dedicated"),
    ("hosts", "used_dedicated"),
    ("claims", "dedicated"),
)
"""Counts of whole CPUs; what was there before has none."""
