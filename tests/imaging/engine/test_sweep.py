"""Several sizes of one budget: monotone, exact on a linear model, and cheap."""

from __future__ import annotations

import pytest
import torch

from imaging.attacks.known import Linear, distances, examples, fooled, rng
from mithridate.budget import L2, Linf
from mithridate.errors import UserError
from mithridate.imaging.attacks import PGD
from mithridate.imaging.engine.sweep import sweep
from mithridate.models.torch_module import TorchModel
from mithridate.oracle import Gradients

ATTACK = PGD(steps=20, every_step=False)


@pytest.mark.parametrize("norm", [Linf, L2])
def test_each_example_falls_from_its_own_distance_on(norm: type[Linf] | type[L2]) -> None:
    module = Linear(2, 3)
    model = TorchModel(module.eval())
    data = examples(model, 20, 1)
    away = distances(module, data, 1 if norm is Linf else 2)
    sizes = [float(away.quantile(q)) for q in (0.1, 0.3, 0.5, 0.8, 0.95)]
    budgets = [norm(size) for size in sizes]
    found = sweep(ATTACK, Gradients(model, len(data)), data, budgets, rng(data))
    for budget, candidates in zip(budgets, found, strict=True):
        assert float(budget.violation(data.inputs, candidates).max()) == 0.0
        near = (away - budget.epsilon).abs() < 0.02 * away
        expected = away < budget.epsilon
        got = torch.tensor(fooled(model, candidates, data))
        assert torch.equal(got[~near], expected[~near])


def test_a_success_is_carried_upward_and_paid_for_once() -> None:
    module = Linear(2, 3)
    model = TorchModel(module.eval())
    data = examples(model, 20, 1)
    away = distances(module, data, 1)
    budgets = [Linf(float(away.max()) * factor) for factor in (1.1, 1.2, 1.3, 1.4, 1.5)]
    swept, alone = Gradients(model, 20), Gradients(model, 20)
    found = sweep(ATTACK, swept, data, budgets, rng(data))
    ATTACK.run(alone, data, budgets[-1], rng(data))
    assert all(all(fooled(model, candidates, data)) for candidates in found)
    # Everyone falls at every size: five attacks from scratch would cost five times as much.
    assert int(swept.gradients.sum()) < 4 * int(alone.gradients.sum())


def test_who_holds_out_at_the_largest_size_is_not_asked_again() -> None:
    module = Linear(2, 3)
    model = TorchModel(module.eval())
    data = examples(model, 6, 1)
    least = float(distances(module, data, 1).min())
    oracle = Gradients(model, 6)
    sweep(ATTACK, oracle, data, [Linf(least * f) for f in (0.2, 0.4, 0.6)], rng(data))
    assert oracle.gradients.tolist() == [20] * 6


@pytest.mark.parametrize("budgets", [[Linf(0.2), Linf(0.1)], [Linf(0.1), L2(0.2)], [Linf(0.1), Linf(0.1)]])
def test_sizes_must_ascend_in_one_norm(budgets: list[Linf | L2]) -> None:
    model = TorchModel(Linear().eval())
    data = examples(model)
    with pytest.raises(UserError, match="ascending"):
        sweep(ATTACK, Gradients(model, 12), data, budgets, rng(data))
