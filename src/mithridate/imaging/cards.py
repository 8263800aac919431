"""A model on disk: `model.safetensors` beside `card.json`, which says what it is and where it came from.

Loading runs no code from the files: the architecture is built by name and its tensors are filled in.
"""

from __future__ import annotations

import hashlib
import platform
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path
from typing import Any, Final, Literal

import torch
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from safetensors import SafetensorError
from safetensors.torch import load, save_file
from torch import Tensor

from mithridate.errors import UserError
from mithridate.files import remove_file, replace_file, replace_text
from mithridate.imaging.networks import Classifier, Normalization, build
from mithridate.statistics import Interval

WEIGHTS: Final = "model.safetensors"
CARD: Final = "card.json"
Storage = Literal["float32", "float16"]


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=True)


class Estimate(_Frozen):
    """A measured value with its two-sided 95% interval; `method` says how that was made.  null stands for NaN."""

    value: float | None
    low: float
    high: float
    method: str

    @classmethod
    def of(cls, interval: Interval) -> Estimate:
        value = None if interval.value != interval.value else interval.value
        return cls(value=value, low=interval.low, high=interval.high, method=interval.method)


class PartMetrics(_Frozen):
    """What was measured on one part of the data, at the threshold 0.5 unless the name says otherwise."""

    images: int
    groups: int
    positives: int
    accuracy: Estimate
    majority_accuracy: float = Field(description="accuracy of always answering the more frequent class")
    auc: Estimate
    sensitivity: Estimate
    specificity: Estimate
    loss: float


class DataRecord(_Frozen):
    """The data that a model was trained on: the catalog's fingerprint and its size."""

    fingerprint: str
    images: dict[str, dict[str, int]] = Field(description="part -> class word -> number of images")
    groups: dict[str, int] = Field(description="part -> number of groups (patients, lesions)")


class ModelCard(_Frozen):
    """Everything that a user of the model has to know; see each field's description."""

    name: str
    role: Literal["victim", "surrogate"] = "victim"
    architecture: str
    head: Literal["paper", "linear"]
    levels: tuple[int, ...] = Field((), description="what the features are taken from, EfficientNet-Lite0 only")
    grid: int = Field(1, ge=1, description="cells along a side in which features are averaged apart")
    task: str
    modality: str
    positive: str = Field(description="what class 1 means, in words")
    negative: str = Field(description="what class 0 means, in words")
    channels: Literal[1, 3]
    size: int = Field(gt=0, description="side of the square input, pixels")
    inner_size: int | None = Field(None, gt=0, description="side to which the network enlarges its input, if it does")
    mean: tuple[float, float, float] = Field(description="subtracted inside the network, pixels in [0, 1]")
    std: tuple[float, float, float] = Field(description="divided by inside the network, pixels in [0, 1]")
    preprocessing: str
    data: DataRecord
    recipe: dict[str, Any]
    seed: int
    epochs: int
    validation: PartMetrics | None = None
    test: PartMetrics | None = None
    thresholds: dict[str, float] = Field(description="positive when the probability of class 1 is at least this")
    thresholds_from: str = Field("validation", description="the part that the thresholds were read from")
    pretrained_sha256: str | None = Field(None, description="of the file of ImageNet weights, if one was used")
    sha256: str = Field("", description=f"of {WEIGHTS}; written by save_model")
    versions: dict[str, str] = Field(default_factory=dict)
    intended_use: str = (
        "Subject of adversarial robustness audits and of research on defenses. Not for clinical use: it has not been "
        "validated for the care of any patient."
    )
    limits: str = (
        "Measured on the held-out part of one data set only; other devices, populations and prevalences will give "
        "other figures. No adversarial training: small, deliberate changes of the image reverse its answer."
    )

    @property
    def normalization(self) -> Normalization:
        return Normalization(self.mean, self.std)


def library_versions() -> dict[str, str]:
    """Versions of everything that shapes a training's result."""
    names = ("mithridate", "torch", "monai", "numpy", "scikit-learn", "safetensors")
    versions = {"python": platform.python_version()}
    for name in names:
        try:
            versions[name] = metadata.version(name)
        except metadata.PackageNotFoundError:  # run from a source tree that is not installed
            versions[name] = "unknown"
    return versions


def stored(state: Mapping[str, Tensor], storage: Storage) -> dict[str, Tensor]:
    """The tensors as they are written: contiguous on the CPU, and with "float16" the kernels in half precision.

    One-dimensional tensors stay float32: batch-norm variances reach below half precision's range.
    """
    kept = {key: value.detach().to("cpu").contiguous() for key, value in state.items()}
    if storage == "float32":
        return kept
    return {key: value.half() if value.is_floating_point() and value.ndim > 1 else value for key, value in kept.items()}


def save_model(folder: Path, network: Classifier, card: ModelCard, storage: Storage = "float32") -> ModelCard:
    """Write `folder/model.safetensors` and `folder/card.json`; returns the card with the weights' SHA-256 filled in.

    Each file is replaced in one step and the card last, so a folder with a card is complete.  With storage "float16"
    the network that is loaded later is the rounded one: round first (`round_weights`), then measure.
    Raises UserError when the folder cannot be written.
    """
    remove_file(folder / CARD)
    state = stored(network.state_dict(), storage)
    replace_file(folder / WEIGHTS, lambda partial: save_file(state, partial, metadata={"format": "pt"}))
    digest = hashlib.sha256((folder / WEIGHTS).read_bytes()).hexdigest()
    card = card.model_copy(update={"sha256": digest})
    replace_text(folder / CARD, card.model_dump_json(indent=2) + "\n")
    return card


def round_weights(network: Classifier, storage: Storage) -> None:
    """Give a network, in place, exactly the weights that storing and loading it would."""
    network.load_state_dict(stored(network.state_dict(), storage))


def read_card(folder: Path) -> ModelCard:
    """The card of a model's folder; raises UserError when it is absent or is not a card."""
    path = folder / CARD
    try:
        return ModelCard.model_validate_json(path.read_bytes())
    except FileNotFoundError as error:
        raise UserError(
            f"{folder} holds no {CARD}: name the folder of a model that `mithridate train` wrote"
        ) from error
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror or error}") from error
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(str(part) for part in first["loc"]) or "the file"
        raise UserError(f"{path} is not a model card: {field}: {first['msg']}") from error


def load_model(folder: Path) -> tuple[Classifier, ModelCard]:
    """Build the network that a card describes and fill in its weights: float32, CPU, evaluation mode.

    Raises UserError when a file is missing or damaged, when the weights' SHA-256 is not the card's, or when they do not
    fit the architecture.
    """
    card = read_card(folder)
    path = folder / WEIGHTS
    try:
        content = path.read_bytes()
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror or error}; the model is incomplete") from error
    digest = hashlib.sha256(content).hexdigest()
    if digest != card.sha256:
        raise UserError(
            f"{path} is not the file that {CARD} describes (SHA-256 {digest[:12]}..., the card says "
            f"{card.sha256[:12] or 'none'}...): it was damaged or exchanged, so train or copy the model again"
        )
    try:
        state = load(content)
    except SafetensorError as error:
        raise UserError(f"{path} is not a safetensors file: {error}") from error
    network = build(
        card.architecture,
        channels=card.channels,
        head=card.head,
        levels=card.levels,
        grid=card.grid,
        inner_size=card.inner_size,
        normalization=card.normalization,
    )
    _fill(network, state, path)
    return network.eval(), card


def _fill(network: Classifier, state: dict[str, Tensor], path: Path) -> None:
    expected = network.state_dict()
    wrong = sorted(expected.keys() ^ state.keys()) or [
        key for key, value in expected.items() if state[key].shape != value.shape
    ]
    if wrong:
        raise UserError(f"{path} does not fit the card's architecture: {len(wrong)} tensors differ, first {wrong[0]}")
    network.load_state_dict({key: value.to(expected[key].dtype) for key, value in state.items()})
    if not all(bool(torch.isfinite(value).all()) for value in network.state_dict().values()):
        raise UserError(f"{path} holds weights that are not finite numbers: train the model again")
