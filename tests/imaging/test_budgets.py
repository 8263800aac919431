"""Budgets of geometry, measured from the two images alone."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from mithridate.imaging.budgets import Patch, RotationTranslation, enclosing_radius, move
from mithridate.imaging.rotation import Fill, rotate


def smooth(seed: int, count: int = 1, size: int = 24) -> Tensor:
    """Images without pixel noise, as photographs are."""
    g = torch.Generator().manual_seed(seed)
    coarse = torch.rand(count, 3, 5, 5, generator=g)
    return torch.nn.functional.interpolate(coarse, size=(size, size), mode="bicubic", antialias=True).clamp(0, 1)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 5000), st.integers(1, 12))
def test_the_smallest_circle_holds_all_points_and_touches_what_defines_it(seed: int, count: int) -> None:
    points = np.random.default_rng(seed).integers(0, 9, (count, 2)).astype(float)
    radius = enclosing_radius(points)
    # An independent answer: the smallest over all circles on two or three of the points that hold the others.
    best = 0.0 if len(np.unique(points, axis=0)) == 1 else math.inf
    for i in range(count):
        for j in range(i):
            candidates = [(points[i] + points[j]) / 2]
            for k in range(j):
                a, b = points[j] - points[i], points[k] - points[i]
                matrix = 2 * np.array([a, b])
                if abs(np.linalg.det(matrix)) > 1e-9:
                    candidates.append(points[i] + np.linalg.solve(matrix, [a @ a, b @ b]))
            for center in candidates:
                best = min(best, float(np.linalg.norm(points - center, axis=1).max()))
    assert radius == pytest.approx(best, abs=1e-9)


def test_a_patch_beyond_its_area_is_measured() -> None:
    origin = torch.full((4, 1, 20, 20), 0.5)
    candidate = origin.clone()
    candidate[0, 0, 3:6, 3:6] = 1.0  # a disc of radius sqrt(8)/2 around the centers
    candidate[1, 0, 0, 0] = candidate[1, 0, 19, 19] = 1.0  # two far pixels need one disc
    candidate[2, 0, 3, 3] = 1.3
    candidate[3, 0, 3, 3] = float("nan")
    area = math.pi * 2 / 400
    found = Patch(area * 1.01).violation(origin, candidate)
    assert found[0] == 0.0
    assert Patch(area * 0.9).violation(origin, candidate)[0] == pytest.approx(0.1 * area)
    assert found[1] == pytest.approx(math.pi * (19**2 * 2 / 4) / 400 - area * 1.01, rel=1e-6)
    assert found[2] == pytest.approx(0.3)
    assert found[3] == math.inf
    assert Patch(0.1257).diameter(224, 224) == pytest.approx(0.4 * 224, rel=1e-3)


def test_a_motion_without_shift_is_the_rotation_and_whole_shifts_are_exact() -> None:
    x = torch.rand(3, 2, 9, 13)
    degrees = torch.tensor([0.0, 17.0, -90.0])
    assert torch.allclose(move(x, degrees, torch.zeros(3, 2)), rotate(x, degrees), atol=1e-5)
    moved = move(x, torch.zeros(3), torch.tensor([[2.0, -1.0]]).expand(3, 2), "zero")
    assert torch.allclose(moved[:, :, :-1, 2:], x[:, :, 1:, :-2], atol=1e-5)
    assert float(moved[:, :, -1].abs().max()) < 1e-5


def test_the_rotation_comes_first_and_the_shift_is_in_the_frame_of_the_result() -> None:
    x = torch.zeros(1, 1, 21, 21)
    x[0, 0, 10, 15] = 1.0  # 5 right of the center
    moved = move(x, torch.tensor([90.0]), torch.tensor([[3.0, 0.0]]), "zero")
    # A quarter turn counter-clockwise puts it 5 above the center; then 3 to the right.
    assert divmod(int(moved.flatten().argmax()), 21) == (5, 13)


@settings(max_examples=8, deadline=None)
@given(st.floats(-20, 20), st.floats(-3, 3), st.floats(-3, 3), st.integers(0, 20), st.sampled_from(["reflect", "zero"]))
def test_motions_within_the_limits_are_inside(angle: float, right: float, down: float, seed: int, fill: Fill) -> None:
    x = smooth(seed)
    moved = move(x, torch.tensor([angle]), torch.tensor([[right, down]]), fill)
    assert float(RotationTranslation(20.0, 3.0, fill).violation(x, moved).max()) == 0.0


def test_motions_beyond_the_limits_are_measured_and_anything_else_is_a_violation() -> None:
    x = smooth(3, 4)
    moved = move(x, torch.tensor([8.0, 2.0, 0.0, 0.0]), torch.tensor([[0.0, 0.0], [3.5, 1.0], [0.0, 0.0], [0.0, 0.0]]))
    moved[2, 1, 4, 4] += 0.2 if float(moved[2, 1, 4, 4]) < 0.5 else -0.2
    moved[3, 0, 0, 0] = float("nan")
    found = RotationTranslation(5.0, 2.0).violation(x, moved)
    assert found[0] == pytest.approx(3.0, abs=0.1)
    assert found[1] == pytest.approx(1.5, abs=0.1)
    assert found[2] == pytest.approx(0.2, abs=0.05)
    assert found[3] == math.inf
