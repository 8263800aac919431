"""One shape for every classifier: pixels in [0, 1] -> normalization -> backbone -> head -> logits."""

from __future__ import annotations

from typing import Final, Literal, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

Head = Literal["paper", "linear"]
HEADS: Final[tuple[Head, ...]] = ("paper", "linear")


class Normalization(NamedTuple):
    """Per-channel mean and standard deviation, in units of pixels in [0, 1], red, green, blue."""

    mean: tuple[float, float, float]
    std: tuple[float, float, float]


NORMALIZATIONS: Final[dict[str, Normalization]] = {
    # The statistics that the torchvision weights were trained with.
    "imagenet": Normalization((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
    # (byte - 127) / 128, what the EfficientNet-Lite weights were trained with.
    "symmetric": Normalization((127 / 255,) * 3, (128 / 255,) * 3),
    "none": Normalization((0.0,) * 3, (1.0,) * 3),
}


class Classifier(nn.Module):
    """A backbone and a head behind a fixed normalization.

    Input: float32 N x channels x S x S in [0, 1], channels 1 or 3; a single channel is repeated to three inside, so
    that gradients reach the pixels that a caller owns.  Output: float32 logits N x classes.

    With inner_size the images are enlarged to that side first (bicubic): convolutions trained on large objects then see
    small lesions at the scale that they know.
    """

    mean: Tensor
    std: Tensor

    def __init__(
        self,
        backbone: nn.Module,
        head: nn.Sequential,
        *,
        channels: int,
        normalization: Normalization,
        inner_size: int | None = None,
    ) -> None:
        super().__init__()
        self.backbone = backbone
        self.head = head
        self.channels = channels
        self.normalization = normalization
        self.inner_size = inner_size
        # Not in the state dict: the model card is the one record of the normalization.
        self.register_buffer("mean", torch.tensor(normalization.mean).view(1, 3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(normalization.std).view(1, 3, 1, 1), persistent=False)

    def features(self, x: Tensor) -> Tensor:
        """Pooled backbone features, N x F, of pixels N x channels x S x S in [0, 1].

        Raises ValueError when x is not a batch of images with the network's number of channels.
        """
        if x.ndim != 4 or x.shape[1] != self.channels:
            raise ValueError(f"expected images N x {self.channels} x S x S, got a tensor of shape {tuple(x.shape)}")
        if self.channels == 1:
            x = x.expand(-1, 3, -1, -1)
        if self.inner_size is not None:
            # Clamped, because bicubic interpolation overshoots at edges.
            side = (self.inner_size, self.inner_size)
            x = functional.interpolate(x, side, mode="bicubic", align_corners=False).clamp(0, 1)
        features: Tensor = self.backbone((x - self.mean) / self.std)
        return features

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.head(self.features(x))
        return logits


class Standardize(nn.Module):
    """Subtract a mean from each feature and divide by a standard deviation; the identity until `fit`."""

    mean: Tensor
    std: Tensor

    def __init__(self, features: int) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(features))
        self.register_buffer("std", torch.ones(features))

    @torch.no_grad()
    def fit(self, features: Tensor) -> None:
        """Take the statistics of features N x F; a feature that hardly varies is magnified 1e4 times at most."""
        self.mean.copy_(features.mean(0))
        self.std.copy_(features.std(0, correction=0).clamp_min(1e-4))

    def forward(self, features: Tensor) -> Tensor:
        return (features - self.mean) / self.std


def make_head(kind: Head, features: int, classes: int, dropout: float) -> nn.Sequential:
    """The last layers, features N x F -> logits N x classes.

    `paper` is Dense(128, linear) -> dropout -> Dense(classes), as in Finlayson et al.'s public code; its weights start
    as Keras starts them (Glorot uniform, zero bias).  `linear` is standardization -> dropout -> Dense(classes).
    """
    if kind == "paper":
        head = nn.Sequential(nn.Linear(features, 128), nn.Dropout(dropout), nn.Linear(128, classes))
    else:
        head = nn.Sequential(Standardize(features), nn.Dropout(dropout), nn.Linear(features, classes))
    for layer in head:
        if isinstance(layer, nn.Linear):
            nn.init.xavier_uniform_(layer.weight)
            nn.init.zeros_(layer.bias)
    return head
