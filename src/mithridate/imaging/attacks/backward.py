"""Stand-ins for a backward pass that says nothing (BPDA; Athalye, Carlini and Wagner, ICML 2018)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

from mithridate.imaging.engine.oracles import View
from mithridate.oracle import DifferentiableModel, Loss

STAIRS: Final = frozenset(("round", "floor", "ceil", "trunc", "fix", "sign", "sgn"))
"""Operators that are flat almost everywhere, so that their own gradient is zero."""


class _Identity(torch.autograd.Function):
    """Gives `value` forward, and hands the gradient to `x` backward."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, value: Tensor) -> Tensor:
        return value.clone()

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        return gradients[0], None


class _StairsAreSlopes(TorchFunctionMode):
    def __torch_function__(
        self, func: Callable[..., Any], types: Iterable[type], args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:  # fmt: skip
        # torch.round, Tensor.round_, and "round.default" of an exported program are one operator.
        name = getattr(func, "__name__", "").partition(".")[0]
        if name.rstrip("_") not in STAIRS or not isinstance(args[0], Tensor) or not args[0].requires_grad:
            return func(*args, **(kwargs or {}))
        with torch.no_grad():
            value = getattr(torch, name.rstrip("_"))(args[0], *args[1:], **(kwargs or {}))
        slope: Tensor = _Identity.apply(args[0], value)  # type: ignore[no-untyped-call]
        return args[0].copy_(slope) if name.endswith("_") else slope


class StraightThrough(View):
    """Gradients as if rounding, truncation and signs inside the model were the identity: what comes out is exact, the
    backward pass goes straight through.

    Reaches every such operator that is called from Python (modules, torch.export, converted ONNX, Keras); a TorchScript
    archive runs out of its reach.
    """

    def loss_and_gradient(
        self, inputs: Tensor, labels: Tensor, rows: Tensor, loss: Loss
    ) -> tuple[Tensor, Tensor, Tensor]:
        with _StairsAreSlopes():
            return super().loss_and_gradient(inputs, labels, rows, loss)


class SurrogateBackward(View):
    """Logits and losses of the model itself, gradients of a surrogate at the same image: for whatever has no gradient
    at all.  The model behind is asked for scores only."""

    def __init__(self, inner: Any, surrogate: DifferentiableModel) -> None:
        super().__init__(inner)
        self._surrogate = surrogate

    @property
    def gradient_cost(self) -> int:
        return self.score_cost

    def loss_and_gradient(
        self, inputs: Tensor, labels: Tensor, rows: Tensor, loss: Loss
    ) -> tuple[Tensor, Tensor, Tensor]:
        logits = self.scores(inputs, rows)
        _, _, gradient = self._surrogate.logits_and_gradient(inputs, labels, loss)
        return logits, loss(logits, labels), gradient
