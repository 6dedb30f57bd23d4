"""Alembic's entry: runs inside the transaction that the catalog opened."""

from __future__ import annotations

from alembic import context

from emolab.catalog.storage.schema import metadata

context.configure(connection=context.config.attributes["connection"], target_metadata=metadata, render_as_batch=True)
context.run_migrations()
