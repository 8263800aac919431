"""The models of `make bench-attacks`: for each modality the shipped classifier and one trained adversarially, for the
strength section, and a network that grades fundus phantoms in five classes, trained adversarially, for the ensembles.

Made once, in the project's own environment, and kept as plain tensors for the peers' environment, which lacks most of
what the project needs.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

MODALITIES = ("fundus", "chest", "skin")
EPSILONS = {"undefended": 0.01, "trained": 0.004}
"""The paper's size, which leaves nothing of the shipped classifiers, and one that adversarial training withstands."""
KINDS = tuple(EPSILONS)
GRADED = "fundus-graded"
GRADES = 5
"""Fifths of a phantom's severity, as retinopathy is graded from 0 to 4."""
ATTACKED = 96


def file_of(folder: Path, name: str) -> Path:
    """Where the model called "chest-trained", say, is kept."""
    return folder / "models" / f"{name}.pt"


def prepare(folder: Path) -> None:
    """Make whichever of the models `folder` does not hold yet."""
    names = [f"{modality}-{kind}" for modality in MODALITIES for kind in KINDS]
    for name in [*names, GRADED]:
        file = file_of(folder, name)
        if not file.exists():
            print(f"making {file.stem}", flush=True)
            file.parent.mkdir(parents=True, exist_ok=True)
            partial = file.with_suffix(".partial")
            torch.save(_make(*name.split("-")), partial)
            partial.replace(file)


def _make(modality: str, kind: str) -> dict[str, object]:
    from mithridate.imaging.zoo import builtin

    network, card = builtin(modality)
    classes, epsilon = (GRADES if kind == "graded" else 2), EPSILONS.get(kind, EPSILONS["trained"])
    # Seeds below 100 are left to demonstrations: no shipped model has seen these patients.
    if kind == "trained":
        x, y = _images(modality, 320, 32, card.size, classes)
        train_adversarially(network, x, y, epsilon, 8, batch=32, rate=3e-4, steps=3)
    if kind == "graded":
        torch.manual_seed(0)
        network.head[-1] = nn.Linear(network.head[-1].in_features, classes)
        x, y = _images(modality, 640, 32, card.size, classes)
        train_adversarially(network, x, y, epsilon, 10, batch=32, rate=5e-4, steps=3)
    x, y = _images(modality, 2 * ATTACKED, 31, card.size, classes)
    with torch.no_grad():
        right = torch.cat([network(part).argmax(1) for part in x.split(32)]) == y
    print(f"{modality}-{kind}: accuracy {float(right.float().mean()):.3f} on {len(x)} images", flush=True)
    return {
        "architecture": card.architecture,
        "channels": card.channels,
        "head": card.head,
        "normalization": [list(part) for part in card.normalization],
        "state": network.state_dict(),
        "images": x[right][:ATTACKED].clone(),
        "labels": y[right][:ATTACKED].clone(),
        "epsilon": epsilon,
        "classes": classes,
    }


def _images(modality: str, count: int, seed: int, size: int, classes: int) -> tuple[Tensor, Tensor]:
    from mithridate.imaging.images import ImageStore
    from mithridate.imaging.sources.phantom import phantom_catalog

    catalog = phantom_catalog(modality, count, seed=seed)
    store = ImageStore(catalog, size, channels=catalog.task.channels)
    severity = catalog.table["severity"].to_numpy()
    labels = np.minimum((severity * classes).astype(np.int64), classes - 1)
    return torch.from_numpy(store.load(list(range(count)))), torch.from_numpy(labels)


def train_adversarially(
    module: nn.Module, x: Tensor, y: Tensor, epsilon: float, epochs: int, *, batch: int, rate: float, steps: int = 5
) -> None:
    """Madry et al. (ICLR 2018): every batch becomes what PGD makes of it; epsilon reaches its full size half-way.
    Leaves the module in eval mode."""
    torch.manual_seed(0)
    optimizer, full = torch.optim.Adam(module.parameters(), rate), epsilon
    for epoch in range(epochs):
        epsilon = full * min(1.0, 2 * (epoch + 1) / epochs)
        for rows in torch.randperm(len(x)).split(batch):
            clean, label = x[rows], y[rows]
            module.eval()
            moved = (clean + (torch.rand_like(clean) * 2 - 1) * epsilon).clamp(0, 1)
            for _ in range(steps):
                moved.requires_grad_(True)
                (g,) = torch.autograd.grad(nn.functional.cross_entropy(module(moved), label), moved)
                moved = (moved.detach() + 2.5 / steps * epsilon * g.sign()).clamp(clean - epsilon, clean + epsilon)
                moved = moved.clamp(0, 1)
            module.train()
            optimizer.zero_grad()
            nn.functional.cross_entropy(module(moved), label).backward()
            optimizer.step()
    module.eval()
