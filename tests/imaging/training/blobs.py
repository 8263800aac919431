"""A set of images in memory that a small network learns in a few epochs: class 1 has a bright disc."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mithridate.imaging.cards import ModelCard
from mithridate.imaging.training import Augmentation, Recipe, Request, Subject, train_images
from mithridate.seeds import generator

SUBJECT = Subject("blobs", "drawing", "a disc", "no disc", 1, "0" * 64)


class Blobs:
    """n gray images of 32 x 32 pixels, half of them with a disc; two images a group."""

    def __init__(self, n: int, seed: int = 0, channels: int = 1) -> None:
        self.ids = np.array([f"{seed}-{index:04d}" for index in range(n)])
        self.labels = np.arange(n) % 2
        self.groups = np.array([f"{seed}-g{index // 4}{index % 2}" for index in range(n)])
        self.pixels = np.stack(
            [_draw(name, int(label), channels) for name, label in zip(self.ids, self.labels, strict=True)]
        )

    def __len__(self) -> int:
        return len(self.ids)

    def load(self, rows: Sequence[int]) -> NDArray[np.float32]:
        return self.pixels[list(rows)]

    def reordered(self, order: NDArray[np.int64]) -> Blobs:
        other = object.__new__(Blobs)
        other.ids, other.labels, other.groups = self.ids[order], self.labels[order], self.groups[order]
        other.pixels = self.pixels[order]
        return other


def _draw(name: str, label: int, channels: int) -> NDArray[np.float32]:
    rng = generator(0, name)
    y, x = np.mgrid[:32, :32]
    image = rng.normal(0.4, 0.08, (channels, 32, 32))
    if label:
        cy, cx = rng.uniform(8, 24, 2)
        image += 0.4 * ((y - cy) ** 2 + (x - cx) ** 2 < 20)
    return image.clip(0, 1).astype(np.float32)


RECIPE = Recipe(
    name="test",
    architecture="resnet-small",
    head="linear",
    pretrained="none",
    size=32,
    dropout=0.2,
    learning_rate=0.02,
    batch_size=8,
    epochs=2,
    monitor="loss",
    checkpoint_seconds=0,
    augmentation=Augmentation(rotation=20, flip_horizontal=True, brightness=0.1, contrast=0.2, mixup=0.2),
    ema_decay=0.9,
)


def sets(n: int = 24) -> tuple[Blobs, Blobs, Blobs]:
    return Blobs(n, 1), Blobs(8, 2), Blobs(8, 3)


def fit(out: Path, recipe: Recipe = RECIPE, request: Request | None = None, n: int = 24) -> ModelCard:
    return train_images(*sets(n), SUBJECT, recipe, out, request or Request(device="cpu"))
