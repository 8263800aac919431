"""Label rules: which rows of a table are positive, written as one short text.

Pneumonia              the source's own label column contains this value
grade>=2               a number comparison on a column
dx=mel|bcc             a column equals one of several values
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mithridate.errors import UserError

_COMPARISON = re.compile(r"^\s*(?P<column>[^<>=!]+?)\s*(?P<operator>>=|<=|!=|==|=|>|<)\s*(?P<value>.+?)\s*$")
_ORDER: dict[str, Callable[[Any, Any], Any]] = {
    ">=": operator.ge,
    "<=": operator.le,
    ">": operator.gt,
    "<": operator.lt,
}


@dataclass(frozen=True)
class LabelRule:
    """A condition on one column.  `column` None stands for the label column that the source knows.

    `operator` is one of >=, <=, >, < (numbers) or =, != (texts, compared without case; `values` are alternatives).
    """

    operator: str
    values: tuple[str, ...]
    column: str | None = None

    @classmethod
    def parse(cls, text: str) -> LabelRule:
        """Parse "Pneumonia", "grade>=2" or "dx=mel|bcc"; raises UserError when the text is none of them."""
        found = _COMPARISON.match(text)
        if found is None:
            values, column, sign = text, None, "="
        else:
            values, column, sign = found["value"], found["column"], found["operator"].replace("==", "=")
        alternatives = tuple(value.strip() for value in values.split("|") if value.strip())
        rule = cls(sign, alternatives, column)
        if not alternatives or any(sign in part for part in alternatives for sign in "<>=") or not rule._is_sound():
            raise UserError(
                f"the label rule '{text}' is not understood: write a value (Pneumonia), "
                "a comparison (grade>=2) or alternatives (dx=mel|bcc)"
            )
        return rule

    def __str__(self) -> str:
        return f"{self.column or ''}{self.operator if self.column else ''}{'|'.join(self.values)}"

    def matches(
        self, table: pd.DataFrame, default_column: str, source: str, *, separator: str = ""
    ) -> NDArray[np.bool_]:
        """Which rows the rule holds for: N booleans.

        `source` names the table in messages; rows are named by the table's index.  With `separator`, a cell is a list
        of values and the rule holds when one of them matches.  Raises UserError for a column that is missing, an empty
        cell, a cell that is no number where numbers are compared, or a value that occurs nowhere in the column.
        """
        column = self.column or default_column
        if column not in table.columns:
            raise UserError(
                f"{source} has no column '{column}' for the rule '{self}': its columns are {_listed(table)}"
            )
        cells = table[column].astype(str).str.strip()
        empty = np.asarray(cells == "")
        if empty.any():
            raise UserError(f"{source} has no value in column '{column}' on {_row(table, empty)}: fill it or remove it")
        if self.operator in _ORDER:
            return self._compare(table, cells, source, column)
        return self._belongs(cells, source, column, separator)

    def _compare(self, table: pd.DataFrame, cells: pd.Series[str], source: str, column: str) -> NDArray[np.bool_]:
        numbers = pd.to_numeric(cells, errors="coerce").to_numpy(dtype=float)
        bad = ~np.isfinite(numbers)
        if bad.any():
            raise UserError(
                f"{source} has '{cells.to_numpy()[bad][0]}' in column '{column}' on {_row(table, bad)}, "
                f"which is not a number as the rule '{self}' needs: correct the cell or the rule"
            )
        return np.asarray(_ORDER[self.operator](numbers, float(self.values[0])), dtype=bool)

    def _belongs(self, cells: pd.Series[str], source: str, column: str, separator: str) -> NDArray[np.bool_]:
        wanted = {_canonical(value) for value in self.values}
        codes, uniques = pd.factorize(cells)  # a rule is applied once to each distinct cell, not to each row
        parts = [[_canonical(part) for part in (cell.split(separator) if separator else [cell])] for cell in uniques]
        known = {part for cell in parts for part in cell}
        if lacking := [value for value in self.values if _canonical(value) not in known]:
            examples = sorted({part.strip() for c in uniques for part in (c.split(separator) if separator else [c])})
            raise UserError(
                f"{source} has no '{lacking[0]}' in column '{column}': its values are {_shortened(examples)}"
            )
        hits = np.array([bool(wanted & set(cell)) for cell in parts], dtype=bool)[codes]
        return ~hits if self.operator == "!=" else hits

    def _is_sound(self) -> bool:
        if self.operator not in _ORDER:
            return True
        try:
            return len(self.values) == 1 and bool(np.isfinite(float(self.values[0])))
        except ValueError:
            return False


def _canonical(value: str) -> str:
    """Texts are compared without case; numbers by value, so that 1, 1.0 and 01 are the same label."""
    text = value.strip().casefold()
    try:
        return repr(float(text))
    except ValueError:
        return text


def _listed(table: pd.DataFrame) -> str:
    return ", ".join(str(column) for column in table.columns)


def _row(table: pd.DataFrame, mask: NDArray[np.bool_]) -> str:
    """How messages name a row: by the index of the table, which readers set to the line in the file."""
    return f"line {table.index[int(np.flatnonzero(mask)[0])]}"


def _shortened(values: list[str], most: int = 20) -> str:
    return ", ".join(values[:most]) + (f" and {len(values) - most} more" if len(values) > most else "")
