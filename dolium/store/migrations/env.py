"""What alembic runs: one connection, every migration in one transaction."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import context

from dolium.store.schema import metadata

engine = sa.create_engine(context.config.get_main_option("sqlalchemy.url") or "")
with engine.begin() as connection:
    context.configure(connection=connection, target_metadata=metadata, render_as_batch=True)
    with context.begin_transaction():
        context.run_migrations()
engine.dispose()
