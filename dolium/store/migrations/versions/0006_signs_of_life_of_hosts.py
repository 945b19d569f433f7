"""Signs of life of hosts."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    """Forward."""
    with op.batch_alter_table("hosts", schema=None) as batch_op:
        batch_op.add_column(sa.Column("beat", sa.BigInteger(), server_default="0", nullable=False))
        batch_op.add_column(sa.Column("heard_at", sa.Double(), nullable=True))
        batch_op.add_column(sa.Column("lease_s", sa.Integer(), server_default="0", nullable=False))
        for name in ("silent", "held", "forced_down"):
            batch_op.add_column(
                sa.Column(name, sa.Boolean(), server_default=sa.false(), nullable=False)
            )
        batch_op.add_column(sa.Column("forced_beat", sa.BigInteger(), nullable=True))
        batch_op.add_column(sa.Column("silent_at", sa.Double(), nullable=True))
        batch_op.add_column(sa.Column("proof", sa.String(length=255), nullable=True))


def downgrade() -> None:
    """Back."""
    with op.batch_alter_table("hosts", schema=None) as batch_op:
        for name in (
            "proof",
            "forced_beat",
            "forced_down",
            "held",
            "silent_at",
            "silent",
            "lease_s",
        ):
            batch_op.drop_column(name)
        batch_op.drop_column("heard_at")
        batch_op.drop_column("beat")
