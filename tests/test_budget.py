from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from mithridate.budget import L2, Linf, Nothing, epsilon_reading
from mithridate.seeds import ExampleRandom

BUDGETS = st.one_of(st.floats(0, 1.5).map(Linf), st.floats(0, 20).map(L2))


def images(seed: int, n: int = 4) -> Tensor:
    """Images with many pixels at the very ends of the range, where projections go wrong."""
    x = torch.rand(n, 3, 6, 5, generator=torch.Generator().manual_seed(seed))
    return torch.where(x < 0.2, 0.0, torch.where(x > 0.8, 1.0, x))


@given(BUDGETS, st.integers(0, 100), st.floats(-6, 3))
def test_what_is_projected_is_inside(budget: Linf | L2, seed: int, log_scale: float) -> None:
    origin = images(seed)
    far = origin + (images(seed + 1) - 0.5) * 10**log_scale
    projected = budget.project(far, origin)
    assert float(budget.violation(origin, projected).max()) == 0.0
    assert torch.allclose(budget.project(projected, origin), projected, atol=1e-6)


@pytest.mark.parametrize("epsilon", [0.05, 1.0, 30.0])
def test_rounding_does_not_leave_the_ball_of_a_large_image(epsilon: float) -> None:
    g = torch.Generator().manual_seed(0)
    origin = 0.9 + 0.1 * torch.rand(4, 3, 224, 224, generator=g)
    step = torch.randn(origin.shape, generator=g)
    budget = L2(epsilon)
    assert float(budget.violation(origin, budget.project(origin - step.abs(), origin)).max()) == 0.0
    assert float(budget.violation(origin, budget.project(origin + step, origin)).max()) == 0.0


@given(BUDGETS, st.integers(0, 100))
def test_samples_are_inside(budget: Linf | L2, seed: int) -> None:
    origin = images(seed)
    sample = budget.sample(origin, torch.arange(4), ExampleRandom(seed, "t", list("abcd")))
    assert float(budget.violation(origin, sample).max()) == 0.0


@given(st.integers(0, 200))
def test_steepest_is_the_best_unit_step(seed: int) -> None:
    """No unit step raises the linearised loss more than `steepest`; its gain is the dual norm of the gradient."""
    g = torch.Generator().manual_seed(seed)
    gradient = torch.randn(2, 3, 4, 4, generator=g)
    gain = (Linf(1.0).steepest(gradient) * gradient).flatten(1).sum(1)
    assert torch.allclose(gain, gradient.abs().flatten(1).sum(1))
    gain = (L2(1.0).steepest(gradient) * gradient).flatten(1).sum(1)
    assert torch.allclose(gain, gradient.flatten(1).norm(dim=1), rtol=1e-5)


def test_l2_steepest_survives_tiny_gradients() -> None:
    step = L2(1.0).steepest(torch.full((1, 1, 4, 4), 1e-30))
    assert torch.allclose(step, torch.full_like(step, 0.25))


def test_violations_are_measured() -> None:
    origin = torch.full((3, 1, 2, 2), 0.5)
    candidate = origin.clone()
    candidate[0, 0, 0, 0] += 0.04
    candidate[1] = 1.2
    candidate[2, 0, 1, 1] = float("nan")
    assert Linf(0.03).violation(origin, candidate)[0] == pytest.approx(0.01, abs=1e-6)
    assert Linf(2.0).violation(origin, candidate)[1] == pytest.approx(0.2, abs=1e-6)
    assert Linf(0.03).violation(origin, candidate)[2] == torch.inf
    assert L2(0.03).violation(origin, candidate)[0] == pytest.approx(0.01, abs=1e-6)
    assert float(Nothing().violation(origin, origin).max()) == 0.0
    assert Nothing().violation(origin[:1], candidate[:1]) > 0


@settings(max_examples=20)
@given(st.floats(0.01, 0.5))
def test_l2_samples_fill_the_ball(epsilon: float) -> None:
    """In two dimensions half of the mass of a uniform ball lies beyond radius eps / sqrt 2."""
    origin = torch.full((2000, 1, 1, 2), 0.5)
    sample = L2(epsilon).sample(origin, torch.arange(2000), ExampleRandom(0, "t", [str(i) for i in range(2000)]))
    beyond = ((sample - origin).flatten(1).norm(dim=1) > epsilon / 2**0.5).float().mean()
    assert 0.45 < beyond < 0.55


def test_readings_of_the_paper() -> None:
    assert epsilon_reading("paper-code") == 0.01
    assert epsilon_reading("paper-text") == 0.02
    with pytest.raises(ValueError, match="paper-code"):
        epsilon_reading("paper")
