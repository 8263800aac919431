"""How the ledger's service is run, as a typed object or a YAML file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pydantic import Field

from mithridate.ledger.service.audited import AuditedListening
from mithridate.ledger.service.listening import LISTENING_FILES, make_settings, read_settings


class Settings(AuditedListening):
    """The service's settings, beside those of `AuditedListening`; files are relative to the file that names them.

    Attributes:
        credentials: File of API keys and certificates; beside the ledger unless given.
        public_log: Whether anybody may read checkpoint and tiles; proofs, which open commitments, never.
        station: The station that signs for images which come by DICOMweb; without it that door is closed.
        max_body: Bytes of the largest body.
        rate, burst: Requests a second for each caller, in the long run and at once.
        threads: Requests that may wait for the disk or compute at once.
    """

    credentials: Path | None = None
    public_log: bool = False
    station: str | None = None
    max_body: int = Field(default=512 << 20, gt=0)
    rate: float = Field(default=50, gt=0)
    burst: float = Field(default=200, ge=1)
    threads: int = Field(default=64, ge=1, le=1024)


def load_settings(path: Path | None, **changes: Any) -> Settings:
    """Settings from a YAML file, if any; `changes` come before what it says.

    Raises UserError, naming the file and the field, when it is none.
    """
    data = read_settings(path, (*LISTENING_FILES, "credentials", "audit_file")) if path is not None else {}
    return make_settings(Settings, data | changes, str(path or "the command line"))
