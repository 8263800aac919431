"""ISIC archive metadata, and HAM10000 with its `dx` column: melanocytic lesions, malignant against benign.

Where a column says whether a lesion is melanocytic, the others are left out.  Images are kept together by patient when
the table knows patients, else by lesion.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mithridate.errors import UserError
from mithridate.imaging.catalog import Catalog
from mithridate.imaging.labels import LabelRule
from mithridate.imaging.sources.build import make_catalog, make_rows
from mithridate.imaging.sources.files import resolve_paths
from mithridate.imaging.sources.request import Request
from mithridate.imaging.sources.tables import first_column, line, read_table, require_filled, require_unique

SOURCE = "isic"
TABLES = ("labels.csv", "metadata.csv", "HAM10000_metadata.csv", "HAM10000_metadata")
_METADATA: tuple[str, ...] = ("lesion_id", "patient_id", "benign_malignant", "diagnosis", "diagnosis_1", "dx")
_METADATA += ("diagnosis_3", "dx_type", "age", "age_approx", "sex", "localization", "anatom_site_general")
_BENIGN, _MALIGNANT = {"benign"}, {"malignant"}
# Diagnoses that pathology left open belong to neither class.
_OPEN = {"", "indeterminate", "indeterminate/benign", "indeterminate/malignant", "unknown", "na", "nan", "none"}
_HAM_POSITIVE, _HAM_NEGATIVE = {"mel"}, {"nv"}
_HAM_OTHER = {"akiec", "bcc", "bkl", "df", "vasc", "scc"}


def build(request: Request) -> Catalog:
    """Dermoscopic images, melanoma against naevi, split by patient or lesion .85/.15.  Raises UserError."""
    task = request.task_for("skin")
    paths = request.table_paths(SOURCE, *TABLES)
    if len(paths) > 1:
        raise UserError(f"{SOURCE} has one label table and {len(paths)} were found or given: name one with --metadata")
    path, notes = paths[0], list[str]()
    table = read_table(path)
    image = request.image_column or first_column(
        table, ("isic_id", "image_id", "image_name", "image"), path, "image", "--image-column"
    )
    require_filled(table, image, path)
    require_unique(table, image, path)
    table = _only_melanocytic(table, notes)
    if request.positive is not None:
        positive, negative = _by_rule(table, request.positive, path)
    else:
        column, positive, negative = _published_classes(table, path)
        used = LabelRule("=", ("mel",) if column == "dx" else ("malignant",), column)
        task = task.with_positive(used, task.positive)
    neither = int((~(positive | negative)).sum())
    if neither:
        notes.append(f"{neither:,} images whose diagnosis is neither class were left out.")
    table, labels = table[positive | negative], positive[positive | negative]
    found = resolve_paths(table[image], request.root, str(path), missing=request.missing, notes=notes)
    labels, table = labels[table.index.isin(found.index)], table.loc[found.index]
    groups = table[request.group_column] if request.group_column else _groups(table, image, notes)
    rows = make_rows(
        table, ids=table[image], paths=found, labels=labels, groups=groups, metadata={n: n for n in _METADATA}
    )
    return make_catalog(
        rows, request=request, task=task, root=request.root, source=SOURCE, where=str(path), notes=notes
    )


def _only_melanocytic(table: pd.DataFrame, notes: list[str]) -> pd.DataFrame:
    """Leave out what a column calls not melanocytic; say so when no column tells."""
    if "melanocytic" in table.columns:
        keep = table["melanocytic"].str.casefold().isin(["true", "1", "1.0", "yes"])
    elif "diagnosis_2" in table.columns:
        keep = table["diagnosis_2"].str.casefold().str.contains(r"(?<!non)(?<!non-)melanocytic", regex=True)
    elif "dx" in table.columns:
        return table  # the classes mel and nv are melanocytic by themselves
    else:
        notes.append("No column says which lesions are melanocytic; all are kept.")
        return table
    if dropped := int((~keep).sum()):
        notes.append(f"{dropped:,} images of lesions that are not, or not known to be, melanocytic were left out.")
    return table[keep]


def _published_classes(table: pd.DataFrame, path: Path) -> tuple[str, NDArray[np.bool_], NDArray[np.bool_]]:
    """Positives and negatives by the archive's own columns: the column used and two arrays of N booleans."""
    column = first_column(table, ("benign_malignant", "diagnosis_1", "dx"), path, "diagnosis", "--positive RULE")
    cells = table[column].str.casefold()
    positives, negatives, others = (
        (_HAM_POSITIVE, _HAM_NEGATIVE, _HAM_OTHER) if column == "dx" else (_MALIGNANT, _BENIGN, _OPEN)
    )
    unknown = ~cells.isin(positives | negatives | others).to_numpy(dtype=bool)
    if unknown.any():
        raise UserError(
            f"{path} has '{table[column].to_numpy()[unknown][0]}' in column '{column}' on {line(table, unknown)}, "
            f"which is not one of {', '.join(sorted(filter(None, positives | negatives | others)))}: "
            "correct it or give a rule with --positive"
        )
    return column, np.asarray(cells.isin(positives)), np.asarray(cells.isin(negatives))


def _by_rule(table: pd.DataFrame, rule: LabelRule, path: Path) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """A rule of the user's: what it does not match is negative."""
    column = rule.column or first_column(
        table, ("benign_malignant", "diagnosis_1", "dx", "diagnosis"), path, "diagnosis", "--positive COLUMN=VALUE"
    )
    positive = rule.matches(table, column, str(path))
    return positive, ~positive


def _groups(table: pd.DataFrame, image: str, notes: list[str]) -> pd.Series[str]:
    """Patient where known, else lesion, else the image itself; a lesion of a known patient goes with the patient."""
    nothing = pd.Series("", index=table.index, dtype="str")
    patient = table["patient_id"] if "patient_id" in table.columns else nothing
    lesion = table["lesion_id"] if "lesion_id" in table.columns else nothing
    known = (patient != "") & (lesion != "")
    owner = dict(zip(lesion[known], patient[known], strict=True))
    patient = patient.where((patient != "") | ~lesion.isin(list(owner)), lesion.map(owner))
    alone = (patient == "") & (lesion == "")
    if alone.any():
        notes.append(f"{int(alone.sum()):,} images have neither patient nor lesion; each is a group of its own.")
    # Prefixes keep a patient, a lesion and an image of the same name apart.
    return pd.Series(
        np.where(
            patient != "", "patient:" + patient, np.where(lesion != "", "lesion:" + lesion, "image:" + table[image])
        ),
        index=table.index,
        dtype="str",
    )
