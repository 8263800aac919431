"""The log: what it takes, what it refuses, and that its receipts are true."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from ledger.databases import PostgreSQL
from ledger.receipts import START, assert_covered
from ledger.samples import ORIGIN, SALT, Device, capture, fingerprint, station
from mithridate.errors import UserError
from mithridate.ledger.keys import FileSigner
from mithridate.ledger.log import Ledger, LedgerFailure, LedgerRefusal, Receipt, SequenceRefusal


def test_a_receipt_comes_with_a_checkpoint_that_covers_the_entry(ledger: Ledger, device: Device) -> None:
    for number in range(3):
        entry = device.sign(capture(number))
        receipt = ledger.submit(entry, salt=SALT)
        assert (receipt.index, receipt.sequence) == (START + number, 1 + number)
        assert receipt.device == device.station.device_id
        assert_covered(ledger, receipt, entry)
        assert (ledger.tiles_folder / "checkpoint").read_bytes() == receipt.checkpoint == ledger.checkpoint()
    assert ledger.fsck().is_clean


def test_many_submitters_share_commits_and_nobody_is_mixed_up(ledger: Ledger) -> None:
    devices = [Device(station(f"D{seed}", seed)) for seed in range(1, 9)]
    for one in devices:
        ledger.enroll(one.enrolment())
    begin = ledger.size

    def submit(device: Device) -> list[tuple[bytes, Receipt]]:
        entries = [device.sign(capture(number)) for number in range(24)]
        futures = [ledger.submit_later(entry) for entry in entries]
        return [(entry, future.result()) for entry, future in zip(entries, futures, strict=True)]

    with ThreadPoolExecutor(len(devices)) as pool:
        answers = [answer for answered in pool.map(submit, devices) for answer in answered]
    assert sorted(receipt.index for _, receipt in answers) == list(range(begin, begin + 8 * 24))
    for entry, receipt in answers[::17]:
        assert_covered(ledger, receipt, entry)
    assert [ledger.reader().leaf(receipt.index) for _, receipt in answers] == [r.leaf for _, r in answers]
    commits = {receipt.checkpoint for _, receipt in answers}
    assert len(commits) < len(answers) / 2, "entries that were submitted together were committed one by one"
    assert ledger.fsck().is_clean


def test_the_same_bytes_again_give_the_same_place(ledger: Ledger, device: Device) -> None:
    entry = device.sign(capture(1))
    first = ledger.submit(entry, salt=SALT)
    ledger.submit(device.sign(capture(2)))
    again, twice = ledger.submit_later(entry), ledger.submit_later(entry)
    assert again.result().index == twice.result().index == first.index
    assert_covered(ledger, again.result(), entry)
    together = device.sign(capture(3))
    futures = [ledger.submit_later(together) for _ in range(5)]
    assert {future.result().index for future in futures} == {first.index + 2}
    assert ledger.size == START + 3


def test_sequence_numbers_are_exactly_the_next_one(ledger: Ledger, device: Device) -> None:
    ledger.submit(device.sign(capture(1)))
    with pytest.raises(SequenceRefusal, match="next record is number 2, and this is 3") as gap:
        ledger.submit(device.sign(capture(2), sequence=3))
    with pytest.raises(SequenceRefusal, match="1 is logged already with other content") as repeat:
        ledger.submit(device.sign(capture(2), sequence=1))
    assert gap.value.expected == repeat.value.expected == 2
    assert ledger.submit(device.sign(capture(2), sequence=2)).index == START + 1
    assert ledger.size == START + 2


def test_a_refusal_does_not_touch_its_neighbors_in_the_batch(ledger: Ledger, device: Device) -> None:
    stranger = Device(station("CT9", 9))
    good = [ledger.submit_later(device.sign(capture(number))) for number in range(3)]
    bad = ledger.submit_later(device.sign(capture(9), sequence=77))
    more = [ledger.submit_later(device.sign(capture(number))) for number in range(3, 6)]
    with pytest.raises(LedgerRefusal, match="is not enrolled"):
        ledger.submit(stranger.sign(capture(1)))
    assert [future.result().index for future in good + more] == list(range(START, START + 6))
    with pytest.raises(SequenceRefusal):
        bad.result()


def test_changed_entries_are_refused(sqlite_ledger: Ledger, sqlite_device: Device) -> None:
    entry = sqlite_device.sign(capture(1))
    for place in range(0, len(entry), 7):
        changed = entry[:place] + bytes([entry[place] ^ 1]) + entry[place + 1 :]
        with pytest.raises(LedgerRefusal):
            sqlite_ledger.submit(changed)
    assert sqlite_ledger.size == START


def test_salt_and_identity_must_be_the_records_own(sqlite_ledger: Ledger, sqlite_device: Device) -> None:
    image = fingerprint(1)
    entry = sqlite_device.sign(capture(1))
    with pytest.raises(LedgerRefusal, match="not the one that the record commits to"):
        sqlite_ledger.submit(entry, salt=SALT, identity=fingerprint(1, patient="P2").identity)
    with pytest.raises(LedgerRefusal, match="not the one that the record commits to"):
        sqlite_ledger.submit(entry, salt=b"\x06" * 32, identity=image.identity)
    with pytest.raises(LedgerRefusal, match="without the salt"):
        sqlite_ledger.submit(entry, identity=image.identity)
    with pytest.raises(LedgerRefusal, match="32 bytes"):
        sqlite_ledger.submit(entry, salt=b"short")
    receipt = sqlite_ledger.submit(entry, salt=SALT, identity=image.identity)
    assert sqlite_ledger.salt(receipt.index) == SALT
    assert sqlite_ledger.find("PatientID", "P1") == sqlite_ledger.find("SOPInstanceUID", "1.2.1") == [receipt.index]
    assert sqlite_ledger.find("PatientID", "P2") == []
    with pytest.raises(LedgerRefusal, match="not found by StudyDate"):
        sqlite_ledger.find("StudyDate", "20200101")


def test_identifiers_are_nowhere_in_the_public_part_or_in_the_lookups(sqlite_ledger: Ledger) -> None:
    made = sqlite_ledger.add_station("CT1")
    image = fingerprint(1, patient="DOE-4711")
    sqlite_ledger.capture_fingerprint(image, "x.dcm", station=made)
    guess = image.identity["PatientID"]
    assert guess is not None
    files = [path for path in sqlite_ledger.folder.rglob("*") if path.is_file() and "keys" not in path.parts]
    assert any(path.name.startswith("ledger.db") for path in files)
    for path in files:
        assert guess[:16] not in path.read_bytes(), f"{path.name} holds a hash that can be searched for"


def test_a_sop_instance_uid_that_comes_twice_is_logged_and_reported(ledger: Ledger) -> None:
    made = ledger.add_station("CT1")
    first = ledger.capture_fingerprint(fingerprint(1, sop="1.9"), "a.dcm", station=made)
    second = ledger.capture_fingerprint(fingerprint(2, sop="1.9"), "b.dcm", station=made)
    assert first.notices == ()
    assert second.notices == (f"its SOP instance UID was logged before, as entry {first.index}",)
    assert ledger.find("SOPInstanceUID", "1.9") == [first.index, second.index]


def test_a_clock_that_jumps_harms_nothing(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    made = ledger.add_station("CT1")
    times = [1_700_000_000, 1_700_000_100, 1_000_000, 0, 4_000_000_000, 1_700_000_001]
    for number, seconds in enumerate(times):
        monkeypatch.setattr("time.time_ns", lambda seconds=seconds: seconds * 10**9)
        monkeypatch.setattr("time.time", lambda seconds=seconds: float(seconds))
        receipt = ledger.capture_fingerprint(fingerprint(number), "x.dcm", station=made)
        assert receipt.sequence == number
    assert len(ledger.find_time(0, 2_000_000 * 10**6)) == 2
    assert ledger.fsck().is_clean


def test_a_ledger_is_opened_again_as_it_was(tmp_path: Path, database: str | None) -> None:
    folder = tmp_path / "ledger"
    with Ledger.create(folder, origin=ORIGIN, database=database) as made:
        ct = made.add_station("CT1")
        made.capture_fingerprint(fingerprint(1), "x.dcm", station=ct)
        checkpoint = made.checkpoint()
    with pytest.raises(UserError, match="already"):
        Ledger.create(folder, origin=ORIGIN, database=database)
    with Ledger.open(folder) as opened:
        assert opened.checkpoint() == checkpoint
        assert opened.capture_fingerprint(fingerprint(2), "y.dcm", station=opened.station("CT1")).sequence == 1
        assert opened.judge_fingerprint(fingerprint(1)).is_accepted
        assert opened.fsck().is_clean


def test_a_closed_ledger_takes_nothing_and_drops_nothing(tmp_path: Path) -> None:
    made = Ledger.create(tmp_path / "ledger", origin=ORIGIN)
    device = Device()
    made.enroll(device.enrolment())
    futures = [made.submit_later(device.sign(capture(number))) for number in range(300)]
    made.close()
    assert [future.result().index for future in futures] == list(range(START, START + 300))
    with pytest.raises(LedgerFailure, match="closed"):
        made.submit(device.sign(capture(999)))


def test_creating_refuses_what_is_not_a_new_folder(tmp_path: Path) -> None:
    (tmp_path / "precious.txt").write_text("x")
    with pytest.raises(UserError, match="holds other files"):
        Ledger.create(tmp_path, origin=ORIGIN)
    with pytest.raises(UserError, match="not a key name"):
        Ledger.create(tmp_path / "new", origin="a b")
    with pytest.raises(UserError, match="holds no ledger"):
        Ledger.open(tmp_path / "absent")
    assert not (tmp_path / "absent").exists()


def test_two_ledgers_do_not_share_a_database(tmp_path: Path, postgresql_server: PostgreSQL) -> None:
    url = postgresql_server.create()
    Ledger.create(tmp_path / "a", origin=ORIGIN, database=url).close()
    with pytest.raises(UserError, match="holds the ledger"):
        Ledger.create(tmp_path / "b", origin="other.example/log", database=url)
    with Ledger.open(tmp_path / "a") as opened:
        assert opened.fsck().is_clean
    postgresql_server.drop(url)


def test_the_key_must_be_the_logs(tmp_path: Path) -> None:
    key = FileSigner.from_seed(b"\x07" * 32)
    Ledger.create(tmp_path / "ledger", origin=ORIGIN, signer=key).close()
    assert not (tmp_path / "ledger" / "keys" / "log.pem").exists()
    with pytest.raises(UserError, match="not that of the ledger"):
        Ledger.open(tmp_path / "ledger", signer=FileSigner.from_seed(b"\x08" * 32))
    with Ledger.open(tmp_path / "ledger", signer=key) as opened:
        assert opened.fsck().is_clean


def test_private_files_are_private(sqlite_ledger: Ledger) -> None:
    for path in ("ledger.json", "ledger.db", "keys/log.pem", "keys/lookup.key"):
        assert (sqlite_ledger.folder / path).stat().st_mode & 0o077 == 0, path
