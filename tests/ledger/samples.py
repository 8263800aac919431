"""Fingerprints of images that need not exist, devices, and signed entries of both."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field

from mithridate.ledger.fingerprint.dicom_schema import ATTRIBUTES, CODING, IDENTITY, SCHEMA
from mithridate.ledger.fingerprint.model import Fingerprint, digest_value
from mithridate.ledger.identity import DeviceIdentity
from mithridate.ledger.keys import FileSigner
from mithridate.ledger.record import Body, Capture
from mithridate.ledger.station import Station

ORIGIN = "hospital.example/ledger"
SALT = b"\x05" * 32


def digest(*parts: object) -> bytes:
    return hashlib.sha256(repr(parts).encode()).digest()


def fingerprint(number: int, *, sop: str | None = None, patient: str = "P1", file: int | None = None) -> Fingerprint:
    """An image of its own for each number; `file` writes the same image as another file."""
    texts = {"SOPInstanceUID": sop or f"1.2.{number}", "PatientID": patient, "AccessionNumber": "A1"}
    named = {name: digest_value("identity", ("texts", (text,))) for name, text in texts.items()}
    return Fingerprint(
        media="dicom",
        schema=SCHEMA,
        frames=1,
        file=digest("file", number, file),
        stream=digest("stream", number),
        pixels=digest("pixels", number),
        coding=dict.fromkeys(CODING),
        attributes={**dict.fromkeys(ATTRIBUTES), "Rows": digest("rows", 1)},
        identity={name: named.get(name) for name in IDENTITY},
    )


def capture(number: int, **identity: str) -> Capture:
    return Capture(fingerprint(number, **identity).seal(SALT))


def station(name: str = "CT1", seed: int = 1) -> Station:
    signer = FileSigner.from_seed(bytes([seed]) * 32)
    return Station(DeviceIdentity(name, "Maker", "Model", "0001", "1.0", signer.public_key), signer)


@dataclass
class Device:
    """A device that counts its own records."""

    station: Station = field(default_factory=station)
    following: int = 0

    def enrolment(self) -> bytes:
        return self.sign(self.station.enrolment())

    def sign(self, body: Body, *, sequence: int | None = None, when: int = 1_700_000_000_000_000) -> bytes:
        """The device's next entry; with `sequence`, one out of turn."""
        if sequence is not None:
            return self.station.sign(body, sequence, when)
        self.following += 1
        return self.station.sign(body, self.following - 1, when)
