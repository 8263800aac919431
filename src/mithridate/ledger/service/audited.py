"""Where a service's audit events go, as settings that the ledger's service and the gate's proxy share."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field

from mithridate.ledger.service.audit_trail import AuditTrail, open_trail
from mithridate.ledger.service.listening import Listening


class AuditedListening(Listening):
    """A service that writes audit events.

    Attributes:
        audit_file, audit_syslog: Where audit events go: a file, "udp://host:port" or "tcp://host:port".
        audit_format: DICOM PS3.15 A.5 as XML, or FHIR R4 AuditEvent as JSON.
        audit_source: The name under which this service signs its audit events.
    """

    audit_file: Path | None = None
    audit_syslog: str | None = Field(default=None, pattern=r"^(udp|tcp)://[^/\s]+:[0-9]{1,5}$")
    audit_format: Literal["dicom", "fhir"] = "dicom"
    audit_source: str = Field(default="mithridate-ledger", min_length=1, max_length=100)

    def open_trail(self) -> AuditTrail:
        """The trail that these settings name.  Raises UserError when its file cannot be opened."""
        return open_trail(self.audit_source, self.audit_file, self.audit_syslog, self.audit_format)
