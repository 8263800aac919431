"""Attacks of torchattacks, Foolbox and ART as oracles: on one trained network, ours is at least as strong.

These run in the environment of `make test-extras`; elsewhere they are skipped.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

torchattacks = pytest.importorskip("torchattacks", exc_type=ImportError, reason="make test-extras brings torchattacks")
foolbox = pytest.importorskip("foolbox", reason="make test-extras brings Foolbox")

from mithridate.attack import Examples  # noqa: E402
from mithridate.audit.attacking import oracle_of  # noqa: E402
from mithridate.budget import L2, Linf  # noqa: E402
from mithridate.imaging.attacks.apgd import APGD  # noqa: E402
from mithridate.imaging.attacks.carlini_wagner import CarliniWagner  # noqa: E402
from mithridate.imaging.attacks.deepfool import DeepFool  # noqa: E402
from mithridate.imaging.attacks.fab import FAB  # noqa: E402
from mithridate.imaging.attacks.minimum_norm import MinimumNorm  # noqa: E402
from mithridate.imaging.attacks.pgd import PGD  # noqa: E402
from mithridate.imaging.attacks.square import Square  # noqa: E402
from mithridate.models.torch_module import TorchModel  # noqa: E402
from mithridate.seeds import ExampleRandom  # noqa: E402

COUNT, SIDE = 64, 16


@pytest.fixture(scope="module")
def trained() -> tuple[nn.Module, Examples]:
    """A small network that tells four textures in noise apart, and 64 images that it knows."""
    generator = torch.Generator().manual_seed(0)
    y = torch.arange(512) % 4
    across, down = torch.meshgrid(torch.arange(SIDE), torch.arange(SIDE), indexing="xy")
    textures = torch.stack([torch.sin(across * (0.5 + 0.3 * k) + down * (0.9 - 0.25 * k)) for k in range(4)])
    x = 0.5 + 0.12 * textures[y][:, None].repeat(1, 3, 1, 1)
    x = (x + 0.15 * torch.randn(x.shape, generator=generator)).clamp(0, 1)
    torch.manual_seed(0)
    network = nn.Sequential(
        nn.Conv2d(3, 12, 5, padding=2), nn.ReLU(), nn.AvgPool2d(2), nn.Conv2d(12, 24, 3, padding=1), nn.ReLU(),
        nn.AvgPool2d(4), nn.Flatten(), nn.Linear(96, 4),
    )  # fmt: skip
    optimizer = torch.optim.Adam(network.parameters(), 3e-3)
    for _ in range(60):
        optimizer.zero_grad()
        nn.functional.cross_entropy(network(x), y).backward()
        optimizer.step()
    network.eval().requires_grad_(False)
    with torch.no_grad():
        known = (network(x).argmax(1) == y).nonzero()[:COUNT, 0]
    assert len(known) == COUNT
    return network, Examples(x[known], y[known], tuple(map(str, known.tolist())))


def run(attack: Any, network: nn.Module, examples: Examples, budget: Linf | L2) -> Tensor:
    oracle = oracle_of(TorchModel(network, kernel_batch=COUNT, name="test"), len(examples))
    found: Tensor = attack.run(oracle, examples, budget, ExampleRandom(0, "peers", examples.ids))
    assert float((found - examples.inputs).abs().max()) <= 1
    return found


def robust(network: nn.Module, x: Tensor, labels: Tensor) -> float:
    with torch.no_grad():
        return float((network(x).argmax(1) == labels).double().mean())


E, WIDE = 0.045, 0.08
"""Budgets that some images withstand: of attacks that see gradients, and of one that sees scores."""
FIXED: dict[str, tuple[float, Any, Callable[[nn.Module], Any]]] = {
    "pgd": (E, PGD(steps=20, step_size=E / 4), lambda m: torchattacks.PGD(m, E, E / 4, 20)),
    "apgd, cross-entropy": (
        E, APGD(steps=20, loss="cross-entropy"), lambda m: torchattacks.APGD(m, eps=E, steps=20)),
    "apgd, dlr": (E, APGD(steps=20, loss="dlr"), lambda m: torchattacks.APGD(m, eps=E, steps=20, loss="dlr")),
    "fab": (E, FAB(steps=20), lambda m: torchattacks.FAB(m, eps=E, steps=20, n_classes=4)),
    "square": (
        WIDE, Square(queries=500),
        lambda m: torchattacks.Square(m, eps=WIDE, n_queries=500, n_restarts=1, loss="margin")),
}  # fmt: skip


@pytest.mark.parametrize("name", FIXED)
def test_no_more_images_withstand_ours(name: str, trained: tuple[nn.Module, Examples]) -> None:
    network, examples = trained
    epsilon, attack, peer = FIXED[name]
    theirs = robust(network, peer(network)(examples.inputs, examples.labels), examples.labels)
    ours = robust(network, run(attack, network, examples, Linf(epsilon)), examples.labels)
    assert 0.02 < theirs < 0.98, "the budget does not tell attacks apart"
    slack = 0.05 if name == "square" else 0.005  # random search: three images of 64
    assert ours <= theirs + slack


SHORTEST: dict[str, tuple[Any, Any, float]] = {
    "carlini-wagner": (
        CarliniWagner(steps=200), foolbox.attacks.L2CarliniWagnerAttack(steps=200, stepsize=0.01), 1.02),
    "minimum-norm": (MinimumNorm(steps=100), foolbox.attacks.L2FMNAttack(steps=100), 1.02),
    "deepfool": (DeepFool(steps=50, classes=3), foolbox.attacks.L2DeepFoolAttack(steps=50), 1.05),
}  # fmt: skip


@pytest.mark.parametrize("name", SHORTEST)
def test_shortest_changes_are_no_longer_than_foolboxs(name: str, trained: tuple[nn.Module, Examples]) -> None:
    network, examples = trained
    attack, peer, factor = SHORTEST[name]
    model = foolbox.PyTorchModel(network, bounds=(0, 1), device="cpu")
    _, theirs, fooled = peer(model, examples.inputs, examples.labels, epsilons=None)
    assert fooled.all()
    ours = run(attack, network, examples, L2(20.0))
    assert robust(network, ours, examples.labels) == 0
    lengths = [np.linalg.norm((x - examples.inputs).flatten(1).double().numpy(), axis=1) for x in (ours, theirs)]
    assert np.median(lengths[0]) <= factor * np.median(lengths[1])
