"""MedMNIST archives (Yang et al., Sci Data 2023): train, val and test images and labels in one .npz file.

The archives name no patients, so each image is a group of its own and the catalog says so.  The archive's own parts are
kept unless fractions are asked for.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mithridate.errors import UserError
from mithridate.imaging.catalog import Catalog
from mithridate.imaging.labels import LabelRule
from mithridate.imaging.sources.build import make_catalog
from mithridate.imaging.sources.folder_csv import custom_task
from mithridate.imaging.sources.request import Request
from mithridate.imaging.tasks import SPLITS, Task
from mithridate.media.npz import read_labels

SOURCE = "medmnist"


def build(request: Request) -> Catalog:
    """Images of one archive, positive by a rule on `label` (or `label_3` in a set with several).  Raises UserError."""
    path = request.root
    if path is None or not path.is_file():
        raise UserError(f"there is no MedMNIST archive at {path}: give the path of an .npz file after the source")
    parts = read_labels(path)
    table = _table(parts, path)
    task = _task(table, request, path)
    labels = task.rule.matches(table, "label", str(path))
    name = path.name
    rows = pd.DataFrame(
        {
            "id": [f"{path.stem}-{number:07d}" for number in range(len(table))],
            "path": [f"{name}#{number}" for number in range(len(table))],
            "label": labels.astype(np.int8),
            "group": [f"{path.stem}-{number:07d}" for number in range(len(table))],
        }
    ).join(table.rename(columns={"label": "class"}))
    notes = [
        "The archive names no patients, so each image is its own group: images of one patient may lie in two parts."
    ]
    if request.fractions is None and set(parts) == set(SPLITS):
        notes.append("The parts are the archive's own.")
    else:
        rows = rows.drop(columns="split").assign(archive_split=rows["split"])
    return make_catalog(rows, request=request, task=task, root=path.parent, source=SOURCE, where=str(path), notes=notes)


def _table(parts: dict[str, NDArray[np.int64]], path: Path) -> pd.DataFrame:
    """One row an image in the order train, validation, test: split, and label as text (or label_0, label_1, ...)."""
    present = [split for split in SPLITS if split in parts]
    widths = {parts[split].reshape(len(parts[split]), -1).shape[1] for split in present}
    if len(widths) != 1:
        raise UserError(f"{path} has a different number of labels in each part: download it again")
    labels = np.concatenate([parts[split].reshape(len(parts[split]), -1) for split in present])
    names = ["label"] if labels.shape[1] == 1 else [f"label_{i}" for i in range(labels.shape[1])]
    table = pd.DataFrame(labels.astype(str), columns=names)
    return table.assign(split=np.repeat(present, [len(parts[split]) for split in present]))


def _task(table: pd.DataFrame, request: Request, path: Path) -> Task:
    rule = request.positive
    if rule is None:
        values = sorted(set(table["label"]), key=int) if "label" in table.columns else []
        if values != ["0", "1"]:
            example = "label_0=1" if not values else f"label={values[-1]}"
            state = f"the classes {', '.join(values)}" if values else "several labels an image"
            raise UserError(f"{path} has {state}: say which are positive, for example with --positive '{example}'")
        rule = LabelRule.parse("label=1")
    if request.task is not None:
        return request.task.with_positive(rule, request.positive_words)
    return custom_task(rule, request.positive_words)
