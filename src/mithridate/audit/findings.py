"""Findings: what the audit, never the attack, established about one example under one attack."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import torch
from torch import Tensor

from mithridate.attack import Examples
from mithridate.audit.distances import peak_signal_to_noise, structural_similarity
from mithridate.budget import Budget
from mithridate.errors import MithridateError
from mithridate.oracle import Decisions, Model

SCHEMA = pa.schema(
    [
        pa.field("cell", pa.string()),
        pa.field("example", pa.string()),
        pa.field("group", pa.string()),
        pa.field("label", pa.int64()),
        pa.field("clean_probability", pa.float64()),  # of the positive class, before
        pa.field("clean_prediction", pa.int64()),
        pa.field("probability", pa.float64()),  # of the positive class, after
        pa.field("prediction", pa.int64()),
        pa.field("stored_prediction", pa.int64()),  # after rounding to 8 bits
        pa.field("confidence", pa.float64()),  # largest class probability, after
        pa.field("linf", pa.float64()),
        pa.field("l2", pa.float64()),
        pa.field("ssim", pa.float64()),
        pa.field("psnr", pa.float64()),  # infinite when nothing changed
        pa.field("violation", pa.float64()),
        pa.field("queries", pa.int64()),
        pa.field("gradients", pa.int64()),
        pa.field("verified", pa.bool_()),
        pa.field("seconds", pa.float64()),  # the example's share of its shard; the only column that may vary
    ]
)


def judge(
    *,
    cell: str,
    model: Model,
    examples: Examples,
    groups: list[str],
    candidates: Tensor,
    budget: Budget,
    oracle: Decisions,
    seconds: float,
) -> pa.Table:
    """Predictions recomputed on the caller's own model in float32, distances in float64, one row an example."""
    if candidates.shape != examples.inputs.shape:
        raise MithridateError(f"{cell}: the attack returned shape {tuple(candidates.shape)}, not that of its inputs")
    finite = torch.isfinite(candidates).flatten(1).all(1)
    safe = torch.where(finite.view(-1, 1, 1, 1), candidates, examples.inputs)
    before = model.logits(examples.inputs).double().softmax(1)
    after = model.logits(safe).double().softmax(1)
    stored = model.logits((safe * 255).round() / 255)
    moved = safe.double() - examples.inputs.double()
    columns: dict[str, Any] = {
        "cell": [cell] * len(examples),
        "example": list(examples.ids),
        "group": groups,
        "label": examples.labels.numpy(),
        "clean_probability": before[:, 1].numpy(),
        "clean_prediction": before.argmax(1).numpy(),
        "probability": after[:, 1].numpy(),
        "prediction": after.argmax(1).numpy(),
        "stored_prediction": stored.argmax(1).numpy(),
        "confidence": after.amax(1).numpy(),
        "linf": moved.abs().flatten(1).amax(1).numpy(),
        "l2": moved.flatten(1).norm(dim=1).numpy(),
        "ssim": structural_similarity(examples.inputs, safe).numpy(),
        "psnr": peak_signal_to_noise(examples.inputs, safe).numpy(),
        "violation": budget.violation(examples.inputs, candidates).numpy(),
        "queries": oracle.queries.numpy(),
        "gradients": oracle.gradients.numpy(),
        "verified": finite.numpy(),
        "seconds": np.full(len(examples), seconds / max(1, len(examples))),
    }
    return pa.table(columns, schema=SCHEMA)


def success(findings: pd.DataFrame, column: str = "prediction") -> pd.Series:
    """Right before and wrong after: the definition of a successful attack, one boolean a row."""
    right = findings["clean_prediction"] == findings["label"]
    return right & (findings[column] != findings["label"]) & (findings["violation"] == 0) & findings["verified"]
