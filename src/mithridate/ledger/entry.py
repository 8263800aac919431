"""Entries, which are what the log holds: a record's bytes with the signature of the device whose record it is.

The signature is over a digest of the record that no other part of the program signs.  Every byte of an entry matters:
change one, and either it is no entry any more or its signature is false.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import lru_cache

from mithridate.ledger import canonical
from mithridate.ledger.errors import RecordError
from mithridate.ledger.fields import read_bytes, read_integer, read_list
from mithridate.ledger.identity import DeviceIdentity
from mithridate.ledger.keys import SIGNATURE_SIZE, Signer, is_signature
from mithridate.ledger.record import VERSION, Record
from mithridate.ledger.shapes import ShapeMemory

MAX_ENTRY_BYTES = 65_535

_DOMAIN = b"mithridate/record/1\x00"
_shapes = ShapeMemory()


def sign_record(record: Record, identity: DeviceIdentity, signer: Signer) -> bytes:
    """The log entry of a record.

    Raises RecordError when the record is not this device's, cannot be read back, or makes an entry of more than 65,535
    bytes.
    """
    return sign_entry(record, identity, signer)[0]


def sign_entry(record: Record, identity: DeviceIdentity, signer: Signer) -> tuple[bytes, UncheckedEntry]:
    """`sign_record`, with the entry's parts as `parse_entry` would give them."""
    if record.device != identity.device_id or signer.public_key != identity.public_key:
        raise RecordError(f"the record is not by the device {identity.name!r} or the key is not its own")
    encoded = record.encode()
    read = _shapes.decode(encoded)
    signature = signer.sign(_signed_message(encoded))
    entry = canonical.encode((VERSION, encoded, signature))
    if len(entry) > MAX_ENTRY_BYTES:
        raise RecordError(f"the entry has {len(entry):,} bytes, above the limit of {MAX_ENTRY_BYTES:,}")
    return entry, UncheckedEntry(read, encoded, signature)


@dataclass(frozen=True, slots=True)
class UncheckedEntry:
    """An entry taken apart: nobody is known to have signed the record yet."""

    record: Record
    encoded: bytes
    signature: bytes

    def check(self, identity: DeviceIdentity) -> Record:
        """The record, once this device is known to have signed it.  Raises RecordError when it has not."""
        if not is_signature(identity.public_key, _signed_message(self.encoded), self.signature):
            raise RecordError(f"the record was not signed by the device {identity.name!r}, or was changed since")
        if self.record.device != identity.device_id:
            raise RecordError(f"the record names another device than {identity.name!r}, whose key signed it")
        return self.record


@lru_cache(maxsize=256)
def parse_entry(entry: bytes) -> UncheckedEntry:
    """Take an entry apart, which is enough to learn whose it claims to be.  Raises RecordError when it is malformed.

    The last ones are remembered: to judge, prove and check one image takes its record apart four times.
    """
    encoded, signature = _parts(entry)
    return UncheckedEntry(_shapes.decode(encoded), encoded, signature)


def read_entry(entry: bytes) -> tuple[Record, bytes]:
    """The record in an entry and its signature, unchecked.  Raises RecordError when the entry is malformed."""
    parsed = parse_entry(entry)
    return parsed.record, parsed.signature


def open_entry(entry: bytes, identity: DeviceIdentity) -> Record:
    """The record in an entry that this device signed.  Raises RecordError when it is malformed or by anyone else."""
    return parse_entry(entry).check(identity)


def _parts(entry: bytes) -> tuple[bytes, bytes]:
    if len(entry) > MAX_ENTRY_BYTES:
        raise RecordError(f"the entry has {len(entry):,} bytes, above the limit of {MAX_ENTRY_BYTES:,}")
    version, encoded, signature = read_list(canonical.decode(entry), "entry", 3)
    if read_integer(version, "entry's version") != VERSION:
        raise RecordError(f"the entry is of version {version!r}: this program reads version {VERSION}")
    if not isinstance(encoded, bytes):
        raise RecordError("the entry's record is not a string of bytes")
    return encoded, read_bytes(signature, "signature", SIGNATURE_SIZE)


def _signed_message(encoded: bytes) -> bytes:
    return _DOMAIN + hashlib.sha256(encoded).digest()
