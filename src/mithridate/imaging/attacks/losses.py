"""What an attack raises: per-example losses on logits, never reduced over the batch.

All of them take heads of any width from two classes on: where a paper's loss needs more classes than there are, the
margin takes its place.
"""

from __future__ import annotations

from typing import Literal

import torch
import torch.nn.functional as F  # noqa: N812 - the field's own alias
from torch import Tensor

from mithridate.oracle import Loss

LossName = Literal["margin", "cross-entropy", "dlr"]


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


def difference_of_logits_ratio(logits: Tensor, labels: Tensor) -> Tensor:
    """The margin over the spread of the top three logits (Croce and Hein 2020): blind to the scale of the logits.

    With two classes the ratio is a constant, so that its gradient is zero: the margin stands in.
    """
    if logits.shape[1] < 3:
        return margin(logits, labels)
    top = logits.sort(1, descending=True).values
    return margin(logits, labels) / (top[:, 0] - top[:, 2] + 1e-12)


def towards_class(logits: Tensor, pairs: Tensor) -> Tensor:
    """Logit of a target class minus the label's; pairs N x 2 (label, target).  The boundary between two classes."""
    return (logits.gather(1, pairs[:, 1:]) - logits.gather(1, pairs[:, :1]))[:, 0]


def targeted_difference_of_logits_ratio(logits: Tensor, pairs: Tensor) -> Tensor:
    """`towards_class` over the spread of the top four logits (Croce and Hein 2020); pairs N x 2 (label, target).

    With three classes or two, the ratio of the likeliest to the least likely one would be a constant, so that its
    gradient is zero: the difference stands in.
    """
    difference = towards_class(logits, pairs)
    if logits.shape[1] < 4:
        return difference
    top = logits.sort(1, descending=True).values
    return difference / (top[:, 0] - (top[:, 2] + top[:, 3]) / 2 + 1e-12)


LOSSES: dict[LossName, Loss] = {
    "margin": margin,
    "cross-entropy": cross_entropy,
    "dlr": difference_of_logits_ratio,
}


def towards(loss: LossName, targeted: bool) -> Loss:
    """The loss to raise: away from the label, or, targeted, towards it (its sign turned)."""
    function = LOSSES[loss]
    if not targeted:
        return function
    return lambda logits, targets: -function(logits, targets)


def likeliest_others(logits: Tensor, labels: Tensor, count: int) -> Tensor:
    """The wrong classes with the highest logits, best first, N x min(count, K - 1)."""
    others = logits.scatter(1, labels[:, None], -torch.inf)
    return others.topk(min(count, logits.shape[1] - 1), dim=1).indices
