"""Kaggle diabetic retinopathy detection (EyePACS 2015): trainLabels.csv and retinopathy_solution.csv.

Both tables are merged, as in the paper.  Columns `image` ("123_left") and `level` (ICDR grade 0-4); a patient is what
stands before the last underscore.
"""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from mithridate.errors import UserError
from mithridate.imaging.catalog import Catalog
from mithridate.imaging.sources.build import make_catalog, make_rows
from mithridate.imaging.sources.files import resolve_paths
from mithridate.imaging.sources.request import Request
from mithridate.imaging.sources.tables import line, read_table, require_filled, require_unique
from mithridate.imaging.tasks import Task

SOURCE = "kaggle-dr"
TABLES = ("trainLabels.csv", "trainLabels.csv.gz", "retinopathy_solution.csv", "retinopathy_solution.csv.gz")


def build(request: Request) -> Catalog:
    """Fundus photographs, positive from grade 2, split by patient .88/.12.  Raises UserError."""
    task = request.task_for("fundus")
    paths = request.table_paths(SOURCE, *TABLES)
    merged = _merge([_read(path, task) for path in paths], paths)
    where, notes = " and ".join(map(str, paths)), list[str]()
    found = resolve_paths(merged["image"], request.root, where, missing=request.missing, notes=notes)
    merged = merged.loc[found.index]
    rows = make_rows(
        merged,
        ids=merged["image"],
        paths=found,
        labels=merged["positive"].to_numpy(dtype=bool),
        groups=merged["image"].str.rpartition("_")[0],
        metadata={"level": "grade", "eye": "eye", "table": "table"},
    )
    return make_catalog(rows, request=request, task=task, root=request.root, source=SOURCE, where=where, notes=notes)


def _read(path: Path, task: Task) -> pd.DataFrame:
    """One table with the columns image (no suffix), level, eye, positive and table."""
    table = read_table(path, ("image", "level"))
    require_filled(table, "image", path)
    names = table["image"].str.replace(r"\.(jpe?g|png|tiff?)$", "", regex=True)
    eyes = names.str.rpartition("_")[2]
    odd = ~eyes.isin(["left", "right"]).to_numpy(dtype=bool)
    if odd.any():
        name = table["image"].to_numpy()[odd][0]
        raise UserError(f"{path} has the image '{name}' on {line(table, odd)}: names like 123_left are expected")
    labels = task.rule.matches(table, "level", str(path))
    table = table.assign(image=names, eye=eyes, positive=labels, table=path.name)
    require_unique(table, "image", path)
    return table


def _merge(tables: list[pd.DataFrame], paths: tuple[Path, ...]) -> pd.DataFrame:
    merged = pd.concat(tables, ignore_index=True)
    repeated = merged["image"].duplicated(keep=False)
    if repeated.any():
        name = merged.loc[repeated, "image"].iloc[0]
        raise UserError(
            f"the image {name} is in more than one of {', '.join(map(str, paths))}: remove one of its lines"
        )
    return merged
