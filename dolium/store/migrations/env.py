"""What alembic runs: one connection, every migration in one transaction where there is such a thing
(MariaDB commits each change of a table by itself).
"""

from __future__ import annotations

from typing import Any

from alembic import context
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.schema import CreateTable

from dolium.store.schema import metadata


@compiles(CreateTable, "mariadb")
def _create_table(element: CreateTable, compiler: Any, **kwargs: Any) -> str:
    """Names differ in case and in blanks at their end, as they do in every other database."""
    text: str = compiler.visit_create_table(element, **kwargs)
    return f"{text.rstrip()} ENGINE=InnoDB CHARACTER SET utf8mb4 COLLATE utf8mb4_nopad_bin"


context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    render_as_batch=True,
)
with context.begin_transaction():
    context.run_migrations()
