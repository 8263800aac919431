"""Entries to measure with: signed records like those of CT slices, from devices that keep their own keys."""

from __future__ import annotations

from mithridate.ledger import merkle
from mithridate.ledger.fingerprint.dicom_schema import ATTRIBUTES, CODING, IDENTITY, SCHEMA
from mithridate.ledger.identity import DeviceIdentity
from mithridate.ledger.keys import FileSigner
from mithridate.ledger.record import Capture
from mithridate.ledger.sealed import SealedFingerprint
from mithridate.ledger.station import Station

PRESENT = 76
"""Attributes that a CT slice commits to; the others of the schema are absent, and say so."""


def station(seed: int = 1) -> Station:
    """A device with a key of its own for each seed."""
    signer = FileSigner.from_seed(bytes([seed]) * 32)
    return Station(DeviceIdentity(f"CT{seed}", "Maker", "Model", "1", "1", signer.public_key), signer)


def entries(device: Station, begin: int, end: int, *, first: int = 1) -> list[bytes]:
    """The device's records begin..end-1 of different images; `first` is the sequence number of record 0."""
    return [device.sign(_capture(device, number), first + number) for number in range(begin, end)]


def _capture(device: Station, number: int) -> Capture:
    commitment = merkle.leaf_hash(b"an attribute")
    names = (*CODING, *ATTRIBUTES, *IDENTITY)
    every = len(names) // PRESENT
    sealed = iter([commitment if place % every == 0 else None for place in range(len(names))])
    groups = [tuple(next(sealed) for _ in group) for group in (CODING, ATTRIBUTES, IDENTITY)]
    own = [merkle.leaf_hash(b"%s %d %s" % (what, number, device.device_id)) for what in (b"file", b"stream", b"pixels")]
    return Capture(SealedFingerprint("dicom", SCHEMA, 1, *own, *groups))
