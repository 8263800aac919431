"""Starting a ledger, and telling whether one stands where it should."""

from __future__ import annotations

from mithridate.errors import UserError
from mithridate.ledger.checkpoint import Checkpoint
from mithridate.ledger.folder import LedgerFolder
from mithridate.ledger.identity import DeviceIdentity
from mithridate.ledger.publishing import RollbackError
from mithridate.ledger.rules import OPERATOR_MODEL
from mithridate.ledger.station import Station
from mithridate.ledger.store.store import Store
from mithridate.ledger.tiles import CHECKPOINT_PATH
from mithridate.ledger.view import LogView
from mithridate.ledger.writing import Appender, empty_head

OPERATOR = "operator"


def start(folder: LedgerFolder, store: Store, appender: Appender) -> Station:
    """Make the tables, an empty log and its operator, who is to be enrolled by entry 0.

    Raises UserError when a log was begun here or in the database, unless it was cut short before its first entry.
    """
    if (folder.tiles / CHECKPOINT_PATH).exists():
        raise UserError(f"{folder.path} holds the ledger {folder.origin!r} already: name another folder")
    operators = folder.operators()
    if OPERATOR not in operators.names():
        operators.prepare(DeviceIdentity(OPERATOR, folder.origin, OPERATOR_MODEL, "", "", bytes(32)))
        operators.settle(OPERATOR)
    found = store.create(appender.sign(empty_head(folder.origin)))
    if found.size or not appender.is_own(found):
        raise UserError(
            f"the database holds the ledger {found.origin!r} already, with {found.size} entries: name another database"
        )
    return operators.load(OPERATOR)


def check_not_behind(view: LogView, seen: Checkpoint) -> None:
    """Raises RollbackError unless the log extends a checkpoint of it that someone else has seen."""
    if seen.size > view.size:
        raise RollbackError(
            f"a witness has seen {seen.size} entries of this log, which now holds {view.size}: it was put back to an "
            f"earlier state; restore a newer copy of its database"
        )
    if view.root_at(seen.size) != seen.root:
        raise RollbackError(f"a witness has seen other {seen.size} entries of this log than it holds: it was forked")
