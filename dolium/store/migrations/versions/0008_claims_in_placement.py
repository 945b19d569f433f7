"""Claims that Placement knows of, and what is to be settled with it."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    """Forward."""
    with op.batch_alter_table("claims", schema=None) as batch_op:
        batch_op.add_column(sa.Column("consumer", sa.String(length=36), nullable=True))
    with op.batch_alter_table("containers", schema=None) as batch_op:
        batch_op.add_column(
            sa.Column("claims_ended", sa.Integer(), server_default="0", nullable=False)
        )
    op.create_table(
        "settlements",
        sa.Column("consumer", sa.String(length=36), nullable=False),
        sa.Column("container_uuid", sa.String(length=36), nullable=False),
        sa.Column("turn", sa.BigInteger(), nullable=False),
        sa.Column("settled_at", sa.Double(), nullable=True),
        sa.PrimaryKeyConstraint("consumer"),
    )
    with op.batch_alter_table("settlements", schema=None) as batch_op:
        batch_op.create_index("ix_settlements_settled", ["settled_at"], unique=False)


def downgrade() -> None:
    """Back. What Placement was told stays there."""
    op.drop_table("settlements")
    with op.batch_alter_table("containers", schema=None) as batch_op:
        batch_op.drop_column("claims_ended")
    with op.batch_alter_table("claims", schema=None) as batch_op:
        batch_op.drop_column("consumer")
