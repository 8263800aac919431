"""CMS's tables as users download them: a few lines of notice, a header somewhere below, then the rows."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from importlib.resources import as_file, files
from pathlib import Path
from typing import TypeVar

from mithridate.errors import UserError

_HEADER_WITHIN = 60
T = TypeVar("T")


class Row:
    """One row of a table: its cells by the names asked for, and where it stands."""

    def __init__(self, path: Path, line: int, cells: Mapping[str, str]) -> None:
        self.path, self.line, self.cells = path, line, cells

    def text(self, name: str) -> str:
        return self.cells.get(name, "")

    def number(self, name: str, default: float | None = None) -> float:
        """Raises UserError, with file and line, when the cell holds no number of at least 0 and no default is given."""
        cell = self.text(name)
        try:
            value = float(cell.replace(",", "")) if cell or default is None else default
        except ValueError:
            value = -1.0
        if not 0 <= value < float("inf"):
            raise self.error(f"'{cell}' is not a number of at least 0 in the column of the {name}")
        return value

    def day(self, name: str) -> date | None:
        """A date as CMS writes it (20260101, 2026-01-01, or * and blanks for none).  Raises UserError otherwise."""
        cell = self.text(name).replace("-", "")
        if cell in ("", "*"):
            return None
        try:
            return date(int(cell[:4]), int(cell[4:6]), int(cell[6:]))
        except ValueError:
            raise self.error(f"'{cell}' is not a date such as 20260101 in the column of the {name}") from None

    def error(self, what: str) -> UserError:
        return UserError(f"{self.path} line {self.line}: {what}: correct the row")


def read_rows(
    path: Path,
    columns: Mapping[str, Sequence[str]],
    optional: Sequence[str] = (),
    places: Mapping[str, int] | None = None,
) -> Iterator[Row]:
    """The rows of a CSV or tab-separated table below its header.

    `columns` gives for each name the beginnings that its header may have ("column 1"), compared without case; `places`
    puts names at columns counted from 0, where a header is ambiguous.  Raises UserError when the file is missing or no
    table, or when no line within the first 60 has all columns but `optional`.
    """
    lines = _cells(path)
    for _, (_line, cells) in zip(range(_HEADER_WITHIN), lines, strict=False):
        found = _places(cells, columns)
        if all(name in found for name in columns if name not in optional):
            break
    else:
        wanted = ", ".join(f"'{names[0]}'" for name, names in columns.items() if name not in optional)
        raise UserError(
            f"{path} has no header with the columns {wanted}: give CMS's table as CSV or tab-separated text"
        )
    found |= places or {}
    for line, cells in lines:
        if any(cells):
            yield Row(path, line, {name: cells[place] for name, place in found.items() if place < len(cells)})


def packaged(name: str) -> Path:
    """The path of a table that ships with the program."""
    with as_file(files("mithridate.claims.tables") / name) as path:
        return path


def not_empty(rows: T, path: Path) -> T:
    """The rows read; raises UserError when there are none."""
    if not rows:
        raise UserError(f"{path} has a header and no rows: check the file")
    return rows


def _cells(path: Path) -> Iterator[tuple[int, list[str]]]:
    if not path.is_file():
        raise UserError(f"there is no table at {path}: check the path")
    if path.suffix.lower() in (".xlsx", ".xls", ".zip"):
        raise UserError(f"{path} is a workbook or an archive: save the table in it as CSV")
    try:
        with path.open(encoding="utf-8-sig", errors="replace", newline="") as stream:
            head = stream.read(4096)
            stream.seek(0)
            reader = csv.reader(stream, delimiter="\t" if head.count("\t") > head.count(",") else ",")
            for row in reader:
                yield reader.line_num, [" ".join(cell.split()) for cell in row]
    except csv.Error as error:
        raise UserError(f"{path} cannot be read as a table ({error}): give CSV or tab-separated text") from None
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror or error}") from error


def _places(cells: Sequence[str], columns: Mapping[str, Sequence[str]]) -> dict[str, int]:
    found = {}
    for name, beginnings in columns.items():
        for place, cell in enumerate(cells):
            if any(cell.casefold().startswith(beginning) for beginning in beginnings):
                found[name] = place
                break
    return found
