"""How a plan names a model that was not trained here: its file or address, its input, its head."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from mithridate.errors import UserError
from mithridate.models.heads import SINGLE, Output
from mithridate.models.image_input import ChannelOrder, ImageInput, Layout
from mithridate.models.views import Answer

_ALIASES = {"softmax": "probabilities", "sigmoid": "probability", "multilabel": "multilabel-probabilities"}


def _head(value: Any) -> Any:
    return _ALIASES.get(value, value) if isinstance(value, str) else value


Head = Annotated[Output, BeforeValidator(_head)]
Numbers = float | tuple[float, ...]


class _Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class InputPlan(_Strict):
    """What the model takes; see `ImageInput`."""

    size: int = Field(ge=8, le=8192, description="side of the square image, pixels")
    channels: Literal[1, 3] = 3
    range: tuple[float, float] = (0.0, 1.0)
    mean: Numbers = 0.0
    std: Numbers = 1.0
    order: ChannelOrder = "RGB"
    layout: Layout = "NCHW"

    @model_validator(mode="after")
    def _sound(self) -> InputPlan:
        try:
            self.build()
        except UserError as error:
            raise ValueError(str(error)) from None
        return self

    def build(self) -> ImageInput:
        mean, std = ((v,) if isinstance(v, float) else tuple(v) for v in (self.mean, self.std))
        low, high = self.range
        return ImageInput(self.size, self.channels, low, high, mean, std, self.order, self.layout)


class _ModelPlan(_Strict):
    """What every format has."""

    name: str | None = Field(None, min_length=1)
    input: InputPlan
    head: Head
    classes: tuple[str, ...] = Field((), description="names of the model's classes, in its own order")
    positive: str | tuple[str, ...] | None = Field(None, description="which of them count as positive")
    predictions: str | None = Field(None, description="CSV or npz: the model's own clean answers, by image id")
    tolerance: float = Field(0.02, gt=0, lt=0.5, description="largest difference in probability that is accepted")
    thresholds: dict[str, Annotated[float, Field(ge=0, le=1)]] = Field(default_factory=dict)
    intended_use: str = ""

    @model_validator(mode="after")
    def _positive_is_a_class(self) -> _ModelPlan:
        if self.head in SINGLE:
            if self.classes and len(self.classes) != 2:
                raise ValueError(
                    f"head '{self.head}' has two classes, negative and positive; {len(self.classes)} are named"
                )
            if self.positive is not None and self.positive_names() != self.classes[1:]:
                raise ValueError(f"with head '{self.head}' the second class is the positive one: leave 'positive' out")
            return self
        if not self.classes:
            raise ValueError(f"head '{self.head}' needs 'classes': the names of the model's classes, in its own order")
        if len(set(self.classes)) != len(self.classes):
            raise ValueError("two classes have the same name")
        if self.positive is None and (len(self.classes) != 2 or self.head.startswith("multilabel")):
            raise ValueError("say which of the classes is 'positive'")
        unknown = [name for name in self.positive_names() if name not in self.classes]
        if unknown:
            raise ValueError(f"positive '{unknown[0]}' is not one of the classes {', '.join(self.classes)}")
        if len(self.positive_names()) == len(self.classes) and not self.head.startswith("multilabel"):
            raise ValueError("every class is called positive, so none is left to be negative")
        return self

    def __hash__(self) -> int:
        return hash(self.model_dump_json())  # dictionaries among the fields have no hash of their own

    def positive_names(self) -> tuple[str, ...]:
        if self.positive is None:
            return self.classes[1:2]
        return (self.positive,) if isinstance(self.positive, str) else self.positive

    def answer(self) -> Answer:
        if self.head in SINGLE:
            return Answer(self.head, (1,), self.classes)
        return Answer(self.head, tuple(sorted(self.classes.index(n) for n in self.positive_names())), self.classes)


class TorchPlan(_ModelPlan):
    """A `torch.nn.Module` that a function of the user's returns: runs that code, so it needs --allow-code."""

    format: Literal["torch"]
    factory: str = Field(pattern=r"^[A-Za-z_][\w.]*:[A-Za-z_]\w*$", description="package.module:function")
    weights: str | None = Field(None, description="safetensors with the module's state dict")


class TorchScriptPlan(_ModelPlan):
    format: Literal["torchscript"]
    path: str


class TorchExportPlan(_ModelPlan):
    format: Literal["torch-export"]
    path: str


class OnnxPlan(_ModelPlan):
    format: Literal["onnx"]
    path: str
    access: Literal["auto", "black-box"] = Field("auto", description="auto: white box when conversion succeeds")


class KerasPlan(_ModelPlan):
    """`extra`: the values of every input that is no image, held fixed for all images."""

    format: Literal["keras"]
    path: str
    image: str | None = Field(None, description="name of the image input, when there are several inputs")
    extra: dict[str, tuple[float, ...]] = Field(default_factory=dict)


class SklearnPlan(_ModelPlan):
    """A pickled estimator on flattened pixels: unpickling runs code, so it needs --allow-code."""

    format: Literal["scikit-learn"]
    path: str


class HttpPlan(_ModelPlan):
    """An endpoint; see docs/models.md for the requests that it gets."""

    format: Literal["http"]
    url: str = Field(pattern=r"^https?://")
    encoding: Literal["json", "multipart"] = "json"
    image_as: Literal["array", "png"] = Field("array", description="how JSON carries an image; multipart sends PNG")
    field: str = Field("instances", min_length=1, description="JSON key or form field that holds the images")
    answers: str = Field("predictions", description="dotted path of the answers in the JSON that comes back")
    headers_from: dict[str, str] = Field(default_factory=dict, description="header -> environment variable")
    batch: int = Field(16, ge=1, le=4096)
    per_second: float | None = Field(None, gt=0, description="requests a second, at most")
    timeout: float = Field(30.0, gt=0, le=3600, description="seconds")
    retries: int = Field(4, ge=0, le=20)
    queries: int | None = Field(None, ge=1, description="images sent over the whole audit, at most")
    cache: str | None = Field(None, description="file of kept answers; default: in the run folder")

    @model_validator(mode="after")
    def _one_image_as_png(self) -> HttpPlan:
        if self.encoding == "multipart" and self.image_as == "array":
            object.__setattr__(self, "image_as", "png")
        plain = (self.input.range, self.input.mean, self.input.std) == ((0.0, 1.0), 0.0, 1.0)
        if self.image_as == "png" and not plain:
            raise ValueError("an image sent as PNG carries plain pixels: leave the input's range, mean and std out")
        return self


ModelPlan = Annotated[
    TorchPlan | TorchScriptPlan | TorchExportPlan | OnnxPlan | KerasPlan | SklearnPlan | HttpPlan,
    Field(discriminator="format"),
]
PATHS = ("path", "predictions", "weights", "cache")
"""Fields that name files, relative to the plan."""
