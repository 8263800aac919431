"""The shared loop: everyone walks exactly as far as alone, in batches that stay full."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from mithridate.imaging.engine.loop import Goal, Lanes, walk
from mithridate.imaging.engine.oracles import SomeRandom
from mithridate.seeds import ExampleRandom


class Counter:
    """An oracle that is only counted."""

    classes = 2
    kernel_batch = 4

    def __init__(self, examples: int, limit: int | None) -> None:
        self.limit, self.queries = limit, torch.zeros(examples, dtype=torch.int64)

    def decide(self, inputs: Tensor, rows: Tensor) -> Tensor:
        raise AssertionError("nobody asks")


@dataclass
class _Lane(Lanes):
    age: Tensor
    path: Tensor
    """Steps so far, as a number that only this example's own walk can make."""


@dataclass
class _Walker:
    """Example r walks lengths[r] steps; examples in `back` are sent back once from the exit."""

    oracle: Counter
    lengths: Tensor
    back: Tensor
    cost: int = 1
    widths: list[int] = field(default_factory=list)
    done: dict[int, tuple[int, int]] = field(default_factory=dict)
    sent: set[int] = field(default_factory=set)

    def enter(self, rows: Tensor) -> _Lane:
        return _Lane(torch.zeros(len(rows), dtype=torch.int64), rows.clone())

    def step(self, rows: Tensor, lanes: _Lane) -> tuple[_Lane, Tensor]:
        self.widths.append(len(rows))
        self.oracle.queries[rows] += 1
        lanes = replace(lanes, age=lanes.age + 1, path=(lanes.path * 31 + lanes.age) % 1_000_003)
        return lanes, lanes.age >= self.lengths[rows]

    def leave(self, rows: Tensor, lanes: _Lane) -> tuple[_Lane, Tensor]:
        again = torch.tensor([int(r) in self.back.tolist() and int(r) not in self.sent for r in rows])
        self.sent |= set(rows[again].tolist())
        for row, age, path in zip(rows.tolist(), lanes.age.tolist(), lanes.path.tolist(), strict=True):
            self.done[row] = (age, path)
        return lanes, again


def path_of(row: int, steps: int) -> int:
    path = row
    for age in range(steps):
        path = (path * 31 + age) % 1_000_003
    return path


@settings(deadline=None)
@given(st.lists(st.integers(1, 9), min_size=1, max_size=20), st.sets(st.integers(0, 19)))
def test_every_example_walks_its_own_way_to_its_own_end(lengths: list[int], back: set[int]) -> None:
    oracle = Counter(len(lengths), None)
    walker = _Walker(oracle, torch.tensor(lengths), torch.tensor(sorted(back), dtype=torch.int64))
    walk(oracle, torch.arange(len(lengths)), walker)
    for row, length in enumerate(lengths):
        steps = length + (row in back)  # one more step after being sent back
        assert walker.done[row] == (steps, path_of(row, steps))
    assert oracle.queries.tolist() == [length + (row in back) for row, length in enumerate(lengths)]


@settings(deadline=None)
@given(st.lists(st.integers(1, 9), min_size=1, max_size=30))
def test_batches_stay_full_while_anyone_waits(lengths: list[int]) -> None:
    oracle = Counter(len(lengths), None)
    walker = _Walker(oracle, torch.tensor(lengths), torch.empty(0, dtype=torch.int64))
    walk(oracle, torch.arange(len(lengths)), walker)
    assert max(walker.widths) <= 4
    # Lanes empty out only after the last example has entered: from the first short batch on, widths never grow.
    short = next((i for i, w in enumerate(walker.widths) if w < 4), len(walker.widths))
    assert walker.widths[short:] == sorted(walker.widths[short:], reverse=True)


@settings(deadline=None)
@given(st.lists(st.integers(1, 9), min_size=1, max_size=12), st.integers(0, 9))
def test_nobody_steps_beyond_the_query_limit(lengths: list[int], limit: int) -> None:
    oracle = Counter(len(lengths), limit)
    walker = _Walker(oracle, torch.tensor(lengths), torch.empty(0, dtype=torch.int64))
    walk(oracle, torch.arange(len(lengths)), walker)
    assert oracle.queries.tolist() == [min(length, limit) for length in lengths]
    assert sorted(walker.done) == list(range(len(lengths)))


def test_goals() -> None:
    logits = torch.tensor([[2.0, 1.0, 0.0], [0.0, 1.0, 2.0], [0.0, 1.0, 0.0]])
    rows, aim = torch.tensor([1, 0, 2]), torch.tensor([2, 0, 2])
    assert Goal(aim).reached(logits, rows).tolist() == [False, False, True]
    assert Goal(aim, targeted=True).reached(logits, rows).tolist() == [True, True, False]
    assert Goal(aim, targeted=True).reached(torch.tensor([2, 2, 2]), rows).tolist() == [False, True, True]


def test_some_random_is_the_same_streams_renumbered() -> None:
    whole = ExampleRandom(1, "c", "abcd")
    part = SomeRandom(ExampleRandom(1, "c", "abcd"), torch.tensor([2, 0]))
    expected = whole.uniform(torch.tensor([0, 2]), (3,)), whole.normal(torch.tensor([2]), (2,))
    assert torch.equal(part.uniform(torch.tensor([1, 0]), (3,)), expected[0])
    assert torch.equal(part.normal(torch.tensor([0]), (2,)), expected[1])
    assert len(part) == 2
