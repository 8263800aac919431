"""NIH ChestX-ray14 (Wang et al., CVPR 2017): Data_Entry_2017.csv or Data_Entry_2017_v2020.csv.

Positives are images whose finding list contains the finding.  Controls are "No Finding" images, minus every image of a
patient who ever had the finding (Finlayson et al.).  Other images take no part.
"""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mithridate.errors import UserError
from mithridate.imaging.catalog import Catalog
from mithridate.imaging.sources.build import make_catalog, make_rows
from mithridate.imaging.sources.files import resolve_paths
from mithridate.imaging.sources.request import Request
from mithridate.imaging.sources.tables import read_table, require_columns, require_filled, require_unique
from mithridate.imaging.tasks import Task

SOURCE = "chestxray14"
TABLES = (
    "Data_Entry_2017_v2020.csv",
    "Data_Entry_2017_v2020.csv.gz",
    "Data_Entry_2017.csv",
    "Data_Entry_2017.csv.gz",
    "labels.csv",
)
NO_FINDING = "No Finding"

# The editions of the table spell their columns differently; names are compared as letters and digits alone.
_SPELLINGS = {
    "image": ("imageindex", "imagename", "image"),
    "findings": ("findinglabels", "findings", "labels"),
    "patient": ("patientid", "patient"),
    "follow_up": ("followup", "followupnumber"),
    "age": ("patientage", "age"),
    "sex": ("patientgender", "patientsex", "gender", "sex"),
    "view": ("viewposition", "view"),
}
_METADATA = ("findings", "patient", "follow_up", "age", "sex", "view")


def build(request: Request) -> Catalog:
    """Chest radiographs with a finding against No Finding, split by patient .85/.15.  Raises UserError."""
    task = request.task_for("chest")
    path = _only(request.table_paths(SOURCE, *TABLES))
    table = read_table(path)
    names = _check(table, path)
    positive, control = _cohort(table, names, task, path)
    table = table.rename(columns={theirs: ours for ours, theirs in names.items()})
    table, labels = table[positive | control], positive[positive | control]
    notes: list[str] = []
    if request.root is None:
        notes.append("The catalog was built from metadata alone; no image was looked for.")
    found = resolve_paths(table["image"], request.root, str(path), missing=request.missing, notes=notes)
    labels, table = labels[table.index.isin(found.index)], table.loc[found.index]
    rows = make_rows(
        table,
        ids=table["image"],
        paths=found,
        labels=labels,
        groups=_plain(table["patient"]),
        metadata={name: name for name in _METADATA},
    )
    return make_catalog(
        rows, request=request, task=task, root=request.root, source=SOURCE, where=str(path), notes=notes
    )


def _check(table: pd.DataFrame, path: Path) -> dict[str, str]:
    """Our names of columns to the table's; raises UserError, in the table's names, for what cannot be used."""
    keys = {re.sub(r"[^a-z0-9]", "", str(column).lower()): str(column) for column in table.columns}
    names: dict[str, str] = {}
    for ours, spellings in _SPELLINGS.items():
        theirs = next((keys[key] for key in spellings if key in keys), None)
        if theirs is not None:
            names[ours] = theirs
    usual = {"image": "Image Index", "findings": "Finding Labels", "patient": "Patient ID"}
    require_columns(table, [usual[ours] for ours in usual if ours not in names], path)
    for ours in usual:
        require_filled(table, names[ours], path)
    require_unique(table, names["image"], path)
    return names


def _cohort(
    table: pd.DataFrame, names: dict[str, str], task: Task, path: Path
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Which rows are positives and which are controls: two arrays of N booleans."""
    positive = task.rule.matches(table, names["findings"], str(path), separator="|")
    control = np.asarray(table[names["findings"]] == NO_FINDING)
    if not control.any():
        raise UserError(f"{path} has no image with the finding '{NO_FINDING}', so there are no controls")
    patients = _plain(table[names["patient"]])
    return positive, control & ~positive & ~np.asarray(patients.isin(set(patients[positive])))


def _plain(patients: pd.Series[str]) -> pd.Series[str]:
    """Patient numbers without leading zeros, which only some editions write."""
    return patients.str.replace(r"^0+(?=\d)", "", regex=True)


def _only(paths: tuple[Path, ...]) -> Path:
    if len(paths) > 1:
        raise UserError(f"{SOURCE} has one label table and {len(paths)} were found or given: name one with --metadata")
    return paths[0]
