"""ONNX files: onnxruntime as the black box and the reference; conversion to torch as the white box, where it holds."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mithridate.errors import MissingExtra, UserError
from mithridate.models.description import OnnxPlan
from mithridate.models.image_input import ImageInput
from mithridate.models.onnx_network import CannotConvert, OnnxNetwork
from mithridate.models.opened import Native, Opened, digest, existing, network
from mithridate.models.views import FunctionModel
from mithridate.seeds import generator

PROOF_IMAGES = 4
AGREEMENT = 1e-4
"""Largest difference between torch and onnxruntime, relative to the largest answer (absolute below 1)."""


def open_onnx(plan: OnnxPlan, *, kernel_batch: int, name: str) -> Opened:
    """A white box when every operator converts and the conversion agrees with onnxruntime, else a black box.

    Raises UserError when the file is damaged, or its input is not the stated one; MissingExtra without onnxruntime.
    """
    file = existing(plan.path, "an ONNX file")
    session = _session(file)
    images, batch = _image_input(session, plan, file)

    def predict(x: NDArray[np.float32]) -> NDArray[Any]:
        return np.asarray(session.run(None, {images: x})[0])

    spec, answer = plan.input.build(), plan.answer()
    black = FunctionModel(predict, spec, answer, batch=batch or kernel_batch, fixed=batch is not None, name=name)

    def native(other: ImageInput, x: Tensor) -> Tensor:
        return FunctionModel(predict, other, answer, batch=batch or 16, fixed=batch is not None, name=name).raw(x)

    reason = "the plan asks for it"
    if plan.access == "auto":
        found = _converted(file, plan, native, batch)
        if isinstance(found, OnnxNetwork):
            return network(
                found, plan, kernel_batch=batch or kernel_batch, name=name, sha256=digest(plan, file),
                reason="ONNX, converted to torch and proved against onnxruntime", native=native,
                fixed=batch is not None,
            )  # fmt: skip
        reason = found
    return Opened(
        model=black, native=native, image=spec, answer=answer, module=None, reason=f"black box only: {reason}",
        sha256=digest(plan, file), architecture="ONNX",
    )  # fmt: skip


def _session(file: Path) -> Any:
    try:
        import onnxruntime  # type: ignore[import-untyped]
    except ImportError as error:
        raise MissingExtra("an ONNX model", "onnx") from error
    options = onnxruntime.SessionOptions()
    # One thread and no reordering across runs: sums are taken in one order, whatever the number of workers.
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3
    try:
        return onnxruntime.InferenceSession(str(file), options, providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime raises classes of its own that share no base
        raise UserError(
            f"{file} is no ONNX model that onnxruntime reads: {str(error).splitlines()[0][:200]}"
        ) from error


def _image_input(session: Any, plan: OnnxPlan, file: Path) -> tuple[str, int | None]:
    """Name of the image input and the batch size that it is fixed to, if it is."""
    inputs = session.get_inputs()
    if len(inputs) != 1:
        raise UserError(
            f"{file} has {len(inputs)} inputs ({', '.join(i.name for i in inputs)}); only one can be an image"
        )
    shape, spec = inputs[0].shape, plan.input
    if inputs[0].type != "tensor(float)":
        raise UserError(f"{file} takes {inputs[0].type}, not float32 images: export it with a float32 input")
    stated = [spec.channels, spec.size, spec.size] if spec.layout == "NCHW" else [spec.size, spec.size, spec.channels]
    differs = len(shape) != 4 or any(
        isinstance(n, int) and n != mine for n, mine in zip(shape[1:], stated, strict=True)
    )
    if differs:
        raise UserError(
            f"{file} takes an input of shape {shape} and the plan states {spec.layout} [N, "
            f"{', '.join(str(n) for n in stated)}]: mend the input's size, channels or layout"
        )
    return inputs[0].name, shape[0] if isinstance(shape[0], int) else None


def _converted(file: Path, plan: OnnxPlan, native: Native, batch: int | None) -> OnnxNetwork | str:
    """The graph in torch, or why there is none."""
    try:
        import onnx
    except ImportError as error:
        raise MissingExtra("the white box of an ONNX model", "onnx") from error
    spec = plan.input.build()
    pixels = generator(0, "onnx proof").random((PROOF_IMAGES, spec.channels, spec.size, spec.size))
    x = torch.from_numpy(pixels.astype(np.float32))
    theirs = native(spec, x)
    try:
        module = OnnxNetwork(onnx.load(file))

        def ask(inputs: NDArray[np.float32]) -> NDArray[Any]:
            with torch.no_grad():
                return np.asarray(module(torch.from_numpy(inputs)).float())

        ours = FunctionModel(ask, spec, plan.answer(), batch=batch or PROOF_IMAGES, fixed=batch is not None).raw(x)
    except (CannotConvert, NotImplementedError) as error:
        return f"conversion to torch does not know {error}"
    except (UserError, RuntimeError, LookupError, ValueError, TypeError, AssertionError) as error:
        return f"conversion to torch fails ({str(error).splitlines()[0][:160]})"
    if ours.shape != theirs.shape:
        return f"conversion to torch answers with shape {tuple(ours.shape)}, onnxruntime with {tuple(theirs.shape)}"
    worst = float((ours - theirs).abs().max() / theirs.abs().max().clamp_min(1))
    return module if worst <= AGREEMENT else f"conversion to torch differs from onnxruntime by {worst:.2g}"
