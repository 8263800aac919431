"""The training log: a CSV file always, TensorBoard events when the extra is installed."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from mithridate.files import replace_text

LOG: Final = "training.csv"
Row = Mapping[str, str | int | float | None]
COLUMNS: Final = (
    "stage", "epoch", "learning_rate", "train_loss", "validation_loss", "validation_auc", "validation_accuracy",
)  # fmt: skip


class TrainingLog:
    """Writes what each epoch gave.  The whole table is rewritten each time: a resumed run leaves no row twice."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / LOG
        self._writer = _tensorboard(folder)

    def write(self, rows: Sequence[Row]) -> None:
        """Replace the table by these rows; the last one also goes to TensorBoard."""
        text = io.StringIO()
        table = csv.DictWriter(text, COLUMNS, lineterminator="\n")
        table.writeheader()
        table.writerows({key: "" if value is None else value for key, value in row.items()} for row in rows)
        replace_text(self._path, text.getvalue())
        if self._writer is not None and rows:
            self._event(rows[-1])

    def _event(self, row: Row) -> None:
        for name, value in row.items():
            if name not in ("stage", "epoch") and value is not None:
                self._writer.add_scalar(f"{row['stage']}/{name}", value, row["epoch"])
        self._writer.flush()

    def close(self) -> None:
        if self._writer is not None:
            self._writer.close()


def _tensorboard(folder: Path) -> Any:
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        return None
    return SummaryWriter(str(folder / "tensorboard"))
