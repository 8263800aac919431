"""Schedules, weight averages, class weights and frozen parts by their closed forms."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import torch

from imaging.training.blobs import RECIPE, sets
from mithridate.imaging.networks import Classifier, build
from mithridate.imaging.training.optimize import (
    WeightAverage,
    class_weights,
    learning_rate,
    make_optimizer,
    set_learning_rate,
    set_training_mode,
)
from mithridate.imaging.training.recipe import Recipe
from mithridate.imaging.training.trainer import Setting, Trainer


def small() -> Classifier:
    torch.manual_seed(0)
    return build("resnet-small", channels=1, head="linear")


def test_the_average_of_weights_has_its_closed_form() -> None:
    network = small()
    average = WeightAverage(network, decay=0.6)
    bias = network.head[2].bias
    start = float(bias.detach()[0])
    values = [1.0, -2.0, 4.0, 0.5, 3.0, 8.0, -1.0, 2.0, 6.0, 1.0, 1.0, 7.0, 5.0, 2.0, 3.0, 9.0]
    decays = [min(0.6, t / (9 + t)) for t in range(1, len(values) + 1)]
    assert decays[0] < decays[5] < decays[-1] == 0.6
    for value in values:
        with torch.no_grad():
            bias.fill_(value)
        average.update(network)
    remaining = [math.prod(decays[index:]) for index in range(len(values) + 1)]
    expected = start * remaining[0]
    expected += sum((1 - d) * v * rest for d, v, rest in zip(decays, values, remaining[1:], strict=True))
    assert float(average.network.head[2].bias[0]) == pytest.approx(expected, rel=1e-5)
    assert average.updates == len(values)


def test_the_average_takes_batch_norm_statistics_along() -> None:
    network = small()
    average = WeightAverage(network, decay=0.5)
    norm = network.backbone.bn1
    for _ in range(20):
        norm.running_mean.fill_(3.0)
        norm.num_batches_tracked += 1
        average.update(network)
    assert float(average.network.backbone.bn1.running_mean[0]) == pytest.approx(3.0, abs=1e-4)
    assert int(average.network.backbone.bn1.num_batches_tracked) == 20


def test_the_learning_rate_warms_up_and_follows_a_cosine() -> None:
    recipe = Recipe(
        learning_rate=0.4, head_epochs=2, head_learning_rate=0.1, epochs=10, warmup_epochs=2, schedule="cosine"
    )
    assert learning_rate(recipe, 1.9) == 0.1
    assert learning_rate(recipe, 3.0) == pytest.approx(0.2)
    assert learning_rate(recipe, 4.0) == pytest.approx(0.4)
    assert learning_rate(recipe, 8.0) == pytest.approx(0.2)
    assert learning_rate(recipe, 12.0) == pytest.approx(0.0, abs=1e-12)
    assert learning_rate(Recipe(learning_rate=0.4), 29.5) == 0.4


def test_groups_carry_their_own_rates_and_spare_biases_and_norms_from_decay() -> None:
    network = small()
    recipe = Recipe(learning_rate=0.1, backbone_scale=0.25, weight_decay=0.02)
    optimizer = make_optimizer(network, recipe)
    set_learning_rate(optimizer, 0.2)
    counted = 0
    for group in optimizer.param_groups:
        for parameter in group["params"]:
            counted += 1
            in_head = any(parameter is other for other in network.head.parameters())
            assert group["lr"] == pytest.approx(0.2 if in_head else 0.05)
            assert group["weight_decay"] == (0.02 if parameter.ndim > 1 else 0.0)
    assert counted == len(list(network.parameters()))


def test_balanced_class_weights_give_both_classes_the_same_say() -> None:
    labels = torch.tensor([0, 0, 0, 1])
    weights = class_weights(labels, "balanced")
    assert weights is not None
    assert weights.tolist() == pytest.approx([4 / 6, 2.0])
    assert float(weights[labels].mean()) == pytest.approx(1)
    assert class_weights(labels, "none") is None


def test_while_the_head_trains_alone_the_backbone_does_not_move(tmp_path: Path) -> None:
    training, validation, _ = sets()
    recipe = RECIPE.override({"head_epochs": 1, "ema_decay": None})
    network = small()
    before = {key: value.clone() for key, value in network.state_dict().items()}
    Trainer(network, recipe, training, validation, Setting(0, "select", tmp_path, epochs=1)).run()
    after = network.state_dict()
    moved = {key.split(".")[0] for key in after if not torch.equal(after[key], before[key])}
    assert moved == {"head"}


def test_frozen_norms_keep_their_statistics_and_learn_their_gains(tmp_path: Path) -> None:
    training, validation, _ = sets()
    recipe = RECIPE.override({"batch_norm": "frozen", "epochs": 1, "ema_decay": None})
    network = small()
    Trainer(network, recipe, training, validation, Setting(0, "select", tmp_path)).run()
    norm = network.backbone.bn1
    assert float(norm.running_mean.abs().max()) == 0
    assert int(norm.num_batches_tracked) == 0
    assert not np.allclose(norm.weight.detach().numpy(), 1)


def test_early_blocks_stay_as_they_are_when_frozen() -> None:
    network = build("efficientnet-lite0", channels=3, head="linear", levels=(1, 3))
    recipe = Recipe(architecture="efficientnet-lite0", frozen_blocks=2)
    set_training_mode(network, recipe, head_only=False)
    trained = {name.rsplit("._", 1)[0] for name, weight in network.backbone.named_parameters() if weight.requires_grad}
    assert trained == {"_blocks.2", "_blocks.3"}
    assert not network.backbone._bn0.training
    assert network.backbone._blocks[2].training
