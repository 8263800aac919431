"""Steps to a hyperplane inside the pixel range, against general solvers."""

from __future__ import annotations

import numpy as np
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy import optimize

from mithridate.imaging.engine.hyperplane import nearest_step
from mithridate.imaging.engine.norms import Norm, dual_length, into_ball, length


def problem(seed: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    g = torch.Generator().manual_seed(seed)
    x = torch.rand(1, 1, 2, 3, generator=g)
    x = torch.where(x < 0.2, 0.0, torch.where(x > 0.8, 1.0, x))
    normal = torch.randn(1, 1, 2, 3, generator=g)
    normal[0, 0, 0, 0] *= float(torch.rand(1, generator=g) < 0.5)  # now and then a pixel without influence
    return x, normal, torch.randn(1, generator=g) * 0.7


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10_000))
def test_linf_is_the_linear_programs_optimum(seed: int) -> None:
    x, normal, offset = problem(seed)
    w, flat = normal.flatten().double().numpy(), x.flatten().double().numpy()
    n = len(w)
    # Variables: the step, and its largest entry, which is minimized.
    bounds = [(-v, 1 - v) for v in flat] + [(0, None)]
    a = np.vstack([np.hstack([np.eye(n), -np.ones((n, 1))]), np.hstack([-np.eye(n), -np.ones((n, 1))])])
    found = optimize.linprog(
        [0] * n + [1], A_ub=a, b_ub=np.zeros(2 * n), A_eq=[[*w, 0]], b_eq=[-float(offset)], bounds=bounds
    )
    step = nearest_step(x, normal, offset, "linf")
    assert float((x + step).min()) >= -1e-6
    assert float((x + step).max()) <= 1 + 1e-6
    if found.status == 2:  # infeasible: as far as the range lets it
        corner = np.where(w * -float(offset) > 0, 1 - flat, -flat) * (w != 0)
        assert np.allclose(step.flatten().numpy(), corner, atol=1e-5)
    else:
        assert abs(float(step.abs().max()) - found.fun) < 1e-5
        assert abs(float((step * normal).sum() + offset)) < 1e-5


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10_000))
def test_l2_satisfies_the_conditions_of_an_optimum(seed: int) -> None:
    """Karush-Kuhn-Tucker: free pixels move in proportion to the normal, and pixels at an end would go no less far."""
    x, normal, offset = problem(seed)
    step = nearest_step(x, normal, offset, "l2")
    assume(abs(float((step * normal).sum() + offset)) < 1e-5)
    w, d, v = (t.flatten().double() for t in (normal, step, x))
    at_end = ((v + d) < 1e-6) | ((v + d) > 1 - 1e-6)
    free = ~at_end & (w != 0)
    if bool(free.any()):
        pace = float((d[free] / w[free]).mean())
        assert torch.allclose(d[free], pace * w[free], atol=1e-5)
        assert bool((d[at_end & (w != 0)].abs() <= (pace * w[at_end & (w != 0)]).abs() + 1e-5).all())


def test_no_gradient_no_step() -> None:
    x = torch.full((2, 1, 2, 2), 0.5)
    for norm in ("linf", "l2"):
        assert torch.equal(nearest_step(x, torch.zeros_like(x), torch.tensor([1.0, -1.0]), norm), torch.zeros_like(x))


@settings(deadline=None)
@given(st.integers(0, 1000), st.sampled_from(["linf", "l2"]), st.floats(-30, 0))
def test_tiny_gradients_lead_as_far_as_large_ones(seed: int, norm: Norm, exponent: float) -> None:
    x, normal, offset = problem(seed)
    scale = 10.0**exponent
    small = nearest_step(x, normal.double() * scale, offset.double() * scale, norm)
    assert torch.allclose(small, nearest_step(x, normal, offset, norm), atol=1e-5)


@settings(deadline=None)
@given(st.integers(0, 1000), st.sampled_from(["linf", "l2"]))
def test_balls_and_dual_norms(seed: int, norm: Norm) -> None:
    g = torch.Generator().manual_seed(seed)
    step, gradient = torch.randn(3, 1, 2, 2, generator=g), torch.randn(3, 1, 2, 2, generator=g)
    radius = torch.rand(3, generator=g, dtype=torch.float64) + 0.1
    inside = into_ball(step, radius, norm)
    assert bool((length(inside, norm) <= radius * (1 + 1e-6)).all())
    assert torch.allclose(into_ball(inside, radius, norm), inside, atol=1e-6)
    # Hoelder's inequality.
    assert bool(((inside * gradient).flatten(1).sum(1) <= radius * dual_length(gradient, norm) * (1 + 1e-5)).all())
