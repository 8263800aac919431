"""The fast copy computes what the caller's model computes, and leaves the caller's model alone."""

from __future__ import annotations

import hashlib
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from imaging.attacks.known import network
from mithridate.imaging.engine.fast import Precision, _MaxPool, fast_copy
from mithridate.imaging.engine.fold import fold_batch_norms
from mithridate.imaging.engine.graphs import graphed


def settled(module: nn.Module) -> nn.Module:
    """With running statistics as training leaves them."""
    module.train()
    with torch.no_grad():
        for seed in range(4):
            module(torch.rand(8, 3, 12, 12, generator=torch.Generator().manual_seed(seed)) * 3)
    return module.eval()


def state(module: nn.Module) -> str:
    digest = hashlib.sha256()
    for name, value in module.state_dict().items():
        digest.update(name.encode() + value.numpy().tobytes())
    for name, parameter in module.named_parameters():
        digest.update(f"{name}{parameter.requires_grad}{parameter.grad is None}{parameter.dtype}".encode())
    digest.update(str([(part.training, len(part._forward_hooks)) for part in module.modules()]).encode())
    return digest.hexdigest()


class Branching(nn.Module):
    """A norm behind an addition, one behind a layer that is also used elsewhere, one that runs twice: Python between
    the layers, and traps for whoever folds by order of definition."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.norm_a = nn.Conv2d(3, 4, 3, padding=1), nn.BatchNorm2d(4)
        self.b, self.norm_b = nn.Conv2d(4, 4, 3, padding=1), nn.BatchNorm2d(4)
        self.twice = nn.BatchNorm2d(4)
        self.linear = nn.Linear(4, 5)
        self.norm_linear = nn.BatchNorm1d(5)

    def forward(self, x: Tensor) -> Tensor:
        if x.shape[1] != 3:
            raise ValueError(f"no such image: {x.shape}")
        a = self.norm_a(self.a(x)).relu()
        b = self.norm_b(a + self.b(a))
        c = self.twice(self.twice(b)).mean((2, 3))
        return self.norm_linear(self.linear(c))


class Shared(nn.Module):
    """A convolution whose output also goes past its norm: folding it would be wrong, and cannot be seen."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.norm = nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4)

    def forward(self, x: Tensor) -> Tensor:
        a = self.a(x)
        return (self.norm(a) + a).mean((2, 3))


@pytest.mark.parametrize(("make", "folded"), [(lambda: network(3), 2), (Branching, 2)])
def test_folding_is_exact_and_finds_the_pairs(make: Any, folded: int) -> None:
    torch.manual_seed(0)
    module = settled(make())
    x = torch.rand(5, 3, 12, 12)
    before = module(x).detach()
    assert fold_batch_norms(module, x) == folded
    assert torch.allclose(module(x), before, atol=1e-5)
    assert sum(isinstance(part, nn.Identity) for part in module.modules()) == folded


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
@pytest.mark.parametrize("make", [lambda: network(3), Branching, Shared])
def test_the_copy_agrees_and_the_original_is_untouched(make: Any, precision: Any) -> None:
    torch.manual_seed(0)
    module = settled(make())
    module.register_forward_hook(lambda *_: None)
    x = torch.rand(6, 3, 12, 12)
    before, answer = state(module), module(x).detach()
    copy = fast_copy(module, x, precision)
    seen = x.clone().requires_grad_(True)
    out = copy(seen)
    (gradient,) = torch.autograd.grad(out.sum(), seen)
    assert out.dtype == torch.float32
    assert float((out - answer).abs().max()) < (1e-4 if precision == "float32" else 0.05) * float(answer.abs().max())
    own = x.clone().requires_grad_(True)
    (expected,) = torch.autograd.grad(module(own).sum(), own)
    cosine = torch.nn.functional.cosine_similarity(gradient.flatten(1), expected.flatten(1))
    assert float(cosine.min()) > (0.9999 if precision == "float32" else 0.98)
    assert state(module) == before
    assert not any(parameter.requires_grad for parameter in copy.parameters())


def test_folding_that_would_change_the_answer_is_undone() -> None:
    torch.manual_seed(0)
    module = settled(Shared())
    copy = fast_copy(module, torch.rand(4, 3, 12, 12), "float32")
    assert any(isinstance(part, nn.BatchNorm2d) for part in copy.modules())


def test_without_a_gpu_nothing_is_captured() -> None:
    module = network()
    assert graphed(module, torch.rand(2, 3, 12, 12)) is module


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_a_captured_graph_computes_the_same() -> None:
    module = network().cuda().requires_grad_(False)
    x = torch.rand(4, 3, 12, 12, device="cuda")
    expected = module(x)
    assert torch.allclose(graphed(module, x)(x.clone().requires_grad_(True)), expected, atol=1e-5)


class Normalized(nn.Module):
    """A network that begins with the usual normalization, and notes in which layout it is handed images."""

    def __init__(self) -> None:
        super().__init__()
        self.inner = network(3, seed=1)
        self.layouts: list[bool] = []

    def forward(self, x: Tensor) -> Tensor:
        self.layouts.append(x.is_contiguous())
        if x.requires_grad:
            x.register_hook(lambda gradient: self.layouts.append(gradient.is_contiguous()))
        answer: Tensor = self.inner((x - 0.5) / torch.tensor([0.2, 0.3, 0.25]).view(1, 3, 1, 1))
        return answer


@pytest.mark.parametrize("precision", ["bfloat16", "float32"])
def test_channels_move_last_at_the_first_convolution_and_not_before(precision: Precision) -> None:
    """What a network does to its image, and to the image's gradient, stays in the layout where it is cheap."""
    fast = fast_copy(Normalized().eval(), torch.rand(2, 3, 10, 10), precision)
    held = fast.module
    assert isinstance(held, Normalized)
    held.layouts.clear()
    x = torch.rand(4, 3, 10, 10).contiguous(memory_format=torch.channels_last).requires_grad_(True)
    fast(x).square().sum().backward()
    assert held.layouts == [True, True]
    assert x.grad is not None
    assert float(x.grad.abs().max()) > 0


@pytest.mark.parametrize(
    "options", [(2,), (3, 2, 1), (3, 1), (2, 3), ((2, 3), (2, 1), (0, 1)), (5, 2, 2)], ids=lambda options: str(options)
)
@pytest.mark.parametrize("size", [(17, 16), (8, 9)])
def test_max_pooling_is_the_same_one_direction_after_the_other(options: tuple[Any, ...], size: tuple[int, int]) -> None:
    torch.manual_seed(0)
    layer = nn.MaxPool2d(*options)
    x = torch.randn(3, 5, *size).bfloat16()
    x[0, 0, :3] = -torch.inf
    for inputs in (x, x.contiguous(memory_format=torch.channels_last)):
        with torch.no_grad():
            assert torch.equal(_MaxPool(layer)(inputs), layer(inputs))


def test_max_pooling_that_cannot_be_taken_apart_is_left_alone() -> None:
    kept = [
        nn.MaxPool2d(2, ceil_mode=True),
        nn.MaxPool2d(2, dilation=2),
        nn.MaxPool2d(2, return_indices=True),
        nn.AvgPool2d(2),
    ]
    assert not any(map(_MaxPool.fits, kept))
    assert _MaxPool.fits(nn.MaxPool2d(3, 2, 1))
