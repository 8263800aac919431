"""A model is accepted when it reproduces what its owner says it answers: nothing else proves range and layout."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mithridate.errors import MithridateError, UserError
from mithridate.models.opened import Opened

DIAGNOSED = 32
"""Images on which other readings of the input are tried when the stated one is not reproduced."""


@dataclass(frozen=True)
class Reproduced:
    """How well the adapter gives the caller's clean answers: images compared, the largest difference in the
    probability of the positive class, and how many decisions differ."""

    images: int
    largest: float
    decisions: int


def read_predictions(
    file: Path, classes: Sequence[str], positive: Sequence[str], *, multilabel: bool = False
) -> dict[str, float]:
    """Image id -> probability of the positive class, from a CSV or an npz.

    CSV: a column `id` and either `probability` (of the positive class) or one column a class, named like it.
    npz: arrays `ids` N and `probabilities`, N or N x K in the order of the classes.
    Raises UserError that names the file, and the row where there is one.
    """
    import pandas as pd

    try:
        if file.suffix == ".npz":
            with np.load(file, allow_pickle=False) as held:
                ids, values = held["ids"].astype(str), np.asarray(held["probabilities"], dtype=float)
        else:
            table = pd.read_csv(file, dtype={"id": str})
            ids = table["id"].to_numpy(dtype=str)
            values = table["probability" if "probability" in table else list(classes)].to_numpy(dtype=float)
    except FileNotFoundError:
        raise UserError(f"there is no file {file}: 'predictions' must name the model's clean answers") from None
    except KeyError as error:
        raise UserError(
            f"{file} lacks {error}: give the columns id and probability, or id and one column a class "
            f"({', '.join(classes) or 'negative, positive'})"
        ) from None
    except (OSError, ValueError) as error:
        raise UserError(f"{file} holds no predictions: {error}") from None
    if values.ndim == 2:
        if values.shape[1] != len(classes):
            raise UserError(
                f"{file} holds {values.shape[1]} probabilities a row and the model has {len(classes)} classes"
            )
        columns = values[:, [list(classes).index(name) for name in positive]]
        values = columns.max(1) if multilabel else columns.sum(1)
    wrong = np.flatnonzero(~((values >= -1e-6) & (values <= 1 + 1e-6)))
    if len(wrong):
        raise UserError(f"{file}, row {wrong[0] + 1}: {values[wrong[0]]:g} is no probability: give values in [0, 1]")
    if len(set(ids.tolist())) != len(ids):
        raise UserError(f"{file} names an image twice: give one row an image")
    return dict(zip(ids.tolist(), values.tolist(), strict=True))


def reproduce(
    opened: Opened,
    ours: dict[str, float],
    answers: dict[str, float],
    tolerance: float,
    source: str,
    load: Callable[[list[str]], Tensor],
) -> Reproduced:
    """Compare the model's clean answers, id -> probability of the positive class, with the caller's, where both know
    the image.

    Accepted when no probability differs by more than `tolerance`.  Raises UserError otherwise, which says which other
    reading of the input would be reproduced, if one is; `load` gives the images of some ids for finding that out.
    """
    shared = sorted(ours.keys() & answers.keys())
    if not shared:
        raise UserError(f"{source} holds no prediction for any image of this task: use the ids of the catalog")
    expected = np.array([answers[example] for example in shared])
    found = _compare(np.array([ours[example] for example in shared]), expected)
    if found.largest <= tolerance:
        return found
    raise UserError(
        f"{source} is not reproduced: on {found.images} images the largest difference in probability is "
        f"{found.largest:.3g} (accepted: {tolerance:g}) and {found.decisions} decisions differ; "
        + _diagnosis(opened, load(shared[:DIAGNOSED]), expected[:DIAGNOSED], tolerance)
    )


def probability(logits: Tensor) -> NDArray[np.float64]:
    """Probability of class 1, float64 N."""
    found: NDArray[np.float64] = logits.double().softmax(1)[:, 1].numpy()
    return found


def _compare(ours: NDArray[np.float64], expected: NDArray[np.float64]) -> Reproduced:
    decisions = int(((ours > 0.5) != (expected > 0.5)).sum())
    return Reproduced(len(ours), float(np.abs(ours - expected).max()), decisions)


def _diagnosis(opened: Opened, x: Tensor, expected: NDArray[np.float64], tolerance: float) -> str:
    """Which common mistake explains the difference, tried out on the model itself."""
    for words, spec in opened.image.alternatives():
        try:
            logits = opened.answer.logits(opened.native(spec, x), len(x), "model")
        except (MithridateError, RuntimeError):
            continue
        if _compare(probability(logits), expected).largest <= tolerance:
            return f"with {words} it is: state that in the plan's input"
    if _compare(1 - probability(opened.model.logits(x)), expected).largest <= tolerance:
        return "its opposite is: another class is the positive one"
    return "check the input's range, mean, std, order and size, the head, and how the images were scaled"


def agrees_with_native(opened: Opened, x: Tensor) -> float:
    """Largest difference in probability between the adapter and the model's own runtime on the same pixels."""
    theirs = opened.answer.logits(opened.native(opened.image, x), len(x), "the native runtime")
    ours = opened.model.logits(x)
    return float((ours.double().softmax(1) - theirs.double().softmax(1)).abs().max()) if len(x) else 0.0


def repeats(opened: Opened, x: Tensor, times: int) -> Tensor:
    """Probabilities of class 1 of `times` separate questions in the model's own runtime, times x N."""
    asked = [opened.answer.logits(opened.native(opened.image, x), len(x), "the native runtime") for _ in range(times)]
    return torch.stack([logits.double().softmax(1)[:, 1] for logits in asked])
