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


def judged(value: float, noted: tuple[float, float], age: int, effort: int = 100, applies: bool = True) -> bool:
    rule = Outlook(effort, applies)
    return bool(rule.hopeless(torch.tensor([age]), torch.tensor([value]), torch.tensor([noted]).double())[0])


def test_the_rule_is_the_stated_one() -> None:
    """From 10 to 30 of 100 steps, or from 20 to 40, it gained 1; at three times that pace the rest gains 10.5 or 9."""
    assert TRUST == 3.0
    assert judged(-10.51, (-11.51, -10.51), age=30)
    assert not judged(-10.49, (-11.49, -10.49), age=30)
    assert judged(-9.01, (-20.0, -10.01), age=40)
    assert not judged(-8.99, (-8.99, -9.99), age=40)


def test_it_is_judged_twice_and_only_where_there_is_enough_to_judge() -> None:
    stuck = (-9.0, -9.0)
    assert [age for age in range(101) if judged(-9.0, stuck, age)] == [30, 40]
    assert not judged(-9.0, stuck, age=40, applies=False)
    assert not judged(-9.0, stuck, age=16, effort=40)
    # Nothing found so far is no progress that could be judged.
    nothing = (-torch.inf, -torch.inf)
    assert not judged(-torch.inf, nothing, age=40)
    assert not judged(-9.0, nothing, age=40)


def test_values_are_taken_down_where_the_windows_begin() -> None:
    rule = Outlook(100, True)
    noted = rule.note(torch.tensor([9, 10, 20, 21]), torch.tensor([1.0, 2.0, 3.0, 4.0]), rule.unnoted(4))
    assert noted.tolist() == [[-torch.inf] * 2, [2.0, -torch.inf], [-torch.inf, 3.0], [-torch.inf] * 2]


@pytest.mark.parametrize("attack", ATTACKS, ids=NAMES)
@pytest.mark.parametrize("budget", [Linf(0.002), L2(0.018)], ids=["linf", "l2"])
def test_on_a_linear_model_whoever_is_out_of_reach_is_left_early(attack: Any, budget: Any) -> None:
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
    assert once.queries.tolist() == thrice.queries.tolist()
    assert max(once.queries.tolist()) <= 40


@pytest.mark.parametrize("attack", ATTACKS, ids=NAMES)
@pytest.mark.parametrize("seed", [2, 3, 5])
def test_networks_are_fooled_as_often(attack: Any, seed: int) -> None:
    model = TorchModel(network(4, seed))
    data = examples(model, 32, seed=seed, shape=(3, 10, 10))
    thorough, _ = attacked(attack, model, data, Linf(0.006))
    quick, _ = attacked(replace(attack, discard_hopeless=True), model, data, Linf(0.006))
    assert 0 < sum(fooled(model, thorough, data)) < len(data)
    assert sum(fooled(model, quick, data)) >= sum(fooled(model, thorough, data)) - 1
