"""An ONNX graph as a torch module, node by node, so that gradients reach its input.

Nothing of the file is executed: an operator is looked up by name, and one that is not known is refused by name.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from mithridate.models.onnx_basic import BASIC
from mithridate.models.onnx_spatial import SPATIAL

OPERATORS = {**BASIC, **SPATIAL}
DOMAINS = ("", "ai.onnx")


class CannotConvert(Exception):
    """The graph uses something that has no equivalent here; the message names it."""


class OnnxNetwork(nn.Module):
    """The graph of an `onnx.ModelProto` with one image input and one output that is used.

    Tensors of the file become buffers.  Raises CannotConvert, which names every operator that is not known.
    """

    def __init__(self, model: Any, output: int = 0) -> None:
        super().__init__()
        import onnx
        from onnx import numpy_helper

        graph = model.graph
        opset = next((o.version for o in model.opset_import if o.domain in DOMAINS), 0)
        unknown = sorted({_full(n) for n in graph.node if n.domain not in DOMAINS or n.op_type not in OPERATORS})
        if unknown:
            raise CannotConvert(f"the operator{'s' * (len(unknown) > 1)} {', '.join(unknown)}")
        self._constants: dict[str, str] = {}
        for number, tensor in enumerate(graph.initializer):
            # A copy: arrays from a file are read-only.
            self.register_buffer(f"c{number}", torch.from_numpy(np.array(numpy_helper.to_array(tensor))))
            self._constants[tensor.name] = f"c{number}"
        inputs = [i.name for i in graph.input if i.name not in self._constants]
        if len(inputs) != 1:
            raise CannotConvert(f"{len(inputs)} inputs")
        self._input, self._output = inputs[0], graph.output[output].name
        self._nodes: list[tuple[str, dict[str, Any], list[str], list[str]]] = []
        for node in graph.node:
            attributes = {a.name: _value(onnx.helper.get_attribute_value(a), a, numpy_helper) for a in node.attribute}
            attributes |= {"_opset": opset, "_outputs": len(node.output)}
            self._nodes.append((node.op_type, attributes, list(node.input), list(node.output)))
        self._last = {name: i for i, (_, _, used, _) in enumerate(self._nodes) for name in used}
        self.training = False

    def forward(self, x: Tensor) -> Tensor:
        known: dict[str, Any] = {name: self.get_buffer(key) for name, key in self._constants.items()}
        known[self._input] = x
        for step, (kind, attributes, used, made) in enumerate(self._nodes):
            found = OPERATORS[kind](attributes, *[known[name] if name else None for name in used])
            for name, value in zip(made, found if isinstance(found, tuple) else (found,), strict=False):
                known[name] = value
            for name in used:  # a deep network must not keep every activation alive where no gradient is asked
                if name and self._last[name] == step and name != self._output and name not in self._constants:
                    known.pop(name, None)
        result: Tensor = known[self._output]
        return result


def _full(node: Any) -> str:
    return f"{node.domain}.{node.op_type}" if node.domain not in DOMAINS else str(node.op_type)


def _value(value: Any, attribute: Any, numpy_helper: Any) -> Any:
    if isinstance(value, bytes):
        return value.decode()
    if hasattr(value, "float_data"):  # a tensor
        return torch.from_numpy(np.array(numpy_helper.to_array(value)))
    if hasattr(value, "node"):
        raise CannotConvert(f"a graph inside the attribute {attribute.name}")
    return list(value) if not isinstance(value, int | float | str) else value
