"""Who is enrolled: identities by ID, which never change once they are in the log, so they may be remembered."""

from __future__ import annotations

import threading
from collections import OrderedDict

from mithridate.ledger.entry import read_entry
from mithridate.ledger.errors import RecordError
from mithridate.ledger.identity import DeviceIdentity
from mithridate.ledger.receipt import LedgerRefusal
from mithridate.ledger.record import Enrolment
from mithridate.ledger.store.rows import Device
from mithridate.ledger.store.store import Store

CACHED_IDENTITIES = 4096


class Registry:
    """The log's devices."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._known: OrderedDict[bytes, DeviceIdentity] = OrderedDict()
        self._lock = threading.Lock()

    def identity(self, device: bytes) -> DeviceIdentity:
        """The identity with this ID.  Raises LedgerRefusal when it is not enrolled."""
        with self._lock:
            if device in self._known:
                self._known.move_to_end(device)
                return self._known[device]
        row = self.device(device)
        if row is None:
            raise LedgerRefusal(f"the device {device.hex()[:16]} is not enrolled: enroll it first")
        identity = self._read(row)
        with self._lock:
            self._known[device] = identity
            if len(self._known) > CACHED_IDENTITIES:
                self._known.popitem(last=False)
        return identity

    def device(self, device: bytes) -> Device | None:
        """The row of a device as it stands now."""
        with self._store.reading() as connection:
            return self._store.devices(connection, [device]).get(device)

    def following(self, device: bytes) -> int:
        """The sequence number of the device's next record.  Raises LedgerRefusal when it is not enrolled."""
        row = self.device(device)
        if row is None:
            raise LedgerRefusal(f"the device {device.hex()[:16]} is not enrolled: enroll it first")
        return row.following

    def all(self) -> list[tuple[Device, DeviceIdentity]]:
        """Every device ever enrolled, in order."""
        with self._store.reading() as connection:
            rows = self._store.all_devices(connection)
        return [(row, self._read(row)) for row in rows]

    def _read(self, row: Device) -> DeviceIdentity:
        with self._store.reading() as connection:
            found = self._store.entry(connection, row.enrolled)
        body = read_entry(found.entry)[0].body if found is not None else None
        if not isinstance(body, Enrolment) or body.identity.device_id != row.device:
            raise RecordError(
                f"entry {row.enrolled} does not enroll the device {row.device.hex()[:16]}, as the database says: run  "
                f"mithridate ledger fsck"
            )
        return body.identity
