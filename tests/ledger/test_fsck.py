"""The check of a whole log: silent about a sound one, and naming the entry where one was touched."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from sqlalchemy import text

from ledger.samples import ORIGIN, SALT, Device, capture, fingerprint
from mithridate.ledger.errors import EvidenceError
from mithridate.ledger.folder import LedgerFolder
from mithridate.ledger.fsck import FsckReport, check_ledger, repair_tiles
from mithridate.ledger.log import Ledger
from mithridate.ledger.store.store import Store

ENTRIES = 300  # more than a full tile


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A log with a full tile, a revocation and images of two kinds of submitters."""
    folder = tmp_path_factory.mktemp("fsck") / "ledger"
    with Ledger.create(folder, origin=ORIGIN) as ledger:
        device = Device()
        ledger.enroll(device.enrolment())
        station = ledger.add_station("CT1")
        receipt = ledger.capture_fingerprint(fingerprint(1), "x", station=station)
        ledger.revoke("record", receipt.leaf, "noise")
        futures = [
            ledger.submit_later(device.sign(capture(number)), salt=SALT, identity=fingerprint(number).identity)
            for number in range(10, 10 + ENTRIES - ledger.size)
        ]
        assert futures[-1].result().index == ENTRIES - 1
    return folder


@pytest.fixture
def folder(sound: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(sound, tmp_path / "ledger"))


def check(folder: Path, *, change: str | None = None) -> FsckReport:
    found = LedgerFolder.load(folder)
    store = Store(found.url())
    try:
        if change is not None:
            with store.writing() as connection:
                connection.execute(text(change))
        return check_ledger(found, store)
    finally:
        store.close()


def test_a_new_log_is_clean(ledger: Ledger) -> None:
    told: list[tuple[str, int, int]] = []
    assert ledger.fsck(lambda *progress: told.append(progress)) == FsckReport(1, 1, ())
    assert {"entries", "tiles"} == {what for what, _, _ in told}


def test_a_sound_log_is_clean(sound: Path) -> None:
    assert check(sound) == FsckReport(ENTRIES, ENTRIES, ())


SWAP = "UPDATE entries SET entry = (SELECT entry FROM entries WHERE position = 40) WHERE position = 41"


@pytest.mark.parametrize(
    ("change", "index", "words"),
    [
        ("UPDATE entries SET entry = X'00' WHERE position = 57", 57, "does not hash to its leaf"),
        (SWAP, 41, "does not hash to its leaf"),
        ("UPDATE entries SET leaf = X'00' WHERE position = 258", 258, "does not hash to its leaf"),
        ("DELETE FROM entries WHERE position = 80", 80, "entry 80 is missing"),
        ("DELETE FROM entries WHERE position >= 290", 290, "ends after 290 of 300"),
        ("UPDATE entries SET time = 5 WHERE position = 30", 30, "columns of entry 30"),
        ("UPDATE entries SET sequence = 5000 WHERE position = 31", 31, "columns of entry 31"),
        ("DELETE FROM lookups WHERE position = 99 AND kind = 3", 99, "cannot be found by its pixels"),
        ("INSERT INTO lookups VALUES (1, X'00', 7)", None, "holds more by file"),
        ("UPDATE salts SET salt = X'00' WHERE position = 12", 12, "salt of entry 12"),
        ("DELETE FROM revocations", 4, "the revocation of"),
        ("INSERT INTO revocations VALUES (X'00', 9)", None, "the revocation of"),
        ("UPDATE devices SET following = 3 WHERE number = 2", 2, "the row of the device"),
        ("UPDATE devices SET is_operator = 1 WHERE number = 1", 1, "the row of the device"),
        ("UPDATE head SET size = 299", None, "not what its checkpoint states"),
        ("UPDATE head SET checkpoint = X'00'", None, "checkpoint in the database does not hold"),
    ],
)
def test_a_touched_database_is_named(folder: Path, change: str, index: int | None, words: str) -> None:
    report = check(folder, change=change)
    assert any(words in problem.message for problem in report.problems), report.problems[:3]
    if index is not None:
        assert report.first_bad_index == index


def test_an_entry_signed_by_the_right_device_and_put_in_by_hand_is_found(folder: Path) -> None:
    """Whoever holds a device's key and the database, and not the log's key, changes an entry and its leaf."""
    from mithridate.ledger.entry import read_entry
    from mithridate.ledger.merkle import leaf_hash

    store = Store(LedgerFolder.load(folder).url())
    with store.writing() as connection:
        row = store.entry(connection, 200)
        assert row is not None
        record, _ = read_entry(row.entry)
        forged = Device().sign(capture(7777), sequence=record.sequence, when=record.time)
        connection.execute(
            text("UPDATE entries SET entry = :entry, leaf = :leaf WHERE position = 200"),
            {"entry": forged, "leaf": leaf_hash(forged)},
        )
    store.close()
    report = check(folder)
    assert report.first_bad_index == 200
    assert any("do not lead to the root" in problem.message for problem in report.problems)
    assert any("another in the tiles than in the database" in problem.message for problem in report.problems)


@pytest.mark.parametrize(
    ("path", "damage", "index"),
    [
        ("tile/entries/000", "cut", 0),
        ("tile/entries/000", "changed", 1),
        ("tile/0/000", "changed", 1),
        ("tile/entries/001.p/44", "gone", 256),
        ("tile/0/001.p/44", "cut", 256),
    ],
)
def test_a_damaged_tile_is_named_and_repaired(folder: Path, path: str, damage: str, index: int) -> None:
    file = folder / "tiles" / path
    whole = file.read_bytes()
    file.unlink()
    place = 600 if "entries" in path else 40  # inside entry or hash 1
    if damage != "gone":
        file.write_bytes(
            whole[:-1] if damage == "cut" else whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :]
        )
    report = check(folder)
    assert report.first_bad_index == index, report.problems
    found = LedgerFolder.load(folder)
    store = Store(found.url())
    repair_tiles(found, store)
    store.close()
    assert file.read_bytes() == whole


def test_an_upper_tile_is_checked(folder: Path) -> None:
    file = folder / "tiles" / "tile/1/000.p/1"
    file.write_bytes(bytes([file.read_bytes()[0] ^ 1]) + file.read_bytes()[1:])
    assert any("tile/0/000" in problem.message for problem in check(folder).problems)


@pytest.mark.parametrize("content", [b"", b"garbage", None])
def test_a_damaged_checkpoint_is_told_and_repaired(folder: Path, content: bytes | None) -> None:
    file = folder / "tiles" / "checkpoint"
    whole = file.read_bytes()
    file.unlink()
    if content is not None:
        file.write_bytes(content)
    report = check(folder)
    assert not report.is_clean
    assert "published checkpoint" in report.problems[0].message
    found = LedgerFolder.load(folder)
    store = Store(found.url())
    repair_tiles(found, store)
    store.close()
    assert file.read_bytes() == whole


@pytest.mark.parametrize("change", [SWAP, "DELETE FROM entries WHERE position = 299", "UPDATE head SET root = X'00'"])
def test_good_tiles_are_not_replaced_from_a_bad_database(folder: Path, change: str) -> None:
    before = {path: path.read_bytes() for path in (folder / "tiles").rglob("*") if path.is_file()}
    check(folder, change=change)
    found = LedgerFolder.load(folder)
    store = Store(found.url())
    with pytest.raises(EvidenceError, match="cannot be made from this database"):
        repair_tiles(found, store)
    store.close()
    assert {path: path.read_bytes() for path in (folder / "tiles").rglob("*") if path.is_file()} == before


def test_a_database_behind_what_was_published_is_told(folder: Path) -> None:
    with Ledger.open(folder) as ledger:
        head = ledger._store.head()
        station = ledger.station("CT1")
        ledger.capture_fingerprint(fingerprint(5000), "x", station=station)
        with ledger._store.writing() as connection:
            connection.execute(text("DELETE FROM entries WHERE position >= 300"))
            connection.execute(
                text("UPDATE head SET size = 300, root = :root, peaks = :peaks, checkpoint = :checkpoint"),
                {"root": head.root, "peaks": head.packed_peaks(), "checkpoint": head.checkpoint},
            )
    report = check(folder)
    assert any("301 entries were published, and the database holds 300" in p.message for p in report.problems)
