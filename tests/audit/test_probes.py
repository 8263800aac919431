"""What is measured on a model before its checks are judged."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from mithridate.attack import Examples
from mithridate.audit.probes import _slope_error
from mithridate.models.torch_module import TorchModel


class PartlyHidden(nn.Module):
    """A linear model of which a gradient sees the first `seen` rows of the image alone."""

    def __init__(self, seen: int) -> None:
        super().__init__()
        self.seen = seen
        weights = torch.randn(16 * 16, generator=torch.Generator().manual_seed(0))
        self.weights = nn.Parameter(weights.view(16, 16))

    def forward(self, x: Tensor) -> Tensor:
        open_part, hidden = x[:, 0, : self.seen], x[:, 0, self.seen :].detach()
        score = (torch.cat([open_part, hidden], 1) * self.weights).sum((1, 2))
        return torch.stack([-score, score], 1)


@pytest.fixture
def examples() -> Examples:
    images = 0.25 + 0.5 * torch.rand(6, 1, 16, 16, generator=torch.Generator().manual_seed(1))
    labels = torch.tensor([0, 1] * 3)
    return Examples(images, labels, tuple("abcdef"), targets=1 - labels)


def error(module: nn.Module, examples: Examples) -> float | None:
    return _slope_error(TorchModel(module.eval(), kernel_batch=6), examples, seed=0)


def test_slopes_are_explained_as_far_as_the_gradient_sees(examples: Examples) -> None:
    assert error(PartlyHidden(16), examples) == pytest.approx(0, abs=1e-6)
    half, none = error(PartlyHidden(8), examples), error(PartlyHidden(0), examples)
    assert half is not None
    assert 0.3 < half < 0.7
    assert none == 1


def test_a_model_that_does_not_move_has_no_slope(examples: Examples) -> None:
    module = PartlyHidden(16)
    with torch.no_grad():
        module.weights.zero_()
    assert error(module, examples) is None


class Bent(nn.Module):
    """A wave across the image, fast enough to turn around within one gray level."""

    def __init__(self) -> None:
        super().__init__()
        self.weights = nn.Parameter(torch.randn(16, 16, generator=torch.Generator().manual_seed(0)))

    def forward(self, x: Tensor) -> Tensor:
        score = torch.sin(50 * (x[:, 0] * self.weights).sum((1, 2)))
        return torch.stack([-score, score], 1)


def test_a_function_that_bends_within_a_gray_level_hides_nothing(examples: Examples) -> None:
    bent = error(Bent(), examples)
    assert bent is not None
    assert bent < 0.2
