"""Groups that share a picture become one group, before the parts are drawn.

Public sets contain the same photograph under two patient numbers.  Split by patient alone, one copy can be trained on
and the other tested on.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np

from mithridate.imaging.catalog import Catalog
from mithridate.imaging.duplicates import LIMIT, describe
from mithridate.imaging.images import ImageStore
from mithridate.imaging.splits import split_groups

_BLOCK = 1024


def link_duplicates(
    catalog: Catalog,
    *,
    limit: float = LIMIT,
    cache: Path | None = None,
    progress: Callable[[str, int, int], None] | None = None,
) -> Catalog:
    """The catalog with groups joined where two of their images are near-duplicates, and its parts drawn anew.

    Joined groups are named after the first of them.  Reads every image once, at 64 px.  A catalog without such images
    is returned as it is; otherwise its notes say what was joined.
    """
    store = ImageStore(catalog, 64, cache=cache)
    descriptors = describe(store.load(progress=progress))
    groups = catalog.table["group"].tolist()
    parent = {group: group for group in groups}

    def root(group: str) -> str:
        while parent[group] != group:
            group = parent[group]
        return group

    joined: list[str] = []
    for start in range(0, len(groups), _BLOCK):
        likeness = descriptors[start : start + _BLOCK] @ descriptors.T
        for i, j in zip(*np.nonzero(likeness >= limit), strict=True):
            first, second = sorted((root(groups[start + int(i)]), root(groups[int(j)])))
            if first != second:
                parent[second] = first
                joined.append(f"{second} with {first}")
    if not joined:
        return catalog
    table = catalog.table.assign(group=[root(group) for group in groups])
    table["split"] = split_groups(table["group"], catalog.labels, catalog.task.fractions, catalog.seed)
    note = f"Groups that share a picture were joined before the parts were drawn: {', '.join(joined)}."
    return replace(catalog, table=table, notes=(*catalog.notes, note))
