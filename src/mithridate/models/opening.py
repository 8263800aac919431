"""A model as a plan describes it, opened by the adapter of its format."""

from __future__ import annotations

from pathlib import Path

from mithridate.models.description import (
    HttpPlan,
    KerasPlan,
    ModelPlan,
    OnnxPlan,
    SklearnPlan,
    TorchExportPlan,
    TorchPlan,
)
from mithridate.models.opened import Opened


def open_model(
    plan: ModelPlan, *, kernel_batch: int = 16, allow_code: bool = False, store: Path | None = None
) -> Opened:
    """Open a model for an audit.

    kernel_batch  images evaluated at once, always, so that results do not depend on grouping
    allow_code    permits formats whose loading runs code: a factory, a pickled estimator or module
    store         file for an endpoint's answers; needed for HTTP unless the plan names a cache

    Raises UserError when the file is absent, damaged, or not what the plan says of it.
    """
    name = model_name(plan)
    if isinstance(plan, HttpPlan):
        from mithridate.models.http_endpoint import open_http

        return open_http(plan, store=store or Path("answers.sqlite"), name=name)
    if isinstance(plan, OnnxPlan):
        from mithridate.models.onnx_file import open_onnx

        return open_onnx(plan, kernel_batch=kernel_batch, name=name)
    if isinstance(plan, KerasPlan):
        from mithridate.models.keras_file import open_keras

        return open_keras(plan, kernel_batch=kernel_batch, name=name)
    if isinstance(plan, SklearnPlan):
        from mithridate.models.sklearn_file import open_sklearn

        return open_sklearn(plan, kernel_batch=kernel_batch, allow_code=allow_code, name=name)
    from mithridate.models.torch_files import open_exported, open_factory, open_torchscript

    if isinstance(plan, TorchPlan):
        return open_factory(plan, kernel_batch=kernel_batch, allow_code=allow_code, name=name)
    if isinstance(plan, TorchExportPlan):
        return open_exported(plan, kernel_batch=kernel_batch, allow_code=allow_code, name=name)
    return open_torchscript(plan, kernel_batch=kernel_batch, allow_code=allow_code, name=name)


def model_name(plan: ModelPlan) -> str:
    """What the model is called in messages and results."""
    if plan.name is not None:
        return plan.name
    if isinstance(plan, TorchPlan):
        return plan.factory
    return plan.url if isinstance(plan, HttpPlan) else Path(plan.path).name
