"""Auto-PGD: the published schedule, and what the schedule is for."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from imaging.attacks.known import Linear, attacked, examples, fooled, rng
from mithridate.attack import Examples
from mithridate.budget import L2, Linf
from mithridate.imaging.attacks import APGD, PGD, TargetedAPGD
from mithridate.imaging.attacks.apgd import checkpoints
from mithridate.imaging.attacks.losses import margin
from mithridate.models.torch_module import TorchModel
from mithridate.oracle import Gradients


def test_published_checkpoints() -> None:
    """Croce and Hein 2020, section 3.2: 0, .22, .41, .57, .70, .80, .87, .93, .99 of the budget."""
    assert checkpoints(100) == (22, 41, 57, 70, 80, 87, 93, 99)
    assert checkpoints(1) == ()


class Far(nn.Module):
    """Linear, and out of reach, so that nobody leaves early."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = Linear(3, 2)

    def forward(self, x: Tensor) -> Tensor:
        return self.linear(x) + torch.tensor([100.0, 0.0, -5.0])


@pytest.mark.parametrize("attack", [APGD(steps=60, loss="margin"), TargetedAPGD(steps=60)])
@pytest.mark.parametrize(("budget", "dual"), [(Linf(0.05), 1), (L2(0.4), 2)])
def test_it_converges_to_the_optimum_without_a_step_size(attack: Any, budget: Any, dual: int) -> None:
    module = Far()
    model = TorchModel(module.eval())
    data = examples(model, 4)
    candidates, _ = attacked(attack, model, data, budget)
    gain = margin(model.logits(candidates), data.labels) - margin(model.logits(data.inputs), data.labels)
    weights = module.linear.w.detach()
    optimum = budget.epsilon * float((weights[1] - weights[0]).norm(p=dual))
    assert float((gain / optimum).min()) > 0.985
    assert float((gain / optimum).max()) < 1 + 1e-3


class Ravine(nn.Module):
    """A narrow ravine: one steep pixel and many flat ones.  Fixed steps bounce between the walls."""

    def forward(self, x: Tensor) -> Tensor:
        flat = x.flatten(1)
        height = flat[:, 1:].sum(1) - 200 * (flat[:, 0] - 0.513).abs()
        return torch.stack([torch.full_like(height, 1000.0), height], 1)


def test_halving_the_step_gets_to_the_bottom_of_a_ravine() -> None:
    model = TorchModel(Ravine().eval())
    data = Examples(torch.full((3, 1, 3, 3), 0.5), torch.zeros(3, dtype=torch.int64), tuple("abc"))
    budget = Linf(0.1)

    def height(attack: Any) -> Tensor:
        return model.logits(attack.run(Gradients(model, 3), data, budget, rng(data)))[:, 1]

    best = 8 * 0.6
    adaptive, fixed = height(APGD(steps=100, loss="margin")), height(PGD(steps=100, step_size=0.05))
    assert float(adaptive.min()) > best - 0.4
    assert float(fixed.mean()) < float(adaptive.min())


def test_restarts_are_for_those_that_hold_out() -> None:
    model = TorchModel(Far().eval())
    data = examples(model, 3)
    _, oracle = attacked(APGD(steps=10, restarts=3), model, data, Linf(0.1))
    assert oracle.gradients.tolist() == [30] * 3
    easy = TorchModel(Linear(3, 2).eval())
    data = examples(easy, 3)
    candidates, oracle = attacked(APGD(steps=10, restarts=3), easy, data, Linf(0.3))
    assert all(fooled(easy, candidates, data))
    assert int(oracle.gradients.max()) < 10
