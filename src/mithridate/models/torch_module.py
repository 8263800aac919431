"""Any `torch.nn.Module` as a model under test: logits of fixed width, input gradients, the same numbers every time.

Convolution kernels choose their blocking by batch size, so a batch of 7 and a batch of 16 differ in the last bits, and
a chain of sign steps can turn such a bit into another verdict.  Every evaluation therefore runs at one fixed kernel
batch, the last chunk padded: results do not depend on how examples were grouped.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor, nn

from mithridate.errors import MithridateError, UserError
from mithridate.models.heads import SINGLE, Output, checked, guess_output, softmax_logits
from mithridate.oracle import Loss


class TorchModel:
    """Adapter of a module that takes float32 N x C x H x W in [0, 1].

    The module is used in eval mode as it is: no parameter, buffer or flag of it is changed.
    Raises MithridateError when an output is not finite.
    """

    def __init__(
        self, module: nn.Module, output: Output = "logits", kernel_batch: int = 16, name: str = "model"
    ) -> None:
        if any(part.training for part in module.modules()):
            raise UserError(f"{name} is in training mode: call .eval() before it is audited")
        self._module, self._output, self._kernel_batch, self._name = module, output, kernel_batch, name
        parameter = next(module.parameters(), None)
        self._device = parameter.device if parameter is not None else torch.device("cpu")
        self._classes: int | None = 2 if output in SINGLE else None

    @property
    def classes(self) -> int:
        if self._classes is None:
            raise MithridateError(f"{self._name} has not answered yet, so its number of classes is not known")
        return self._classes

    @property
    def module(self) -> nn.Module:
        return self._module

    @property
    def output(self) -> Output:
        return self._output

    @property
    def kernel_batch(self) -> int:
        """How many inputs it evaluates at once, always."""
        return self._kernel_batch

    def with_batch(self, kernel_batch: int) -> TorchModel:
        """The same module at another kernel batch; its last bits may differ."""
        return TorchModel(self._module, self._output, kernel_batch, self._name)

    def logits(self, inputs: Tensor) -> Tensor:
        """Logits N x K on the CPU, float32."""
        parts = []
        with torch.no_grad():
            for chunk, used in self._chunks(inputs):
                parts.append(self._logits(chunk)[:used].cpu())
        return torch.cat(parts) if parts else torch.empty(0, 2)

    def logits_and_gradient(self, inputs: Tensor, labels: Tensor, loss: Loss) -> tuple[Tensor, Tensor, Tensor]:
        """Logits N x K, losses N and the gradient of each example's own loss, all on the CPU, float32."""
        all_logits, all_losses, all_gradients = [], [], []
        done = 0
        for chunk, used in self._chunks(inputs):
            x = chunk.detach().requires_grad_(True)
            with torch.enable_grad():
                logits = self._logits(x)[:used]
                losses = loss(logits, labels[done : done + used].to(self._device))
                # Asking for the input's gradient alone leaves the parameters' .grad untouched and uncomputed.  A module
                # that cuts the graph has no gradient: zeros, which the audit's checks then name.
                gradient = None
                if losses.requires_grad:
                    (gradient,) = torch.autograd.grad(losses.sum(), x, allow_unused=True)
                gradient = torch.zeros_like(x) if gradient is None else gradient
            all_logits.append(logits.detach().cpu())
            all_losses.append(losses.detach().cpu())
            all_gradients.append(gradient[:used].cpu())
            done += used
        if not all_logits:
            return torch.empty(0, 2), torch.empty(0), torch.empty_like(inputs)
        return torch.cat(all_logits), torch.cat(all_losses), torch.cat(all_gradients)

    def _chunks(self, inputs: Tensor) -> Iterator[tuple[Tensor, int]]:
        for first in range(0, len(inputs), self._kernel_batch):
            chunk = inputs[first : first + self._kernel_batch]
            used = len(chunk)
            if used < self._kernel_batch:
                chunk = torch.cat([chunk, chunk[-1:].expand(self._kernel_batch - used, *chunk.shape[1:])])
            # Another memory layout would choose other kernels, and other last bits.
            yield chunk.contiguous().to(self._device), used

    def _logits(self, inputs: Tensor) -> Tensor:
        raw = checked(self._module(inputs), self._output, len(inputs), self._name)
        self._classes = 2 if self._output in SINGLE else raw.shape[1]
        return softmax_logits(raw, self._output)


def infer_output(module: nn.Module, sample: Tensor) -> Output:
    """What the module returns, judged on a sample of inputs N x C x H x W."""
    with torch.no_grad():
        return guess_output(module(sample))
