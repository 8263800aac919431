"""Catalogs as Parquet files: the table, and in the schema's metadata everything else with the fingerprint."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from mithridate.errors import MithridateError, UserError
from mithridate.files import replace_file
from mithridate.imaging.catalog import Catalog
from mithridate.imaging.tasks import Task

_KEY = b"mithridate.catalog"
_FORMAT = 1


def save(catalog: Catalog, path: Path) -> None:
    """Write a catalog to Parquet, whole or not at all.  Raises UserError when the place cannot be written."""
    root = catalog.root.resolve()
    head = {
        "format": _FORMAT,
        "task": catalog.task.to_dict(),
        "root": root.as_posix(),
        "root_from_here": Path(os.path.relpath(root, path.resolve().parent)).as_posix(),
        "source": catalog.source,
        "rule": catalog.rule,
        "seed": int(catalog.seed),
        "notes": list(catalog.notes),
        "fingerprint": catalog.fingerprint,
    }
    table = pa.Table.from_pandas(catalog.table, preserve_index=False)
    table = table.replace_schema_metadata({**(table.schema.metadata or {}), _KEY: json.dumps(head).encode()})
    replace_file(path, lambda partial: pq.write_table(table, partial, compression="zstd"))


def load(path: Path, root: Path | None) -> Catalog:
    """Read a catalog and prove that it is the one that was written.  Raises UserError."""
    table, head = _read(path)
    try:
        catalog = Catalog(
            table=table.to_pandas(),
            task=Task.from_dict(head["task"]),
            root=root or _find_root(path, head),
            source=str(head["source"]),
            rule=str(head["rule"]),
            seed=int(head["seed"]),
            notes=tuple(str(note) for note in head["notes"]),
        )
        expected = str(head["fingerprint"])
    except (MithridateError, KeyError, TypeError, ValueError) as error:
        raise UserError(f"{path} is not a sound catalog ({error}): build it again") from error
    if catalog.fingerprint != expected:
        raise UserError(
            f"{path} was changed after it was written (its fingerprint does not match its content): build it again"
        )
    return catalog


def _read(path: Path) -> tuple[pa.Table, dict[str, Any]]:
    if not path.is_file():
        raise UserError(f"there is no catalog at {path}: make one with  mithridate data catalog")
    try:
        table = pq.read_table(path)
        head = json.loads((table.schema.metadata or {}).get(_KEY, b"null"))
    except (pa.ArrowException, OSError, ValueError) as error:
        raise UserError(f"{path} cannot be read as a Parquet file ({error}): build the catalog again") from None
    if not isinstance(head, dict):
        raise UserError(f"{path} is not a catalog of mithridate: make one with  mithridate data catalog")
    if head.get("format") != _FORMAT:
        raise UserError(
            f"{path} has the catalog format {head.get('format')}, this program reads {_FORMAT}: build it again"
        )
    return table, head


def _find_root(path: Path, head: dict[str, Any]) -> Path:
    """The folder as it was written, else as it lies relative to the catalog file (both were moved together)."""
    absolute = Path(str(head["root"]))
    relative = path.resolve().parent / str(head["root_from_here"])
    return relative.resolve() if not absolute.is_dir() and relative.is_dir() else absolute
