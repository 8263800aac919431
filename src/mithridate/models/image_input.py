"""From pixels in [0, 1] to what a model was trained on: range, mean and deviation, channel order, layout."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final, Literal

import torch
from torch import Tensor

from mithridate.errors import UserError

Layout = Literal["NCHW", "NHWC"]
ChannelOrder = Literal["RGB", "BGR"]

IMAGENET: Final = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))


@dataclass(frozen=True)
class ImageInput:
    """What a model takes.

    size      side of its square images in pixels
    channels  1 (gray) or 3
    low, high the values that black and white have
    mean, std subtracted and divided by after that, one number a channel or one for all, in the model's own range
    order     RGB or BGR
    layout    NCHW or NHWC
    """

    size: int
    channels: int = 3
    low: float = 0.0
    high: float = 1.0
    mean: tuple[float, ...] = (0.0,)
    std: tuple[float, ...] = (1.0,)
    order: ChannelOrder = "RGB"
    layout: Layout = "NCHW"

    def __post_init__(self) -> None:
        if self.high <= self.low:
            raise UserError(f"the input range [{self.low:g}, {self.high:g}] is empty: give [black, white]")
        for name, values in (("mean", self.mean), ("std", self.std)):
            if len(values) not in (1, self.channels):
                raise UserError(f"the input's {name} has {len(values)} numbers for {self.channels} channels")
        if min(self.std) <= 0:
            raise UserError("the input's std must be above 0")

    def apply(self, x: Tensor) -> Tensor:
        """Pixels float32 N x C x H x W in [0, 1] as the model takes them; differentiable.

        Raises UserError when the images are not of this size and number of channels.
        """
        if x.ndim != 4 or x.shape[1:] != (self.channels, self.size, self.size):
            raise UserError(
                f"the model takes images {self.channels} x {self.size} x {self.size} and was given "
                f"{' x '.join(str(n) for n in x.shape[1:])}: state the input's size and channels as they are"
            )
        if self.order == "BGR":
            x = x.flip(1)
        # Skipping what changes nothing keeps the caller's own numbers to the last bit.
        if (self.low, self.high) != (0.0, 1.0):
            x = x * (self.high - self.low) + self.low
        if any(self.mean) or any(s != 1 for s in self.std):
            mean, std = (
                torch.tensor(v, dtype=x.dtype, device=x.device).view(1, -1, 1, 1) for v in (self.mean, self.std)
            )
            x = (x - mean.view(1, -1, 1, 1)) / std.view(1, -1, 1, 1)
        return x.permute(0, 2, 3, 1) if self.layout == "NHWC" else x

    def alternatives(self) -> list[tuple[str, ImageInput]]:
        """What people most often mean when they state an input wrongly, in words and as it would be stated."""
        plain = replace(self, mean=(0.0,), std=(1.0,))
        found = [
            ("range [0, 1], no mean or std", replace(plain, low=0.0, high=1.0)),
            ("range [-1, 1], no mean or std", replace(plain, low=-1.0, high=1.0)),
            ("range [0, 255], no mean or std", replace(plain, low=0.0, high=255.0)),
        ]
        if self.channels == 3:
            mean, std = IMAGENET
            found.append(("range [0, 1], mean and std of ImageNet", replace(plain, low=0, high=1, mean=mean, std=std)))
            other: ChannelOrder = "BGR" if self.order == "RGB" else "RGB"
            found.append((f"order {other}", replace(self, order=other)))
        return [(words, spec) for words, spec in found if spec != self]
