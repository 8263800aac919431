"""Who may sign: enrolment, operators, rotation, revocation."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import pytest

from ledger.receipts import START
from ledger.samples import Device, capture, digest, fingerprint, station
from mithridate.errors import UserError
from mithridate.ledger import canonical
from mithridate.ledger.keys import FileSigner
from mithridate.ledger.log import Ledger, LedgerRefusal, SequenceRefusal
from mithridate.ledger.record import Derivation, Enrolment, Record, Revocation


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


@pytest.mark.parametrize("key", [bytes(32), bytes([1]) + bytes(31), b"\xff" * 32], ids=["zero", "identity", "no point"])
def test_keys_that_sign_anything_cannot_be_enrolled(sqlite_ledger: Ledger, key: bytes) -> None:
    """For a key of small order, one signature, such as zeros or the base point with 1, holds over many messages."""
    identity = dataclasses.replace(station().identity, public_key=key)
    base = bytes([0x58]) + bytes([0x66]) * 31
    for signature in (bytes(64), key + bytes(32), base + bytes([1]) + bytes(31)):
        record = canonical.encode(
            {
                "version": 1,
                "kind": "enrolment",
                "device": identity.device_id,
                "sequence": 0,
                "time": 0,
                "body": {"identity": identity.to_value(), "possession": signature},
            }
        )
        with pytest.raises(LedgerRefusal, match="not shown that it holds its key"):
            sqlite_ledger.enroll(canonical.encode((1, record, signature)))


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


def test_an_enrolment_of_another_kind_of_entry_is_not_taken(sqlite_ledger: Ledger, sqlite_device: Device) -> None:
    """What comes by the operator's road is an enrolment, whatever its signature."""
    with pytest.raises(LedgerRefusal, match="no enrolment"):
        sqlite_ledger.enroll(sqlite_device.sign(capture(1)))
    assert isinstance(Record.decode(canonical.decode(sqlite_device.enrolment())[1]).body, Enrolment)
