"""Judging by the log: every verdict, the record it is by, and what the log does when its own evidence does not hold."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from pydicom import Dataset
from sqlalchemy import text

from ledger.dicom_files import FOLDER, read, to_native, write
from ledger.samples import fingerprint
from mithridate.ledger.errors import EvidenceError
from mithridate.ledger.fingerprint import Verdict
from mithridate.ledger.log import Ledger, LedgerFailure, Receipt, Station

MR = FOLDER / "MR_small.dcm"
RLE = FOLDER / "MR_small_RLE.dcm"


@pytest.fixture
def ct(sqlite_ledger: Ledger) -> Station:
    return sqlite_ledger.add_station("CT1")


@pytest.fixture
def logged(sqlite_ledger: Ledger, ct: Station) -> Receipt:
    return sqlite_ledger.capture(MR.read_bytes(), MR.name, station=ct)


def edited(edit: Callable[[Dataset], None]) -> bytes:
    dataset = to_native(read(MR))
    edit(dataset)
    return write(dataset)


def brighten(dataset: Dataset) -> None:
    dataset.PixelData = bytes([dataset.PixelData[0] ^ 1]) + dataset.PixelData[1:]


def rescale(dataset: Dataset) -> None:
    dataset.RescaleSlope, dataset.RescaleIntercept = "2", "0"


def other_patient(dataset: Dataset) -> None:
    dataset.PatientID = "SOMEBODY"


def brighten_for_other(dataset: Dataset) -> None:
    brighten(dataset)
    dataset.SOPInstanceUID = "1.2.3.4"


@pytest.mark.parametrize(
    ("data", "verdict", "attributes"),
    [
        (MR.read_bytes(), Verdict.IDENTICAL, ()),
        (RLE.read_bytes(), Verdict.TRANSCODED, ()),
        (edited(rescale), Verdict.METADATA_EDITED, ("RescaleIntercept", "RescaleSlope")),
        (edited(other_patient), Verdict.METADATA_EDITED, ("PatientID",)),
        (edited(brighten), Verdict.MISMATCH, ()),
    ],
    ids=["same", "transcoded", "rescaled", "other patient", "other pixels"],
)
def test_an_image_is_judged_by_its_record(
    ledger: Ledger, data: bytes, verdict: Verdict, attributes: tuple[str, ...]
) -> None:
    station = ledger.add_station("CT1")
    receipt = ledger.capture(MR.read_bytes(), MR.name, station=station)
    ledger.capture((FOLDER / "CT_small.dcm").read_bytes(), "CT", station=station)
    found = ledger.judge(data, "candidate.dcm")
    assert (found.verdict, sorted(found.attributes)) == (verdict, sorted(attributes))
    assert (found.index, found.device) == (receipt.index, station.device_id)
    assert found.is_accepted == verdict.is_accepted


@pytest.mark.parametrize("data", [edited(brighten_for_other), (FOLDER / "CT_small.dcm").read_bytes(), b"no image", b""])
def test_what_has_no_record_is_unknown(sqlite_ledger: Ledger, logged: Receipt, data: bytes) -> None:
    found = sqlite_ledger.judge(data, "candidate.dcm")
    assert (found.verdict, found.index, found.is_accepted) == (Verdict.UNKNOWN, None, False)


def test_a_revoked_record_is_told_from_none(sqlite_ledger: Ledger, ct: Station, logged: Receipt) -> None:
    revoked = sqlite_ledger.revoke("record", logged.leaf, "wrong patient")
    for data in (MR.read_bytes(), RLE.read_bytes()):
        found = sqlite_ledger.judge(data, "x")
        assert (found.verdict, found.index) == (Verdict.REVOKED, logged.index)
        assert f"entry {revoked.index}" in found.reason
    again = sqlite_ledger.capture(MR.read_bytes(), "x", station=ct)
    found = sqlite_ledger.judge(MR.read_bytes(), "x")
    assert (found.verdict, found.index) == (Verdict.IDENTICAL, again.index), "a record that counts comes first"


def test_a_derived_image_counts_as_long_as_its_source_does(sqlite_ledger: Ledger, ct: Station, logged: Receipt) -> None:
    data = edited(brighten_for_other)
    derive = {"operation": "denoise", "software": "tool 1.0", "station": ct}
    first = sqlite_ledger.derive(data, "x", source=logged.index, **derive)
    second_data = edited(lambda dataset: (brighten_for_other(dataset), rescale(dataset)))
    second = sqlite_ledger.derive(second_data, "x", source=first.index, **derive)
    for image, receipt in ((data, first), (second_data, second)):
        found = sqlite_ledger.judge(image, "x")
        assert (found.verdict, found.index) == (Verdict.DERIVED, receipt.index)
        assert "denoise with tool 1.0" in found.reason
        assert sqlite_ledger.prove(receipt.index).revocation is None
    sqlite_ledger.revoke("record", logged.leaf, "wrong patient")
    for image, receipt in ((data, first), (second_data, second)):
        assert sqlite_ledger.judge(image, "x").verdict is Verdict.REVOKED
        assert sqlite_ledger.prove(receipt.index).revocation is not None


def test_the_same_pixels_under_another_identity_are_told(sqlite_ledger: Ledger, ct: Station) -> None:
    first = sqlite_ledger.capture_fingerprint(fingerprint(1, patient="P1", sop="1.1"), "a", station=ct)
    second = sqlite_ledger.capture_fingerprint(fingerprint(1, patient="P2", sop="1.2", file=1), "b", station=ct)
    sqlite_ledger.capture_fingerprint(fingerprint(1, patient="P1", sop="1.1", file=2), "c", station=ct)
    found = sqlite_ledger.judge_fingerprint(fingerprint(1, patient="P1", sop="1.1"))
    assert (found.verdict, found.index) == (Verdict.IDENTICAL, first.index)
    assert [(other.index, other.attributes) for other in found.others] == [
        (second.index, ("PatientID", "SOPInstanceUID"))
    ]
    assert sqlite_ledger.judge_fingerprint(fingerprint(2)).others == ()


def test_without_its_salt_only_the_same_bytes_are_known(sqlite_ledger: Ledger, logged: Receipt) -> None:
    with sqlite_ledger._store.writing() as connection:
        connection.execute(text("DELETE FROM salts"))
    assert sqlite_ledger.judge(MR.read_bytes(), "x").verdict is Verdict.IDENTICAL
    found = sqlite_ledger.judge(RLE.read_bytes(), "x")
    assert found.verdict is Verdict.MISMATCH
    assert "salt" in found.reason


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE entries SET entry = (SELECT entry FROM entries WHERE position = 3) WHERE position = 2",
        "DELETE FROM entries WHERE position = 2",
        "DELETE FROM entries WHERE position = 1",
        "UPDATE devices SET enrolled = 0 WHERE number = 1",
        "UPDATE lookups SET position = 1 WHERE position = 2",
        "UPDATE lookups SET position = 999 WHERE position = 2",
    ],
)
def test_a_database_changed_by_hand_vouches_for_nothing(
    sqlite_ledger: Ledger, ct: Station, logged: Receipt, statement: str
) -> None:
    assert logged.index == 2
    sqlite_ledger.capture((FOLDER / "CT_small.dcm").read_bytes(), "CT", station=ct)
    with sqlite_ledger._store.writing() as connection:
        connection.execute(text(statement))
    sqlite_ledger.close()
    with Ledger.open(sqlite_ledger.folder) as opened, pytest.raises(EvidenceError):
        opened.judge(MR.read_bytes(), "x")


def test_a_record_slipped_into_the_database_is_not_believed(sqlite_ledger: Ledger, ct: Station) -> None:
    """Signed by a true device, and yet not in the tree."""
    from ledger.samples import SALT
    from mithridate.ledger.fingerprint import fingerprint_image
    from mithridate.ledger.merkle import leaf_hash
    from mithridate.ledger.record import Capture
    from mithridate.ledger.store.rows import EntryRow
    from mithridate.ledger.store.tables import entries, lookups
    from mithridate.ledger.submission import public_keys

    sealed = fingerprint_image(MR.read_bytes(), "x").seal(SALT)
    entry = ct.sign(Capture(sealed), 0)
    row = EntryRow(2, leaf_hash(entry), 1, 0, 0, entry)
    with sqlite_ledger._store.writing() as connection:
        connection.execute(entries.insert(), [row._asdict()])
        connection.execute(
            lookups.insert(), [{"kind": kind, "key": key, "position": 2} for kind, key in public_keys(sealed)]
        )
    with pytest.raises(EvidenceError):
        sqlite_ledger.judge(MR.read_bytes(), "x")


def test_a_database_that_is_gone_is_no_answer(ledger: Ledger) -> None:
    with ledger._store.writing() as connection:
        connection.execute(text("DROP TABLE lookups"))
    with pytest.raises(LedgerFailure):
        ledger.judge(MR.read_bytes(), "x")
