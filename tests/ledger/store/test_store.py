"""The tables: as the migrations make them, durable by their settings, and moved by one writer at a time."""

from __future__ import annotations

import dataclasses
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import text
from sqlalchemy.engine import URL, make_url

from ledger.samples import digest
from mithridate.errors import UserError
from mithridate.ledger.merkle import EMPTY_ROOT, tree_root
from mithridate.ledger.store.engine import DatabaseError, parse_url
from mithridate.ledger.store.rows import Batch, Device, Endorsement, EntryRow, Head
from mithridate.ledger.store.schema import REVISION, check_revision, revision
from mithridate.ledger.store.store import CHUNK, Conflict, Store
from mithridate.ledger.store.tables import Lookup, metadata

EMPTY = Head("log", 0, EMPTY_ROOT, (), b"note")


@pytest.fixture
def url(database: str | None, tmp_path: Path) -> URL:
    return parse_url(database) if database else URL.create("sqlite", database=str(tmp_path / "log.db"))


@pytest.fixture
def store(url: URL) -> Iterator[Store]:
    made = Store(url)
    made.create(EMPTY)
    yield made
    made.close()


def rows(begin: int, end: int) -> Batch:
    entries = [EntryRow(n, digest("leaf", n), 0, n, 100 - n, b"entry %d" % n) for n in range(begin, end)]
    return Batch(entries, [(Lookup.FILE, b"k" * 16, row.position) for row in entries], [(begin, b"s" * 32)])


def extended(old: Head, batch: Batch) -> Head:
    frontier = old.frontier()
    for row in batch.entries:
        frontier.append(row.leaf)
    return Head("log", frontier.size, frontier.root(), tuple(frontier.peaks), b"note %d" % frontier.size)


def append(store: Store, old: Head, batch: Batch) -> Head:
    new = extended(old, batch)
    with store.writing() as connection:
        assert store.lock_head(connection) == old
        store.append(connection, old, new, batch)
    return new


def test_migrations_make_the_tables_that_the_program_uses(store: Store) -> None:
    with store.writing() as connection:
        assert compare_metadata(MigrationContext.configure(connection), metadata) == []
        assert revision(connection) == REVISION
    store.check()


def test_what_is_appended_is_read_back(store: Store) -> None:
    batch = rows(0, CHUNK + 7)
    batch.new_devices.append(Device(0, b"d" * 32, 0, following=3, is_operator=True))
    batch.revocations.append((b"t" * 32, 5))
    head = append(store, EMPTY, batch)
    assert store.head() == head
    assert head.root == tree_root(row.leaf for row in batch.entries)
    assert list(store.entries(0, head.size)) == batch.entries
    assert list(store.entries(CHUNK - 1, CHUNK + 1)) == batch.entries[CHUNK - 1 : CHUNK + 1]
    with store.reading() as connection:
        assert store.entry(connection, 3) == batch.entries[3]
        assert store.entry_of(connection, 0, 4) == batch.entries[4]
        assert store.position_of(connection, batch.entries[5].leaf) == 5
        assert store.find(connection, Lookup.FILE, b"k" * 16, 3) == [CHUNK + 6, CHUNK + 5, CHUNK + 4]
        assert store.find_first(connection, Lookup.FILE, [b"k" * 16, b"x" * 16]) == {b"k" * 16: 0}
        assert store.find_time(connection, 90, 93) == [8, 9, 10]
        assert (store.salt(connection, 0), store.salt(connection, 1)) == (b"s" * 32, None)
        for ids in ([b"d" * 32], [b"d" * 32, b"e" * 32]):
            assert store.devices(connection, ids) == {b"d" * 32: batch.new_devices[0]}
        assert store.devices(connection, [b"e" * 32]) == store.devices(connection, []) == {}
        assert store.revocation(connection, b"t" * 32) == 5
        assert store.entry(connection, head.size) is None


@pytest.mark.parametrize("count", [1, 2, 3, 4, 7, 15, 255, 257])
def test_any_number_of_rows_is_inserted(store: Store, count: int) -> None:
    batch = rows(0, count)
    batch.lookups = [(Lookup.NAME, digest(number)[:16], number) for number in range(count)]
    head = append(store, EMPTY, batch)
    assert list(store.entries(0, head.size)) == batch.entries
    with store.reading() as connection:
        wanted = [(int(kind), key, position) for kind, key, position in batch.lookups]
        assert store.lookups_present(connection, wanted) == set(wanted)
        assert store.count_lookups(connection) == {Lookup.NAME: count}


def test_a_device_is_changed_in_place(store: Store) -> None:
    device = Device(0, b"d" * 32, 0)
    head = append(store, EMPTY, Batch(new_devices=[device], entries=rows(0, 1).entries))
    changed = dataclasses.replace(device, following=9, revoked=4)
    append(store, head, Batch(entries=rows(1, 2).entries, changed_devices={0: changed}))
    with store.reading() as connection:
        assert store.all_devices(connection) == [changed]


def test_the_head_moves_only_from_where_the_writer_saw_it(store: Store) -> None:
    first = append(store, EMPTY, rows(0, 2))
    with pytest.raises(Conflict), store.writing() as connection:
        store.append(connection, EMPTY, extended(EMPTY, rows(2, 3)), rows(2, 3))
    assert store.head() == first
    assert len(list(store.entries(0, 10))) == 2, "the transaction of the loser left rows behind"


def test_a_second_writer_waits_for_the_first(store: Store, url: URL) -> None:
    other = Store(url)
    steps = []

    def write() -> None:
        with other.writing() as connection:
            steps.append(other.lock_head(connection).size)

    with store.writing() as connection:
        old = store.lock_head(connection)
        thread = threading.Thread(target=write)
        thread.start()
        thread.join(0.2)
        assert steps == []
        store.append(connection, old, extended(old, rows(0, 3)), rows(0, 3))
    thread.join(20)
    other.close()
    assert steps == [3]


def test_a_failed_transaction_leaves_nothing(store: Store) -> None:
    def write(end: str) -> None:
        with store.writing() as connection:
            store.append(connection, EMPTY, extended(EMPTY, rows(0, 3)), rows(0, 3))
            connection.execute(text(end))
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        write("SELECT 1")
    with pytest.raises(DatabaseError):
        write("INSERT INTO nowhere VALUES (1)")
    assert store.head() == EMPTY
    assert list(store.entries(0, 10)) == []


def test_committed_means_on_disk(store: Store, url: URL) -> None:
    with store.writing() as connection:
        if url.get_backend_name() == "sqlite":
            assert connection.execute(text("PRAGMA journal_mode")).scalar() == "wal"
            assert connection.execute(text("PRAGMA synchronous")).scalar() == 2
        else:
            assert connection.execute(text("SHOW synchronous_commit")).scalar() == "on"


def test_endorsements_are_kept_by_size(store: Store) -> None:
    for endorsement in (Endorsement(7, b"a"), Endorsement(9, b"b", b"t"), Endorsement(7, b"c")):
        with store.writing() as connection:
            store.endorse(connection, endorsement)
    with store.reading() as connection:
        assert store.endorsement(connection) == Endorsement(9, b"b", b"t")
        assert store.endorsement(connection, 7) == Endorsement(7, b"c")
        assert store.endorsement(connection, 8) is None


def test_creating_again_changes_nothing(store: Store) -> None:
    head = append(store, EMPTY, rows(0, 2))
    assert store.create(EMPTY) == head == store.head()


@pytest.mark.parametrize("found", [None, "0000", "9999"])
def test_other_forms_of_the_tables_are_refused(found: str | None) -> None:
    with pytest.raises(UserError, match=r"no ledger|older form|newer than"):
        check_revision(found)


def test_an_empty_database_is_no_ledger(url: URL) -> None:
    store = Store(url)
    with pytest.raises(UserError, match="holds no ledger"):
        store.check()
    store.close()


@pytest.mark.parametrize("url", ["mysql://localhost/x", "sqlite:///x.db", "no url", ""])
def test_other_databases_are_refused(url: str) -> None:
    with pytest.raises(UserError, match="postgresql://"):
        parse_url(url)


def test_a_password_is_not_shown() -> None:
    store = Store(make_url("postgresql+psycopg://me:secret@127.0.0.1:1/none"))
    with pytest.raises(DatabaseError) as caught:
        store.head()
    assert "secret" not in str(caught.value)
    store.close()
