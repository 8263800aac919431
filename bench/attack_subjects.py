"""The models and images of `make bench-attacks`, made the same way in every process."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from attack_models import file_of, train_adversarially
from torch import Tensor, nn


@dataclass(frozen=True)
class Subject:
    """A model in eval mode, images float32 N x C x H x W in [0, 1] that it classifies as `labels`, and the classes."""

    module: nn.Module
    images: Tensor
    labels: Tensor
    classes: int
    epsilon: float


def subject(name: str, count: int, folder: Path) -> Subject:
    """The subject called "resnet", "digits", or the name of a model that `attack_models.prepare` left in `folder`; its
    first `count` images."""
    if name == "resnet":
        return _resnet(count)
    return _digits(count) if name == "digits" else _kept(file_of(folder, name), count)


def _resnet(count: int) -> Subject:
    """ResNet-50 at 224 px, weights as initialized (speed does not depend on them), batch statistics settled."""
    import torchvision

    torch.manual_seed(0)
    module = torchvision.models.resnet50(num_classes=2)
    images = nn.functional.interpolate(torch.rand(count, 3, 28, 28), size=224, mode="bicubic").clamp(0, 1)
    with torch.no_grad():
        module.train()(images[:8])
    module.eval()
    with torch.no_grad():
        labels = torch.cat([module(part).argmax(1) for part in images.split(8)])
    return Subject(module, images, labels, 2, 0.01)


def _digits(count: int, epsilon: float = 0.15) -> Subject:
    """A network trained adversarially on scikit-learn's handwritten digits."""
    from sklearn.datasets import load_digits

    torch.manual_seed(0)
    data = load_digits()
    x = torch.from_numpy((data.images / 16).astype(np.float32))[:, None]
    y = torch.from_numpy(data.target.astype(np.int64))
    order = torch.randperm(len(x))
    x, y = x[order], y[order]
    module = nn.Sequential(
        nn.Conv2d(1, 32, 3, padding=1), nn.BatchNorm2d(32), nn.ReLU(),
        nn.Conv2d(32, 64, 3, padding=1), nn.BatchNorm2d(64), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(64, 64, 3, padding=1), nn.BatchNorm2d(64), nn.ReLU(),
        nn.Flatten(), nn.Linear(64 * 16, 10),
    )  # fmt: skip
    train_adversarially(module, x[:1300], y[:1300], epsilon, 12, batch=130, rate=2e-3)
    with torch.no_grad():
        right = module(x[1300:]).argmax(1) == y[1300:]
    return Subject(module, x[1300:][right][:count], y[1300:][right][:count], 10, epsilon)


def _kept(file: Path, count: int) -> Subject:
    from mithridate.imaging.networks import Normalization, build

    held = torch.load(file, weights_only=True)
    normalization = Normalization(*(tuple(part) for part in held["normalization"]))
    classes = held["classes"]
    module = build(
        held["architecture"], channels=held["channels"], classes=classes, head=held["head"], normalization=normalization
    ).eval()
    module.load_state_dict(held["state"])
    return Subject(module, held["images"][:count].contiguous(), held["labels"][:count], classes, held["epsilon"])
