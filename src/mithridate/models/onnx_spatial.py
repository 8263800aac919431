"""ONNX operators with a spatial sense, in torch: convolution, pooling, padding, normalization, scaling."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
import torch.nn.functional as F  # noqa: N812 - the field's own alias
from torch import Tensor

from mithridate.models.onnx_basic import Attributes, Operator

_CONVOLUTIONS: dict[int, Callable[..., Tensor]] = {1: F.conv1d, 2: F.conv2d, 3: F.conv3d}
_TRANSPOSED: dict[int, Callable[..., Tensor]] = {1: F.conv_transpose1d, 2: F.conv_transpose2d, 3: F.conv_transpose3d}
_MAXIMA: dict[int, Callable[..., Tensor]] = {1: F.max_pool1d, 2: F.max_pool2d, 3: F.max_pool3d}
_MEANS: dict[int, Callable[..., Tensor]] = {1: F.avg_pool1d, 2: F.avg_pool2d, 3: F.avg_pool3d}


def _spatial(a: Attributes, x: Tensor, kernel: list[int]) -> tuple[list[int], list[int], list[tuple[int, int]]]:
    """Strides, dilations and (before, after) padding of each spatial axis."""
    rank = len(kernel)
    strides, dilations = list(a.get("strides", [1] * rank)), list(a.get("dilations", [1] * rank))
    mode = a.get("auto_pad", "NOTSET")
    if mode in ("SAME_UPPER", "SAME_LOWER"):
        pads = []
        for size, k, s, d in zip(x.shape[2:], kernel, strides, dilations, strict=True):
            total = max(0, (math.ceil(size / s) - 1) * s + (k - 1) * d + 1 - size)
            small, large = total // 2, total - total // 2
            pads.append((small, large) if mode == "SAME_UPPER" else (large, small))
        return strides, dilations, pads
    flat = list(a.get("pads", [0] * (2 * rank))) if mode == "NOTSET" else [0] * (2 * rank)
    return strides, dilations, list(zip(flat[:rank], flat[rank:], strict=True))


def _padded(x: Tensor, pads: list[tuple[int, int]], value: float = 0.0) -> Tensor:
    flat = [n for pair in reversed(pads) for n in pair]
    return F.pad(x, flat, value=value) if any(flat) else x


def _conv(a: Attributes, x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    strides, dilations, pads = _spatial(a, x, list(weight.shape[2:]))
    run = _CONVOLUTIONS[weight.ndim - 2]
    if all(before == after for before, after in pads):
        return run(x, weight, bias, strides, [before for before, _ in pads], dilations, a.get("group", 1))
    return run(_padded(x, pads), weight, bias, strides, 0, dilations, a.get("group", 1))


def _conv_transpose(a: Attributes, x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    strides, dilations, pads = _spatial(a, x, list(weight.shape[2:]))
    if "output_shape" in a or any(before != after for before, after in pads):
        raise NotImplementedError("ConvTranspose with output_shape or unequal padding")
    run, extra = _TRANSPOSED[weight.ndim - 2], a.get("output_padding", [0] * len(strides))
    return run(x, weight, bias, strides, [b for b, _ in pads], extra, a.get("group", 1), dilations)


def _ceil_pads(
    a: Attributes, x: Tensor, pads: list[tuple[int, int]], strides: list[int], spans: list[int]
) -> list[int]:
    """What `ceil_mode` adds at the end of each axis: the last window may hang over, but must begin inside."""
    added = []
    for size, (before, after), stride, span in zip(x.shape[2:], pads, strides, spans, strict=True):
        if not a.get("ceil_mode", 0):
            added.append(0)
            continue
        count = math.ceil((size + before + after - span) / stride) + 1
        count -= (count - 1) * stride >= size + before
        added.append(max(0, (count - 1) * stride + span - size - before - after))
    return added


def _max_pool(a: Attributes, x: Tensor) -> Tensor:
    kernel = list(a["kernel_shape"])
    strides, dilations, pads = _spatial(a, x, kernel)
    spans = [(k - 1) * d + 1 for k, d in zip(kernel, dilations, strict=True)]
    more = _ceil_pads(a, x, pads, strides, spans)
    x = _padded(x, [(b, e + m) for (b, e), m in zip(pads, more, strict=True)], -torch.inf)
    return _MAXIMA[len(kernel)](x, kernel, strides, 0, dilations)


def _average_pool(a: Attributes, x: Tensor) -> Tensor:
    kernel = list(a["kernel_shape"])
    strides, _, pads = _spatial(a, x, kernel)
    more = _ceil_pads(a, x, pads, strides, kernel)
    run = _MEANS[len(kernel)]
    # Where padding does not count, the mean is the sum of values over the sum of ones; padding by ceil never counts.
    ones = torch.ones_like(x[:1, :1])
    inner = _padded(ones, pads, 1.0 if a.get("count_include_pad", 0) else 0.0)
    tail = [(0, m) for m in more]
    whole = run(_padded(_padded(x, pads), tail), kernel, strides)
    return whole / run(_padded(inner, tail), kernel, strides)


def _global(function: Callable[[Tensor, list[int], bool], Tensor]) -> Operator:
    return lambda a, x: function(x, list(range(2, x.ndim)), True)


def _batch_norm(a: Attributes, x: Tensor, scale: Tensor, bias: Tensor, mean: Tensor, variance: Tensor) -> Tensor:
    if a.get("training_mode", 0):
        raise NotImplementedError("BatchNormalization in training mode")
    return F.batch_norm(x, mean, variance, scale, bias, False, 0.0, a.get("epsilon", 1e-5))


def _layer_norm(a: Attributes, x: Tensor, scale: Tensor, bias: Tensor | None = None) -> Tensor:
    axis = a.get("axis", -1) % x.ndim
    return F.layer_norm(x, list(x.shape[axis:]), scale, bias, a.get("epsilon", 1e-5))


def _instance_norm(a: Attributes, x: Tensor, scale: Tensor, bias: Tensor) -> Tensor:
    return F.instance_norm(x, weight=scale, bias=bias, eps=a.get("epsilon", 1e-5))


def _local_response(a: Attributes, x: Tensor) -> Tensor:
    if a["size"] % 2 == 0:
        raise NotImplementedError("LRN over an even number of channels")
    return F.local_response_norm(x, a["size"], a.get("alpha", 1e-4), a.get("beta", 0.75), a.get("bias", 1.0))


def _pad(
    a: Attributes, x: Tensor, pads: Tensor | None = None, value: Tensor | None = None, axes: Tensor | None = None
) -> Tensor:
    flat = [int(n) for n in (pads.tolist() if pads is not None else a["pads"])]
    chosen = [int(n) % x.ndim for n in axes.tolist()] if axes is not None else list(range(x.ndim))
    pairs = [(0, 0)] * x.ndim
    for i, axis in enumerate(chosen):
        pairs[axis] = (flat[i], flat[i + len(chosen)])
    mode = {"constant": "constant", "reflect": "reflect", "edge": "replicate"}.get(a.get("mode", "constant"))
    if mode is None:
        raise NotImplementedError(f"Pad in mode {a['mode']}")
    if mode == "constant":
        return _padded(x, pairs, float(value) if value is not None else a.get("value", 0.0))
    if x.ndim != 4 or any(n for pair in pairs[:2] for n in pair):
        raise NotImplementedError(f"Pad in mode {mode} beyond height and width")
    return F.pad(x, [*pairs[3], *pairs[2]], mode)


def _resize(
    a: Attributes, x: Tensor, roi: Tensor | None = None, scales: Tensor | None = None, sizes: Tensor | None = None
) -> Tensor:
    mode, corners = a.get("mode", "nearest"), a.get("coordinate_transformation_mode", "half_pixel")
    if x.ndim != 4 or mode not in ("nearest", "linear"):
        raise NotImplementedError(f"Resize in mode {mode} of {x.ndim} axes")
    shape = sizes.tolist() if sizes is not None and sizes.numel() else None
    if shape is None:
        assert scales is not None
        shape = [math.floor(n * s) for n, s in zip(x.shape, scales.tolist(), strict=True)]
    if mode == "linear" and corners in ("half_pixel", "pytorch_half_pixel", "align_corners"):
        return F.interpolate(x, shape[2:], mode="bilinear", align_corners=corners == "align_corners")
    if mode == "nearest" and corners == "asymmetric" and a.get("nearest_mode") == "floor":
        return F.interpolate(x, shape[2:], mode="nearest")
    raise NotImplementedError(f"Resize in mode {mode} with {corners}")


SPATIAL: dict[str, Operator] = {
    "AveragePool": _average_pool, "BatchNormalization": _batch_norm, "Conv": _conv, "ConvTranspose": _conv_transpose,
    "GlobalAveragePool": _global(lambda x, axes, keep: x.mean(axes, keep)),
    "GlobalMaxPool": _global(lambda x, axes, keep: x.amax(axes, keep)),
    "InstanceNormalization": _instance_norm, "LRN": _local_response, "LayerNormalization": _layer_norm,
    "MaxPool": _max_pool, "Pad": _pad, "Resize": _resize,
}  # fmt: skip
