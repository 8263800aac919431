from __future__ import annotations

import torch

from mithridate.seeds import ExampleRandom, derive


def test_names_are_told_apart() -> None:
    assert len({derive(1, "a", "b"), derive(1, "ab"), derive(1, "a b"), derive(2, "a", "b"), derive(1, "b", "a")}) == 5


def test_an_example_draws_the_same_in_any_company() -> None:
    together = ExampleRandom(7, "cell", ["x", "y", "z"])
    alone = ExampleRandom(7, "cell", ["z"])
    rows = torch.tensor([2, 0])
    assert torch.equal(together.uniform(rows, (3, 4))[0], alone.uniform(torch.tensor([0]), (3, 4))[0])
    # z has drawn once in both; y has not, and must not have moved.
    assert torch.equal(together.normal(torch.tensor([1, 2]), (5,))[1], alone.normal(torch.tensor([0]), (5,))[0])
    fresh = ExampleRandom(7, "cell", ["y"])
    fresh.normal(torch.tensor([0]), (5,))
    assert torch.equal(together.uniform(torch.tensor([1]), (2,)), fresh.uniform(torch.tensor([0]), (2,)))


def test_seed_cell_and_example_all_matter() -> None:
    draws = [
        float(ExampleRandom(seed, cell, [example]).uniform(torch.tensor([0]), (1,)))
        for seed, cell, example in [(1, "c", "e"), (2, "c", "e"), (1, "d", "e"), (1, "c", "f")]
    ]
    assert len(set(draws)) == 4
