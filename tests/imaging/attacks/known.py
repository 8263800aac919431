"""Models whose best adversarial example is known, and examples for them."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from mithridate.attack import Examples
from mithridate.models.torch_module import TorchModel
from mithridate.oracle import Gradients
from mithridate.seeds import ExampleRandom

SHAPE = (3, 6, 6)


class Linear(nn.Module):
    """K linear logits."""

    def __init__(self, classes: int = 2, seed: int = 0, shape: tuple[int, ...] = SHAPE) -> None:
        super().__init__()
        g = torch.Generator().manual_seed(seed)
        self.w = nn.Parameter(torch.randn(classes, torch.Size(shape).numel(), generator=g))

    def forward(self, x: Tensor) -> Tensor:
        return (x - 0.5).flatten(1) @ self.w.T


class Constant(nn.Module):
    """Always the first class, whatever it sees; with a gradient of zero."""

    def __init__(self, classes: int = 2) -> None:
        super().__init__()
        self.classes = classes

    def forward(self, x: Tensor) -> Tensor:
        logits = x.new_zeros(len(x), self.classes)
        logits[:, 0] = 1.0
        return logits + 0 * x.flatten(1).sum(1, keepdim=True)


def network(classes: int = 2, seed: int = 0, channels: int = 3) -> nn.Module:
    """A small convolutional network for images of any size from 6 px on."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        module = nn.Sequential(
            nn.Conv2d(channels, 6, 3, padding=1),
            nn.BatchNorm2d(6),
            nn.ReLU(),
            nn.Conv2d(6, 8, 3, bias=False),
            nn.BatchNorm2d(8),
            nn.ReLU(),
            nn.AdaptiveAvgPool2d(2),
            nn.Flatten(),
            nn.Linear(32, classes),
        ).eval()
        # As far apart as a trained network's logits: a fresh one's hardly differ.
        with torch.no_grad():
            module[-1].weight.mul_(10)
        return module


def examples(
    model: TorchModel, n: int = 12, seed: int = 0, shape: tuple[int, ...] = SHAPE, inside: bool = True
) -> Examples:
    """Rightly classified examples; `inside` keeps pixels off the ends of the range, so that cutting plays no part."""
    x = torch.rand(n, *shape, generator=torch.Generator().manual_seed(seed))
    x = 0.4 + 0.2 * x if inside else torch.where(x < 0.2, 0.0, torch.where(x > 0.8, 1.0, x))
    logits = model.logits(x)
    labels = logits.argmax(1)
    targets = logits.scatter(1, labels[:, None], -torch.inf).argmax(1)
    return Examples(x, labels, tuple(f"e{i}" for i in range(n)), targets)


def some(data: Examples, rows: list[int]) -> Examples:
    targets = None if data.targets is None else data.targets[rows]
    return Examples(data.inputs[rows], data.labels[rows], tuple(data.ids[i] for i in rows), targets)


def rng(data: Examples, seed: int = 0) -> ExampleRandom:
    return ExampleRandom(seed, "test", data.ids)


def attacked(attack: Any, model: TorchModel, data: Examples, budget: Any, seed: int = 0) -> tuple[Tensor, Gradients]:
    oracle = Gradients(model, len(data))
    return attack.run(oracle, data, budget, rng(data, seed)), oracle


def fooled(model: TorchModel, candidates: Tensor, data: Examples) -> list[bool]:
    return (model.logits(candidates).argmax(1) != data.labels).tolist()


def distances(module: Linear, data: Examples, dual: float) -> Tensor:
    """Distance of each example to the nearest boundary: the gap of two logits over the dual norm."""
    weights, logits = module.w.detach().double(), module(data.inputs).detach().double()
    found = torch.full((len(data),), torch.inf, dtype=torch.float64)
    for k in range(len(weights)):
        gap = logits.gather(1, data.labels[:, None])[:, 0] - logits[:, k]
        away = gap / (weights[k] - weights[data.labels]).norm(p=dual, dim=1)
        found = torch.where(data.labels == k, found, torch.minimum(found, away))
    return found
