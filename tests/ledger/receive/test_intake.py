"""The one road in: logged and on disk before anyone is told, or refused with a reason and nothing left."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from ledger.dicom_files import read, write
from ledger.receive.sending import image
from mithridate.ledger.fingerprint import Verdict
from mithridate.ledger.log import Ledger
from mithridate.ledger.receipt import LedgerFailure, LedgerRefusal
from mithridate.ledger.receive.intake import Arrival, Intake, Observer
from mithridate.ledger.receive.limits import ReceiveLimits
from mithridate.ledger.receive.part10 import Stated
from mithridate.ledger.receive.quarantine import Quarantine
from mithridate.ledger.receive.refusal import Kind, Refused
from mithridate.ledger.receive.spool import Spool
from mithridate.ledger.station import Station


def arrival(data: bytes, **changes: Any) -> Arrival:
    return Arrival(**{"data": data, "name": "IMG", "peer": "CT1 at 127.0.0.1", "channel": "dimse", **changes})


def without_pixels() -> bytes:
    """A CT image that holds none."""
    dataset = read("CT_small.dcm")
    del dataset.PixelData
    return write(dataset)


def unknown_syntax() -> bytes:
    return image().replace(b"1.2.840.10008.1.2.1\x00", b"1.2.840.10008.9.9.9\x00", 1)


def with_two_pixel_data() -> bytes:
    data = write(read("CT_small.dcm"))
    at = data.index(b"\xe0\x7f\x10\x00OW")
    return data[:at] + data[at:] + data[at:]


class Broken:
    """A ledger that gives no receipt."""

    def __init__(self, error: Exception) -> None:
        self._error = error

    def capture_fingerprint(self, *_: Any, **__: Any) -> Any:
        raise self._error


def test_an_object_is_on_disk_before_it_is_logged_and_waits_before_anyone_is_told(
    ledger: Ledger, station: Station, tmp_path: Path
) -> None:
    spool = Spool(tmp_path / "spool", forward=True, keep=False)
    steps = []

    class Watched:
        def capture_fingerprint(self, *arguments: Any, **options: Any) -> Any:
            steps.append(("logging", [path.read_bytes() for path in spool.incoming.iterdir()], len(spool.waiting())))
            return ledger.capture_fingerprint(*arguments, **options)

    observer: Observer = lambda _, outcome: steps.append(("told", [], len(spool.waiting())))  # noqa: E731
    data = image()
    intake = Intake(Watched(), station, spool=spool, observer=observer)  # type: ignore[arg-type]
    receipt = intake.take(arrival(data))
    assert steps == [("logging", [data], 0), ("told", [], 1)]
    assert receipt.index == ledger.size - 1
    assert ledger.judge(spool.waiting()[0].read_bytes(), "kept").verdict is Verdict.IDENTICAL


@pytest.mark.parametrize(
    ("data", "expected", "kind", "said"),
    [
        (image()[:-3000], Stated(), Kind.CANNOT_UNDERSTAND, "ends early"),
        (without_pixels(), Stated(), Kind.CANNOT_UNDERSTAND, "no pixel data"),
        (unknown_syntax(), Stated(), Kind.TRANSFER_SYNTAX, "transfer syntax"),
        (with_two_pixel_data(), Stated(), Kind.CANNOT_UNDERSTAND, "twice"),
        (b"", Stated(), Kind.CANNOT_UNDERSTAND, "no DICOM, PNG, JPEG or TIFF"),
        (bytes(128) + b"DICM" + b"\xff" * 500, Stated(), Kind.CANNOT_UNDERSTAND, "IMG"),
        (image(Rows=64), Stated(), Kind.CANNOT_UNDERSTAND, "more pixel data than its frames"),
        (image(BitsStored=40), Stated(), Kind.CANNOT_UNDERSTAND, "40 of 16 bits"),
        (image(), Stated(sop_instance="1.2.3"), Kind.MISMATCH, "announced with the SOP Instance UID 1.2.3"),
        (image(), Stated(sop_class="1.2.3"), Kind.MISMATCH, "announced with the SOP Class UID 1.2.3"),
        (image(), Stated(study="1.2.3"), Kind.MISMATCH, "announced with the Study Instance UID 1.2.3"),
        (image(SOPInstanceUID=""), Stated(sop_instance="1.2.3"), Kind.MISMATCH, "holds none"),
    ],
    ids=lambda value: value.name if isinstance(value, Kind) else "",
)
def test_bad_objects_are_refused_by_name_and_leave_nothing_but_the_quarantine(
    ledger: Ledger,
    station: Station,
    spool: Spool,
    quarantine: Quarantine,
    data: bytes,
    expected: Stated,
    kind: Kind,
    said: str,
) -> None:
    size = ledger.size
    intake = Intake(ledger, station, spool=spool, quarantine=quarantine)
    with pytest.raises(Refused, match="IMG") as refused:
        intake.take(arrival(data, expected=expected))
    assert refused.value.kind is kind
    assert said in str(refused.value)
    assert ledger.size == size
    assert [path for path in spool.folder.rglob("*") if path.is_file()] == []
    kept = sorted(quarantine.folder.glob("*"))
    assert [path.suffix for path in kept] == ([".bin", ".txt"] if data else [])
    if data:
        assert kept[0].read_bytes() == data
        text = kept[1].read_text()
        assert str(refused.value) in text
        assert "from: CT1 at 127.0.0.1" in text


@pytest.mark.parametrize(
    ("error", "kind", "is_kept"),
    [
        (LedgerRefusal("the device is revoked"), Kind.NOT_AUTHORIZED, True),
        (LedgerFailure("the database does not answer"), Kind.OUT_OF_RESOURCES, False),
        (OSError(28, "No space left on device"), Kind.OUT_OF_RESOURCES, False),
        (MemoryError(), Kind.OUT_OF_RESOURCES, False),
        (ZeroDivisionError("a defect"), Kind.FAILURE, False),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else "",
)
def test_without_a_receipt_nothing_counts_as_received(
    station: Station, spool: Spool, quarantine: Quarantine, error: Exception, kind: Kind, is_kept: bool
) -> None:
    outcomes = []
    intake = Intake(
        Broken(error),  # type: ignore[arg-type]
        station,
        spool=spool,
        quarantine=quarantine,
        observer=lambda _, outcome: outcomes.append(outcome),
    )
    with pytest.raises(Refused) as refused:
        intake.take(arrival(image()))
    assert refused.value.kind is kind
    assert outcomes == [refused.value]
    assert [path for path in spool.folder.rglob("*") if path.is_file()] == []
    assert bool(list(quarantine.folder.glob("*.bin"))) is is_kept


def test_a_full_disk_refuses_before_anything_is_logged(
    ledger: Ledger, station: Station, spool: Spool, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    size = ledger.size
    monkeypatch.setattr("mithridate.ledger.receive.spool.os.fsync", full)
    with pytest.raises(Refused, match="No space left on device"):
        Intake(ledger, station, spool=spool).take(arrival(image()))
    assert ledger.size == size
    assert list(spool.incoming.iterdir()) == []


def test_the_quarantine_takes_an_object_once_and_never_grows_beyond_its_bound(
    ledger: Ledger, station: Station, tmp_path: Path
) -> None:
    bad = image()[:-3000]
    quarantine = Quarantine(tmp_path / "quarantine", len(bad) + 10)
    intake = Intake(ledger, station, quarantine=quarantine)
    for data in (bad, bad, image()[:-3001]):
        with pytest.raises(Refused):
            intake.take(arrival(data))
    assert [path.stat().st_size for path in quarantine.folder.glob("*.bin")] == [len(bad)]
    again = Quarantine(tmp_path / "quarantine", len(bad) + 10)  # after a restart too
    assert again.put(b"x" * 11, "IMG", "CT1", Refused(Kind.FAILURE, "why")) is None


def test_hostile_sizes_are_refused_without_being_allocated(ledger: Ledger, station: Station) -> None:
    limits = ReceiveLimits()
    huge = image(Rows=65535, Columns=65535, NumberOfFrames="2147483647")
    with pytest.raises(Refused) as refused:
        Intake(ledger, station, limits=limits).take(arrival(huge))
    assert refused.value.kind is Kind.CANNOT_UNDERSTAND
