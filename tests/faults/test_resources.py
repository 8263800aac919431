"""Disks that fill up and servers that go away."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import sqlalchemy

from ledger.databases import PostgreSQL, postgresql
from ledger.samples import ORIGIN, Device, capture, fingerprint
from mithridate.errors import MithridateError, UserError
from mithridate.ledger.log import Ledger, LedgerFailure, Receipt


@pytest.fixture(scope="module")
def server() -> Iterator[PostgreSQL]:
    with postgresql() as running:
        yield running


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 3 MB; only root may mount one."""
    place = tmp_path / "disk"
    place.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=3m", "tmpfs", str(place)]
    if subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("mounting a small file system needs root")
    yield place
    subprocess.run(["umount", str(place)], check=True)


def submit_for_ever(ledger: Ledger, device: Device, receipts: list[Receipt]) -> None:
    while True:
        receipts.append(ledger.submit(device.sign(capture(device.following))))


def test_a_full_disk_loses_nothing_and_heals_when_there_is_room(small_disk: Path) -> None:
    device = Device()
    with Ledger.create(small_disk / "ledger", origin=ORIGIN) as ledger:
        ledger.enroll(device.enrolment())
        ballast = small_disk / "ballast"
        with ballast.open("wb") as stream:
            stream.write(bytes(shutil.disk_usage(small_disk).free - 400_000))
        receipts: list[Receipt] = []
        with pytest.raises(LedgerFailure, match="not confirmed"):
            submit_for_ever(ledger, device, receipts)
        entry = device.sign(capture(device.following - 1), sequence=device.following - 1)  # the one that failed
        assert receipts, "the disk was full before anything was submitted"
        with pytest.raises(LedgerFailure):
            ledger.submit(entry)
        ballast.unlink()
        receipts.append(ledger.submit(entry))
        assert [receipt.index for receipt in receipts] == list(range(2, 2 + len(receipts)))
        assert ledger.fsck().is_clean
    with Ledger.open(small_disk / "ledger") as ledger:
        assert ledger.size == 2 + len(receipts)


def test_a_new_ledger_on_a_full_disk_leaves_a_clear_word(small_disk: Path) -> None:
    ballast = small_disk / "ballast"
    with ballast.open("wb") as stream:
        stream.write(bytes(shutil.disk_usage(small_disk).free - 8192))
    with pytest.raises(MithridateError, match=r"No space left|disk is full|disk I/O error"):
        Ledger.create(small_disk / "ledger", origin=ORIGIN)
    ballast.unlink()
    with Ledger.create(small_disk / "ledger", origin=ORIGIN) as ledger:
        assert ledger.fsck().is_clean


@pytest.mark.parametrize("moment", ["before", "after"])
def test_connections_cut_in_mid_batch_lose_nothing(
    tmp_path: Path, server: PostgreSQL, monkeypatch: pytest.MonkeyPatch, moment: str
) -> None:
    """The server ends the ledger's connection while a batch is in it, before its rows are written or after."""
    url = server.create()
    with Ledger.create(tmp_path / "ledger", origin=ORIGIN, database=url) as ledger, server.connect() as admin:
        ct = ledger.add_station("CT1")
        begin, append, cuts = ledger.size, ledger._store.append, []

        def cut(connection: sqlalchemy.Connection, *arguments: object) -> None:
            backend = connection.execute(sqlalchemy.text("SELECT pg_backend_pid()")).scalar_one()
            is_cut = len(cuts) % 2 == 0
            cuts.append(backend)
            if is_cut and moment == "before":
                admin.execute("SELECT pg_terminate_backend(%s, 10000)", [backend])
            append(connection, *arguments)  # type: ignore[arg-type]
            if is_cut and moment == "after":
                admin.execute("SELECT pg_terminate_backend(%s, 10000)", [backend])

        monkeypatch.setattr(ledger._store, "append", cut)
        with ThreadPoolExecutor(4) as pool:
            receipts = list(
                pool.map(lambda n: ledger.capture_fingerprint(fingerprint(n), "x.dcm", station=ct), range(12))
            )
        assert len(cuts) > 2, "no connection was cut while there was something to lose"
        assert sorted(receipt.index for receipt in receipts) == list(range(begin, begin + 12))
        reader = ledger.reader()
        assert all(reader.leaf(receipt.index) == receipt.leaf for receipt in receipts)
        assert ledger.fsck().is_clean
    server.drop(url)


def test_a_server_that_is_away_is_told_and_waited_for(tmp_path: Path, server: PostgreSQL) -> None:
    """The database refuses connections for a while; what is submitted meanwhile is confirmed when it is back."""
    url = server.create()
    name = sqlalchemy.make_url(url).database
    device = Device()
    with Ledger.create(tmp_path / "ledger", origin=ORIGIN, database=url) as ledger, server.connect() as admin:
        ledger.enroll(device.enrolment())
        ledger.submit(device.sign(capture(0)))
        admin.execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS false")
        admin.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", [name])
        with pytest.raises(LedgerFailure):
            ledger.judge_fingerprint(fingerprint(1))
        future = ledger.submit_later(device.sign(capture(1)))
        assert not future.done()
        admin.execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS true")
        assert future.result(60).index == 3
        assert ledger.fsck().is_clean
    server.drop(url)


def test_a_folder_that_cannot_be_written_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(UserError, match="file"):
        Ledger.create(tmp_path / "file" / "ledger", origin=ORIGIN)
