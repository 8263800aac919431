"""CUDA graphs: forward and backward of one fixed batch, recorded once, then replayed as one."""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor, nn


def graphed(module: nn.Module, sample: Tensor) -> nn.Module:
    """`module`, captured for inputs shaped like `sample` (the adapter's kernel batch) on its GPU.

    Returned unchanged where there is no GPU, and where the module cannot be captured (it branches on values, or moves
    data to the host): then it is only slower.
    """
    device = next((p.device for p in module.parameters()), torch.device("cpu"))
    if device.type != "cuda":
        return module
    static = sample.to(device).clone().requires_grad_(True)
    try:
        return cast(nn.Module, torch.cuda.make_graphed_callables(module, (static,)))
    except RuntimeError:
        return module
