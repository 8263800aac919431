"""Optimizer, learning-rate schedule and weight average of a recipe: all functions of the step, without hidden state."""

from __future__ import annotations

import copy
import math
from typing import Any

import torch
from torch import Tensor, nn

from mithridate.imaging.networks import Classifier
from mithridate.imaging.networks.efficientnet import EfficientNetLite0
from mithridate.imaging.training.recipe import Recipe


def make_optimizer(network: Classifier, recipe: Recipe) -> torch.optim.Optimizer:
    """SGD or AdamW over four groups: head and backbone, each with and without weight decay.

    Biases and norms are never decayed.  Every group carries `scale`, its learning rate over the recipe's.
    """
    groups: list[dict[str, Any]] = []
    for part, scale in ((network.head, 1.0), (network.backbone, recipe.backbone_scale)):
        kernels = [parameter for parameter in part.parameters() if parameter.ndim > 1]
        others = [parameter for parameter in part.parameters() if parameter.ndim <= 1]
        groups.append({"params": kernels, "scale": scale, "weight_decay": recipe.weight_decay})
        groups.append({"params": others, "scale": scale, "weight_decay": 0.0})
    if recipe.optimizer == "adamw":
        return torch.optim.AdamW(groups, lr=recipe.learning_rate)
    return torch.optim.SGD(groups, lr=recipe.learning_rate, momentum=recipe.momentum, nesterov=recipe.nesterov)


def learning_rate(recipe: Recipe, position: float) -> float:
    """The head's learning rate at a position in epochs since the start of the head phase.

    Constant during the head phase; then a linear warm-up, and a constant or a cosine down to zero at the last epoch.
    """
    position -= recipe.head_epochs
    if position < 0:
        return recipe.head_learning_rate or recipe.learning_rate
    if position < recipe.warmup_epochs:
        return recipe.learning_rate * position / recipe.warmup_epochs
    if recipe.schedule == "constant":
        return recipe.learning_rate
    length = recipe.epochs - recipe.warmup_epochs
    progress = (position - recipe.warmup_epochs) / length if length > 0 else 1.0
    return recipe.learning_rate * 0.5 * (1 + math.cos(math.pi * min(progress, 1.0)))


def set_learning_rate(optimizer: torch.optim.Optimizer, rate: float) -> None:
    for group in optimizer.param_groups:
        group["lr"] = rate * group["scale"]


class WeightAverage:
    """Exponential moving average of a network's weights and batch-norm statistics, kept as a network of its own.

    After update t = 1, 2, ... the average is d * average + (1 - d) * weights with d = min(decay, t / (9 + t)):
    the start, which is far from the end, is forgotten quickly.
    """

    def __init__(self, network: Classifier, decay: float) -> None:
        self.network = copy.deepcopy(network).eval().requires_grad_(False)
        self.decay = decay
        self.updates = 0

    @torch.no_grad()
    def update(self, network: nn.Module) -> None:
        self.updates += 1
        decay = min(self.decay, self.updates / (9 + self.updates))
        current = network.state_dict()
        for key, average in self.network.state_dict().items():
            if average.is_floating_point():
                average.lerp_(current[key], 1 - decay)
            else:
                average.copy_(current[key])

    def state(self) -> dict[str, Any]:
        return {"network": self.network.state_dict(), "updates": self.updates}

    def restore(self, state: dict[str, Any]) -> None:
        self.network.load_state_dict(state["network"])
        self.updates = int(state["updates"])


def class_weights(labels: Tensor, kind: str) -> Tensor | None:
    """Loss weight of each class, 2, float32: "balanced" gives n / (2 n_c), which averages 1 over the images."""
    if kind == "none":
        return None
    counts = torch.bincount(labels, minlength=2).double()
    return (counts.sum() / (2 * counts)).float()


def set_training_mode(network: Classifier, recipe: Recipe, *, head_only: bool) -> None:
    """Training mode, with the frozen parts frozen: the backbone while the head trains alone, early blocks, norms."""
    network.train()
    network.backbone.requires_grad_(not head_only)
    if head_only:
        network.backbone.eval()
        return
    if recipe.batch_norm == "frozen":
        for module in network.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.eval()
    if isinstance(network.backbone, EfficientNetLite0):
        for module in network.backbone.early(recipe.frozen_blocks):
            module.eval().requires_grad_(False)
