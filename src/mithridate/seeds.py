"""Where every random number comes from: a seed and the names of what it is for, never the order of the work.

An example's draws depend on (run seed, cell, example id) only, so results are the same whatever the batch size, the
number of workers or the order in which examples are visited.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:  # torch takes seconds to import, and much that needs a seed does not need it
    import torch
    from torch import Tensor


def derive(seed: int, *names: object) -> int:
    """A 63-bit seed from a parent seed and the names of its purpose (SHA-256, stable across machines and versions)."""
    text = "\x1f".join([str(int(seed)), *(str(name) for name in names)])
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1


def generator(seed: int, *names: object) -> np.random.Generator:
    """A NumPy generator for one purpose."""
    return np.random.default_rng(derive(seed, *names))


class ExampleRandom:
    """Independent random streams, one per example.

    Each stream advances only when its own example draws, so an attack may drop, refill or reorder examples freely.
    """

    def __init__(self, seed: int, cell: str, ids: Sequence[str]) -> None:
        import torch

        self._torch = torch
        self._streams: list[torch.Generator] = [
            torch.Generator().manual_seed(derive(seed, cell, example)) for example in ids
        ]

    def __len__(self) -> int:
        return len(self._streams)

    def uniform(self, rows: Tensor, shape: Sequence[int], low: float = 0.0, high: float = 1.0) -> Tensor:
        """float32 draws in [low, high), len(rows) x *shape; row i comes from the stream of example rows[i]."""
        drawn = [self._torch.rand(tuple(shape), generator=self._streams[int(row)]) for row in rows]
        return self._torch.stack(drawn) * (high - low) + low if drawn else self._torch.empty(0, *shape)

    def normal(self, rows: Tensor, shape: Sequence[int]) -> Tensor:
        """float32 standard normal draws, len(rows) x *shape."""
        drawn = [self._torch.randn(tuple(shape), generator=self._streams[int(row)]) for row in rows]
        return self._torch.stack(drawn) if drawn else self._torch.empty(0, *shape)
