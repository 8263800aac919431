"""Making proof bundles."""

from __future__ import annotations

from collections.abc import Callable

from sqlalchemy import Connection

from mithridate.errors import UserError
from mithridate.ledger.bundle import Membership, ProofBundle
from mithridate.ledger.checkpoint import Checkpoint
from mithridate.ledger.entry import read_entry
from mithridate.ledger.errors import EvidenceError
from mithridate.ledger.note import NoteSigner
from mithridate.ledger.record import Derivation, Record
from mithridate.ledger.status import Status
from mithridate.ledger.store.rows import EntryRow
from mithridate.ledger.store.store import Store
from mithridate.ledger.view import LogView


class Prover:
    """Proves entries under the newest checkpoint, or under one that witnesses signed when that says as much."""

    def __init__(
        self,
        store: Store,
        signer: NoteSigner,
        view: Callable[[int], LogView],
        view_of: Callable[[bytes], LogView],
    ) -> None:
        """`view` gives a view of at least so many entries, `view_of` one of a checkpoint of this log."""
        self._store = store
        self._signer = signer
        self._view = view
        self._view_of = view_of

    def prove(self, index: int, *, with_salt: bool) -> ProofBundle:
        """The bundle of entry `index`.  Raises UserError when there is no such entry."""
        with self._store.reading() as connection:
            row = self._store.entry(connection, index)
            if row is None:
                raise UserError(f"the log has no entry {index}: entries are counted from 0")
            record = read_entry(row.entry)[0]
            device = self._store.devices(connection, [record.device]).get(record.device)
            if device is None:
                raise EvidenceError(f"the device of entry {index} is not enrolled: run  mithridate ledger fsck")
            enrolment = self._row(connection, device.enrolled)
            revoked = find_revocation(self._store, connection, row, record)
            revocation = None if revoked is None else self._row(connection, revoked)
            endorsement = self._store.endorsement(connection)
            salt = self._store.salt(connection, index) if with_salt else None
        least = max(index, -1 if revoked is None else revoked) + 1
        timestamp = None
        if endorsement is not None and endorsement.size >= least:
            view, timestamp = self._view_of(endorsement.checkpoint), endorsement.timestamp
        else:
            view = self._view(least)
        return ProofBundle(
            record=_membership(view, row),
            enrolment=_membership(view, enrolment),
            checkpoint=view.note,
            status=self._status(view.checkpoint, row.leaf, revoked),
            revocation=None if revocation is None else _membership(view, revocation),
            salt=salt,
            timestamp=timestamp,
        )

    def _row(self, connection: Connection, index: int) -> EntryRow:
        row = self._store.entry(connection, index)
        if row is None:
            raise EvidenceError(f"entry {index} is missing from the database: run  mithridate ledger fsck")
        return row

    def _status(self, checkpoint: Checkpoint, leaf: bytes, revoked: int | None) -> bytes:
        plain = Checkpoint(checkpoint.origin, checkpoint.size, checkpoint.root)
        return Status(plain, leaf, revoked).sign(self._signer)


def _membership(view: LogView, row: EntryRow) -> Membership:
    return Membership(row.position, row.entry, view.prove(row.position, row.entry))


def find_revocation(store: Store, connection: Connection, row: EntryRow, record: Record) -> int | None:
    """The entry that revoked a record, its device before it was logged, or a record that it was derived from."""
    while True:
        revoked = store.revocation(connection, row.leaf)
        if revoked is not None:
            return revoked
        by_device = store.revocation(connection, record.device)
        if by_device is not None and by_device < row.position:
            return by_device
        if not isinstance(record.body, Derivation):
            return None
        position = store.position_of(connection, record.body.source)
        source = None if position is None else store.entry(connection, position)
        if source is None or source.position >= row.position:
            raise EvidenceError(f"the source of entry {row.position} is not in the log before it")
        row, record = source, read_entry(source.entry)[0]
