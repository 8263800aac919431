"""Batch normalization folded into the layer before it: the same function with one layer less."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval, fuse_linear_bn_eval

FOLDABLE = (nn.Conv1d, nn.Conv2d, nn.Conv3d, nn.Linear)
NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)


def fold_batch_norms(module: nn.Module, sample: Tensor) -> int:
    """Fold, in place, every batch norm whose input is the untouched output of one convolution or linear layer.

    Who feeds whom is seen by running `sample` (N x C x H x W) through the module, so that any Python code between the
    layers is allowed; a layer or norm that runs twice is left alone.  The caller checks the result: an output that is
    also used elsewhere cannot be seen from outside.  Returns how many were folded.
    """
    names = {part: name for name, part in module.named_modules()}
    calls: dict[nn.Module, int] = {}
    makers: list[tuple[nn.Module, Tensor]] = []
    pairs: list[tuple[nn.Module, nn.Module]] = []

    def seen(part: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        calls[part] = calls.get(part, 0) + 1
        if isinstance(part, NORMS):
            # Identity, not equality: the very tensor, with nothing in between.
            pairs.extend((maker, part) for maker, made in makers if made is inputs[0])
        else:
            makers.append((part, output))

    watched = [part for part in module.modules() if type(part) in FOLDABLE or isinstance(part, NORMS)]
    handles = [part.register_forward_hook(seen) for part in watched]
    try:
        with torch.no_grad():
            module(sample)
    finally:
        for handle in handles:
            handle.remove()
    folded = 0
    for maker, norm in pairs:
        if calls[maker] == calls[norm] == 1 and getattr(norm, "running_mean", None) is not None:
            # The two differ in their type alone, which watching has established.
            fuse: Any = fuse_linear_bn_eval if isinstance(maker, nn.Linear) else fuse_conv_bn_eval
            _replace(module, names[maker], fuse(maker, norm))
            _replace(module, names[norm], nn.Identity())
            folded += 1
    return folded


def _replace(module: nn.Module, name: str, part: nn.Module) -> None:
    parent, _, child = name.rpartition(".")
    setattr(module.get_submodule(parent), child, part)
