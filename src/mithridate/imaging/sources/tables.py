"""Label tables: CSV files read as text, with every mistake named by file and line."""

from __future__ import annotations

import csv
import gzip
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mithridate.errors import UserError

_NAMELESS = "\x00nameless "


def read_table(path: Path, required: Sequence[str] = ()) -> pd.DataFrame:
    """Read a CSV or CSV.GZ file: every cell as stripped text, the index holding line numbers of the file.

    Raises UserError when it is missing, empty, not a table, or lacks a required column.
    """
    if not path.is_file():
        raise UserError(f"there is no label table at {path}: check the path")
    try:
        table = pd.read_csv(
            path,
            names=_header(path),
            header=0,
            dtype=str,
            keep_default_na=False,
            index_col=False,
            skip_blank_lines=False,
            encoding="utf-8-sig",
        )
    except UserError:
        raise
    except (pd.errors.ParserError, pd.errors.EmptyDataError, UnicodeError, OSError, EOFError, csv.Error) as error:
        raise UserError(f"{path} cannot be read as a CSV table ({_gist(error)}): check the file") from None
    table.index = pd.Index(np.arange(2, len(table) + 2), name="line")
    table = pd.DataFrame({column: table[column].fillna("").str.strip() for column in table.columns})
    nameless = [column for column in table.columns if column.startswith(_NAMELESS)]
    surplus = (table[nameless] != "").any(axis=1).to_numpy(dtype=bool)
    if surplus.any():
        raise UserError(f"{path} has more cells than column names on {line(table, surplus)}: check the commas there")
    table = table.drop(columns=nameless)
    filled: pd.DataFrame = table[(table != "").any(axis=1)]  # blank lines have nothing
    if filled.empty:
        raise UserError(f"{path} has a header and no rows: check the file")
    table = filled
    require_columns(table, required, path)
    return table


def require_columns(table: pd.DataFrame, required: Sequence[str], path: Path) -> None:
    """Raises UserError that names the missing columns and the ones that exist."""
    lacking = [name for name in required if name not in table.columns]
    if lacking:
        some = "column" if len(lacking) == 1 else "columns"
        raise UserError(
            f"{path} has no {some} {', '.join(lacking)}: its columns are {', '.join(map(str, table.columns))}"
        )


def first_column(table: pd.DataFrame, candidates: Sequence[str], path: Path, what: str, option: str) -> str:
    """The first of several usual names that the table has, compared without case; raises UserError when it has none."""
    by_name = {str(column).casefold(): str(column) for column in table.columns}
    for name in candidates:
        if name.casefold() in by_name:
            return by_name[name.casefold()]
    raise UserError(
        f"{path} has no column known to hold the {what}: its columns are {', '.join(map(str, table.columns))}; "
        f"name one with {option}"
    )


def require_filled(table: pd.DataFrame, column: str, path: Path) -> None:
    """Raises UserError that names the first line with an empty cell."""
    empty = np.asarray(table[column].str.strip() == "")
    if empty.any():
        raise UserError(f"{path} has no value in column '{column}' on {line(table, empty)}: fill it or remove the line")


def require_unique(table: pd.DataFrame, column: str, path: Path) -> None:
    """Raises UserError that names two lines with the same image."""
    repeated = table[column].duplicated(keep=False)
    if repeated.any():
        name = str(table.loc[repeated, column].iloc[0])
        lines = table.index[table[column] == name]
        count = int(table[column].duplicated().sum())
        more = f" ({count} such lines in all)" if count > 1 else ""
        raise UserError(f"{path} names {name} on lines {lines[0]} and {lines[1]}{more}: keep one line an image")


def line(table: pd.DataFrame, mask: NDArray[np.bool_]) -> str:
    """ "line 17": the first line of the file for which the mask holds."""
    return f"line {table.index[int(np.flatnonzero(mask)[0])]}"


def _header(path: Path) -> list[str]:
    """Column names, one for each cell of the first two lines: an edition may end its rows, or its header, in a comma.

    Read here and not by pandas, which renames duplicates silently and shifts columns when rows are longer.
    """
    with gzip.open(path, "rb") if path.suffix == ".gz" else path.open("rb") as file:
        head, first = file.readline(1 << 20), file.readline(1 << 20)
    if not head.strip():
        raise UserError(f"{path} is empty: check the file")
    if b"\x00" in head:
        raise UserError(f"{path} is not a text file: give a CSV table")
    names = [name.strip() for name in next(csv.reader([head.decode("utf-8-sig")]))]
    twice = sorted({name for name in names if name and names.count(name) > 1})
    if twice:
        raise UserError(f"{path} has two columns called '{twice[0]}': rename one")
    cells = next(csv.reader([first.decode("utf-8", "replace")]), [])
    names += [""] * (len(cells) - len(names))
    return [name or f"{_NAMELESS}{place}" for place, name in enumerate(names)]


def _gist(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return lines[0].rstrip(". ") if lines else type(error).__name__
