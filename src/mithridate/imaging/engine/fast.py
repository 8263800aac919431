"""A fast private copy of a model to walk on: frozen, batch norms folded, channels last, bfloat16.

Its numbers differ from the caller's model in the third digit, so nothing that it says counts until the caller's own
model has said it too (see `scout`).
"""

from __future__ import annotations

import copy
from typing import Any, Literal, TypeVar, cast

import torch
from torch import Tensor, nn

from mithridate.imaging.engine.fold import fold_batch_norms

M = TypeVar("M", bound=nn.Module)
Precision = Literal["bfloat16", "float32"]
FOLDING_ERROR = 1e-3
"""How far folding may move a logit, in parts of the spread of the sample's logits: above float32's rounding by far,
below what a misread network would show by far."""

FEW = 2
"""Images that a prepared copy is tried on: nothing that it says later is believed without the model's own word."""

LAYERS = (nn.Conv2d, nn.Linear)


class _Exact(nn.Module):
    """The layer that makes the logits, kept in float32: logits of half precision come in steps too coarse for an attack
    that compares them, and this layer costs next to nothing."""

    def __init__(self, layer: nn.Module) -> None:
        super().__init__()
        self.layer = layer

    def forward(self, x: Tensor) -> Tensor:
        with torch.autocast(x.device.type, enabled=False):
            answer: Tensor = self.layer(x.float())
        return answer


class _ToKernel(torch.autograd.Function):
    """Images as the first convolution wants them, and their gradient as everything before it wants it."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, dtype: torch.dtype) -> Tensor:
        ctx.dtype = x.dtype
        # One after the other: both at once take more than twice as long.
        return x.to(dtype).contiguous(memory_format=torch.channels_last)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        return gradient.to(ctx.dtype, memory_format=torch.contiguous_format), None


class _Entry(nn.Module):
    """The convolution that sees the image.  Here the channels move last and the precision falls, not before: of three
    channels a kernel makes a loop of three, and the usual normalization would take as long as half a small network."""

    def __init__(self, layer: nn.Conv2d) -> None:
        super().__init__()
        self.layer = layer

    def forward(self, x: Tensor) -> Tensor:
        answer: Tensor = self.layer(_ToKernel.apply(x, self.layer.weight.dtype))  # type: ignore[no-untyped-call]
        return answer


class _MaxPool(nn.Module):
    """Max pooling one direction after the other: of half precision, torch's own takes five times as long.

    Nothing is rounded, so both give the same numbers.  Only where no gradient is asked for: ties share it otherwise.
    """

    def __init__(self, layer: nn.MaxPool2d) -> None:
        super().__init__()
        self.layer = layer
        sizes = layer.kernel_size, layer.stride, layer.padding
        self.sizes = [(size, size) if isinstance(size, int) else tuple(size) for size in sizes]

    @staticmethod
    def fits(layer: nn.Module) -> bool:
        """Whether this layer can be taken apart."""
        return (
            type(layer) is nn.MaxPool2d
            and layer.dilation in (1, (1, 1))
            and not layer.ceil_mode
            and not layer.return_indices
        )

    def forward(self, x: Tensor) -> Tensor:
        if torch.is_grad_enabled() or x.dtype is not torch.bfloat16 or x.device.type != "cpu" or x.ndim != 4:
            answer: Tensor = self.layer(x)
            return answer
        for dim, size, stride, padding in zip((2, 3), *self.sizes, strict=True):
            x = _running_maximum(x, dim, size, stride, padding)
        return x


def _running_maximum(x: Tensor, dim: int, size: int, stride: int, padding: int) -> Tensor:
    """The maxima of windows of `size` along one dimension of N x C x H x W."""
    count = (x.shape[dim] + 2 * padding - size) // stride + 1
    after = max(0, (count - 1) * stride + size - padding - x.shape[dim])
    if padding or after:
        edge = (padding, after)
        x = nn.functional.pad(x, (0, 0, *edge) if dim == 2 else edge, value=-torch.inf)
    windows = [_strided(x, dim, begin, stride, count) for begin in range(size)]
    most = windows[0]
    for window in windows[1:]:
        most = torch.maximum(most, window)
    return most


def _strided(x: Tensor, dim: int, begin: int, stride: int, count: int) -> Tensor:
    end = begin + (count - 1) * stride + 1
    return x[:, :, begin:end:stride] if dim == 2 else x[:, :, :, begin:end:stride]


class FastCopy(nn.Module):
    """A prepared copy behind the caller's interface: float32 N x C x H x W in [0, 1] -> what the module returns."""

    def __init__(self, module: nn.Module, precision: Precision) -> None:
        super().__init__()
        self.module = module
        self.precision = precision

    def forward(self, x: Tensor) -> Tensor:
        x = x.contiguous()
        # No cache: the weights are bfloat16 already, and a cached cast must not outlive a captured graph.
        with torch.autocast(x.device.type, torch.bfloat16, enabled=self.precision == "bfloat16", cache_enabled=False):
            answer: Tensor = self.module(x)
        return answer.float()


def fast_copy(module: nn.Module, sample: Tensor, precision: Precision = "bfloat16") -> FastCopy:
    """A private copy of `module` (in eval mode), ready to be walked on; the caller's module is not touched.

    sample: a few real inputs N x C x H x W, float32 in [0, 1]; folding that changes their logits is undone.
    """
    sample = sample[:FEW].to(next((p.device for p in module.parameters()), sample.device))
    plain = _private(module)
    folded = copy.deepcopy(plain)
    if fold_batch_norms(folded, sample):
        with torch.no_grad():
            before, after = plain(sample).float(), folded(sample).float()
        spread = float(before.abs().amax().clamp_min(1e-6))
        if float((after - before).abs().max()) <= FOLDING_ERROR * spread:
            plain = folded
    plain.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    first, last = _ends(plain, sample)
    for name, part in list(plain.named_modules()):
        if precision == "bfloat16" and last is not None and part is last and name:
            _put(plain, name, _Exact(part))
            continue
        if precision == "bfloat16" and type(part) in LAYERS:
            # Autocast would cast these again at every call.
            part.to(torch.bfloat16)
        if part is first and name and type(part) is nn.Conv2d:
            _put(plain, name, _Entry(part))
        if name and _MaxPool.fits(part):
            _put(plain, name, _MaxPool(cast(nn.MaxPool2d, part)))
    return _still(FastCopy(plain, precision))


def _put(module: nn.Module, name: str, part: nn.Module) -> None:
    parent, _, child = name.rpartition(".")
    setattr(module.get_submodule(parent), child, part)


def _ends(module: nn.Module, sample: Tensor) -> tuple[nn.Module | None, nn.Module | None]:
    """The layers that run first and last, each if it runs once."""
    order: list[nn.Module] = []
    handles = [
        part.register_forward_hook(lambda part, *_: order.append(part))
        for part in module.modules()
        if type(part) in LAYERS
    ]
    try:
        with torch.no_grad():
            module(sample[:1])
    finally:
        for handle in handles:
            handle.remove()
    once = [part if order.count(part) == 1 else None for part in (order[:1] + order[-1:])]
    return (once[0], once[1]) if once else (None, None)


def _private(module: nn.Module) -> nn.Module:
    clone = _still(copy.deepcopy(module))
    for part in clone.modules():
        # What a caller watches stays with the caller's own model.
        part._forward_hooks.clear()
        part._forward_pre_hooks.clear()
        part._backward_hooks.clear()
    return clone


def _still(module: M) -> M:
    """In evaluation mode and frozen.  Flag by flag: exported programs, whose flag has no effect, refuse .eval()."""
    for part in module.modules():
        part.training = False
    return module.requires_grad_(False)
