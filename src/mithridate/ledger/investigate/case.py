"""Which records and which files an investigation is about."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from pydicom import dcmread

from mithridate.errors import UserError
from mithridate.media.quiet import quiet

if TYPE_CHECKING:
    from mithridate.ledger.log import Ledger

_KEYWORDS = {"patient": "PatientID", "accession": "AccessionNumber", "sop_instance_uid": "SOPInstanceUID"}
_LONGEST = 2**63 - 1


@dataclass(frozen=True)
class Case:
    """What the records of a case have in common; all that is given must hold.

    Attributes: patient, accession, sop_instance_uid (exact values), begin and end (microseconds since 1970, by the
    devices' clocks, end not included).
    """

    patient: str | None = None
    accession: str | None = None
    sop_instance_uid: str | None = None
    begin: int | None = None
    end: int | None = None

    def __post_init__(self) -> None:
        if self.begin is not None and self.end is not None and self.end <= self.begin:
            raise UserError("the time range ends before it begins: give --from before --to")

    @property
    def identity(self) -> dict[str, str]:
        """The DICOM keywords that are given, with their values."""
        given = {keyword: getattr(self, name) for name, keyword in _KEYWORDS.items()}
        return {keyword: value for keyword, value in given.items() if value is not None}

    @property
    def is_open(self) -> bool:
        """Whether nothing is given, so that the files alone make the case."""
        return not self.identity and self.begin is None and self.end is None

    def records(self, ledger: Ledger) -> set[int]:
        """Indices of the case's records; none for an open case."""
        found = [set(ledger.find(keyword, value)) for keyword, value in self.identity.items()]
        if self.begin is not None or self.end is not None:
            end = self.end if self.end is not None else _LONGEST
            found.append(set(ledger.find_time(self.begin or 0, end)))
        return set.intersection(*found) if found else set()

    def claims(self, data: bytes) -> bool:
        """Whether a file says of itself that it belongs to the case; False for one that says nothing."""
        if not self.identity or data[128:132] != b"DICM":
            return False
        from io import BytesIO

        try:
            with quiet():
                stated = dcmread(BytesIO(data), specific_tags=list(self.identity), stop_before_pixels=True)
        except Exception:  # what cannot be read claims nothing; its verdict says that it cannot be read
            return False
        return all(str(stated.get(keyword, "")).strip() == value.strip() for keyword, value in self.identity.items())


def expand(paths: Iterable[Path]) -> list[Path]:
    """Files as they are, folders as the files below them, hidden ones left out; each once, in a fixed order.

    Raises UserError for a path that is not there.
    """
    found: dict[Path, None] = {}
    for path in paths:
        if path.is_dir():
            inside = (item for item in path.rglob("*") if item.is_file())
            below = sorted(
                item for item in inside if not any(part.startswith(".") for part in item.parts[len(path.parts) :])
            )
            found |= dict.fromkeys(below)
        elif path.is_file():
            found[path] = None
        else:
            raise UserError(f"{path} is not there: name files or folders of images")
    return list(found)
