"""A station: a device that the ledger's host signs for."""

from __future__ import annotations

import time
from dataclasses import dataclass

from mithridate.ledger.entry import UncheckedEntry, sign_entry
from mithridate.ledger.errors import RecordError
from mithridate.ledger.identity import DeviceIdentity
from mithridate.ledger.keys import Signer
from mithridate.ledger.record import Body, Enrolment, Record


@dataclass(frozen=True)
class Station:
    """An identity and the key that signs for it.  Raises RecordError when the two do not belong together."""

    identity: DeviceIdentity
    signer: Signer

    def __post_init__(self) -> None:
        if self.signer.public_key != self.identity.public_key:
            raise RecordError(f"the key given is not that of the device {self.identity.name!r}")

    @property
    def device_id(self) -> bytes:
        """The 32 bytes by which records name the station."""
        return self.identity.device_id

    def enrolment(self) -> Enrolment:
        """The enrolment that the station prepares for whoever enrolls it."""
        return Enrolment.create(self.identity, self.signer)

    def sign(self, body: Body, sequence: int, when: int | None = None) -> bytes:
        """An entry with this body; `when` in microseconds since 1970, by default now."""
        return self.sign_parts(body, sequence, when)[0]

    def sign_parts(self, body: Body, sequence: int, when: int | None = None) -> tuple[bytes, UncheckedEntry]:
        """`sign`, with the entry's parts, for whoever would take it apart again at once."""
        stated = time.time_ns() // 1000 if when is None else when
        return sign_entry(Record(self.device_id, sequence, stated, body), self.identity, self.signer)
