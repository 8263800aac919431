"""The six models of the strength section: for each modality the shipped classifier, and one trained adversarially.

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
ATTACKED = 96
TRAINED_ON = 320
EPOCHS = 8


def file_of(folder: Path, name: str) -> Path:
    """Where the model called "chest-trained", say, is kept."""
    return folder / "models" / f"{name}.pt"


def prepare(folder: Path) -> None:
    """Make whichever of the six models `folder` does not hold yet."""
    for modality in MODALITIES:
        for kind in KINDS:
            file = file_of(folder, f"{modality}-{kind}")
            if not file.exists():
                print(f"making {file.stem}", flush=True)
                file.parent.mkdir(parents=True, exist_ok=True)
                partial = file.with_suffix(".partial")
                torch.save(_make(modality, kind), partial)
                partial.replace(file)


def _make(modality: str, kind: str) -> dict[str, object]:
    from mithridate.imaging.zoo import builtin

    network, card = builtin(modality)
    # Seeds below 100 are left to demonstrations: no shipped model has seen these patients.
    if kind == "trained":
        x, y = _images(modality, TRAINED_ON, 32, card.size)
        train_adversarially(network, x, y, EPSILONS[kind], EPOCHS, batch=32, rate=3e-4, steps=3)
    x, y = _images(modality, 2 * ATTACKED, 31, card.size)
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
        "epsilon": EPSILONS[kind],
    }


def _images(modality: str, count: int, seed: int, size: int) -> tuple[Tensor, Tensor]:
    from mithridate.imaging.images import ImageStore
    from mithridate.imaging.sources.phantom import phantom_catalog

    catalog = phantom_catalog(modality, count, seed=seed)
    store = ImageStore(catalog, size, channels=catalog.task.channels)
    return torch.from_numpy(store.load(list(range(count)))), torch.from_numpy(np.asarray(store.labels, dtype=np.int64))


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
