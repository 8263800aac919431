"""The converter against onnxruntime, operator by operator, and ONNX files as models under test."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from numpy.typing import NDArray
from onnx import helper

from mithridate.errors import UserError
from mithridate.imaging.attacks.losses import margin
from mithridate.models.acceptance import agrees_with_native
from mithridate.models.onnx_network import CannotConvert, OnnxNetwork
from mithridate.models.opening import open_model
from models.files import SIZE, described, linear_onnx, linear_plan, pattern, save_onnx

RNG = np.random.default_rng(0)


def t(*shape: int) -> NDArray[np.float32]:
    return (RNG.standard_normal(shape) * 0.5).astype(np.float32)


def ints(*values: int) -> NDArray[np.int64]:
    return np.array(values, dtype=np.int64)


IMAGE = [2, 3, 7, 9]
CASES: dict[str, tuple[str, dict[str, Any], dict[str, NDArray[Any]], list[int]]] = {
    "conv": ("Conv", {"pads": [1, 1, 1, 1], "strides": [2, 2]}, {"w": t(4, 3, 3, 3), "b": t(4)}, IMAGE),
    "conv, unequal padding": ("Conv", {"pads": [0, 1, 2, 1]}, {"w": t(4, 3, 3, 3)}, IMAGE),
    "conv, same upper": ("Conv", {"auto_pad": "SAME_UPPER", "strides": [2, 2]}, {"w": t(4, 3, 2, 3)}, IMAGE),
    "conv, same lower": ("Conv", {"auto_pad": "SAME_LOWER", "strides": [2, 2]}, {"w": t(4, 3, 2, 2)}, IMAGE),
    "conv, groups, dilation": ("Conv", {"group": 3, "dilations": [2, 1]}, {"w": t(6, 1, 3, 3), "b": t(6)}, IMAGE),
    "transposed conv": ("ConvTranspose", {"strides": [2, 2], "pads": [1, 1, 1, 1]}, {"w": t(3, 2, 3, 3)}, IMAGE),
    "gemm": ("Gemm", {"transB": 1, "alpha": 0.5, "beta": 2.0}, {"w": t(4, 5), "b": t(4)}, [2, 5]),
    "matmul": ("MatMul", {}, {"w": t(9, 4)}, IMAGE),
    "batch norm": ("BatchNormalization", {"epsilon": 1e-3},
                   {"s": t(3), "b": t(3), "m": t(3), "v": np.abs(t(3)) + 0.1}, IMAGE),
    "instance norm": ("InstanceNormalization", {}, {"s": t(3), "b": t(3)}, IMAGE),
    "layer norm": ("LayerNormalization", {"axis": -2}, {"s": t(7, 9), "b": t(7, 9)}, IMAGE),
    "local response": ("LRN", {"size": 3, "alpha": 0.1, "beta": 0.6, "bias": 1.5}, {}, IMAGE),
    "relu": ("Relu", {}, {}, IMAGE), "leaky": ("LeakyRelu", {"alpha": 0.2}, {}, IMAGE),
    "prelu": ("PRelu", {}, {"a": t(3, 1, 1)}, IMAGE), "elu": ("Elu", {"alpha": 0.7}, {}, IMAGE),
    "selu": ("Selu", {}, {}, IMAGE), "sigmoid": ("Sigmoid", {}, {}, IMAGE), "tanh": ("Tanh", {}, {}, IMAGE),
    "hard sigmoid": ("HardSigmoid", {"alpha": 0.3, "beta": 0.4}, {}, IMAGE),
    "hard swish": ("HardSwish", {}, {}, IMAGE), "softplus": ("Softplus", {}, {}, IMAGE), "erf": ("Erf", {}, {}, IMAGE),
    "clip": ("Clip", {}, {"lo": np.float32(-0.2), "hi": np.float32(0.3)}, IMAGE),
    "softmax": ("Softmax", {"axis": 1}, {}, IMAGE), "log softmax": ("LogSoftmax", {}, {}, IMAGE),
    "add": ("Add", {}, {"w": t(3, 1, 1)}, IMAGE), "sub": ("Sub", {}, {"w": t(9)}, IMAGE),
    "mul": ("Mul", {}, {"w": t(1, 3, 1, 1)}, IMAGE), "div": ("Div", {}, {"w": np.abs(t(9)) + 1}, IMAGE),
    "pow": ("Pow", {}, {"w": np.float32(2)}, IMAGE), "max": ("Max", {}, {"w": t(9)}, IMAGE),
    "global mean": ("GlobalAveragePool", {}, {}, IMAGE), "global max": ("GlobalMaxPool", {}, {}, IMAGE),
    "max pool": ("MaxPool", {"kernel_shape": [3, 2], "strides": [2, 2], "pads": [1, 0, 1, 1]}, {}, IMAGE),
    "max pool, ceil": ("MaxPool", {"kernel_shape": [2, 2], "strides": [2, 2], "ceil_mode": 1}, {}, IMAGE),
    "max pool, dilation": ("MaxPool", {"kernel_shape": [2, 2], "dilations": [2, 3]}, {}, IMAGE),
    "mean pool": ("AveragePool", {"kernel_shape": [3, 3], "strides": [2, 2], "pads": [1, 1, 1, 1]}, {}, IMAGE),
    "mean pool, padding counts": ("AveragePool", {"kernel_shape": [3, 3], "pads": [1, 1, 1, 1],
                                                  "count_include_pad": 1}, {}, IMAGE),
    "mean pool, ceil": ("AveragePool", {"kernel_shape": [2, 2], "strides": [2, 2], "ceil_mode": 1}, {}, IMAGE),
    "mean pool, same": ("AveragePool", {"kernel_shape": [3, 3], "strides": [2, 2], "auto_pad": "SAME_UPPER"}, {},
                        IMAGE),
    "flatten": ("Flatten", {"axis": 2}, {}, IMAGE), "reshape": ("Reshape", {}, {"s": ints(0, -1, 9)}, IMAGE),
    "transpose": ("Transpose", {"perm": [0, 2, 3, 1]}, {}, IMAGE),
    "concat": ("Concat", {"axis": 2}, {"w": t(2, 3, 4, 9)}, IMAGE),
    "pad": ("Pad", {}, {"p": ints(0, 0, 1, 2, 0, 0, 0, 1), "v": np.float32(0.7)}, IMAGE),
    "pad, reflect": ("Pad", {"mode": "reflect"}, {"p": ints(0, 0, 1, 2, 0, 0, 3, 1)}, IMAGE),
    "pad, edge": ("Pad", {"mode": "edge"}, {"p": ints(0, 0, 1, 2, 0, 0, 0, 1)}, IMAGE),
    "squeeze": ("Squeeze", {}, {"a": ints(1)}, [2, 1, 5]), "unsqueeze": ("Unsqueeze", {}, {"a": ints(0, -1)}, [2, 5]),
    "mean": ("ReduceMean", {"axes": [2, 3], "keepdims": 0}, {}, IMAGE), "sum": ("ReduceSum", {}, {"a": ints(1)}, IMAGE),
    "largest": ("ReduceMax", {"axes": [-1]}, {}, IMAGE), "length": ("ReduceL2", {"axes": [1]}, {}, IMAGE),
    "slice": ("Slice", {}, {"s": ints(1, -1), "e": ints(6, -100), "a": ints(2, 3), "k": ints(2, -2)}, IMAGE),
    "gather": ("Gather", {"axis": 1}, {"i": ints(2, 0, -1)}, IMAGE), "identity": ("Identity", {}, {}, IMAGE),
    "expand": ("Expand", {}, {"s": ints(2, 3, 1, 4)}, [3, 2, 1]), "dropout": ("Dropout", {}, {}, IMAGE),
    "resize, linear": ("Resize", {"mode": "linear", "coordinate_transformation_mode": "half_pixel"},
                       {"roi": np.zeros(0, np.float32), "k": np.array([1, 1, 2, 2], np.float32)}, IMAGE),
    "resize, nearest": ("Resize", {"mode": "nearest", "coordinate_transformation_mode": "asymmetric",
                                   "nearest_mode": "floor"},
                        {"roi": np.zeros(0, np.float32), "k": np.array([1, 1, 2, 2], np.float32)}, IMAGE),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_an_operator_means_what_onnxruntime_says(tmp_path: Path, name: str) -> None:
    kind, attributes, tensors, shape = CASES[name]
    file = save_onnx(
        tmp_path / "m.onnx", [helper.make_node(kind, ["x", *tensors], ["y"], **attributes)], tensors, list(shape)
    )
    x = t(*shape)
    expected = onnxruntime.InferenceSession(str(file), providers=["CPUExecutionProvider"]).run(None, {"x": x})[0]
    found = OnnxNetwork(onnx.load(file))(torch.from_numpy(x)).numpy()
    assert found.shape == expected.shape
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)


def test_shapes_that_are_computed_in_the_graph(tmp_path: Path) -> None:
    """What exporters write for x.view(x.shape[0], -1)."""
    nodes = [
        helper.make_node("Shape", ["x"], ["s"]),
        helper.make_node("Gather", ["s", "zero"], ["n"]),
        helper.make_node("Unsqueeze", ["n", "axis"], ["n1"]),
        helper.make_node("Concat", ["n1", "rest"], ["target"], axis=0),
        helper.make_node("Reshape", ["x", "target"], ["y"]),
    ]
    tensors = {"zero": np.array(0, dtype=np.int64), "axis": ints(0), "rest": ints(-1)}
    file = save_onnx(tmp_path / "m.onnx", nodes, tensors, ["N", 3, 4, 4])
    assert OnnxNetwork(onnx.load(file))(torch.rand(5, 3, 4, 4)).shape == (5, 48)


def test_an_unknown_operator_is_refused_by_name_and_the_model_stays_a_black_box(tmp_path: Path) -> None:
    file = linear_onnx(tmp_path / "m.onnx", foreign=True)
    with pytest.raises(CannotConvert, match="ThresholdedRelu"):
        OnnxNetwork(onnx.load(file))
    opened = open_model(described(**linear_plan(file)))
    assert not opened.white_box
    assert opened.reason == "black box only: conversion to torch does not know the operator ThresholdedRelu"
    assert opened.model.logits(torch.rand(3, 1, SIZE, SIZE)).shape == (3, 2)


@pytest.mark.parametrize("batch", ["N", 1, 4])
@pytest.mark.parametrize("access", ["auto", "black-box"])
def test_both_boxes_give_the_known_answer_at_any_batch(tmp_path: Path, batch: Any, access: str) -> None:
    opened = open_model(described(**linear_plan(linear_onnx(tmp_path / "m.onnx", batch=batch), access=access)))
    x = torch.rand(5, 1, SIZE, SIZE, generator=torch.Generator().manual_seed(3))
    z = (x * torch.from_numpy(pattern())).mean((1, 2, 3)) * 8
    assert torch.allclose(opened.model.logits(x).softmax(1)[:, 1], (2 * z).sigmoid(), atol=1e-5)
    assert agrees_with_native(opened, x) < 1e-6
    assert opened.white_box == (access == "auto")


def test_gradients_reach_the_pixels_through_range_and_layout(tmp_path: Path) -> None:
    opened = open_model(described(**linear_plan(linear_onnx(tmp_path / "m.onnx"))))
    x, labels = torch.full((2, 1, SIZE, SIZE), 0.5), torch.tensor([0, 1])
    _, _, gradient = opened.model.logits_and_gradient(x, labels, margin)  # type: ignore[union-attr]
    expected = torch.from_numpy(pattern()) * 16 / SIZE**2  # of 2 z with respect to a pixel
    assert torch.allclose(gradient[0, 0], expected, rtol=1e-4)
    assert torch.allclose(gradient[1, 0], -expected, rtol=1e-4)


def test_an_input_that_is_not_the_stated_one_is_refused(tmp_path: Path) -> None:
    file = linear_onnx(tmp_path / "m.onnx")
    for wrong in ({"layout": "NCHW"}, {"size": 32}, {"channels": 3}):
        stated = {"size": SIZE, "channels": 1, "layout": "NHWC", **wrong}
        with pytest.raises(UserError, match="mend the input's size, channels or layout"):
            open_model(described(**linear_plan(file, input=stated)))
    (tmp_path / "bad.onnx").write_bytes(b"not a model")
    with pytest.raises(UserError, match="no ONNX model"):
        open_model(described(**linear_plan(tmp_path / "bad.onnx")))
    with pytest.raises(UserError, match="there is no file"):
        open_model(described(**linear_plan(tmp_path / "none.onnx")))
