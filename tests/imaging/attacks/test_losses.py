"""Losses: signs, invariances, and heads with few classes."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from mithridate.imaging.attacks.losses import (
    LOSSES,
    LossName,
    difference_of_logits_ratio,
    likeliest_others,
    margin,
    targeted_difference_of_logits_ratio,
    towards,
    towards_class,
)


def logits_of(seed: int, classes: int) -> tuple[Tensor, Tensor]:
    g = torch.Generator().manual_seed(seed)
    return torch.randn(6, classes, generator=g), torch.randint(classes, (6,), generator=g)


@settings(deadline=None)
@given(st.integers(0, 500), st.integers(2, 6))
def test_margin_and_dlr_are_positive_exactly_when_misclassified(seed: int, classes: int) -> None:
    logits, labels = logits_of(seed, classes)
    wrong = logits.argmax(1) != labels
    assert torch.equal(margin(logits, labels) > 0, wrong)
    assert torch.equal(difference_of_logits_ratio(logits, labels) > 0, wrong)


@settings(deadline=None)
@given(st.integers(0, 500), st.integers(3, 6), st.floats(0.01, 100), st.floats(-5, 5))
def test_dlr_ignores_scale_and_shift_of_the_logits(seed: int, classes: int, scale: float, shift: float) -> None:
    logits, labels = logits_of(seed, classes)
    pairs = torch.stack([labels, (labels + 1) % classes], 1)
    moved = logits * scale + shift
    losses = [(difference_of_logits_ratio, labels)] + [(targeted_difference_of_logits_ratio, pairs)] * (classes > 3)
    for loss, aim in losses:
        assert torch.allclose(loss(moved, aim), loss(logits, aim), rtol=1e-2, atol=1e-3)


@pytest.mark.parametrize("loss", sorted(LOSSES))
@pytest.mark.parametrize("classes", [2, 3, 4, 7])
def test_no_head_loses_its_gradient(loss: LossName, classes: int) -> None:
    """The published DLR is a constant for two classes: its gradient must not be."""
    logits, _ = logits_of(1, classes)
    labels = logits.argmax(1)
    leaf = logits.requires_grad_(True)
    (gradient,) = torch.autograd.grad(towards(loss, False)(leaf, labels).sum(), leaf)
    assert bool((gradient.abs().sum(1) > 1e-4).all())
    pairs = torch.stack([labels, (labels + 1) % classes], 1)
    (gradient,) = torch.autograd.grad(targeted_difference_of_logits_ratio(leaf, pairs).sum(), leaf)
    assert bool((gradient.abs().sum(1) > 1e-4).all())


def test_published_values() -> None:
    """Croce and Hein 2020, equations 6 and 7, by hand."""
    logits, labels = torch.tensor([[4.0, 1.0, 3.0, 0.0, 2.0]]), torch.tensor([0])
    assert float(difference_of_logits_ratio(logits, labels)) == pytest.approx(-(4 - 3) / (4 - 2))
    pairs = torch.tensor([[0, 1]])
    assert float(targeted_difference_of_logits_ratio(logits, pairs)) == pytest.approx(-(4 - 1) / (4 - (2 + 1) / 2))
    assert float(towards_class(logits, pairs)) == -3
    assert likeliest_others(logits, labels, 3).tolist() == [[2, 4, 1]]
    assert likeliest_others(logits, labels, 9).shape == (1, 4)
