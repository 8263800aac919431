"""Any change of a module is seen, by the cheap stamp or by the digest."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import nn

from mithridate.models.state import digest, in_training_mode, stamp


def network() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Linear(4, 2)).eval()


def nudge(module: nn.Sequential) -> None:
    with torch.no_grad():
        module[0].weight[1, 2] += 1e-3


def learn(module: nn.Sequential) -> None:
    module(torch.rand(2, 3)).sum().backward()


def run_in_training(module: nn.Sequential) -> None:
    module.train()
    module(torch.rand(2, 3))
    module.eval()


def freeze(module: nn.Sequential) -> None:
    module[2].bias.requires_grad_(False)


def train(module: nn.Sequential) -> None:
    module[1].train()


@pytest.mark.parametrize("change", [nudge, learn, run_in_training, freeze, train])
def test_a_change_is_seen(change: Callable[[nn.Sequential], None]) -> None:
    module = network()
    before = digest(module), stamp(module)
    change(module)
    assert digest(module) != before[0]
    assert stamp(module) != before[1]


def test_answering_is_no_change() -> None:
    module = network()
    before = digest(module), stamp(module)
    x = torch.rand(2, 3, requires_grad=True)
    torch.autograd.grad(module(x).sum(), x)
    assert (digest(module), stamp(module)) == before
    assert digest(network()) == before[0]


def test_parts_in_training_mode_are_counted() -> None:
    module = network()
    assert in_training_mode(module) == 0
    module[1].train()
    assert in_training_mode(module) == 1


def test_half_precision_weights_have_a_digest() -> None:
    module = network().to(torch.bfloat16)
    assert digest(module) == digest(network().to(torch.bfloat16)) != digest(network())
