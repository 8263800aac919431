"""From an architecture's name to a network."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from torch import nn

from mithridate.errors import UserError
from mithridate.imaging.networks import backbones
from mithridate.imaging.networks.classifier import HEADS, NORMALIZATIONS, Classifier, Head, Normalization, make_head
from mithridate.imaging.networks.pretrained import load_imagenet


@dataclass(frozen=True)
class Architecture:
    """How to build a backbone, the smallest image side that it takes, and the normalization that suits its weights."""

    backbone: Callable[[], tuple[nn.Module, int]]
    smallest: int
    normalization: str


ARCHITECTURES: Final[dict[str, Architecture]] = {
    "resnet50": Architecture(backbones.resnet50, 32, "imagenet"),
    "resnet18": Architecture(backbones.resnet18, 32, "imagenet"),
    "densenet121": Architecture(backbones.densenet121, 32, "imagenet"),
    "efficientnet-lite0": Architecture(backbones.efficientnet_lite0, 32, "symmetric"),
    "resnet-small": Architecture(backbones.resnet_small, 16, "imagenet"),
}


def build(
    architecture: str,
    *,
    channels: int,
    classes: int = 2,
    head: Head = "paper",
    pretrained: Literal["none", "imagenet"] = "none",
    weights: Path | None = None,
    normalization: Normalization | None = None,
    dropout: float = 0.2,
    drop_path: float = 0.0,
    levels: tuple[int, ...] = (),
    grid: int = 1,
    inner_size: int | None = None,
) -> Classifier:
    """Build a classifier: float32 N x channels x S x S in [0, 1] -> logits N x classes.

    architecture is a key of ARCHITECTURES.  With pretrained="imagenet" the backbone starts from ImageNet weights: from
    the file `weights`, else from where they are usually kept or published (see `pretrained.load_imagenet`); the head is
    always new.  normalization defaults to what suits the architecture's ImageNet weights.  dropout acts in the head;
    drop_path (stochastic depth), levels (what the features are taken from) and grid (in how many places) are for
    EfficientNet-Lite0: see there.
    inner_size: the network enlarges its input to this side.
    New weights come from torch's global generator.

    Raises UserError for a name that is not known, an impossible combination, or weights that are missing or damaged.
    """
    chosen = ARCHITECTURES.get(architecture)
    if chosen is None:
        raise UserError(f"architecture '{architecture}' is not known: choose one of {', '.join(ARCHITECTURES)}")
    if channels not in (1, 3):
        raise UserError(f"a network takes images of 1 or 3 channels, not {channels}")
    if head not in HEADS:
        raise UserError(f"head '{head}' is not known: choose one of {', '.join(HEADS)}")
    if weights is not None and pretrained == "none":
        raise UserError(f"the weights file {weights} would not be used: say --pretrained imagenet with it")
    if (drop_path or levels or grid != 1) and architecture != "efficientnet-lite0":
        raise UserError(f"drop_path, levels and grid are for efficientnet-lite0: leave them out for {architecture}")
    if architecture == "efficientnet-lite0":
        backbone, width = backbones.efficientnet_lite0(drop_path, levels, grid)
    else:
        backbone, width = chosen.backbone()
    if pretrained == "imagenet":
        load_imagenet(backbone, architecture, weights)
    return Classifier(
        backbone,
        make_head(head, width, classes, dropout),
        channels=channels,
        normalization=normalization or NORMALIZATIONS[chosen.normalization],
        inner_size=inner_size,
    )
