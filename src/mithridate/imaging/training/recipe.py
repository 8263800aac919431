"""How to train: every number that shapes the result, in one immutable record that the model card repeats."""

from __future__ import annotations

from typing import Any, Final, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from mithridate.errors import UserError


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Augmentation(_Frozen):
    """Random changes of a training image, drawn anew per example and epoch; zero switches each one off."""

    rotation: float = Field(0.0, ge=0, le=180, description="uniform in +-this many degrees")
    flip_horizontal: bool = False
    flip_vertical: bool = False
    zoom: tuple[float, float] = Field((1.0, 1.0), description="magnification, log-uniform in this range")
    shift: float = Field(0.0, ge=0, le=1, description="along each axis, uniform in +-this fraction of the side")
    shear: float = Field(0.0, ge=0, lt=90, description="uniform in +-this many degrees")
    brightness: float = Field(0.0, ge=0, description="added, uniform in +-this, pixels in [0, 1]")
    contrast: float = Field(0.0, ge=0, le=1, description="about the image's mean, factor 1 +- this")
    saturation: float = Field(0.0, ge=0, le=1, description="about the pixel's gray value, factor 1 +- this")
    color: float = Field(0.0, ge=0, le=1, description="gain of each channel by itself, factor 1 +- this")
    gamma: float = Field(0.0, ge=0, description="exponent, log-uniform in exp(+-this)")
    noise: float = Field(
        0.0, ge=0, le=1, description="on each pixel, uniform in +-size, the size itself uniform up to this"
    )
    cutout: float = Field(0.0, ge=0, lt=1, description="side of one erased square, fraction of the image's side")
    cutout_probability: float = Field(1.0, ge=0, le=1)
    mixup: float = Field(0.0, ge=0, description="alpha of the Beta distribution (Zhang et al. 2018)")
    fill: Literal["border", "zeros", "reflection"] = Field("border", description="what lies outside the image")

    @model_validator(mode="after")
    def _zoom_is_a_range(self) -> Self:
        if not 0 < self.zoom[0] <= self.zoom[1]:
            raise ValueError("zoom must be two positive numbers, the smaller first")
        return self


class Recipe(_Frozen):
    """A training, complete but for the data and the seed.  The defaults are those of Finlayson et al."""

    name: str = "paper"
    # the network
    architecture: str = "resnet50"
    head: Literal["paper", "linear"] = "paper"
    levels: tuple[int, ...] = Field((), description="what the features are taken from, EfficientNet-Lite0 only")
    grid: int = Field(1, ge=1, description="cells along a side in which features are averaged apart, likewise")
    pretrained: Literal["none", "imagenet"] = "imagenet"
    normalization: Literal["auto", "imagenet", "symmetric", "none"] = "auto"
    size: int = Field(224, ge=16, description="side of the square input, pixels")
    inner_size: int | None = Field(None, ge=16, description="side to which the network enlarges its input")
    dropout: float = Field(0.2, ge=0, lt=1)
    drop_path: float = Field(0.0, ge=0, lt=1, description="stochastic depth, EfficientNet-Lite0 only")
    # the optimizer
    optimizer: Literal["sgd", "adamw"] = "sgd"
    learning_rate: float = Field(1e-3, gt=0)
    backbone_scale: float = Field(1.0, ge=0, description="the backbone's learning rate over the head's")
    momentum: float = Field(0.9, ge=0, lt=1)
    nesterov: bool = False
    weight_decay: float = Field(0.0, ge=0, description="on kernels only, not on biases and norms")
    clip_norm: float | None = Field(None, gt=0)
    batch_size: int = Field(32, ge=2, description="over all processes together")
    # the schedule
    epochs: int = Field(30, ge=1)
    schedule: Literal["constant", "cosine"] = "constant"
    warmup_epochs: float = Field(0.0, ge=0)
    head_epochs: int = Field(0, ge=0, description="first train the head alone, backbone frozen")
    head_learning_rate: float | None = Field(None, gt=0, description="of that phase; the learning rate if absent")
    head_start: Literal["random", "logistic"] = "random"
    head_start_c: float = Field(0.01, gt=0, description="inverse L2 penalty of the logistic regression")
    head_start_views: int = Field(1, ge=1, description="versions of each image: the first as it is, others augmented")
    frozen_blocks: int = Field(
        0, ge=0, description="first blocks, with the stem, never trained; EfficientNet-Lite0 only"
    )
    batch_norm: Literal["update", "frozen"] = Field("update", description="frozen: keep the pretrained statistics")
    # the loss
    label_smoothing: float = Field(0.0, ge=0, lt=1)
    class_weights: Literal["none", "balanced"] = "none"
    augmentation: Augmentation = Augmentation()
    # what becomes the model
    ema_decay: float | None = Field(None, gt=0, lt=1, description="average of the weights over steps")
    monitor: Literal["auc", "loss", "none"] = Field("loss", description="on the validation part; none: last epoch")
    patience: int | None = Field(10, ge=1, description="epochs without improvement before stopping")
    refit: Literal["no", "afterwards", "only"] = Field(
        "no",
        description="train on train + validation: once more when epochs and thresholds have been taken from the "
        "validation part, or from the start",
    )
    storage: Literal["float32", "float16"] = "float32"
    # the arithmetic
    precision: Literal["float32", "bfloat16"] = "float32"
    channels_last: bool = False
    checkpoint_seconds: float = Field(60.0, ge=0, description="between checkpoints within an epoch")

    @model_validator(mode="after")
    def _hangs_together(self) -> Self:
        if self.head_start == "logistic" and self.head != "linear":
            raise ValueError("head_start 'logistic' needs head 'linear'")
        if self.refit == "only" and self.monitor != "none":
            raise ValueError("refit 'only' leaves no validation part to watch: set monitor to 'none'")
        if (
            self.levels or self.grid != 1 or self.drop_path or self.frozen_blocks
        ) and self.architecture != "efficientnet-lite0":
            raise ValueError("levels, grid, drop_path and frozen_blocks are for architecture 'efficientnet-lite0'")
        return self

    def override(self, changes: dict[str, Any]) -> Recipe:
        """A recipe with some fields changed; a dotted name reaches into the augmentation.

        Raises UserError for a field that does not exist or a value that is not allowed.
        """
        data = self.model_dump()
        for name, value in changes.items():
            place: Any = data
            *outer, last = name.split(".")
            for part in outer:
                place = place.get(part) if isinstance(place, dict) else None
            if not isinstance(place, dict) or last not in place:
                raise UserError(f"the recipe has no field '{name}': known are {', '.join(field_names())}")
            place[last] = value
        return parse(data)


def parse(data: object) -> Recipe:
    """A recipe from plain data, such as a parsed JSON or YAML file; raises UserError naming the first wrong field."""
    try:
        return Recipe.model_validate(data)
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(str(part) for part in first["loc"])
        raise UserError(f"recipe{f', field {field}' if field else ''}: {first['msg']}") from error


def field_names() -> list[str]:
    """Every field that `Recipe.override` takes."""
    names = [name for name in Recipe.model_fields if name != "augmentation"]
    return names + [f"augmentation.{name}" for name in Augmentation.model_fields]


# Finlayson et al.: chest +-45 degrees and a horizontal flip; fundus and skin any angle, both flips and mixup.
_PAPER_CHEST: Final = Augmentation(rotation=45, flip_horizontal=True)
_PAPER_ROUND: Final = Augmentation(rotation=180, flip_horizontal=True, flip_vertical=True, mixup=0.2)


def preset(name: str, task: str) -> Recipe:
    """A recipe by name for a task: `paper` (the default), `small` (the shipped phantom models), `fine-tune`.

    `paper`: ImageNet ResNet-50, every layer trained, SGD 1e-3 with momentum 0.9, batch 32, cross-entropy.
    `small`: a 0.7 M parameter ResNet from scratch at 128 px.
    `fine-tune`: ImageNet EfficientNet-Lite0 on a few hundred images.
    Raises UserError when the name is not known.
    """
    upright = task == "chest"
    if name == "paper":
        return Recipe(augmentation=_PAPER_CHEST if upright else _PAPER_ROUND)
    if name == "small":
        return _small(upright)
    if name == "fine-tune":
        return _fine_tune(task)
    raise UserError(f"recipe '{name}' is not known: choose one of {', '.join(PRESETS)}, or name a .json or .yaml file")


PRESETS: Final = ("paper", "small", "fine-tune")


def _small(upright: bool) -> Recipe:
    return Recipe(
        name="small",
        architecture="resnet-small",
        head="linear",
        pretrained="none",
        size=128,
        dropout=0.1,
        optimizer="adamw",
        learning_rate=2e-3,
        weight_decay=0.02,
        clip_norm=1.0,
        batch_size=64,
        epochs=16,
        schedule="cosine",
        warmup_epochs=1,
        augmentation=Augmentation(
            rotation=10 if upright else 180,
            flip_horizontal=True,
            flip_vertical=not upright,
            shift=0.04,
            brightness=0.05,
            contrast=0.1,
        ),
        ema_decay=0.99,
        monitor="auc",
        patience=None,
        storage="float16",
        channels_last=True,
    )


def _fine_tune(task: str) -> Recipe:
    upright = task == "chest"
    zoom, shift = {"fundus": (1.13, 0.05), "chest": (1.13, 0.06)}.get(task, (1.22, 0.08))
    return Recipe(
        name="fine-tune",
        architecture="efficientnet-lite0",
        head="linear",
        # Chest films are all framed alike: where a shadow lies says more than how the whole film looks.
        levels=(2, 4, 7) if upright else (2, 4, 7, 10, 14),
        grid=3 if upright else 1,
        # Microaneurysms are a pixel or two at 224 px.
        inner_size=288 if task == "fundus" else None,
        dropout=0.3,
        drop_path=0.1,
        optimizer="adamw",
        learning_rate=3e-4,
        backbone_scale=1 / 3,
        weight_decay=0.02,
        clip_norm=5.0,
        batch_size=16,
        epochs=12 if task == "fundus" else 8,
        schedule="cosine",
        warmup_epochs=1,
        head_start="logistic",
        head_start_c=0.02 if upright else 0.003,
        head_start_views=4 if upright else 2,
        frozen_blocks=5 if task == "skin" else 3,
        batch_norm="frozen",
        label_smoothing=0.05,
        augmentation=Augmentation(
            rotation=12 if upright else 180,
            flip_horizontal=True,
            flip_vertical=not upright,
            zoom=(1 / zoom, zoom),
            shift=shift,
            brightness=0.05,
            contrast=0.2,
            color=0.0 if upright else 0.08,
            # Interpolation smooths a film's own grain: without noise the network takes grain for a finding.
            noise=0.0 if task == "skin" else 0.02,
            fill="zeros" if task == "fundus" else "border",
        ),
        ema_decay=0.98,
        monitor="none",
        # The pneumonia films are the fewest: their validation part is needed for training, too.
        refit="afterwards" if upright else "no",
    )
