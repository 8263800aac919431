"""What the trainer asks of a set of images, and the order in which it visits them."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from mithridate.errors import UserError
from mithridate.seeds import derive

T = TypeVar("T")


class Images(Protocol):
    """A labelled set of images.  `ImageStore` is one; so is anything in memory with these members."""

    @property
    def ids(self) -> Sequence[str] | NDArray[Any]: ...
    @property
    def labels(self) -> Sequence[int] | NDArray[Any]: ...
    @property
    def groups(self) -> Sequence[str] | NDArray[Any]: ...
    def __len__(self) -> int: ...
    def load(self, rows: Sequence[int]) -> NDArray[np.float32]:
        """Pixels of some rows: float32 len(rows) x C x S x S in [0, 1]."""
        ...


class Joined:
    """Two sets of images as one, the second after the first."""

    def __init__(self, first: Images, second: Images) -> None:
        self._first, self._second = first, second
        self.ids = np.concatenate([np.asarray(first.ids, dtype=str), np.asarray(second.ids, dtype=str)])
        self.labels = np.concatenate([labels_of(first), labels_of(second)])
        self.groups = np.concatenate([np.asarray(first.groups, dtype=str), np.asarray(second.groups, dtype=str)])

    def __len__(self) -> int:
        return len(self._first) + len(self._second)

    def load(self, rows: Sequence[int]) -> NDArray[np.float32]:
        index, border = np.asarray(rows), len(self._first)
        early = index < border
        parts = [
            self._first.load(index[early].tolist()) if early.any() else None,
            self._second.load((index[~early] - border).tolist()) if not early.all() else None,
        ]
        found = np.concatenate([part for part in parts if part is not None])
        joined = np.empty_like(found)
        joined[np.concatenate([np.flatnonzero(early), np.flatnonzero(~early)])] = found
        return joined


def labels_of(images: Images) -> NDArray[np.int64]:
    return np.asarray(images.labels).astype(np.int64)


def epoch_order(seed: int, epoch: int, ids: Sequence[str] | NDArray[Any]) -> NDArray[np.int64]:
    """A permutation of the rows for one epoch.

    It depends on the seed, the epoch and the ids, not on the order of the rows: the images are sorted by a hash.
    """
    keys = [derive(seed, "order", epoch, example) for example in ids]
    return np.argsort(np.array(keys), kind="stable").astype(np.int64)


def split_batches(order: NDArray[np.int64], batch_size: int, processes: int = 1) -> list[NDArray[np.int64]]:
    """Cut an epoch into batches of at most batch_size whose sizes differ by one at most.

    No example is left out and no batch is a single example, on which batch-norm could not train.
    Raises UserError when there are too few examples for a batch with two on every process.
    """
    if len(order) < 2 * processes:
        raise UserError(
            f"{len(order)} training images are too few for {processes} process(es): at least {2 * processes} are needed"
        )
    if batch_size < 2 * processes:
        raise UserError(
            f"batch_size {batch_size} is too small for {processes} process(es): at least {2 * processes} are needed"
        )
    wanted = -(-len(order) // batch_size)
    return np.array_split(order, min(wanted, len(order) // (2 * processes)))


def prefetch(jobs: Iterable[Callable[[], T]], depth: int = 2) -> Iterator[T]:
    """Results of jobs in order, the next ones computed in a background thread meanwhile."""
    pool = ThreadPoolExecutor(1)
    waiting: deque[Future[T]] = deque()
    try:
        for job in jobs:
            waiting.append(pool.submit(job))
            if len(waiting) > depth:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
