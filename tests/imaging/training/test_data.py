"""Orders, batches and joined sets."""

from __future__ import annotations

import threading

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from imaging.training.blobs import Blobs
from mithridate.errors import UserError
from mithridate.imaging.training.data import Joined, epoch_order, prefetch, split_batches


def test_an_epoch_visits_every_image_once_in_an_order_of_its_own() -> None:
    ids = [f"image-{index}" for index in range(100)]
    first, second = epoch_order(0, 0, ids), epoch_order(0, 1, ids)
    assert sorted(first.tolist()) == list(range(100))
    assert (first != second).any()
    assert abs(np.corrcoef(first, np.arange(100))[0, 1]) < 0.4


def test_the_order_is_of_ids_not_of_rows() -> None:
    ids = np.array([f"image-{index}" for index in range(30)])
    shuffled = ids[np.random.default_rng(1).permutation(30)]
    assert (ids[epoch_order(4, 2, ids)] == shuffled[epoch_order(4, 2, shuffled)]).all()


@given(st.integers(8, 500), st.integers(8, 64), st.integers(1, 4))
def test_batches_cover_everything_evenly_and_leave_two_to_each_process(n: int, size: int, processes: int) -> None:
    batches = split_batches(np.arange(n), size, processes)
    assert np.concatenate(batches).tolist() == list(range(n))
    lengths = [len(batch) for batch in batches]
    assert max(lengths) - min(lengths) <= 1
    assert min(lengths) >= 2 * processes
    assert max(lengths) <= size or n // (2 * processes) < -(-n // size)


def test_too_few_images_or_too_small_batches_are_refused() -> None:
    with pytest.raises(UserError, match="3 training images are too few"):
        split_batches(np.arange(3), 8, 2)
    with pytest.raises(UserError, match="batch_size 3 is too small"):
        split_batches(np.arange(30), 3, 2)


def test_joined_sets_load_in_the_order_that_is_asked_for() -> None:
    first, second = Blobs(6, 1), Blobs(4, 2)
    joined = Joined(first, second)
    rows = [9, 0, 6, 5, 1]
    expected = np.stack([second.pixels[3], first.pixels[0], second.pixels[0], first.pixels[5], first.pixels[1]])
    assert np.array_equal(joined.load(rows), expected)
    assert joined.ids[rows].tolist() == [second.ids[3], first.ids[0], second.ids[0], first.ids[5], first.ids[1]]
    assert len(joined) == 10


def test_prefetching_keeps_the_order_works_ahead_and_passes_errors_on() -> None:
    ahead = threading.Event()

    def job(index: int) -> int:
        if index == 1:
            ahead.set()
        if index == 4:
            raise ValueError("the fourth")
        return index

    results = prefetch((lambda index=index: job(index)) for index in range(6))
    assert next(results) == 0
    assert ahead.wait(5)  # the second was made without being asked for
    assert [next(results) for _ in range(3)] == [1, 2, 3]
    with pytest.raises(ValueError, match="the fourth"):
        next(results)
