"""ONNX operators without a spatial sense, in torch: arithmetic, shapes, indices.

An operator is a function of (attributes, inputs); an input that the graph leaves out is None.  Meanings are those of
the ONNX operator specification, opsets 7 to 23.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812 - the field's own alias
from torch import Tensor

Attributes = dict[str, Any]
Operator = Callable[..., Any]

DTYPES: dict[int, torch.dtype] = {
    1: torch.float32, 2: torch.uint8, 3: torch.int8, 5: torch.int16, 6: torch.int32, 7: torch.int64, 9: torch.bool,
    10: torch.float16, 11: torch.float64, 16: torch.bfloat16,
}  # fmt: skip
"""onnx.TensorProto.DataType -> torch."""


def _ints(a: Attributes, name: str, given: Tensor | None) -> list[int] | None:
    """A list of integers: an attribute in older opsets, an input in newer ones."""
    if given is not None:
        return [int(v) for v in given.reshape(-1).tolist()]
    return [int(v) for v in a[name]] if name in a else None


def _reduce(function: Callable[[Tensor, list[int], bool], Tensor]) -> Operator:
    def run(a: Attributes, x: Tensor, axes: Tensor | None = None) -> Tensor:
        chosen = _ints(a, "axes", axes)
        if not chosen:
            if a.get("noop_with_empty_axes", 0):
                return x
            chosen = list(range(x.ndim))
        return function(x, chosen, bool(a.get("keepdims", 1)))

    return run


def _clip(a: Attributes, x: Tensor, low: Tensor | None = None, high: Tensor | None = None) -> Tensor:
    low = torch.tensor(a["min"], dtype=x.dtype) if low is None and "min" in a else low
    high = torch.tensor(a["max"], dtype=x.dtype) if high is None and "max" in a else high
    x = x if low is None else torch.maximum(x, low)
    return x if high is None else torch.minimum(x, high)


def _reshape(a: Attributes, x: Tensor, shape: Tensor | None = None) -> Tensor:
    wanted = _ints(a, "shape", shape) or []
    if not a.get("allowzero", 0):
        wanted = [x.shape[i] if n == 0 else n for i, n in enumerate(wanted)]
    return x.reshape(wanted)


def _squeeze(a: Attributes, x: Tensor, axes: Tensor | None = None) -> Tensor:
    chosen = _ints(a, "axes", axes)
    return x.squeeze() if chosen is None else x.squeeze(tuple(chosen))


def _unsqueeze(a: Attributes, x: Tensor, axes: Tensor | None = None) -> Tensor:
    chosen = _ints(a, "axes", axes) or []
    rank = x.ndim + len(chosen)
    for axis in sorted(c % rank for c in chosen):
        x = x.unsqueeze(axis)
    return x


def _flatten(a: Attributes, x: Tensor) -> Tensor:
    axis = a.get("axis", 1)
    axis = axis + x.ndim if axis < 0 else axis
    return x.reshape(math.prod(x.shape[:axis]), -1)


def _slice(a: Attributes, x: Tensor, *given: Tensor | None) -> Tensor:
    names = ("starts", "ends", "axes", "steps")
    starts, ends, axes, steps = (
        _ints(a, name, value) for name, value in zip(names, [*given, None, None, None, None][:4], strict=True)
    )
    starts, ends = starts or [], ends or []
    for i, axis in enumerate(axes if axes is not None else range(len(starts))):
        size, step = x.shape[axis], steps[i] if steps is not None else 1
        # A backward slice to the very beginning ends before index 0, which Python writes as None.
        end = None if step < 0 and ends[i] < -size else ends[i]
        picked = range(*slice(starts[i], end, step).indices(size))
        x = x.index_select(axis, torch.tensor(list(picked), dtype=torch.int64, device=x.device))
    return x


def _gather(a: Attributes, x: Tensor, index: Tensor) -> Tensor:
    axis = a.get("axis", 0) % x.ndim
    index = torch.where(index < 0, index + x.shape[axis], index).long()
    found = x.index_select(axis, index.reshape(-1))
    return found.reshape([*x.shape[:axis], *index.shape, *x.shape[axis + 1 :]])


def _split(a: Attributes, x: Tensor, sizes: Tensor | None = None) -> tuple[Tensor, ...]:
    axis = a.get("axis", 0)
    parts = _ints(a, "split", sizes)
    if parts is None:
        each = -(-x.shape[axis] // (a.get("num_outputs") or a["_outputs"]))
        return torch.split(x, each, axis)
    return torch.split(x, parts, axis)


def _softmax(logarithm: bool) -> Operator:
    def run(a: Attributes, x: Tensor) -> Tensor:
        function: Callable[[Tensor, int], Tensor] = F.log_softmax if logarithm else F.softmax
        if a["_opset"] >= 13:
            return function(x, a.get("axis", -1))
        axis = a.get("axis", 1) % x.ndim  # before opset 13 everything from the axis on is one
        return function(x.flatten(axis), axis).reshape(x.shape)

    return run


def _gemm(a: Attributes, x: Tensor, y: Tensor, c: Tensor | None = None) -> Tensor:
    x, y = x.T if a.get("transA", 0) else x, y.T if a.get("transB", 0) else y
    found: Tensor = (x @ y) * a.get("alpha", 1.0)
    return found if c is None else found + c * a.get("beta", 1.0)


def _prelu(a: Attributes, x: Tensor, slope: Tensor) -> Tensor:
    return torch.where(x >= 0, x, x * slope)


def _gelu(a: Attributes, x: Tensor) -> Tensor:
    return F.gelu(x, approximate=a.get("approximate", "none"))


def _divide(a: Attributes, x: Tensor, y: Tensor) -> Tensor:
    return x / y if x.is_floating_point() else torch.div(x, y, rounding_mode="trunc")


def _filled(a: Attributes, shape: Tensor) -> Tensor:
    value = a.get("value", torch.zeros(1))
    return torch.full(shape.tolist(), value.item(), dtype=value.dtype)


def _constant(a: Attributes) -> Tensor:
    (value,) = (v for k, v in a.items() if k.startswith("value"))
    found: Tensor = value if isinstance(value, Tensor) else torch.tensor(value)
    return found


def _many(function: Callable[[Tensor, Tensor], Tensor]) -> Operator:
    def run(a: Attributes, first: Tensor, *others: Tensor) -> Tensor:
        for other in others:
            first = function(first, other)
        return first

    return run


def _plain(function: Callable[..., Tensor]) -> Operator:
    return lambda a, *x: function(*x)


BASIC: dict[str, Operator] = {
    "Abs": _plain(torch.abs), "Add": _plain(torch.add), "And": _plain(torch.logical_and),
    "Cast": lambda a, x: x.to(DTYPES[a["to"]]),
    "Ceil": _plain(torch.ceil), "Clip": _clip,
    "Concat": lambda a, *x: torch.cat(x, a["axis"]),
    "Constant": _constant,
    "ConstantOfShape": _filled, "Div": _divide,
    "Dropout": lambda a, x, *_: x,
    "Einsum": lambda a, *x: torch.einsum(a["equation"], *x),
    "Elu": lambda a, x: F.elu(x, a.get("alpha", 1.0)),
    "Equal": _plain(torch.eq), "Erf": _plain(torch.erf), "Exp": _plain(torch.exp),
    "Expand": lambda a, x, shape: x * torch.ones(shape.tolist(), dtype=x.dtype, device=x.device),
    "Flatten": _flatten, "Floor": _plain(torch.floor), "Gather": _gather, "Gelu": _gelu, "Gemm": _gemm,
    "Greater": _plain(torch.gt), "GreaterOrEqual": _plain(torch.ge),
    "HardSigmoid": lambda a, x: (x * a.get("alpha", 0.2) + a.get("beta", 0.5)).clamp(0, 1),
    "HardSwish": lambda a, x: F.hardswish(x),
    "Identity": lambda a, x: x,
    "LeakyRelu": lambda a, x: F.leaky_relu(x, a.get("alpha", 0.01)),
    "Less": _plain(torch.lt), "LessOrEqual": _plain(torch.le), "Log": _plain(torch.log),
    "LogSoftmax": _softmax(True), "MatMul": _plain(torch.matmul), "Max": _many(torch.maximum),
    "Min": _many(torch.minimum), "Mish": _plain(F.mish), "Mul": _plain(torch.mul), "Neg": _plain(torch.neg),
    "Not": _plain(torch.logical_not), "Or": _plain(torch.logical_or), "PRelu": _prelu,
    "Pow": lambda a, x, y: torch.pow(x, y.to(x.dtype)),
    "Reciprocal": _plain(torch.reciprocal),
    "ReduceMax": _reduce(lambda x, axes, keep: x.amax(axes, keep)),
    "ReduceMean": _reduce(lambda x, axes, keep: x.mean(axes, keep)),
    "ReduceMin": _reduce(lambda x, axes, keep: x.amin(axes, keep)),
    "ReduceL2": _reduce(lambda x, axes, keep: x.square().sum(axes, keep).sqrt()),
    "ReduceSum": _reduce(lambda x, axes, keep: x.sum(axes, keep)),
    "ReduceSumSquare": _reduce(lambda x, axes, keep: x.square().sum(axes, keep)),
    "Relu": _plain(torch.relu), "Reshape": _reshape, "Round": _plain(torch.round), "Selu": _plain(F.selu),
    "Shape": lambda a, x: torch.tensor(x.shape[a.get("start", 0) : a.get("end", x.ndim)], dtype=torch.int64),
    "Sigmoid": _plain(torch.sigmoid), "Sign": _plain(torch.sign), "Slice": _slice, "Softmax": _softmax(False),
    "Softplus": _plain(F.softplus), "Softsign": _plain(F.softsign), "Split": _split, "Sqrt": _plain(torch.sqrt),
    "Squeeze": _squeeze, "Sub": _plain(torch.sub), "Sum": _many(torch.add), "Tanh": _plain(torch.tanh),
    "Transpose": lambda a, x: x.permute(a.get("perm", tuple(reversed(range(x.ndim))))),
    "Unsqueeze": _unsqueeze, "Where": _plain(torch.where),
}  # fmt: skip
