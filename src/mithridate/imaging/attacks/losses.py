"""What an attack raises: per-example losses on logits, never reduced over the batch."""

from __future__ import annotations

from typing import Literal

import torch
import torch.nn.functional as F  # noqa: N812 - the field's own alias
from torch import Tensor

from mithridate.oracle import Loss

LossName = Literal["margin", "cross-entropy"]


def margin(logits: Tensor, labels: Tensor) -> Tensor:
    """Best other logit minus the label's logit (Carlini and Wagner 2017): positive exactly when misclassified.

    It does not saturate, so a confident model cannot hide its gradient behind float32 underflow.
    """
    own = logits.gather(1, labels[:, None])[:, 0]
    others = logits.scatter(1, labels[:, None], -torch.inf).amax(1)
    return others - own


def cross_entropy(logits: Tensor, labels: Tensor) -> Tensor:
    """Cross-entropy of the label, N."""
    return F.cross_entropy(logits, labels, reduction="none")


def towards(loss: LossName, targeted: bool) -> Loss:
    """The loss to raise: away from the label, or, targeted, towards it (its sign turned)."""
    function = margin if loss == "margin" else cross_entropy
    if not targeted:
        return function
    return lambda logits, targets: -function(logits, targets)
