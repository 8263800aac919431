"""From rows of a set of images to augmented batches on the device."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from mithridate.imaging.training import augment as augmentation
from mithridate.imaging.training.augment import Draws
from mithridate.imaging.training.data import Images, epoch_order, labels_of, prefetch, split_batches
from mithridate.imaging.training.distributed import World
from mithridate.imaging.training.recipe import Recipe


class _Loaded(NamedTuple):
    rows: NDArray[np.int64]
    draws: Draws
    pixels: NDArray[np.float32]
    partners: NDArray[np.int64] | None
    partner_pixels: NDArray[np.float32] | None


class Feed:
    """One set of images as a recipe's batches, each process with its share."""

    def __init__(self, images: Images, recipe: Recipe, seed: int, here: World) -> None:
        self.images, self.recipe, self.seed, self.here = images, recipe, seed, here
        self.ids = np.asarray(images.ids, dtype=str)
        self.labels = torch.from_numpy(labels_of(images))
        self.layout = torch.channels_last if recipe.channels_last else torch.contiguous_format

    def batches(self, epoch: int) -> list[NDArray[np.int64]]:
        """The rows of every batch of an epoch, over all processes."""
        return split_batches(epoch_order(self.seed, epoch, self.ids), self.recipe.batch_size, self.here.size)

    def load(self, batches: list[NDArray[np.int64]], epoch: int) -> Iterator[tuple[Tensor, Tensor]]:
        """Augmented images n x C x S x S and soft labels n x 2 of this process's share of each batch."""

        def jobs() -> Iterator[Callable[[], _Loaded]]:
            for batch in batches:
                yield partial(self._read, self.here.share(batch), epoch)

        for loaded in prefetch(jobs()):
            x, target = self._augmented(loaded.pixels, loaded.draws), self._soft_labels(loaded.rows)
            if loaded.partners is not None and loaded.partner_pixels is not None:
                # The partner is changed by its own draws: it looks as it does in its own place this epoch.
                draws = augmentation.draw(self.seed, epoch, self.ids[loaded.partners])
                partner = self._augmented(loaded.partner_pixels, draws)
                share = augmentation.mixup_weights(loaded.draws, self.recipe.augmentation.mixup)
                x = augmentation.mix_with(x, partner, share)
                target = augmentation.mix_with(target, self._soft_labels(loaded.partners), share)
            yield x.contiguous(memory_format=self.layout), target

    def _read(self, rows: NDArray[np.int64], epoch: int) -> _Loaded:
        draws = augmentation.draw(self.seed, epoch, self.ids[rows])
        pixels = self.images.load(rows.tolist())
        if not self.recipe.augmentation.mixup:
            return _Loaded(rows, draws, pixels, None, None)
        others = augmentation.partners(draws, self.ids)
        return _Loaded(rows, draws, pixels, others, self.images.load(others.tolist()))

    def _augmented(self, pixels: NDArray[np.float32], draws: Draws) -> Tensor:
        x = torch.from_numpy(pixels).to(self.here.device)
        return augmentation.augment(x, draws, self.recipe.augmentation)

    def _soft_labels(self, rows: NDArray[np.int64]) -> Tensor:
        return functional.one_hot(self.labels[torch.from_numpy(rows)], 2).float().to(self.here.device)
