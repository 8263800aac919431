"""Whether a module is still the one that was handed in: values, gradients and flags."""

from __future__ import annotations

import hashlib

import torch
from torch import Tensor, nn


def digest(module: nn.Module) -> str:
    """SHA-256 of every parameter and buffer, of their flags and gradients, and of each part's mode."""
    found = hashlib.sha256()
    for name, tensor in _tensors(module):
        found.update(f"{name} {tensor.dtype} {tuple(tensor.shape)} {tensor.requires_grad}".encode())
        found.update(_bytes(tensor))
        found.update(b"no gradient" if tensor.grad is None else _bytes(tensor.grad))
    found.update(bytes(part.training for part in module.modules()))
    return found.hexdigest()


def stamp(module: nn.Module) -> tuple[object, ...]:
    """A cheap sign of change: torch counts the writes to every tensor."""
    tensors = [(t.data_ptr(), _writes(t), t.requires_grad, t.grad is None) for _, t in _tensors(module)]
    return (*tensors, *(part.training for part in module.modules()))


def in_training_mode(module: nn.Module) -> int:
    """How many parts of the module are in training mode."""
    return sum(part.training for part in module.modules())


def _writes(tensor: Tensor) -> int:
    return 0 if tensor.is_inference() else tensor._version  # inference tensors keep no count


def _tensors(module: nn.Module) -> list[tuple[str, Tensor]]:
    return [*module.named_parameters(), *module.named_buffers()]


def _bytes(tensor: Tensor) -> bytes:
    # View as bytes: NumPy has no bfloat16.
    return tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().tobytes()
