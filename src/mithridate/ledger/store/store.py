"""Questions to the database and the one way to add to it."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import asdict, astuple
from typing import Any

from sqlalchemy import Connection, Executable, Select, delete, func, insert, select
from sqlalchemy.engine import URL

from mithridate.errors import UserError
from mithridate.ledger.store import statements, tables
from mithridate.ledger.store.driver import insert_rows, run
from mithridate.ledger.store.engine import connect, reading, writing
from mithridate.ledger.store.rows import Batch, Device, Endorsement, EntryRow, Head
from mithridate.ledger.store.schema import check_revision, migrate, revision
from mithridate.ledger.store.tables import Lookup

CHUNK = 1000
"""Rows read at a time, so that memory does not grow with the log."""


class Conflict(Exception):
    """Another writer moved the head between our reading and our writing of it."""


class Store:
    """The tables of one ledger.  Every method raises DatabaseError when the database does not answer."""

    def __init__(self, url: URL) -> None:
        self._engine = connect(url)

    def close(self) -> None:
        """Let go of all connections."""
        self._engine.dispose()

    def create(self, head: Head) -> Head:
        """Make the tables and an empty log, unless they are there; the head as it then stands."""
        with self.writing() as connection:
            migrate(connection)
            found = connection.execute(statements.HEAD).one_or_none()
            if found is None:
                connection.execute(insert(tables.head), [_head_values(head) | {"id": 1}])
            return _read_head(connection, statements.HEAD)

    def upgrade(self) -> None:
        """Bring the tables of an older program to this one's form."""
        with self.writing() as connection:
            migrate(connection)

    def check(self) -> None:
        """Raises UserError unless the tables are there, in this program's form."""
        with self.reading() as connection:
            check_revision(revision(connection))

    def reading(self) -> AbstractContextManager[Connection]:
        """A transaction to ask several questions in."""
        return reading(self._engine)

    def writing(self) -> AbstractContextManager[Connection]:
        """A transaction to write in; begin it with `lock_head`."""
        return writing(self._engine)

    def head(self) -> Head:
        """The head as last committed."""
        with self.reading() as connection:
            return _read_head(connection, statements.HEAD)

    def lock_head(self, connection: Connection) -> Head:
        """The head, which no other writer changes until this transaction ends."""
        return _read_head(connection, statements.LOCK_HEAD)

    def head_size(self, connection: Connection) -> int:
        """How many entries there are, as this transaction sees it."""
        size: int = connection.execute(statements.HEAD_SIZE).scalar_one()
        return size

    def append(self, connection: Connection, old: Head, new: Head, batch: Batch) -> None:
        """Add a batch and move the head from `old` to `new`.  Raises Conflict when the head is not `old`."""
        insert_rows(connection, tables.entries, batch.entries)
        lookups = sorted((int(kind), key, position) for kind, key, position in batch.lookups)  # as the table is
        insert_rows(connection, tables.lookups, lookups)
        insert_rows(connection, tables.salts, batch.salts)
        insert_rows(connection, tables.revocations, batch.revocations)
        insert_rows(connection, tables.devices, [astuple(device) for device in batch.new_devices])
        for device in batch.changed_devices.values():
            run(
                connection,
                statements.CHANGE_DEVICE,
                changed=device.number,
                following=device.following,
                revoked=device.revoked,
            )
        moved = run(connection, statements.MOVE_HEAD, **_head_values(new), old_size=old.size, old_root=old.root)
        if moved.rowcount != 1:
            raise Conflict

    def devices(self, connection: Connection, ids: Collection[bytes]) -> dict[bytes, Device]:
        """The rows of these devices, by ID; those not enrolled are absent."""
        rows: Iterable[Sequence[Any]]
        if len(ids) == 1:  # as for every lone entry, which a list would make wait to be spelled out
            rows = run(connection, statements.DEVICE, id=next(iter(ids)))
        else:
            rows = connection.execute(statements.DEVICES, {"ids": list(ids)})
        return {device.device: device for device in map(_device, rows)}

    def all_devices(self, connection: Connection) -> list[Device]:
        """Every device, in the order of enrolment."""
        return [_device(row) for row in run(connection, statements.ALL_DEVICES)]

    def count_devices(self, connection: Connection) -> int:
        """How many devices were ever enrolled."""
        return connection.execute(select(func.count()).select_from(tables.devices)).scalar_one()

    def entry(self, connection: Connection, position: int) -> EntryRow | None:
        """The row of an entry."""
        return _entry(connection, statements.ENTRY, position=position)

    def entry_of(self, connection: Connection, device: int, sequence: int) -> EntryRow | None:
        """The row of a device's record, by the device's number here and the record's sequence number."""
        return _entry(connection, statements.ENTRY_OF, device=device, sequence=sequence)

    def position_of(self, connection: Connection, leaf: bytes) -> int | None:
        """The index of the entry with this leaf hash."""
        position: int | None = connection.execute(statements.POSITION_OF, {"leaf": leaf}).scalar()
        return position

    def entries(self, begin: int, end: int) -> Iterator[EntryRow]:
        """Rows of the entries begin..end-1 in order, a chunk in memory at a time; absent ones are left out."""
        while begin < end:
            stop = min(begin + CHUNK, end)
            where = (tables.entries.c.position >= begin, tables.entries.c.position < stop)
            with self.reading() as connection:
                rows = connection.execute(select(tables.entries).where(*where).order_by(tables.entries.c.position))
                chunk = [EntryRow(*row) for row in rows]
            yield from chunk
            begin = stop

    def find(self, connection: Connection, kind: Lookup, key: bytes, limit: int | None = None) -> list[int]:
        """Indices of the records under a lookup's key, the newest first."""
        values = {"kind": int(kind), "key": key}
        if limit is None:
            return list(connection.execute(statements.FIND, values).scalars())
        return list(connection.execute(statements.FIND_NEWEST, values | {"most": limit}).scalars())

    def find_first(self, connection: Connection, kind: Lookup, keys: Collection[bytes]) -> dict[bytes, int]:
        """For each key that has records, the lowest index of one."""
        first: dict[bytes, int] = {}
        if len(keys) == 1:
            (key,) = keys
            row = run(connection, statements.FIND_OLDEST, kind=int(kind), key=key).fetchone()
            return {} if row is None else {key: row[0]}
        for key, position in connection.execute(statements.FIND_FIRST, {"kind": int(kind), "keys": list(keys)}):
            first.setdefault(key, position)
        return first

    def find_time(self, connection: Connection, begin: int, end: int) -> list[int]:
        """Indices of the records that state a time in [begin, end), ascending."""
        where = (tables.entries.c.time >= begin, tables.entries.c.time < end)
        query = select(tables.entries.c.position).where(*where).order_by(tables.entries.c.position)
        return list(connection.execute(query).scalars())

    def lookups_present(
        self, connection: Connection, wanted: Collection[tuple[int, bytes, int]]
    ) -> set[tuple[int, bytes, int]]:
        """Those of the lookups (kind, key, index) that are there."""
        rows = connection.execute(statements.LOOKUPS_PRESENT, {"wanted": list(wanted)})
        return {(kind, key, position) for kind, key, position in rows}

    def count_lookups(self, connection: Connection) -> dict[int, int]:
        """How many lookups of each kind there are."""
        kind = tables.lookups.c.kind
        return dict(_pairs(connection, select(kind, func.count()).group_by(kind)))

    def salt(self, connection: Connection, position: int) -> bytes | None:
        """The salt of an entry."""
        salt: bytes | None = connection.execute(statements.SALT, {"position": position}).scalar()
        return salt

    def salts(self, connection: Connection, positions: Collection[int]) -> dict[int, bytes]:
        """The salts of these entries, those that have one."""
        where = tables.salts.c.position.in_(positions)
        query = select(tables.salts.c.position, tables.salts.c.salt).where(where)
        return dict(_pairs(connection, query))

    def revocation(self, connection: Connection, target: bytes) -> int | None:
        """The index at which a device's ID or an entry's leaf hash was revoked."""
        position: int | None = connection.execute(statements.REVOCATION, {"target": target}).scalar()
        return position

    def revocations(self, connection: Connection) -> dict[bytes, int]:
        """Every revoked target and the index at which it was."""
        query = select(tables.revocations.c.target, tables.revocations.c.position)
        return dict(_pairs(connection, query))

    def endorse(self, connection: Connection, endorsement: Endorsement) -> None:
        """Keep an endorsement in place of the former one of the same size."""
        connection.execute(delete(tables.endorsements).where(tables.endorsements.c.size == endorsement.size))
        connection.execute(insert(tables.endorsements), [asdict(endorsement)])

    def endorsement(self, connection: Connection, size: int | None = None) -> Endorsement | None:
        """The endorsement of the checkpoint of this size, by default the newest."""
        if size is None:
            row = connection.execute(statements.NEWEST_ENDORSEMENT).one_or_none()
        else:
            row = connection.execute(statements.ENDORSEMENT, {"stated": size}).one_or_none()
        return None if row is None else Endorsement(*row)


def _pairs(connection: Connection, query: Select[Any]) -> Iterator[tuple[Any, Any]]:
    for row in connection.execute(query):
        yield row[0], row[1]


def _entry(connection: Connection, query: Executable, **values: int) -> EntryRow | None:
    row = connection.execute(query, values).one_or_none()
    return None if row is None else EntryRow(*row)


def _read_head(connection: Connection, query: Executable) -> Head:
    row = run(connection, query).fetchone()
    if row is None:
        raise UserError("the database holds no ledger: make one with  mithridate ledger init")
    _, origin, size, root, peaks, checkpoint = row
    return Head(origin, size, root, Head.unpack_peaks(peaks), checkpoint)


def _device(row: Sequence[Any]) -> Device:
    number, device, enrolled, following, is_operator, revoked = row
    return Device(number, device, enrolled, following, bool(is_operator), revoked)


def _head_values(head: Head) -> dict[str, Any]:
    return {
        "origin": head.origin,
        "size": head.size,
        "root": head.root,
        "peaks": head.packed_peaks(),
        "checkpoint": head.checkpoint,
    }
