"""Who captures: a device with its key, known by the hash of everything that is said about it."""

from __future__ import annotations

import hashlib
from dataclasses import asdict, dataclass, fields
from functools import cached_property

from mithridate.ledger import canonical
from mithridate.ledger.canonical import Value
from mithridate.ledger.fields import read_bytes, read_map, read_text
from mithridate.ledger.keys import PUBLIC_KEY_SIZE

_DOMAIN = b"mithridate/device/1\x00"


@dataclass(frozen=True)
class DeviceIdentity:
    """A device or station as enrolled.  A new key or another software version makes a new identity.

    Attributes: name by which people call it (an AE title, a station name), manufacturer, model, serial_number,
    software_version (firmware included), and public_key, the 32 bytes of its Ed25519 key.
    """

    name: str
    manufacturer: str
    model: str
    serial_number: str
    software_version: str
    public_key: bytes

    def __post_init__(self) -> None:
        for field in fields(self):
            if field.name != "public_key":
                read_text(getattr(self, field.name), f"device's {field.name.replace('_', ' ')}")
        read_bytes(self.public_key, "device's public key", PUBLIC_KEY_SIZE)

    @cached_property
    def device_id(self) -> bytes:
        """The 32 bytes by which records name the device."""
        return hashlib.sha256(_DOMAIN + canonical.encode(self.to_value())).digest()

    def to_value(self) -> Value:
        """The identity as it stands in an enrolment record."""
        value: Value = asdict(self)
        return value

    @classmethod
    def from_value(cls, value: Value) -> DeviceIdentity:
        """The inverse of `to_value`.  Raises RecordError for anything else."""
        entries = read_map(value, [field.name for field in fields(cls)], "device's identity")
        texts = {name: read_text(entry, f"device's {name}") for name, entry in entries.items() if name != "public_key"}
        return cls(**texts, public_key=read_bytes(entries["public_key"], "device's public key", PUBLIC_KEY_SIZE))
