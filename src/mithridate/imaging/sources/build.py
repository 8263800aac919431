"""The last step of every source: from labelled rows to a catalog with parts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mithridate.errors import UserError
from mithridate.imaging.catalog import COLUMNS, Catalog
from mithridate.imaging.sources.request import Request
from mithridate.imaging.splits import split_groups
from mithridate.imaging.tasks import Task


def make_rows(
    table: pd.DataFrame,
    *,
    ids: pd.Series[str],
    paths: pd.Series[str],
    labels: NDArray[np.bool_],
    groups: pd.Series[str],
    metadata: dict[str, str],
) -> pd.DataFrame:
    """A table in catalog order; `metadata` maps columns of the source to column names of the catalog."""
    rows = pd.DataFrame({"id": ids, "path": paths, "label": labels.astype(np.int8), "group": groups})
    for theirs, ours in metadata.items():
        if theirs in table.columns and ours not in COLUMNS:
            rows[ours] = table[theirs]
    return rows


def make_catalog(
    rows: pd.DataFrame,
    *,
    request: Request,
    task: Task,
    root: Path | None,
    source: str,
    where: str,
    notes: Sequence[str],
) -> Catalog:
    """Divide rows (id, path, label, group, optionally split, metadata) into parts and make the catalog.

    `where` names the table in messages.  Raises UserError when a class is empty or too few groups remain.
    """
    labels = rows["label"].to_numpy(dtype=np.int8)
    for label, words in ((1, task.positive), (0, task.negative)):
        if not (labels == label).any():
            raise UserError(
                f"{where} has no image of the class '{words}' under the rule '{task.rule}': "
                "a study needs both classes; check the label rule"
            )
    if "split" not in rows.columns:
        task = replace(task, fractions=request.fractions or task.fractions)  # what was done, not what is usual
        rows = rows.assign(split=split_groups(rows["group"], labels, task.fractions, request.seed))
    return Catalog(
        table=rows,
        task=task,
        root=root or Path(),
        source=source,
        rule=str(task.rule),
        seed=request.seed,
        notes=tuple(notes),
    )
