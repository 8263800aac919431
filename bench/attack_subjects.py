"""The models and images of `make bench-attacks`, made the same way in every process."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn


@dataclass(frozen=True)
class Subject:
    """A model in eval mode, images float32 N x C x H x W in [0, 1] that it classifies as `labels`, and the classes."""

    module: nn.Module
    images: Tensor
    labels: Tensor
    classes: int
    epsilon: float


def resnet(count: int) -> Subject:
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


def digits(count: int, epsilon: float = 0.15, epochs: int = 12) -> Subject:
    """A network trained adversarially (Madry et al.: PGD-5 on every batch) on scikit-learn's handwritten digits."""
    from sklearn.datasets import load_digits

    torch.manual_seed(0)
    data = load_digits()
    x = torch.from_numpy((data.images / 16).astype(np.float32))[:, None]
    y = torch.from_numpy(data.target.astype(np.int64))
    order = torch.randperm(len(x))
    x, y = x[order], y[order]
    train_x, train_y, test_x, test_y = x[:1300], y[:1300], x[1300:], y[1300:]
    module = nn.Sequential(
        nn.Conv2d(1, 32, 3, padding=1), nn.BatchNorm2d(32), nn.ReLU(),
        nn.Conv2d(32, 64, 3, padding=1), nn.BatchNorm2d(64), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(64, 64, 3, padding=1), nn.BatchNorm2d(64), nn.ReLU(),
        nn.Flatten(), nn.Linear(64 * 16, 10),
    )  # fmt: skip
    optimizer = torch.optim.Adam(module.parameters(), 2e-3)
    for _ in range(epochs):
        for rows in torch.randperm(len(train_x)).split(130):
            clean, label = train_x[rows], train_y[rows]
            module.eval()
            moved = (clean + (torch.rand_like(clean) * 2 - 1) * epsilon).clamp(0, 1)
            for _ in range(5):
                moved.requires_grad_(True)
                (g,) = torch.autograd.grad(nn.functional.cross_entropy(module(moved), label), moved)
                moved = (moved.detach() + epsilon / 2 * g.sign()).clamp(clean - epsilon, clean + epsilon).clamp(0, 1)
            module.train()
            optimizer.zero_grad()
            nn.functional.cross_entropy(module(moved), label).backward()
            optimizer.step()
    module.eval()
    with torch.no_grad():
        right = module(test_x).argmax(1) == test_y
    return Subject(module, test_x[right][:count], test_y[right][:count], 10, epsilon)


SUBJECTS = {"resnet": resnet, "digits": digits}
