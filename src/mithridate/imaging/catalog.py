"""A catalog: which images take part in a study, with their labels, groups and parts, as one table with a fingerprint.

A catalog holds no pixels.  It is the same catalog on every machine and in any row order: its fingerprint covers what it
says about the images, not where they lie.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mithridate.errors import MithridateError, UserError
from mithridate.imaging.splits import shuffled
from mithridate.imaging.tasks import SPLITS, Split, Task

COLUMNS = ("id", "path", "label", "group", "split")


@dataclass(frozen=True, eq=False)
class Catalog:
    """Images of one task.

    table   one row an image, sorted by id, index 0..N-1.  Columns: `id` (unique text), `path` (relative to `root` with
            forward slashes; `archive.npz#17` or `file.dcm#3` for one image of several; `phantom:...` for a rendered
            one), `label` (int8, 1 positive), `group` (text: patient or lesion), `split` ("train", "validation" or
            "test"), then metadata columns.
    task    what is positive and negative, in words, and the number of channels
    root    the folder that paths are relative to
    source  the kind of source the catalog was made from
    rule    the label rule as text
    seed    the seed of the split
    notes   what the reader of results must know about how the catalog came about, one sentence each

    Raises MithridateError when a table breaks these promises, above all when a group lies in two parts.
    """

    table: pd.DataFrame
    task: Task
    root: Path
    source: str
    rule: str
    seed: int
    notes: tuple[str, ...] = field(default=())

    def __post_init__(self) -> None:
        lacking = [column for column in COLUMNS if column not in self.table.columns]
        if lacking:
            raise MithridateError(f"a catalog table needs the columns {', '.join(lacking)}")
        extra = [column for column in self.table.columns if column not in COLUMNS]
        table = self.table[[*COLUMNS, *extra]].copy()
        for column in ("id", "path", "group", "split"):
            table[column] = table[column].astype("str")
        table["label"] = _binary(table["label"])
        _assert_sound(table)
        object.__setattr__(self, "table", table.sort_values("id", kind="stable", ignore_index=True))
        object.__setattr__(self, "root", Path(self.root))
        object.__setattr__(self, "notes", tuple(self.notes))

    def __len__(self) -> int:
        return len(self.table)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Catalog) and self.fingerprint == other.fingerprint

    def __hash__(self) -> int:
        return hash(self.fingerprint)

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 (hex) of the canonical content: task, rule, source, seed and every cell of the table.

        Independent of row and metadata column order, of `root` and of the machine.
        """
        digest = hashlib.sha256(b"mithridate catalog 1\n")
        head = {"task": self.task.to_dict(), "source": self.source, "rule": self.rule, "seed": int(self.seed)}
        digest.update(_canonical(head))
        for column in [*COLUMNS, *sorted(c for c in self.table.columns if c not in COLUMNS)]:
            cells = self.table[column]
            values = cells.astype(object).where(cells.notna(), None).tolist()
            digest.update(_canonical([str(column), values]))
        return digest.hexdigest()

    @property
    def labels(self) -> NDArray[np.int8]:
        """Labels, N in {0, 1}."""
        return self.table["label"].to_numpy(dtype=np.int8)

    def part(self, split: Split) -> Catalog:
        """The images of one part.  Raises UserError when there are none."""
        if split not in SPLITS:
            raise UserError(f"there is no part '{split}': name {', '.join(SPLITS)}")
        chosen = self.table[self.table["split"] == split]
        if chosen.empty:
            raise UserError(f"the catalog has no {split} images: build it with a {split} fraction above 0")
        return replace(self, table=chosen)

    def take(self, n: int, seed: int = 0) -> Catalog:
        """At most n images, in the proportions of parts and classes; both classes stay while n allows.

        Which images are drawn depends on the seed and their ids alone, and a larger n keeps the choice order.
        """
        if n < 1:
            raise UserError(f"{n} images were asked for: ask for at least 1")
        if n >= len(self):
            return self
        strata = {key: rows["id"].tolist() for key, rows in self.table.groupby(["split", "label"], sort=True)}
        quotas = _apportion([len(ids) for ids in strata.values()], n)
        chosen: set[str] = set()
        for ids, quota in zip(strata.values(), quotas, strict=True):
            chosen.update(shuffled(ids, seed, "take")[:quota])
        return replace(self, table=self.table[self.table["id"].isin(chosen)])

    def counts(self) -> dict[str, dict[str, dict[str, int]]]:
        """Images and groups for each part and class, and their totals.

        {"train": {"positive": {"images": 3, "groups": 2}, "negative": {...}, "all": {...}}, ..., "total": {...}}.
        A group with images of both classes counts once in each class and once in "all".
        """
        result: dict[str, dict[str, dict[str, int]]] = {}
        for split, rows in self._parts():
            classes = {"positive": rows[rows["label"] == 1], "negative": rows[rows["label"] == 0], "all": rows}
            result[split] = {
                name: {"images": len(some), "groups": int(some["group"].nunique())} for name, some in classes.items()
            }
        return result

    def _parts(self) -> Iterator[tuple[str, pd.DataFrame]]:
        for split in SPLITS:
            yield split, self.table[self.table["split"] == split]
        yield "total", self.table

    def save(self, path: Path) -> None:
        """Write a Parquet file, task and fingerprint in its schema; whole or not at all.  Raises UserError."""
        from mithridate.imaging.catalog_files import save

        save(self, Path(path))

    @staticmethod
    def load(path: Path, root: Path | None = None) -> Catalog:
        """Read what `save` wrote; `root` replaces the folder of the images when they have moved.

        Raises UserError when the file is missing, of another kind, or was changed since it was written.
        """
        from mithridate.imaging.catalog_files import load

        return load(Path(path), root)


def _binary(labels: pd.Series[Any]) -> NDArray[np.int8]:
    values = labels.to_numpy()
    if not np.isin(values, (0, 1)).all():
        raise MithridateError("a catalog's labels are 0 or 1")
    return values.astype(np.int8)


def _assert_sound(table: pd.DataFrame) -> None:
    """The promises that every catalog keeps; sources report a user's mistakes before this, by file and line."""
    if table.empty:
        raise MithridateError("a catalog needs at least one image")
    if table["id"].duplicated().any():
        raise MithridateError(f"two images of the catalog are called {table['id'][table['id'].duplicated()].iloc[0]}")
    if not table["split"].isin(SPLITS).all():
        raise MithridateError(f"a catalog's parts are {', '.join(SPLITS)}")
    if (table[["id", "path", "group"]] == "").any(axis=None):
        raise MithridateError("an image of the catalog has no id, path or group")
    parts = table.groupby("group")["split"].nunique()
    if (parts > 1).any():
        raise MithridateError(f"the group {parts.index[parts > 1][0]} lies in more than one part of the catalog")


def _canonical(value: Any) -> bytes:
    """One byte string for equal values: JSON with sorted keys and no spaces, one a line."""
    return json.dumps(value, sort_keys=True, ensure_ascii=True, separators=(",", ":"), default=str).encode() + b"\n"


def _apportion(sizes: list[int], n: int) -> list[int]:
    """Share n places among strata in proportion to size (largest remainder), at least one each while n allows."""
    total = sum(sizes)
    floor = 1 if n >= len(sizes) else 0
    exact = [size * n / total for size in sizes]
    quotas = [min(size, max(floor, int(share))) for size, share in zip(sizes, exact, strict=True)]
    by_gain = sorted(range(len(sizes)), key=lambda i: (quotas[i] - exact[i], i))
    while sum(quotas) < n:
        for i in by_gain:
            if sum(quotas) < n and quotas[i] < sizes[i]:
                quotas[i] += 1
    while sum(quotas) > n:
        largest = max(range(len(sizes)), key=lambda i: (quotas[i], -i))
        quotas[largest] -= 1
    return quotas
