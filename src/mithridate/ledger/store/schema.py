"""Making the tables, and telling whether a database has those that this program knows."""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import Connection, inspect, text

from mithridate.errors import UserError

REVISION = "0001"
"""The newest migration."""


def migrate(connection: Connection) -> None:
    """Bring the tables to the newest form, inside the caller's transaction."""
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations").replace("%", "%%"))
    config.attributes["connection"] = connection
    command.upgrade(config, "head")


def revision(connection: Connection) -> str | None:
    """The migration that the database stands at, None when it holds no ledger."""
    if not inspect(connection).has_table("alembic_version"):
        return None
    found: str | None = connection.execute(text("SELECT version_num FROM alembic_version")).scalar()
    return found


def check_revision(found: str | None) -> None:
    """Raises UserError unless the tables are of the form that this program knows."""
    if found is None:
        raise UserError("the database holds no ledger: make one with  mithridate ledger init")
    if found > REVISION:
        raise UserError(f"the database is of the form {found}, newer than this program's {REVISION}: use a newer one")
    if found < REVISION:
        raise UserError(f"the database is of the older form {found}: run  mithridate ledger upgrade")
