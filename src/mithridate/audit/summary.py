"""One task's findings, condition by condition, as results."""

from __future__ import annotations

import numpy as np
import pandas as pd

from mithridate.audit.cells import Cell
from mithridate.audit.findings import success
from mithridate.audit.folder import RunFolder
from mithridate.audit.jobs import cell_name
from mithridate.audit.metrics import estimate, summarize
from mithridate.audit.results import Condition, TaskResult
from mithridate.audit.subject import Subject
from mithridate.errors import UserError
from mithridate.statistics import auc_interval, proportion


def refusal(clean: pd.DataFrame) -> str | None:
    """Why a model is not worth attacking, from its clean findings; None when it is.

    A collapsed model has nothing that an attack could take away, and every attack on it looks harmless or perfect.
    """
    auc = auc_interval(clean["label"], clean["clean_probability"], clean["group"])
    if auc.low > 0.5:
        return None
    where = "includes 0.5" if auc.includes(0.5) else "lies below 0.5"
    return (
        f"not attacked: its clean AUC is {auc.value:.3f} and the 95% interval {auc.low:.3f} to {auc.high:.3f} {where}, "
        "so the model does not tell the classes apart on these images"
    )


def threshold_of(subject: Subject, name: str | None) -> float:
    """The operating threshold of that name on the victim's card, or the number that the name is; for None the card's
    "youden", else 0.5."""
    if name is None:
        return subject.card.thresholds.get("youden", 0.5)
    if name in subject.card.thresholds:
        return subject.card.thresholds[name]
    try:
        return float(name)
    except ValueError:
        known = ", ".join(sorted(subject.card.thresholds)) or "none"
        raise UserError(
            f"task {subject.name}: the model's card has no threshold '{name}'; it has {known}, or give a number"
        ) from None


def task_result(
    folder: RunFolder, subject: Subject, mine: list[Cell], refused: str | None, *, part: str, threshold: float
) -> TaskResult:
    """Everything that was measured about one task; a cell without findings (the run was stopped) is left out."""
    card, labels = subject.card, np.asarray(subject.store.labels)
    share, held = float(labels.mean()), worst_case(folder, subject, mine)
    return TaskResult(
        task=subject.name,
        modality=card.modality,
        positive=card.positive,
        negative=card.negative,
        data={
            "fingerprint": subject.catalog.fingerprint,
            "source": subject.catalog.source,
            "part": part,
            "n": len(labels),
            "positives": int(labels.sum()),
            "groups": len({str(g) for g in subject.store.groups}),
        },
        victim=card.describe(),
        majority_accuracy=max(share, 1 - share),
        robust_accuracy=None if held is None else estimate(proportion(held["right"], held["group"])),
        refused=refused,
        conditions=tuple(
            condition(
                cell_name(subject, cell),
                cell,
                folder.findings(cell_name(subject, cell)),
                threshold,
                None if cell.surrogate is None else subject.surrogates[cell.surrogate][1].name,
            )
            for cell in mine
            if folder.measured(cell_name(subject, cell))
        ),
    )


def condition(
    name: str, cell: Cell, findings: pd.DataFrame, threshold: float, surrogate: str | None = None
) -> Condition:
    """One cell's findings as a condition called `name`."""
    return Condition(
        cell=name,
        kind=cell.kind,
        label=cell.label,
        attack=describe(cell),
        budget=cell.budget.describe(),
        size=cell.budget.size,
        main=cell.main,
        sweep=cell.sweep,
        surrogate=surrogate,
        n=len(findings),
        threshold=threshold,
        queries_per_example=float(findings["queries"].mean()),
        violation=float(findings["violation"].max()),
        unverified=int((~findings["verified"]).sum()),
        **summarize(findings, threshold, clean=cell.kind == "clean"),
    )


def worst_case(folder: RunFolder, subject: Subject, mine: list[Cell]) -> pd.DataFrame | None:
    """Of every example that all main attacks have seen, whether it is right when clean and under each of them (column
    `right`), and its group; None before anything was attacked."""
    names = [cell_name(subject, cell) for cell in mine if cell.main]
    tables = [folder.findings(name).set_index("example") for name in names if folder.measured(name)]
    if len(tables) < 2:
        return None
    held = tables[0][["group"]].copy()
    held["right"] = tables[0]["clean_prediction"] == tables[0]["label"]
    for table in tables[1:]:
        held = held[held.index.isin(table.index)]
        wrong = table.index[success(table)]
        held["right"] &= ~held.index.isin(wrong)
    return held


def describe(cell: Cell) -> str:
    """An attack's name and parameters on one line."""
    if not cell.parameters:
        return "none"
    plain = {key: value for key, value in cell.parameters.items() if not isinstance(value, dict)}
    for key, options in cell.parameters.items():
        if isinstance(options, dict):
            plain |= {f"{key}.{name}": value for name, value in options.items()}
    rest = ", ".join(f"{key}={value}" for key, value in plain.items() if key != "attack" and value is not None)
    return f"{cell.parameters['attack']}({rest})"
