"""A database that was put back or changed by hand, tiles that lag behind it, and what others say of the log."""

from __future__ import annotations

import dataclasses
import shutil
import time
from pathlib import Path

import pytest
from sqlalchemy import text

from ledger.receipts import START, assert_covered
from ledger.samples import ORIGIN, Device, capture
from mithridate.errors import UserError
from mithridate.ledger.checkpoint import add_signatures, open_checkpoint
from mithridate.ledger.errors import EvidenceError
from mithridate.ledger.keys import FileSigner
from mithridate.ledger.log import Ledger, LedgerFailure, Receipt, RollbackError
from mithridate.ledger.note import parse_note
from mithridate.ledger.note_keys import COSIGNATURE, NoteKey


def copy_database(folder: Path, to: Path) -> None:
    to.mkdir(exist_ok=True)
    for path in folder.glob("ledger.db*"):
        shutil.copy(path, to / path.name)


def restore_database(folder: Path, copy: Path) -> None:
    for path in folder.glob("ledger.db*"):
        path.unlink()
    for path in copy.iterdir():
        shutil.copy(path, folder / path.name)


def test_a_database_older_than_what_was_published_is_refused(tmp_path: Path) -> None:
    folder, old = tmp_path / "ledger", tmp_path / "copy"
    device = Device()
    with Ledger.create(folder, origin=ORIGIN) as made:
        made.enroll(device.enrolment())
    copy_database(folder, old)
    with Ledger.open(folder) as made:
        lost = made.submit(device.sign(capture(1)))
    restore_database(folder, old)
    with pytest.raises(RollbackError, match="put back to an earlier state"):
        Ledger.open(folder)
    shutil.rmtree(folder / "tiles")  # without the published checkpoint only a witness knows
    with pytest.raises(RollbackError, match="a witness has seen 3 entries"):
        Ledger.open(folder, witnessed=[lost.checkpoint])


def test_another_history_of_the_same_length_is_refused(tmp_path: Path) -> None:
    folder, old = tmp_path / "ledger", tmp_path / "copy"
    device = Device()
    with Ledger.create(folder, origin=ORIGIN) as made:
        made.enroll(device.enrolment())
    copy_database(folder, old)
    shutil.copytree(folder / "tiles", tmp_path / "tiles")
    with Ledger.open(folder) as made:
        first = made.submit(device.sign(capture(1), sequence=1))
        assert made.checkpoint() == first.checkpoint  # which the tiles now have reached
        tiles = tmp_path / "published"
        shutil.copytree(folder / "tiles", tiles)
    restore_database(folder, old)
    shutil.rmtree(folder / "tiles")
    shutil.copytree(tmp_path / "tiles", folder / "tiles")
    with Ledger.open(folder) as made:
        made.submit(device.sign(capture(2), sequence=1))
        with pytest.raises(RollbackError, match="forked"):
            Ledger.open(folder, witnessed=[first.checkpoint])
    shutil.rmtree(folder / "tiles")
    shutil.copytree(tiles, folder / "tiles")
    with pytest.raises(RollbackError, match="another history"):
        Ledger.open(folder)


def test_a_ledger_that_runs_notices_that_its_database_went_back(ledger: Ledger, device: Device) -> None:
    """As when a PostgreSQL replica that had not heard of the last commits takes over."""
    before = ledger._store.head()
    ledger.submit(device.sign(capture(1)))
    with ledger._store.writing() as connection:
        connection.execute(text("DELETE FROM entries WHERE position >= :size"), {"size": before.size})
        connection.execute(
            text("UPDATE head SET size = :size, root = :root, peaks = :peaks, checkpoint = :checkpoint"),
            {
                "size": before.size,
                "root": before.root,
                "peaks": before.packed_peaks(),
                "checkpoint": before.checkpoint,
            },
        )
    with pytest.raises(RollbackError, match=r"nothing was signed|put back"):
        ledger.submit(device.sign(capture(2), sequence=1))


def test_a_head_that_the_log_did_not_sign_is_not_extended(ledger: Ledger, device: Device) -> None:
    with ledger._store.writing() as connection:
        connection.execute(text("UPDATE head SET root = :root"), {"root": b"r" * 32})
    with pytest.raises(EvidenceError, match="changed by hand"):
        ledger.submit(device.sign(capture(1)))


def test_an_emptied_database_is_not_begun_again(tmp_path: Path) -> None:
    folder = tmp_path / "ledger"
    Ledger.create(folder, origin=ORIGIN).close()
    (folder / "ledger.db").unlink()
    with pytest.raises(UserError, match="already"):
        Ledger.create(folder, origin=ORIGIN)
    with pytest.raises(UserError, match="holds no ledger"):
        Ledger.open(folder)


def tiles_of(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_lost_tiles_are_written_again_from_the_database(ledger: Ledger, device: Device) -> None:
    futures = [ledger.submit_later(device.sign(capture(number))) for number in range(300)]
    assert [future.result().index for future in futures][-1] == START + 299
    assert ledger.size == START + 300  # which the tiles now have reached
    expected = {path: content for path, content in tiles_of(ledger.tiles_folder).items() if ".p" not in path}
    assert len(expected) >= 3
    shutil.rmtree(ledger.tiles_folder)
    ledger.close()
    with Ledger.open(ledger.folder) as opened:
        found = tiles_of(opened.tiles_folder)
        assert {path: found[path] for path in expected} == expected
        assert opened.fsck().is_clean


def test_nothing_is_built_upon_tiles_that_cannot_be_written(ledger: Ledger, device: Device) -> None:
    """What was committed meanwhile is durable and stays true; what comes after is refused until tiles can follow."""
    ledger.submit(device.sign(capture(1)))
    assert ledger.size == START + 1
    aside = ledger.folder / "aside"
    ledger.tiles_folder.rename(aside)
    ledger.tiles_folder.write_text("no folder")
    entries = [device.sign(capture(number)) for number in range(2, 40)]
    receipts: list[Receipt] = []

    def submit_all() -> None:
        for entry in entries:
            receipts.append(ledger.submit(entry))
            time.sleep(0.02)

    with pytest.raises(LedgerFailure, match="not confirmed"):
        submit_all()
    assert len(receipts) < len(entries) - 1
    ledger.tiles_folder.unlink()
    aside.rename(ledger.tiles_folder)
    receipts += [ledger.submit(entry) for entry in entries[len(receipts) :]]
    assert [receipt.index for receipt in receipts] == list(range(START + 1, START + 39))
    for receipt, entry in zip(receipts, entries, strict=True):
        assert_covered(ledger, receipt, entry)
    assert ledger.fsck().is_clean


def test_a_log_that_has_published_more_than_its_database_holds_signs_nothing(
    sqlite_ledger: Ledger, sqlite_device: Device
) -> None:
    sqlite_ledger.checkpoint()
    head = sqlite_ledger._store.head()
    ahead = sqlite_ledger._appender.sign(dataclasses.replace(head, size=head.size + 1, root=b"r" * 32))
    (sqlite_ledger.tiles_folder / "checkpoint").write_bytes(ahead.checkpoint)
    with pytest.raises(RollbackError, match="3 were published"):
        sqlite_ledger.submit(sqlite_device.sign(capture(1)))
    assert sqlite_ledger._store.head() == head


def test_endorsed_checkpoints_are_published_with_every_signature(ledger: Ledger, device: Device) -> None:
    witnesses = [
        NoteKey(f"witness{n}.example", FileSigner.from_seed(bytes([40 + n]) * 32), COSIGNATURE, lambda: 1_700_000_000.0)
        for n in range(2)
    ]
    ledger.submit(device.sign(capture(1)))
    plain = ledger.checkpoint()
    for witness in witnesses:
        ledger.endorse(add_signatures(parse_note(plain), [witness]).encode(), timestamp=b"token")
    _, endorsements = open_checkpoint(ledger.checkpoint(), [ledger.verifier(), *(w.verifier() for w in witnesses)])
    assert [endorsement.name for endorsement in endorsements] == [ORIGIN, *(witness.name for witness in witnesses)]
    ledger.submit(device.sign(capture(2)))
    assert open_checkpoint(ledger.checkpoint(), [ledger.verifier()])[0].size == START + 2
    bundle = ledger.prove(START)
    assert bundle.timestamp == b"token"
    assert open_checkpoint(bundle.checkpoint, [witnesses[1].verifier()])[0].size == START + 1
    assert ledger.fsck().is_clean


def test_only_the_logs_own_checkpoints_are_endorsed(sqlite_ledger: Ledger, tmp_path: Path) -> None:
    with Ledger.create(tmp_path / "other", origin=ORIGIN) as other, pytest.raises(EvidenceError):
        sqlite_ledger.endorse(other.checkpoint())
