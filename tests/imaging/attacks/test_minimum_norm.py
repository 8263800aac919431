"""Minimum-norm attacks against linear models, where the shortest way out is known in closed form."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from imaging.attacks.known import Linear, attacked, distances, examples, fooled, rng
from mithridate.attack import Examples
from mithridate.budget import L2, Linf
from mithridate.errors import UserError
from mithridate.imaging.attacks import FAB, Boundary, CarliniWagner, DeepFool, HopSkipJump, MinimumNorm, RandomNoise
from mithridate.imaging.budgets import Patch
from mithridate.models.torch_module import TorchModel
from mithridate.oracle import Decisions

WHITE = [MinimumNorm(80), FAB(30, classes=7), FAB(12, classes=7, restarts=2), DeepFool()]
GRAY_SHAPE = (1, 8, 8)


class Far(Linear):
    """Not centered, so that gray images lie far from the boundary: a tenth of the range, not a thousandth."""

    def forward(self, x: Tensor) -> Tensor:
        return x.flatten(1) @ self.w.T


def check(
    attack: Any,
    classes: int,
    seed: int,
    budget: Any,
    shape: tuple[int, ...],
    black: bool = False,
    kind: type[Linear] = Linear,
) -> None:
    module = kind(classes, seed, shape)
    model = TorchModel(module.eval())
    data = examples(model, 5, seed, shape)
    optimum = distances(module, data, 2 if isinstance(budget, L2) else 1)
    if black:
        candidates = attack.run(Decisions(model, len(data)), data, budget, rng(data))
    else:
        candidates, _ = attacked(attack, model, data, budget)
    moved = (candidates.double() - data.inputs.double()).flatten(1)
    found = moved.norm(dim=1) if isinstance(budget, L2) else moved.abs().amax(1)
    assert all(fooled(model, candidates, data))
    assert float((found / optimum).max()) < 1.05
    # Nothing is nearer than the boundary: an attack that claims less has not moved the class.
    assert float((found / optimum).min()) > 1 - 1e-5


@settings(max_examples=8, deadline=None)
@given(st.sampled_from(WHITE), st.integers(2, 8), st.integers(0, 1000), st.sampled_from([L2(50.0), Linf(0.4)]))
def test_within_five_percent_of_the_true_distance(attack: Any, classes: int, seed: int, budget: Any) -> None:
    check(attack, classes, seed, budget, (3, 6, 6))


@pytest.mark.parametrize("kind", [Linear, Far], ids=["near", "far"])
@pytest.mark.parametrize("classes", [2, 4, 10])
def test_carlini_wagner_within_five_percent_of_the_true_distance(classes: int, kind: type[Linear]) -> None:
    check(CarliniWagner(steps=100, searches=4), classes, 1, L2(50.0), (3, 6, 6), kind=kind)


@pytest.mark.parametrize("scale", [1e-3, 1.0, 1e3])
@pytest.mark.parametrize("distance", [1e-3, 0.1])
def test_carlini_wagner_neither_oversteps_a_near_boundary_nor_minds_the_scale_of_the_logits(
    distance: float, scale: float
) -> None:
    """Images at a stated distance from a linear boundary, of logits of any size."""
    module = Linear(2, 3)
    data = examples(TorchModel(module.eval()), 4, 3)
    normal = (module.w[1] - module.w[0]).detach().double()
    flat = data.inputs.double().flatten(1)
    gap = (flat - 0.5) @ normal
    flat = flat + ((gap.sign() * distance - gap / normal.norm()) / normal.norm())[:, None] * normal
    data = Examples(flat.float().view_as(data.inputs), data.labels, data.ids)
    with torch.no_grad():
        module.w.mul_(scale)
    model = TorchModel(module.eval())
    candidates, _ = attacked(CarliniWagner(steps=80, searches=3), model, data, L2(5.0))
    moved = (candidates.double() - data.inputs.double()).flatten(1).norm(dim=1)
    assert all(fooled(model, candidates, data))
    assert float(moved.max()) < 1.05 * distance


@pytest.mark.parametrize(
    ("attack", "budget"),
    [
        (HopSkipJump(steps=30, first_draws=100), L2(50.0)),
        (HopSkipJump(steps=40, first_draws=150), Linf(1.0)),
        (Boundary(steps=3000), L2(50.0)),
    ],
)
def test_labels_alone_are_enough_for_the_true_distance(attack: Any, budget: Any) -> None:
    check(attack, 2, 1, budget, GRAY_SHAPE, black=True, kind=Far)


@pytest.mark.parametrize("attack", [*WHITE, CarliniWagner(steps=60, searches=4)])
def test_a_budget_below_the_distance_is_not_beaten_and_one_above_is(attack: Any) -> None:
    module = Linear(2, 3)
    model = TorchModel(module.eval())
    data = examples(model, 6, 3)
    optimum = float(distances(module, data, 2).max())
    candidates, _ = attacked(attack, model, data, L2(optimum * 1.06))
    assert all(fooled(model, candidates, data))
    least = float(distances(module, data, 2).min())
    candidates, _ = attacked(attack, model, data, L2(least * 0.98))
    assert not any(fooled(model, candidates, data))


def test_fab_leaves_as_soon_as_it_is_inside_where_that_is_enough() -> None:
    model = TorchModel(Linear(2, 3).eval())
    data = examples(model, 6, 3)
    _, short = attacked(FAB(50, inside_is_enough=True), model, data, L2(50.0))
    _, full = attacked(FAB(50), model, data, L2(50.0))
    assert int(full.gradients.max()) == 50
    assert int(short.gradients.max()) < 10


@pytest.mark.parametrize("attack", [MinimumNorm(), FAB(), DeepFool(), CarliniWagner(), HopSkipJump(), Boundary()])
def test_a_budget_that_is_no_norm_is_refused_in_words(attack: Any) -> None:
    model = TorchModel(Linear().eval())
    with pytest.raises(UserError, match="needs a budget linf or l2, not patch"):
        attacked(attack, model, examples(model), Patch(0.1))


def test_carlini_wagner_refuses_the_maximum_norm() -> None:
    model = TorchModel(Linear().eval())
    with pytest.raises(UserError, match="needs a budget l2"):
        attacked(CarliniWagner(), model, examples(model), Linf(0.1))


def test_random_noise_is_no_minimum_norm_attack() -> None:
    """The check itself must tell attacks apart: noise just large enough for the optimum does not find it."""
    module = Linear(2, 3)
    model = TorchModel(module.eval())
    data = examples(model, 6, 3)
    candidates, _ = attacked(RandomNoise(50), model, data, L2(float(distances(module, data, 2).max()) * 1.05))
    assert not all(fooled(model, candidates, data))
    assert torch.equal(candidates, candidates.clamp(0, 1))
