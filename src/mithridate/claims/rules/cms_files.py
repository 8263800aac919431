"""CMS's NCCI tables: which services are part of others, and how many units one patient can have.

Users bring CMS's own quarterly files.  The small tables that ship are teaching fixtures of this project: a few code
numbers with values of our own, not CMS's edits; what is printed about a run says which were used.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from mithridate.claims.claim import ServiceLine, plain_code
from mithridate.claims.codes import Window
from mithridate.claims.rules.reasons import Broken
from mithridate.claims.tables.cms_csv import not_empty, packaged, read_rows

FIXTURE = "teaching fixture of this program, not CMS's table"

BYPASS_MODIFIERS = frozenset(
    ["24", "25", "27", "57", "58", "59", "78", "79", "91", "LT", "RT", "XE", "XP", "XS", "XU", "FA", "TA"]
    + [f"{part}{digit}" for part, digits in (("E", "1234"), ("F", "123456789"), ("T", "123456789")) for digit in digits]
    + ["LC", "LD", "LM", "RC", "RI"]
)
"""Modifiers that allow a pair whose indicator is 1 (CMS NCCI Policy Manual, chapter I, section E)."""


@dataclass(frozen=True)
class ProcedurePairs:
    """Procedure-to-procedure edits: (column 1, column 2) -> (days on which it holds, whether a modifier allows it)."""

    pairs: dict[tuple[str, str], tuple[Window, bool]]
    vintage: str

    @classmethod
    def load(cls, path: Path, vintage: str | None = None) -> ProcedurePairs:
        """CMS's practitioner or hospital PTP file, as CSV or text with tabs.  Raises UserError with file and line."""
        columns = {
            "first code": ("column 1", "column_1"),
            "second code": ("column 2", "column_2"),
            "effective date": ("effective",),
            "deletion date": ("deletion date", "deleted"),
            "modifier indicator": ("modifier",),
        }
        pairs: dict[tuple[str, str], tuple[Window, bool]] = {}
        for row in read_rows(path, columns):
            first, second = plain_code(row.text("first code")), plain_code(row.text("second code"))
            indicator = row.text("modifier indicator")
            if not first or not second:
                raise row.error("one of the two codes is missing")
            if indicator not in ("0", "1", "9"):
                raise row.error(f"'{indicator}' is not a modifier indicator (0, 1 or 9)")
            if indicator != "9":  # 9: the edit was withdrawn from its first day
                window = Window(row.day("effective date"), row.day("deletion date"))
                pairs[first, second] = (window, indicator == "1")
        return cls(not_empty(pairs, path), vintage or f"NCCI PTP: {path.name}")

    @classmethod
    def fixture(cls) -> ProcedurePairs:
        return cls.load(packaged("ncci.csv"), f"NCCI PTP: {FIXTURE}")

    def broken(self, lines: Sequence[ServiceLine], day: date) -> Iterator[Broken]:
        """Pairs among the lines of one patient and day."""
        for first in lines:
            for second in lines:
                if first is second or (edit := self.pairs.get((first.hcpcs, second.hcpcs))) is None:
                    continue
                window, modifier_allows = edit
                marked = not BYPASS_MODIFIERS.isdisjoint((*first.modifiers, *second.modifiers))
                if window.holds(day) and not (modifier_allows and marked):
                    yield Broken("NCCI-PAIR", f"{second.hcpcs} with {first.hcpcs}")


@dataclass(frozen=True)
class MedicallyUnlikely:
    """Medically unlikely edits: HCPCS code -> (most units, whether the limit is for each line and not for the day)."""

    limits: dict[str, tuple[float, bool]]
    vintage: str

    @classmethod
    def load(cls, path: Path, vintage: str | None = None) -> MedicallyUnlikely:
        """CMS's practitioner, hospital or supplier MUE file.  Raises UserError with file and line."""
        columns = {
            "code": ("hcpcs",),
            "units": (
                "units",
                *(f"{who} services mue" for who in ("practitioner", "outpatient hospital", "dme supplier")),
            ),
            "indicator": ("mue adjudication indicator",),
        }
        limits = {
            plain_code(row.text("code")): (row.number("units"), row.text("indicator").startswith("1"))
            for row in read_rows(path, columns, optional=("indicator",))
        }
        return cls(not_empty(limits, path), vintage or f"MUE: {path.name}")

    @classmethod
    def fixture(cls) -> MedicallyUnlikely:
        return cls.load(packaged("mue.csv"), f"MUE: {FIXTURE}")

    def broken(self, lines: Sequence[ServiceLine]) -> Iterator[Broken]:
        """Codes with too many units; lines are those of one patient and day."""
        totals: dict[str, float] = {}
        for line in lines:
            limit = self.limits.get(line.hcpcs)
            if limit is None:
                continue
            most, by_line = limit
            before = 0.0 if by_line else totals.get(line.hcpcs, 0.0)
            totals[line.hcpcs] = before + line.units
            if before <= most < totals[line.hcpcs] or (by_line and line.units > most):
                yield Broken("MUE-UNITS", f"{line.hcpcs} x {totals[line.hcpcs]:g}, at most {most:g}")
