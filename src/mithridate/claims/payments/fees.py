"""Physician fees: relative value units times the conversion factor, from the user's CMS file."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from mithridate.claims.claim import ServiceLine, plain_code
from mithridate.claims.rules.cms_files import FIXTURE
from mithridate.claims.tables.cms_csv import Row, not_empty, packaged, read_rows
from mithridate.errors import UserError

FIXTURE_FACTOR = 33.4
"""Dollars for one unit in the teaching fixture: near CMS's factor for 2026, and not it."""

_NAMED = {
    "code": ("hcpcs",),
    "modifier": ("mod",),
    "work": ("work",),
    "practice expense": ("practice_expense",),
    "malpractice": ("malpractice",),
}
# CMS's PPRRVU file spreads its column names over several lines: only these stand in the last of them.
_PPRRVU = {"code": ("hcpcs",), "modifier": ("mod",), "factor": ("factor", "conv factor", "conv. factor")}
_PPRRVU_PLACES = {"work": 5, "office": 6, "facility": 8, "malpractice": 10}


@dataclass(frozen=True)
class FeeSchedule:
    """Relative value units by (HCPCS, modifier or ""), and dollars a unit.  A code without an entry pays nothing."""

    units: Mapping[tuple[str, str], float]
    factor: float
    vintage: str

    def __post_init__(self) -> None:
        if not 0 < self.factor < float("inf"):
            raise UserError(f"the conversion factor {self.factor} must be above zero")

    @classmethod
    def load(cls, path: Path, factor: float | None = None, *, facility: bool = False) -> FeeSchedule:
        """CMS's PPRRVU file as CSV, or a table with the columns hcpcs, modifier, work, practice_expense, malpractice.

        Geographic indices are taken as 1.  `facility` takes the practice expense of services in a facility; `factor`
        replaces the file's own.  Raises UserError with file and line.
        """
        try:
            units = {_key(row): _total(row) for row in read_rows(path, _NAMED)}
            own: float | None = None
        except UserError as error:
            if "no header" not in str(error):
                raise
            units, own = _pprrvu(path, facility)
        if factor is None and own is None:
            raise UserError(f"{path} does not state the conversion factor: give it in dollars a unit")
        return cls(not_empty(units, path), factor if factor is not None else own or 0.0, f"physician fees: {path.name}")

    @classmethod
    def fixture(cls) -> FeeSchedule:
        loaded = cls.load(packaged("fees.csv"), FIXTURE_FACTOR)
        return cls(loaded.units, loaded.factor, f"physician fees: {FIXTURE}")

    def line_units(self, line: ServiceLine) -> float:
        """Relative value units of one line; a modifier with an entry of its own (26, TC, 53) decides."""
        for modifier in line.modifiers:
            own = self.units.get((line.hcpcs, modifier))
            if own is not None:
                return own * line.units
        return self.units.get((line.hcpcs, ""), 0.0) * line.units

    def total_units(self, lines: Sequence[ServiceLine]) -> float:
        return sum(self.line_units(line) for line in lines)


def _pprrvu(path: Path, facility: bool) -> tuple[dict[tuple[str, str], float], float | None]:
    units: dict[tuple[str, str], float] = {}
    factor: float | None = None
    for row in _pprrvu_rows(path, facility):
        units[_key(row)] = _total(row)
        if factor is None and row.text("factor"):
            factor = row.number("factor") or None
    return units, factor


def _pprrvu_rows(path: Path, facility: bool) -> Iterator[Row]:
    expense = _PPRRVU_PLACES["facility" if facility else "office"]
    places = {"work": _PPRRVU_PLACES["work"], "practice expense": expense, "malpractice": _PPRRVU_PLACES["malpractice"]}
    return read_rows(path, _PPRRVU, places=places)


def _total(row: Row) -> float:
    return sum(row.number(name, 0.0) for name in ("work", "practice expense", "malpractice"))


def _key(row: Row) -> tuple[str, str]:
    code = plain_code(row.text("code"))
    if not code:
        raise row.error("the code is missing")
    return code, row.text("modifier").upper()
