"""The square attack's moves and schedule."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from imaging.attacks.known import Linear, attacked, examples
from mithridate.budget import L2, Linf
from mithridate.imaging.attacks import Square
from mithridate.imaging.attacks.losses import margin
from mithridate.imaging.attacks.square_moves import Squares, bump, draws_of, move_mass, stripes, tiles
from mithridate.models.torch_module import TorchModel
from mithridate.seeds import ExampleRandom


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 1000), st.floats(0.001, 1.0), st.sampled_from([(8, 8), (7, 12)]))
def test_one_square_of_the_stated_area_changes(seed: int, area: float, shape: tuple[int, int]) -> None:
    g = torch.Generator().manual_seed(seed)
    inputs = torch.full((5, 2, *shape), 0.5)
    x, rows, drawn = inputs[:4].clone(), torch.tensor([4, 0, 3]), torch.rand(3, draws_of(2), generator=g)
    lanes = torch.tensor([2, 0, 3])
    squares = Squares.draw(x, lanes, inputs, rows, torch.full((3,), area), drawn, Linf(0.1))
    assert torch.equal(x, inputs[:4]), "drawing makes no change yet"
    squares.make(x)
    assert torch.equal(x[1], inputs[1]), "of the lanes named"
    side = min(max(round((area * shape[0] * shape[1]) ** 0.5), 1), *shape)
    for one in (x - inputs[:4])[lanes]:
        assert torch.allclose(one.abs().amax(0), one.abs().amin(0))  # the same pixels in every channel
        where = one[0].nonzero()
        assert len(where) == side**2
        assert ((where.amax(0) - where.amin(0)) == side - 1).all()
        assert torch.allclose(one[one != 0].abs(), torch.tensor(0.1))
        assert all(len(channel[channel != 0].sign().unique()) == 1 for channel in one)
    made = x.clone()
    squares.undo(x, torch.tensor([True, False, True]))
    assert torch.equal(x[[2, 1, 3]], inputs[:3])
    assert torch.equal(x[0], made[0])


@settings(max_examples=60, deadline=None)
@given(
    st.integers(0, 1000), st.lists(st.floats(0.001, 1.0), min_size=1, max_size=6), st.sampled_from([(8, 8), (7, 12)])
)
def test_a_square_is_the_same_in_any_company(seed: int, areas: list[float], shape: tuple[int, int]) -> None:
    """Squares of several sizes are made together; each keeps what it was before around itself, and its budget."""
    g = torch.Generator().manual_seed(seed)
    count = len(areas)
    inputs = torch.rand(count, 3, *shape, generator=g)
    before = Linf(0.2).project(inputs + 0.3 * torch.rand(inputs.shape, generator=g) - 0.15, inputs)
    drawn, everyone = torch.rand(count, draws_of(3), generator=g), torch.arange(count)
    together = before.clone()
    Squares.draw(together, everyone, inputs, everyone, torch.tensor(areas), drawn, Linf(0.2)).make(together)
    assert float(Linf(0.2).violation(inputs, together).max()) == 0.0
    for one, area in enumerate(areas):
        alone, zero = before[one : one + 1].clone(), torch.tensor([0])
        row = torch.tensor([one])
        Squares.draw(alone, zero, inputs, row, torch.tensor([area]), drawn[one : one + 1], Linf(0.2)).make(alone)
        assert torch.equal(alone[0], together[one])


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 1000), st.floats(0.01, 1.0), st.sampled_from([(9, 9), (8, 12), (2, 2)]))
def test_euclidean_moves_use_the_whole_budget(seed: int, area: float, shape: tuple[int, int]) -> None:
    g = torch.Generator().manual_seed(seed)
    rng = ExampleRandom(seed, "t", "abc")
    change = tiles(torch.zeros(3, 2, *shape), torch.arange(3), rng, 1.5)
    for _ in range(3):
        assert torch.allclose(change.flatten(1).norm(dim=1), torch.tensor(1.5), rtol=1e-4)
        change = move_mass(change, torch.full((3,), area), torch.rand(3, draws_of(2), generator=g), 1.5)


def test_stripes_are_vertical_and_one_pixel_wide() -> None:
    found = stripes(torch.zeros(4, 3, 5, 6), torch.arange(4), ExampleRandom(0, "t", "abcd"), 0.2)
    assert torch.equal(found, found[:, :, :1].expand_as(found))
    assert torch.allclose(found.abs(), torch.tensor(0.2))
    assert len({tuple(row.tolist()) for row in found[:, :, 0].flatten(0, 1)}) > 6


@pytest.mark.parametrize("side", [2, 3, 5, 8])
def test_a_bump_has_two_lobes_of_opposite_sign_and_length_one(side: int) -> None:
    shape = bump(side)
    assert float(shape.norm()) == pytest.approx(1.0, abs=1e-5)
    assert float(shape[: side // 2].min()) > 0 > float(shape[side // 2 :].max())


@pytest.mark.parametrize(("budget", "dual"), [(Linf(0.06), 1), (L2(0.6), 2)])
def test_it_comes_near_the_optimum_of_a_linear_model_with_scores_alone(budget: Linf | L2, dual: int) -> None:
    module = Linear(2, 5)

    class Far(nn.Module):
        """Out of reach, so that nobody leaves early: what is measured is the margin gained."""

        def forward(self, x: Tensor) -> Tensor:
            return module(x) + torch.tensor([100.0, 0.0])

    model = TorchModel(Far().eval())
    data = examples(model, 4)
    candidates, oracle = attacked(Square(queries=600), model, data, budget)
    gain = margin(model.logits(candidates), data.labels) - margin(model.logits(data.inputs), data.labels)
    optimum = budget.epsilon * float((module.w[1] - module.w[0]).detach().norm(p=dual))
    assert float((gain / optimum).min()) > (0.6 if dual == 1 else 0.35)
    assert oracle.queries.tolist() == [600] * 4
