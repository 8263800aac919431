"""Anesthesia: (base + minutes / 15 + modifier units) x factor (CMS Claims Processing Manual 100-04, 12.50)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from mithridate.claims.claim import ServiceLine, plain_code
from mithridate.claims.rules.cms_files import FIXTURE
from mithridate.claims.tables.cms_csv import not_empty, packaged, read_rows

MINUTES_A_UNIT = 15.0
STATUS_UNITS = {"P3": 1.0, "P4": 2.0, "P5": 3.0}
"""Units for physical status, which many payers add and Medicare does not."""

DIRECTED = frozenset({"QK", "QX", "QY"})
"""Medical direction: half of the amount goes to each of the two clinicians."""


@dataclass(frozen=True)
class BaseUnits:
    """Base units by anesthesia code (00100 to 01999)."""

    units: Mapping[str, float]
    vintage: str

    @classmethod
    def load(cls, path: Path, vintage: str | None = None) -> BaseUnits:
        """CMS's table of base units as CSV or tab-separated text.  Raises UserError with file and line."""
        columns = {"code": ("code", "hcpcs", "cpt"), "base units": ("base",)}
        units = {}
        for row in read_rows(path, columns):
            code = plain_code(row.text("code"))
            units[code.rjust(5, "0")] = row.number("base units")  # spreadsheets drop leading zeros
        return cls(not_empty(units, path), vintage or f"anesthesia base units: {path.name}")

    @classmethod
    def fixture(cls) -> BaseUnits:
        return cls.load(packaged("anesthesia.csv"), f"anesthesia base units: {FIXTURE}")

    def line_units(self, line: ServiceLine, *, with_status: bool = True) -> float:
        """Paid units of one line, halved under medical direction; 0 without base units or without minutes."""
        base = self.units.get(line.hcpcs)
        if base is None or line.minutes is None:
            return 0.0
        status = sum(STATUS_UNITS.get(item, 0.0) for item in line.modifiers) if with_status else 0.0
        whole = base + line.minutes / MINUTES_A_UNIT + status
        return whole / 2 if not DIRECTED.isdisjoint(line.modifiers) else whole

    def total_units(self, lines: Sequence[ServiceLine], *, with_status: bool = True) -> float:
        return sum(self.line_units(line, with_status=with_status) for line in lines)
