"""Any folder of images with a CSV table of labels."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mithridate.errors import UserError
from mithridate.imaging.catalog import Catalog
from mithridate.imaging.labels import LabelRule
from mithridate.imaging.sources.build import make_catalog, make_rows
from mithridate.imaging.sources.files import listed, resolve_paths
from mithridate.imaging.sources.request import Request
from mithridate.imaging.sources.tables import first_column, read_table, require_columns, require_filled, require_unique
from mithridate.imaging.tasks import Task

SOURCE = "folder-csv"
_IMAGE = ("image", "filename", "file", "file_name", "path", "image_id", "image_path", "id_code", "id")
_LABEL = ("label", "target", "class", "diagnosis", "finding", "grade", "level")
_GROUP = ("patient", "patient_id", "patientid", "subject", "subject_id", "lesion_id", "group", "case_id")


def build(request: Request) -> Catalog:
    """Images named by one column, labelled by a rule on another, kept together by a third.  Raises UserError."""
    paths = request.table_paths(SOURCE, "labels.csv")
    if len(paths) > 1:
        raise UserError(f"{SOURCE} takes one label table and {len(paths)} were given: merge them first")
    path, notes = paths[0], list[str]()
    table = read_table(path)
    image = _column(table, request.image_column, _IMAGE, path, "image", "--image-column")
    require_filled(table, image, path)
    require_unique(table, image, path)
    task, labels = label_rows(table, request, path)
    root = request.folder(SOURCE)
    found = resolve_paths(table[image], root, str(path), missing=request.missing, notes=notes)
    labels, table = labels[table.index.isin(found.index)], table.loc[found.index]
    group = _group_column(table, request, path)
    if group is None:
        notes.append(
            "The table has no group column, so each image is its own group: if one patient has several images, "
            "name the column of the patient with --group-column, or the test part will be too easy."
        )
    else:
        require_filled(table, group, path)
    rows = make_rows(
        table,
        ids=table[image],
        paths=found,
        labels=labels,
        groups=table[group or image],
        metadata={str(column): str(column) for column in table.columns if column != image},
    )
    return make_catalog(rows, request=request, task=task, root=root, source=SOURCE, where=str(path), notes=notes)


def custom_task(rule: LabelRule, words: str | None) -> Task:
    """The task of a table about which nothing else is known: color images, the rule's own words."""
    return Task(
        name="custom",
        modality="image",
        positive=words or str(rule),
        negative=f"not {words or rule}",
        channels=3,
        rule=rule,
    )


def label_rows(table: pd.DataFrame, request: Request, path: Path) -> tuple[Task, NDArray[np.bool_]]:
    """The task and which rows are positive."""
    rule = request.positive or (request.task.rule if request.task is not None else None)
    column = rule.column if rule is not None else None
    if column is None:
        column = _column(table, request.label_column, _LABEL, path, "label", "--label-column")
    if rule is None:
        values = sorted(set(table[column]))
        if values != ["0", "1"]:
            raise UserError(
                f"{path} has the labels {listed(values, 10)} in column '{column}': say which are positive, "
                f"for example with --positive '{column}={values[-1]}'"
            )
        rule = LabelRule.parse(f"{column}=1")
    labels = rule.matches(table, column, str(path))
    if request.task is None:
        return custom_task(rule, request.positive_words), labels
    return request.task.with_positive(rule, request.positive_words), labels


def _column(table: pd.DataFrame, named: str | None, usual: tuple[str, ...], path: Path, what: str, option: str) -> str:
    if named is not None:
        require_columns(table, [named], path)
        return named
    return first_column(table, usual, path, what, option)


def _group_column(table: pd.DataFrame, request: Request, path: Path) -> str | None:
    if request.group_column is not None:
        require_columns(table, [request.group_column], path)
        return request.group_column
    by_name = {str(column).casefold(): str(column) for column in table.columns}
    return next((by_name[name] for name in _GROUP if name in by_name), None)
