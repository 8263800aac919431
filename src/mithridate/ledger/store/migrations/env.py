"""How alembic reaches the database: over the connection that `schema.migrate` hands it."""

from __future__ import annotations

from alembic import context

from mithridate.ledger.store.tables import metadata

context.configure(connection=context.config.attributes["connection"], target_metadata=metadata)
context.run_migrations()
