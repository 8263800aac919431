"""What a model returns, and the logits behind it: softmax and sigmoid heads, stated as logits or as probabilities.

Everything after a model works on logits N x K.  A head that answers for each class on its own (multilabel), or a
softmax over many classes, is looked at through its positive classes: two logits whose softmax is exactly the model's
probability of "one of the positive classes".
"""

from __future__ import annotations

from typing import Final, Literal, get_args

import torch
from torch import Tensor

from mithridate.errors import MithridateError, UserError

Output = Literal["logits", "probabilities", "logit", "probability", "multilabel-logits", "multilabel-probabilities"]
"""K logits or K probabilities of a softmax; one logit or one probability of the positive class; K logits or K
probabilities that stand for themselves (sigmoids)."""

OUTPUTS: Final[tuple[str, ...]] = get_args(Output)
SINGLE: Final = ("logit", "probability")
MULTILABEL: Final = ("multilabel-logits", "multilabel-probabilities")
_LEAST: Final = 1e-30
_SUM_SLACK: Final = 1e-3
"""How far the probabilities of a half-precision model's row may be from adding up to 1."""


def checked(raw: Tensor, output: Output, count: int, name: str) -> Tensor:
    """The model's answer as float32 N x K.

    Raises UserError when its shape does not fit `output`, MithridateError when a value is not finite.
    """
    raw = raw.float()
    if raw.ndim == 1:
        raw = raw[:, None]
    if raw.ndim != 2 or len(raw) != count or (output in SINGLE) != (raw.shape[1] == 1):
        raise UserError(
            f"{name} returned shape {tuple(raw.shape)} for {count} images, which does not fit output "
            f"'{output}': state the right one of {', '.join(OUTPUTS)}"
        )
    if not bool(torch.isfinite(raw).all()):
        raise MithridateError(f"{name} returned NaN or infinite values for at least one image")
    return raw


def softmax_logits(raw: Tensor, output: Output) -> Tensor:
    """Logits N x K whose softmax is what a `checked` answer says; multilabel answers stay one logit a class."""
    if output == "logits" or output == "multilabel-logits":
        return raw
    if output == "probabilities":
        return raw.clamp_min(_LEAST).log()
    if output == "logit":
        return torch.cat([torch.zeros_like(raw), raw], 1)
    if output == "probability":
        return torch.cat([(1 - raw).clamp_min(_LEAST).log(), raw.clamp_min(_LEAST).log()], 1)
    return raw.clamp_min(_LEAST).log() - (1 - raw).clamp_min(_LEAST).log()


def two_class(logits: Tensor, output: Output, positive: tuple[int, ...]) -> Tensor:
    """N x K logits seen as N x 2: negative, positive.

    Softmax heads are marginalized exactly: log of the summed exponentials on either side.  A multilabel head counts as
    positive when the largest of its positive classes does.
    """
    if output in MULTILABEL:
        strongest = logits[:, list(positive)].amax(1, keepdim=True)
        return torch.cat([torch.zeros_like(strongest), strongest], 1)
    others = [k for k in range(logits.shape[1]) if k not in positive]
    sides = [logits[:, side].logsumexp(1, keepdim=True) for side in (others, list(positive))]
    return torch.cat(sides, 1)


def guess_output(raw: Tensor) -> Output:
    """What an answer N x K looks like (thresholds of AutoAttack's checks); a multilabel head is never assumed."""
    raw = raw.float()
    single = raw.ndim == 1 or raw.shape[1] == 1
    bounded = bool((raw < 1 + 1e-5).all()) and bool((raw > -1e-5).all())
    if single:
        return "probability" if bounded else "logit"
    return "probabilities" if bounded and bool(((raw.sum(1) - 1).abs() < 1e-5).all()) else "logits"


def mislabeled(raw: Tensor, output: Output) -> str | None:
    """Why a `checked` answer cannot be what `output` says, or None.

    Taking probabilities for logits starves every loss; taking logits for probabilities cuts them off at 0 and 1.
    """
    bounded = bool((raw < 1 + 1e-5).all()) and bool((raw > -1e-5).all())
    if "probabilit" in output and not bounded:
        return f"values from {float(raw.min()):.3g} to {float(raw.max()):.3g} are no probabilities"
    if output == "probabilities" and bool(((raw.sum(1) - 1).abs() > _SUM_SLACK).any()):
        return f"rows add up to between {float(raw.sum(1).min()):.3g} and {float(raw.sum(1).max()):.3g}, not to 1"
    if output == "logits" and guess_output(raw) == "probabilities":
        return "every row lies in [0, 1] and adds up to 1, as probabilities do"
    if output in ("logit", "multilabel-logits") and bounded and bool((raw.amax(0) != raw.amin(0)).any()):
        return "every value lies in [0, 1], as probabilities do"
    return None
