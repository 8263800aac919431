"""Checking the database's entries, in order, and the tables that follow from them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

from sqlalchemy import Connection

from mithridate.ledger import merkle
from mithridate.ledger.entry import open_entry, read_entry
from mithridate.ledger.errors import EvidenceError
from mithridate.ledger.identity import DeviceIdentity
from mithridate.ledger.merkle import Frontier
from mithridate.ledger.record import Enrolment, Record, Revocation
from mithridate.ledger.rules import OPERATOR_MODEL
from mithridate.ledger.sealed import SALT_SIZE
from mithridate.ledger.store.rows import Device, EntryRow
from mithridate.ledger.store.store import CHUNK, Store
from mithridate.ledger.store.tables import Lookup
from mithridate.ledger.submission import fingerprint_of, public_keys

Add = Callable[[int | None, str], None]

_PUBLIC = (Lookup.FILE, Lookup.STREAM, Lookup.PIXELS)


class EntryCheck:
    """Takes the rows one by one, and says through `add` what is wrong with them."""

    def __init__(self, store: Store, size: int, add: Add) -> None:
        self._store = store
        self._end = size
        self._add = add
        self.count = 0
        self.size = 0
        self.is_contiguous = True
        self._frontier = Frontier()
        self._identities: dict[bytes, DeviceIdentity] = {}
        self._devices: dict[bytes, Device] = {}
        self._revocations: dict[bytes, int] = {}
        self._lookups: set[tuple[int, bytes, int]] = set()
        self._counts: Counter[int] = Counter()
        self._images: list[int] = []

    @property
    def is_chunk_full(self) -> bool:
        """Whether enough rows were taken to check what the other tables say of them."""
        return self.count % CHUNK == 0

    def root(self) -> bytes:
        """The root over the entries taken."""
        return self._frontier.root()

    def take(self, row: EntryRow) -> None:
        """Check one entry by itself and against those before it."""
        if row.position != self.size:
            self._add(self.size, f"entry {self.size} is missing from the database")
            self.is_contiguous = False
        self.size = row.position + 1
        self.count += 1
        leaf = merkle.leaf_hash(row.entry)
        self._frontier.append(leaf)
        if leaf != row.leaf:
            self._add(row.position, f"entry {row.position} was changed: it does not hash to its leaf in the database")
        try:
            record = self._open(row)
        except EvidenceError as error:
            self._add(row.position, f"entry {row.position} does not hold: {error}")
            return
        self._check_device(row, record)
        if isinstance(record.body, Revocation):
            self._revocations[record.body.target] = row.position
            target = self._devices.get(record.body.target)
            if target is not None:
                target.revoked = row.position
        fingerprint = fingerprint_of(record)
        if fingerprint is not None:
            keys = public_keys(fingerprint)
            self._lookups.update((int(kind), key, row.position) for kind, key in keys)
            self._counts.update(int(kind) for kind, _ in keys)
            self._images.append(row.position)

    def flush(self) -> None:
        """Check the lookups and the salts of the entries taken since the last time."""
        with self._store.reading() as connection:
            missing = self._lookups - self._store.lookups_present(connection, self._lookups)
            salts = self._store.salts(connection, self._images)
        for kind, _, position in sorted(missing):
            self._add(position, f"entry {position} cannot be found by its {Lookup(kind).name.lower()}: its row is gone")
        for position, salt in salts.items():
            if len(salt) != SALT_SIZE:
                self._add(position, f"the salt of entry {position} has {len(salt)} bytes instead of {SALT_SIZE}")
        self._lookups.clear()
        self._images.clear()

    def finish(self) -> None:
        """Check the tables that the entries as a whole lead to, if all of those are there and none were added since."""
        if not self.is_contiguous or self.size < self._end:
            return
        with self._store.reading() as connection:
            if self._store.head_size(connection) != self._end:
                return
            self._check_tables(connection)

    def _check_tables(self, connection: Connection) -> None:
        rows = {device.device: device for device in self._store.all_devices(connection)}
        for device in sorted({*rows, *self._devices}):
            if rows.get(device) != self._devices.get(device):
                expected = self._devices.get(device) or rows[device]
                self._add(
                    expected.enrolled, f"the row of the device {device.hex()[:16]} is not what the entries say of it"
                )
        revoked = self._store.revocations(connection)
        for target in sorted({*revoked, *self._revocations}):
            if revoked.get(target) != self._revocations.get(target):
                position = self._revocations.get(target)
                self._add(position, f"the revocation of {target.hex()[:16]} is not what the entries say of it")
        counts = self._store.count_lookups(connection)
        for kind in _PUBLIC:
            if counts.get(kind, 0) > self._counts[kind]:
                self._add(None, f"the table of lookups holds more by {kind.name.lower()} than there are records")

    def _open(self, row: EntryRow) -> Record:
        """The record, its signature checked by the identity that an entry before it, or it itself, enrolled."""
        record = read_entry(row.entry)[0]
        body = record.body
        identity = self._identities.get(record.device)
        if identity is None and isinstance(body, Enrolment) and body.identity.device_id == record.device:
            identity = body.identity
        if identity is None:
            raise EvidenceError(f"its device {record.device.hex()[:16]} was not enrolled before it")
        open_entry(row.entry, identity)
        if isinstance(body, Enrolment):
            self._enroll(row.position, record, body.identity)
        return record

    def _enroll(self, position: int, record: Record, identity: DeviceIdentity) -> None:
        signer = self._devices.get(record.device)
        by_operator = signer.is_operator if signer is not None else position == 0
        if identity.device_id in self._devices:
            self._add(position, f"entry {position} enrolls the device {identity.name!r} a second time")
            return
        self._identities[identity.device_id] = identity
        self._devices[identity.device_id] = Device(
            len(self._devices),
            identity.device_id,
            position,
            is_operator=by_operator and identity.model == OPERATOR_MODEL,
        )

    def _check_device(self, row: EntryRow, record: Record) -> None:
        device = self._devices[record.device]
        if device.revoked is not None:
            self._add(row.position, f"entry {row.position} is of a device that entry {device.revoked} had revoked")
        if record.sequence != device.following:
            self._add(
                row.position,
                f"entry {row.position} is record {record.sequence} of its device, after {device.following} records",
            )
        if (row.device, row.sequence, row.time) != (device.number, record.sequence, record.time):
            self._add(row.position, f"the columns of entry {row.position} are not what its record says")
        device.following = record.sequence + 1
