"""Model files and endpoints made on the spot, small enough to know their answers by hand."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from pydantic import TypeAdapter

from mithridate.models.description import ModelPlan

SIZE = 16


def described(**fields: Any) -> Any:
    """A model as a plan describes it."""
    return TypeAdapter(ModelPlan).validate_python(fields)


def pattern(size: int = SIZE) -> NDArray[np.float32]:
    """+1 on the left half, -1 on the right one, size x size."""
    return np.where(np.arange(size) < size // 2, 1.0, -1.0).astype(np.float32)[None, :].repeat(size, 0)


def save_onnx(
    path: Path,
    nodes: list[Any],
    tensors: dict[str, NDArray[Any]],
    shape: list[Any],
    *,
    opset: int = 17,
    output: str = "y",
) -> Path:
    """A graph from input "x" of this shape to `output`."""
    graph = helper.make_graph(
        nodes,
        "made",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info(output, TensorProto.FLOAT, None)],
        [numpy_helper.from_array(np.asarray(value), name) for name, value in tensors.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)])
    model.ir_version = 9
    onnx.save(model, path)
    return path


def linear_onnx(path: Path, *, scale: float = 8.0, batch: Any = "N", foreign: bool = False) -> Path:
    """Grey NHWC images 0-255 -> probabilities of two classes; the logits are (-z, z), z = scale x the mean of pattern
    x pixel in [0, 1].  `foreign` adds an operator that does nothing and that no converter knows."""
    weight = (pattern() * scale / SIZE**2 / 255).reshape(-1, 1)
    nodes = [
        helper.make_node("Reshape", ["x", "flat"], ["f"]),
        helper.make_node("MatMul", ["f", "w"], ["z"]),
        helper.make_node("Neg", ["z"], ["n"]),
        helper.make_node("Concat", ["n", "z"], ["c"], axis=1),
        helper.make_node("Softmax", ["c"], ["y" if not foreign else "p"], axis=1),
    ]
    if foreign:
        nodes.append(helper.make_node("ThresholdedRelu", ["p"], ["y"], alpha=0.0))
    flat = np.array([-1, SIZE * SIZE], dtype=np.int64)
    return save_onnx(path, nodes, {"flat": flat, "w": weight}, [batch, SIZE, SIZE, 1])


def headed_onnx(path: Path, head: str) -> Path:
    """Gray NCHW images -> the answer of `linear_onnx` under a head of this kind; with three classes, or findings, the
    third is all but impossible."""
    z = (pattern() * 8 / SIZE**2).reshape(-1, 1)
    single = head in ("logit", "sigmoid")
    weight = 2 * z if single else np.concatenate([-z, z, 0 * z], 1)
    if head.startswith("multilabel"):
        weight = 2 * weight
    bias = np.array([0.0] if single else [0.0, 0.0, -9.0], dtype=np.float32)
    nodes = [
        helper.make_node("Reshape", ["x", "flat"], ["f"]),
        helper.make_node("MatMul", ["f", "w"], ["m"]),
        helper.make_node("Add", ["m", "b"], ["y" if "logit" in head else "l"]),
    ]
    if head == "softmax":
        nodes.append(helper.make_node("Softmax", ["l"], ["y"], axis=1))
    elif "logit" not in head:
        nodes.append(helper.make_node("Sigmoid", ["l"], ["y"]))
    flat = np.array([-1, SIZE * SIZE], dtype=np.int64)
    return save_onnx(path, nodes, {"flat": flat, "w": weight, "b": bias}, ["N", 1, SIZE, SIZE])


def linear_plan(path: Path, **changes: Any) -> dict[str, Any]:
    """How a plan describes `linear_onnx`."""
    return {
        "format": "onnx",
        "path": str(path),
        "input": {"size": SIZE, "channels": 1, "range": [0, 255], "layout": "NHWC"},
        "head": "probabilities",
        "classes": ["dark left", "bright left"],
        **changes,
    }


Behavior = Callable[[int, str, bytes], tuple[int, Any]]
"""(number of the request from 1, content type, body) -> (status, JSON answer, or text as it is)."""


@contextmanager
def endpoint(behavior: Behavior) -> Iterator[tuple[str, list[bytes]]]:
    """A real HTTP server on the loopback; gives its address and the bodies that it was sent."""
    bodies: list[bytes] = []
    lock = threading.Lock()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            with lock:
                bodies.append(body)
                number = len(bodies)
            status, answer = behavior(number, self.headers["Content-Type"], body)
            content = answer.encode() if isinstance(answer, str) else json.dumps(answer).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            with suppress(BrokenPipeError):  # a client that did not wait
                self.wfile.write(content)

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}/predict", bodies
    finally:
        server.shutdown()
        server.server_close()


def linear_answers(body: bytes) -> list[list[float]]:
    """What `linear_onnx` would answer, from a JSON request with pixels in [0, 1], N x 1 x S x S."""
    x = np.array(json.loads(body)["instances"])
    z = (x * pattern()).mean(axis=(1, 2, 3)) * 8
    p = 1 / (1 + np.exp(-2 * z))
    return np.stack([1 - p, p], 1).tolist()
