"""scikit-learn classifiers (and others with its interface) on flattened pixels: a black box of scores."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mithridate.errors import UserError
from mithridate.models.description import SklearnPlan
from mithridate.models.heads import SINGLE
from mithridate.models.image_input import ImageInput
from mithridate.models.opened import Opened, digest, existing
from mithridate.models.views import FunctionModel, Predict


def open_sklearn(plan: SklearnPlan, *, kernel_batch: int, allow_code: bool, name: str) -> Opened:
    """Raises UserError when code is not allowed, or the estimator's features or classes are not those stated."""
    file = existing(plan.path, "an estimator saved with joblib or pickle")
    if not allow_code:
        raise UserError(
            f"{file}: an estimator is a pickle, and loading it runs code from the file; "
            "give --allow-code if you trust it as you trust a program"
        )
    estimator = _load(file)
    spec, answer = plan.input.build(), plan.answer()
    pixels, features = spec.channels * spec.size**2, getattr(estimator, "n_features_in_", None)
    if features not in (None, pixels):
        raise UserError(
            f"{file} takes {features} features and the plan states {spec.channels} x {spec.size} x {spec.size} = "
            f"{pixels} pixels: mend the input's size or channels"
        )
    predict = _predict(estimator, plan, file)

    def native(other: ImageInput, x: Tensor) -> Tensor:
        return torch.from_numpy(np.array(predict(other.apply(x).numpy()), dtype=np.float32))

    return Opened(
        model=FunctionModel(predict, spec, answer, batch=max(kernel_batch, 256), name=name),
        native=native, image=spec, answer=answer, module=None, reason="black box only: scikit-learn gives no gradients",
        sha256=digest(plan, file), architecture=type(estimator).__name__,
    )  # fmt: skip


def _load(file: Path) -> Any:
    import joblib  # type: ignore[import-untyped]
    from sklearn.exceptions import InconsistentVersionWarning

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", InconsistentVersionWarning)
            return joblib.load(file)
    except InconsistentVersionWarning as error:
        raise UserError(
            f"{file} was saved by scikit-learn {error.original_sklearn_version} and would be read by "
            f"{error.current_sklearn_version}, which may change its answers: install that version"
        ) from error
    except Exception as error:
        raise UserError(f"{file} cannot be loaded: {type(error).__name__}: {error}") from error


def _predict(estimator: Any, plan: SklearnPlan, file: Path) -> Predict:
    scores = plan.head in ("logits", "logit", "multilabel-logits")
    method = getattr(estimator, "decision_function" if scores else "predict_proba", None)
    if method is None:
        raise UserError(
            f"{file}: {type(estimator).__name__} has no {'decision_function' if scores else 'predict_proba'}, which "
            f"head '{plan.head}' asks for"
        )
    single = plan.head in SINGLE

    def predict(inputs: NDArray[np.float32]) -> NDArray[Any]:
        found = np.asarray(method(inputs.reshape(len(inputs), -1)))
        # predict_proba of two classes has two columns; a single probability is the second one.
        return found[:, 1:] if single and found.ndim == 2 and found.shape[1] == 2 else found

    return predict
