from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from mithridate.imaging.rotation import Fill, Rotation, rotate


def smooth(seed: int, size: int = 32) -> Tensor:
    """Images without pixel noise, as photographs are: bilinear rotation hardly blurs them."""
    g = torch.Generator().manual_seed(seed)
    return torch.nn.functional.interpolate(
        torch.rand(2, 3, 5, 5, generator=g), size=(size, size), mode="bicubic", antialias=True
    ).clamp(0, 1)


def test_quarter_turns_are_exact() -> None:
    x = torch.rand(1, 3, 8, 8)
    for k in range(4):
        assert torch.allclose(rotate(x, torch.tensor([90.0 * k])), torch.rot90(x, k, (2, 3)), atol=1e-5)


def test_angles_are_kept_on_images_that_are_not_square() -> None:
    """A dot 45 degrees above the center's right turns onto the vertical axis."""
    x = torch.zeros(1, 1, 41, 81)
    x[0, 0, 10, 50] = 1.0  # 10 right of and 10 above the center (20, 40)
    turned = rotate(x, torch.tensor([45.0]), "zero")
    row, column = divmod(int(turned.flatten().argmax()), 81)
    assert abs(column - 40) <= 1
    assert abs(row - (20 - 14)) <= 1


@settings(max_examples=15, deadline=None)
@given(st.floats(-29, 29), st.integers(0, 20), st.sampled_from(["reflect", "zero"]))
def test_rotations_within_the_limit_are_inside(angle: float, seed: int, fill: Fill) -> None:
    x = smooth(seed)
    budget = Rotation(30.0, fill)
    assert float(budget.violation(x, rotate(x, torch.full((2,), angle), fill)).max()) == 0.0


@pytest.mark.parametrize("angle", [-25.0, 14.0, 40.0])
def test_rotations_beyond_the_limit_are_measured(angle: float) -> None:
    x = smooth(3)
    found = Rotation(10.0).violation(x, rotate(x, torch.full((2,), angle)))
    if abs(angle) <= 14:
        assert found.tolist() == pytest.approx([abs(angle) - 10] * 2, abs=0.1)
    else:  # beyond the searched range the leftover pixels give it away
        assert float(found.min()) > 0.01


def test_anything_but_a_rotation_is_a_violation() -> None:
    x = smooth(1)
    turned = rotate(x, torch.full((2,), 7.0))
    turned[0, 1, 4, 4] += 0.1
    turned[1, 0, 0, 0] = float("nan")
    found = Rotation(10.0).violation(x, turned)
    assert found[0] == pytest.approx(0.1, abs=0.02)
    assert found[1] == torch.inf
