"""The log: what it takes, what it refuses, and that its receipts are true."""

from __future__ import annotations

import dataclasses
import shutil
import subprocess
import sys
import threading
from collections import defaultdict
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from sqlalchemy import text

from ledger.databases import PostgreSQL
from ledger.samples import ORIGIN, SALT, Device, capture, digest, fingerprint, station
from mithridate.errors import UserError
from mithridate.ledger import canonical, merkle
from mithridate.ledger.checkpoint import add_signatures, open_checkpoint
from mithridate.ledger.errors import EvidenceError
from mithridate.ledger.keys import FileSigner
from mithridate.ledger.log import Ledger, LedgerFailure, LedgerRefusal, Receipt, RollbackError, SequenceRefusal
from mithridate.ledger.note import parse_note
from mithridate.ledger.note_keys import COSIGNATURE, NoteKey
from mithridate.ledger.record import Derivation, Enrolment, Record, Revocation

START = 2
"""Entries before a test's own: the operator's enrolment and the device's."""


@pytest.fixture
def device(ledger: Ledger) -> Device:
    """A device that keeps its own key, enrolled."""
    made = Device()
    assert ledger.enroll(made.enrolment()).index == START - 1
    return made


@pytest.fixture
def sqlite_device(sqlite_ledger: Ledger) -> Device:
    made = Device()
    sqlite_ledger.enroll(made.enrolment())
    return made


def assert_covered(ledger: Ledger, receipt: Receipt, entry: bytes) -> None:
    """The receipt's own checkpoint proves the entry where the receipt says it is."""
    checkpoint, _ = open_checkpoint(receipt.checkpoint, [ledger.verifier()], origin=ORIGIN)
    assert receipt.index < checkpoint.size
    reader = ledger.reader()
    proof = merkle.inclusion_proof(receipt.index, checkpoint.size, reader.node)
    assert receipt.leaf == merkle.leaf_hash(entry)
    merkle.verify_inclusion(receipt.index, checkpoint.size, receipt.leaf, proof, checkpoint.root)
    assert reader.entry(receipt.index) == entry


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


def test_devices_are_enrolled_by_the_operator_or_by_themselves_but_not_by_submission(
    ledger: Ledger, device: Device
) -> None:
    other = Device(station("CT2", 2))
    with pytest.raises(LedgerRefusal, match=r"enrolments are the operator's|is not enrolled"):
        ledger.submit(other.enrolment())
    with pytest.raises(LedgerRefusal, match="enrolments are the operator's"):
        ledger.submit(device.sign(other.station.enrolment(), sequence=1))
    with pytest.raises(LedgerRefusal, match="which is no operator"):
        ledger.enroll(device.sign(other.station.enrolment(), sequence=1))
    with pytest.raises(SequenceRefusal, match="record number 0"):
        ledger.enroll(other.sign(other.station.enrolment(), sequence=1))
    ledger.enroll_device(other.station.enrolment())
    with pytest.raises(LedgerRefusal, match="'CT2' is enrolled already, by entry 2"):
        ledger.enroll_device(other.station.enrolment())
    assert ledger.submit(other.sign(capture(1), sequence=0)).index == START + 1
    assert ledger.fsck().is_clean


def test_an_operator_can_make_another(ledger: Ledger) -> None:
    signer = FileSigner.from_seed(b"\x03" * 32)
    named = dataclasses.replace(
        station().identity, name="second", model="mithridate operator", public_key=signer.public_key
    )
    self_made = Device(dataclasses.replace(station(), identity=named, signer=signer))
    ledger.enroll_device(self_made.station.enrolment())
    other = Device(station("CT2", 2))
    ledger.enroll(self_made.sign(other.station.enrolment(), sequence=0))
    ledger.submit(other.sign(capture(1), sequence=0))
    assert ledger.fsck().is_clean


def test_nobody_makes_himself_operator(ledger: Ledger, device: Device) -> None:
    signer = FileSigner.from_seed(b"\x03" * 32)
    named = dataclasses.replace(station().identity, model="mithridate operator", public_key=signer.public_key)
    forged = Device(dataclasses.replace(station(), identity=named, signer=signer))
    ledger.enroll(forged.enrolment())
    with pytest.raises(LedgerRefusal, match="revokes only itself"):
        ledger.submit(forged.sign(Revocation("device", device.station.device_id, "mine")))


def test_revocation_counts_from_its_index_on(ledger: Ledger, device: Device) -> None:
    early = device.sign(capture(1))
    first = ledger.submit(early)
    revoked = ledger.revoke("device", device.station.device_id, "stolen")
    with pytest.raises(LedgerRefusal, match=f"was revoked by entry {revoked.index}"):
        ledger.submit(device.sign(capture(2)))
    assert ledger.submit(early).index == first.index, "what was logged before stays"
    with pytest.raises(LedgerRefusal, match="revoked already"):
        ledger.revoke("device", device.station.device_id, "again")
    ledger.revoke("record", first.leaf, "wrong patient")
    with pytest.raises(LedgerRefusal, match="revoked already"):
        ledger.revoke("record", first.leaf, "again")
    assert ledger.fsck().is_clean


def test_a_device_revokes_only_itself_and_its_own(ledger: Ledger, device: Device) -> None:
    other = Device(station("CT2", 2))
    ledger.enroll(other.enrolment())
    receipt = ledger.submit(other.sign(capture(1)))
    for scope, target in (("device", other.station.device_id), ("record", receipt.leaf)):
        with pytest.raises(LedgerRefusal, match="only itself and its own"):
            ledger.submit(device.sign(Revocation(scope, target, "spite"), sequence=1))
    ledger.submit(other.sign(Revocation("record", receipt.leaf, "noise")))
    ledger.submit(other.sign(Revocation("device", other.station.device_id, "end of life")))
    with pytest.raises(LedgerRefusal, match="was revoked"):
        ledger.submit(other.sign(capture(2)))


def test_the_last_operator_stays(ledger: Ledger) -> None:
    operator = ledger.devices()[0][0]
    with pytest.raises(LedgerRefusal, match="only operator"):
        ledger.revoke("device", operator.device, "gone")


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (lambda: Revocation("device", digest("x"), "?"), "is not enrolled"),
        (lambda: Revocation("record", digest("x"), "?"), "not in this log"),
        (lambda: Derivation(digest("x"), "resize", "tool 1", capture(1).fingerprint), "log its source first"),
    ],
)
def test_what_refers_to_nothing_is_refused(
    sqlite_ledger: Ledger, sqlite_device: Device, body: Callable[[], Revocation], reason: str
) -> None:
    with pytest.raises(LedgerRefusal, match=reason):
        sqlite_ledger.submit(sqlite_device.sign(body()))


def test_changed_entries_are_refused(sqlite_ledger: Ledger, sqlite_device: Device) -> None:
    entry = sqlite_device.sign(capture(1))
    for place in range(0, len(entry), 7):
        changed = entry[:place] + bytes([entry[place] ^ 1]) + entry[place + 1 :]
        with pytest.raises(LedgerRefusal):
            sqlite_ledger.submit(changed)
    assert sqlite_ledger.size == START


@pytest.mark.parametrize("key", [bytes(32), bytes([1]) + bytes(31), b"\xff" * 32], ids=["zero", "identity", "no point"])
def test_keys_that_sign_anything_cannot_be_enrolled(sqlite_ledger: Ledger, key: bytes) -> None:
    """For a key of small order, an all-zero signature holds over many messages."""
    identity = dataclasses.replace(station().identity, public_key=key)
    enrolment = {"identity": identity.to_value(), "possession": bytes(64)}
    record = canonical.encode(
        {
            "version": 1,
            "kind": "enrolment",
            "device": identity.device_id,
            "sequence": 0,
            "time": 0,
            "body": enrolment,
        }
    )
    for first in (bytes(32), key):
        with pytest.raises(LedgerRefusal):
            sqlite_ledger.enroll(canonical.encode((1, record, first + bytes(32))))


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


def test_stations_are_rotated(ledger: Ledger) -> None:
    former = ledger.add_station("CT1", software_version="1")
    with pytest.raises(UserError, match="already"):
        ledger.add_station("CT1")
    ledger.capture_fingerprint(fingerprint(1), "x.dcm", station=former)
    new = ledger.rotate_station("CT1", software_version="2")
    assert new.identity.public_key != former.identity.public_key
    assert ledger.station("CT1").identity == new.identity
    with pytest.raises(LedgerRefusal, match="was revoked"):
        ledger.capture_fingerprint(fingerprint(2), "x.dcm", station=former)
    assert ledger.capture_fingerprint(fingerprint(2), "x.dcm", station=new).sequence == 0
    assert ledger.judge_fingerprint(fingerprint(1)).is_accepted, "what it captured before the rotation stays"


@pytest.mark.parametrize("name", ["../x", "a/b", "", "a" * 65, ".hidden", "x\n"])
def test_station_names_cannot_leave_their_folder(sqlite_ledger: Ledger, name: str) -> None:
    with pytest.raises(UserError, match="is not a station's name"):
        sqlite_ledger.add_station(name)
    with pytest.raises(UserError, match="is not a station's name"):
        sqlite_ledger.station(name)


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


# A database that was put back to an earlier state, or changed by hand


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


# Tiles that lag behind the database


def tiles_of(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_lost_tiles_are_written_again_from_the_database(ledger: Ledger, device: Device) -> None:
    futures = [ledger.submit_later(device.sign(capture(number))) for number in range(300)]
    assert [future.result().index for future in futures][-1] == START + 299
    expected = {path: content for path, content in tiles_of(ledger.tiles_folder).items() if ".p" not in path}
    assert len(expected) >= 3
    shutil.rmtree(ledger.tiles_folder)
    ledger.close()
    with Ledger.open(ledger.folder) as opened:
        found = tiles_of(opened.tiles_folder)
        assert {path: found[path] for path in expected} == expected
        assert opened.fsck().is_clean


def test_what_was_committed_but_could_not_be_published_is_confirmed_later(ledger: Ledger, device: Device) -> None:
    ledger.submit(device.sign(capture(1)))
    aside = ledger.folder / "aside"
    ledger.tiles_folder.rename(aside)
    ledger.tiles_folder.write_text("no folder")
    entry = device.sign(capture(2))
    with pytest.raises(LedgerFailure, match="not confirmed"):
        ledger.submit(entry)
    ledger.tiles_folder.unlink()
    aside.rename(ledger.tiles_folder)
    receipt = ledger.submit(entry)
    assert receipt.index == START + 1
    assert_covered(ledger, receipt, entry)
    assert ledger.fsck().is_clean


# Several processes

CHILD = """
import sys
from pathlib import Path
from ledger.samples import fingerprint
from mithridate.ledger.log import Ledger
from concurrent.futures import ThreadPoolExecutor
folder, first, count = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
with Ledger.open(folder) as ledger, ThreadPoolExecutor(4) as pool:
    ct = ledger.station("CT1")
    print("ready", flush=True)
    sys.stdin.readline()
    numbers = range(first, first + count)
    for receipt in pool.map(lambda n: ledger.capture_fingerprint(fingerprint(n), "x.dcm", station=ct), numbers):
        print(receipt.index, receipt.leaf.hex(), receipt.checkpoint.hex(), flush=True)
"""


def test_two_servers_on_one_database_never_fork(tmp_path: Path, database: str | None) -> None:
    """They sign for the same station; on PostgreSQL they have folders of their own with the same keys."""
    folders = [tmp_path / "ledger"] * 2
    with Ledger.create(folders[0], origin=ORIGIN, database=database) as made:
        made.add_station("CT1")
        begin = made.size
        verifier = made.verifier()
    if database is not None:
        folders[1] = tmp_path / "second"
        shutil.copytree(folders[0], folders[1], ignore=shutil.ignore_patterns("tiles"))
    tests = str(Path(__file__).parents[1])
    children = [
        subprocess.Popen(
            [sys.executable, "-c", f"import sys; sys.path.insert(0, {tests!r})\n{CHILD}", folder, str(first), "25"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )
        for folder, first in zip(folders, (0, 1000), strict=True)
    ]  # fmt: skip
    for child in children:
        assert child.stdout is not None
        assert child.stdout.readline() == "ready\n"
    outputs = defaultdict(str)

    def finish(number: int) -> None:
        outputs[number] = children[number].communicate("go\n", timeout=600)[0]

    threads = [threading.Thread(target=finish, args=[number]) for number in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    receipts = [line.split() for number in range(2) for line in outputs[number].splitlines()]
    assert sorted(int(index) for index, _, _ in receipts) == list(range(begin, begin + 50))
    for folder in dict.fromkeys(folders):
        with Ledger.open(folder) as opened:
            reader = opened.reader()
            assert all(reader.leaf(int(index)).hex() == leaf for index, leaf, _ in receipts)
            for _, _, note in receipts:
                seen, _ = open_checkpoint(bytes.fromhex(note), [verifier])
                assert merkle.Frontier.load(seen.size, reader.node).root() == seen.root, "two histories were signed"
            assert opened.fsck().is_clean


def test_a_server_reads_what_the_other_one_logged(tmp_path: Path, database: str | None) -> None:
    first_folder = second_folder = tmp_path / "ledger"
    with Ledger.create(first_folder, origin=ORIGIN, database=database) as first:
        if database is not None:
            second_folder = tmp_path / "second"
            shutil.copytree(first_folder, second_folder, ignore=shutil.ignore_patterns("tiles"))
        ct = first.add_station("CT1")
        with Ledger.open(second_folder) as second:
            for number in range(3):
                receipt = first.capture_fingerprint(fingerprint(number), "x.dcm", station=ct)
                assert second.judge_fingerprint(fingerprint(number)).index == receipt.index
                assert second.checkpoint() == first.checkpoint()
            second.revoke("device", ct.device_id, "stolen")
            with pytest.raises(LedgerRefusal, match="was revoked"):
                first.capture_fingerprint(fingerprint(9), "x.dcm", station=ct)


# What others say of the log


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


def test_an_enrolment_of_another_kind_of_entry_is_not_taken(sqlite_ledger: Ledger, sqlite_device: Device) -> None:
    """What comes by the operator's road is an enrolment, whatever its signature."""
    with pytest.raises(LedgerRefusal, match="no enrolment"):
        sqlite_ledger.enroll(sqlite_device.sign(capture(1)))
    assert isinstance(Record.decode(canonical.decode(sqlite_device.enrolment())[1]).body, Enrolment)
