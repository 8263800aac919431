"""Giving up half-way: only what cannot be brought home, and never anybody that would have been fooled."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch

from imaging.attacks.known import Linear, attacked, distances, examples, fooled, network
from mithridate.budget import L2, Linf
from mithridate.imaging.attacks import APGD, FAB, Square, TargetedAPGD
from mithridate.imaging.engine.outlook import TRUST, Outlook
from mithridate.models.torch_module import TorchModel

ATTACKS = [
    APGD(100, "margin"),
    APGD(100, "cross-entropy", restarts=2),
    TargetedAPGD(100, 3),
    FAB(100, 3, inside_is_enough=True),
    Square(600),
]
NAMES = [type(attack).__name__ for attack in ATTACKS]


def judged(value: float, noted: float, age: int = 40, effort: int = 100, applies: bool = True) -> bool:
    rule = Outlook(effort, applies)
    return bool(rule.hopeless(torch.tensor([age]), torch.tensor([value]), torch.tensor([noted]))[0])


def test_the_rule_is_the_stated_one() -> None:
    """20 of 100 steps gained 1; 60 are left, at three times that pace they gain 9."""
    assert TRUST == 3.0
    assert judged(-9.01, -10.01)
    assert not judged(-8.99, -9.99)


def test_it_is_judged_once_and_only_where_there_is_enough_to_judge() -> None:
    assert not any(judged(-9.01, -10.01, age=age) for age in (1, 20, 39, 41, 99))
    assert not judged(-9.01, -10.01, applies=False)
    assert not judged(-9.01, -10.01, age=16, effort=40)
    # Nothing found so far is no progress that could be judged.
    assert not judged(-torch.inf, -torch.inf)
    assert not judged(-9.01, -torch.inf)


def test_the_value_is_taken_down_at_a_fifth() -> None:
    noted = Outlook(100, True).note(torch.tensor([19, 20, 21]), torch.tensor([1.0, 2.0, 3.0]), torch.zeros(3))
    assert noted.tolist() == [0.0, 2.0, 0.0]


@pytest.mark.parametrize("attack", ATTACKS, ids=NAMES)
@pytest.mark.parametrize("budget", [Linf(0.002), L2(0.018)], ids=["linf", "l2"])
def test_on_a_linear_model_whoever_is_out_of_reach_is_left_at_two_fifths(attack: Any, budget: Any) -> None:
    module = Linear(4, 3)
    model = TorchModel(module.eval())
    data = examples(model, 24)
    away = distances(module, data, 1 if isinstance(budget, Linf) else 2) / budget.epsilon
    assert 4 < int((away < 0.9).sum()) < 20
    thorough, asked = attacked(attack, model, data, budget)
    quick, spent = attacked(replace(attack, discard_hopeless=True), model, data, budget)
    assert fooled(model, quick, data) == fooled(model, thorough, data)
    far = away > 3  # whoever is nearer may look as if there were hope
    assert int(far.sum()) > 2
    assert float((spent.queries[far] / asked.queries[far]).max()) < 0.45
    assert bool((spent.queries <= asked.queries).all())


def test_a_second_start_is_not_spent_on_the_hopeless() -> None:
    module = Linear(2, 1)
    model = TorchModel(module.eval())
    data = examples(model, 8)
    budget = Linf(float(distances(module, data, 1).min()) / 3)
    _, once = attacked(APGD(100, "margin", 1, discard_hopeless=True), model, data, budget)
    _, thrice = attacked(APGD(100, "margin", 3, discard_hopeless=True), model, data, budget)
    assert once.queries.tolist() == thrice.queries.tolist() == [40] * len(data)


@pytest.mark.parametrize("attack", ATTACKS, ids=NAMES)
@pytest.mark.parametrize("seed", [2, 3, 5])
def test_networks_are_fooled_as_often(attack: Any, seed: int) -> None:
    model = TorchModel(network(4, seed))
    data = examples(model, 32, seed=seed, shape=(3, 10, 10))
    thorough, _ = attacked(attack, model, data, Linf(0.006))
    quick, _ = attacked(replace(attack, discard_hopeless=True), model, data, Linf(0.006))
    assert 0 < sum(fooled(model, thorough, data)) < len(data)
    assert sum(fooled(model, quick, data)) >= sum(fooled(model, thorough, data)) - 1
