"""The layout of a run folder, and how it is read.

plan.yaml  manifest.json  results.json  report.html
findings/<cell>/<shard>.parquet   one file a shard: a shard whose file exists is done
pictures/<cell>/<shard>.npz       the few examples kept for figures
probes/<task>/<hash>.json         what the checks found out about the model and the attacks
answers.sqlite                    an endpoint's kept answers
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pydantic import ValidationError

from mithridate.audit.results import Results
from mithridate.errors import UserError
from mithridate.files import replace_text


@dataclass(frozen=True)
class Pictures:
    """The kept examples of one cell, the same examples in every cell of a task, sorted by id.

    ids M; labels M in {0, 1}; clean and candidate M x C x H x W float32 in [0, 1];
    clean_probability and probability M: the model's probability of the positive class before and after.
    """

    ids: tuple[str, ...]
    labels: NDArray[np.int64]
    clean: NDArray[np.float32]
    candidate: NDArray[np.float32]
    clean_probability: NDArray[np.float64]
    probability: NDArray[np.float64]


@dataclass(frozen=True)
class RunFolder:
    """A run on disk."""

    path: Path

    def results(self) -> Results:
        """Raises UserError when the folder is not a finished run."""
        file = self.path / "results.json"
        if not file.is_file():
            raise UserError(
                f"{self.path} holds no results.json: give the folder of a run that `mithridate audit` wrote"
            )
        try:
            return Results.model_validate_json(file.read_text())
        except ValidationError as error:
            raise UserError(
                f"{file} is not a result of this version of mithridate: {error.errors()[0]['msg']}"
            ) from None

    def findings(self, cell: str | None = None) -> pd.DataFrame:
        """All findings, or one cell's, in the schema of `audit.findings`, sorted by cell and example."""
        folder = self.path / "findings" if cell is None else self.path / "findings" / cell
        files = sorted(folder.rglob("*.parquet"))
        if not files:
            raise UserError(f"{folder} holds no findings: run `mithridate audit` first")
        table = pd.concat([pd.read_parquet(file) for file in files], ignore_index=True)
        return table.sort_values(["cell", "example"], ignore_index=True)

    def shards(self, cell: str) -> list[Path]:
        """The files of the cell's finished shards."""
        return sorted((self.path / "findings" / cell).glob("*.parquet"))

    def measured(self, cell: str) -> bool:
        """Whether the cell has any findings."""
        return bool(self.shards(cell))

    def pictures(self, cell: str) -> Pictures:
        """The kept examples of one cell; empty arrays when none were kept."""
        parts = [
            dict(np.load(file, allow_pickle=False)) for file in sorted((self.path / "pictures" / cell).glob("*.npz"))
        ]
        parts = [part for part in parts if len(part["ids"])]
        if not parts:
            empty = np.zeros((0, 1, 1, 1), dtype=np.float32)
            return Pictures((), np.zeros(0, dtype=np.int64), empty, empty, np.zeros(0), np.zeros(0))
        whole = {key: np.concatenate([part[key] for part in parts]) for key in parts[0]}
        order = np.argsort(whole["ids"])
        clean = whole["clean"][order].astype(np.float32)
        return Pictures(
            ids=tuple(str(i) for i in whole["ids"][order]),
            labels=whole["labels"][order].astype(np.int64),
            clean=clean,
            candidate=whole["candidate"][order].astype(np.float32),
            clean_probability=whole["clean_probability"][order],
            probability=whole["probability"][order],
        )


def write_json(path: Path, value: Any) -> None:
    """Indented JSON, whole or not at all."""
    replace_text(path, json.dumps(value, indent=2, allow_nan=False) + "\n")


def read_json(path: Path) -> Any:
    """Raises UserError when the file is damaged."""
    try:
        return json.loads(path.read_text())
    except (OSError, json.JSONDecodeError) as error:
        raise UserError(f"{path} cannot be read ({error}): delete the folder and run again") from None
