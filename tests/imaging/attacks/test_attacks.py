"""Attacks against a linear model, where the best adversarial example is known in closed form."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from mithridate.attack import Examples
from mithridate.budget import L2, Linf
from mithridate.errors import QueryLimitReached
from mithridate.imaging.attacks import FGSM, PGD, RandomNoise, WorstRotation
from mithridate.imaging.attacks.losses import margin
from mithridate.imaging.rotation import Rotation, rotate
from mithridate.models.torch_module import TorchModel
from mithridate.oracle import Decisions, Gradients, Scores
from mithridate.seeds import ExampleRandom

SHAPE = (3, 6, 6)


class Linear(nn.Module):
    """logit of class 1 = w . x + b, logit of class 0 = 0."""

    def __init__(self, seed: int = 0, bias: float = 0.0) -> None:
        super().__init__()
        g = torch.Generator().manual_seed(seed)
        self.w = nn.Parameter(torch.randn(SHAPE, generator=g))
        self.b = nn.Parameter(torch.tensor(bias))

    def forward(self, x: Tensor) -> Tensor:
        z = (x * self.w).flatten(1).sum(1) + self.b
        return torch.stack([torch.zeros_like(z), z], 1)


def examples(model: TorchModel, n: int = 12, seed: int = 0, inside: bool = True) -> Examples:
    """Correctly labelled examples; `inside` keeps pixels off the ends of the range, so that clipping plays no part."""
    g = torch.Generator().manual_seed(seed)
    x = torch.rand(n, *SHAPE, generator=g)
    if inside:
        x = 0.4 + 0.2 * x
    labels = model.logits(x).argmax(1)
    return Examples(x, labels, tuple(f"e{i}" for i in range(n)), targets=1 - labels)


def rng(ids: tuple[str, ...], seed: int = 0) -> ExampleRandom:
    return ExampleRandom(seed, "test", ids)


def run(attack: Any, module: nn.Module, budget: Any, **kwargs: Any) -> tuple[Examples, Tensor, Gradients]:
    model = TorchModel(module.eval())
    data = examples(model, **kwargs)
    oracle = Gradients(model, len(data))
    return data, attack.run(oracle, data, budget, rng(data.ids)), oracle


@pytest.mark.parametrize("loss", ["margin", "cross-entropy"])
@pytest.mark.parametrize("targeted", [False, True])
@pytest.mark.parametrize(("budget", "dual"), [(Linf(0.05), 1), (L2(0.3), 2)])
def test_pgd_reaches_the_optimum_of_a_linear_model(budget: Any, dual: int, loss: str, targeted: bool) -> None:
    """The margin can rise by exactly epsilon times the dual norm of the weights."""
    module = Linear(bias=0.3)
    attack = PGD(steps=40, step_size=budget.epsilon / 4, loss=loss, targeted=targeted)
    data, candidates, _ = run(attack, module, budget)
    model = TorchModel(module.eval())
    gain = margin(model.logits(candidates), data.labels) - margin(model.logits(data.inputs), data.labels)
    optimum = budget.epsilon * float(module.w.detach().flatten().norm(p=dual))
    assert float((gain / optimum).min()) > 0.99
    assert float((gain / optimum).max()) < 1 + 1e-4
    assert float(budget.violation(data.inputs, candidates).max()) == 0


def test_fgsm_is_exact_on_a_linear_model() -> None:
    module = Linear()
    data, candidates, oracle = run(FGSM(), module, Linf(0.03))
    sign = torch.where(data.labels == 1, -1.0, 1.0).view(-1, 1, 1, 1)
    assert torch.allclose(candidates, data.inputs + 0.03 * sign * module.w.detach().sign(), atol=1e-6)
    assert oracle.gradients.tolist() == [1] * len(data)


@settings(max_examples=25, deadline=None)
@given(
    st.sampled_from([FGSM(), PGD(steps=3), PGD(steps=2, restarts=2, every_step=False), RandomNoise(), RandomNoise(3)]),
    st.one_of(st.floats(0, 0.5).map(Linf), st.floats(0, 4).map(L2)),
    st.integers(0, 50),
)
def test_no_attack_leaves_its_budget(attack: Any, budget: Any, seed: int) -> None:
    data, candidates, _ = run(attack, Linear(seed), budget, seed=seed, inside=False)
    assert float(budget.violation(data.inputs, candidates).max()) == 0


@pytest.mark.parametrize("attack", [FGSM(), PGD(steps=5), RandomNoise(4)])
def test_no_budget_no_change(attack: Any) -> None:
    data, candidates, _ = run(attack, Linear(), Linf(0.0))
    assert torch.equal(candidates, data.inputs)


class Constant(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x.new_tensor([1.0, 0.0]).expand(len(x), 2) + 0 * x.flatten(1)[:, :2]


@pytest.mark.parametrize("attack", [FGSM(), PGD(steps=5, restarts=2), RandomNoise(4)])
def test_a_constant_model_cannot_be_fooled(attack: Any) -> None:
    module = Constant()
    data, candidates, _ = run(attack, module, Linf(0.5))
    assert TorchModel(module.eval()).logits(candidates).argmax(1).tolist() == data.labels.tolist()


def test_pgd_returns_the_best_iterate_also_when_the_last_step_overshoots() -> None:
    """A narrow bump: steps of fixed size pass over its top, and the last iterate is worse than an earlier one."""

    class Bump(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            z = -(x.flatten(1).mean(1) - 0.53).abs() * 100 + 1
            return torch.stack([torch.zeros_like(z), z], 1)

    x = torch.full((1, *SHAPE), 0.5)
    data = Examples(x, torch.tensor([0]), ("a",))
    model = TorchModel(Bump().eval())
    attack = PGD(steps=3, step_size=0.025, random_start=False)
    candidate = attack.run(Gradients(model, 1), data, Linf(0.2), rng(("a",)))
    # The iterates' means are 0.5, 0.525, 0.55 and 0.525: the best of them is 0.525.
    assert float(candidate.mean()) == pytest.approx(0.525, abs=1e-4)


def test_leaving_when_fooled_saves_gradients_and_keeps_success() -> None:
    module = Linear()
    data, all_steps, full = run(PGD(steps=30, every_step=True), module, Linf(0.2))
    _, early, short = run(PGD(steps=30, every_step=False), module, Linf(0.2))
    model = TorchModel(module.eval())
    fooled = [(model.logits(c).argmax(1) != data.labels).tolist() for c in (all_steps, early)]
    assert fooled[0] == fooled[1]
    assert all(fooled[0])
    assert int(short.gradients.sum()) < int(full.gradients.sum()) / 2


@pytest.mark.parametrize("attack", [PGD(steps=4, restarts=2), PGD(steps=4, every_step=False), RandomNoise(3), FGSM()])
def test_company_and_order_do_not_matter(attack: Any) -> None:
    module = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(64, 2)).eval()
    model = TorchModel(module, kernel_batch=4)
    data = examples(model, n=11)
    together = attack.run(Gradients(model, 11), data, Linf(0.05), rng(data.ids))
    for part in ([7], [10, 3, 0]):
        some = Examples(data.inputs[part], data.labels[part], tuple(data.ids[i] for i in part))
        assert torch.equal(attack.run(Gradients(model, len(part)), some, Linf(0.05), rng(some.ids)), together[part])


def test_worst_rotation_finds_the_angle_that_a_grid_search_finds() -> None:
    module = Linear(3).eval()
    model = TorchModel(module)
    data = examples(model, inside=False)
    budget = Rotation(30.0)
    candidates = WorstRotation(angles=13).run(Scores(model, len(data)), data, budget, rng(data.ids))
    for row in range(len(data)):
        x = data.inputs[row : row + 1]
        losses = [
            float(margin(model.logits(rotate(x, torch.tensor([a]))), data.labels[row : row + 1]))
            for a in torch.linspace(-30, 30, 13).tolist()
        ]
        found = float(margin(model.logits(candidates[row : row + 1]), data.labels[row : row + 1]))
        assert found == pytest.approx(max(losses), abs=1e-5)


def test_a_black_box_holds_no_gradients() -> None:
    model = TorchModel(Linear().eval())
    with pytest.raises(AttributeError):
        PGD(steps=1).run(Scores(model, 12), examples(model), Linf(0.1), rng(tuple("abcdefghijkl")))  # type: ignore[arg-type]


def test_the_query_limit_stops_before_the_model_is_asked() -> None:
    asked: list[int] = []

    class Spy(Linear):
        def forward(self, x: Tensor) -> Tensor:
            asked.append(len(x))
            return super().forward(x)

    model = TorchModel(Spy().eval())
    data = examples(model)
    oracle = Decisions(model, len(data), limit=2)
    asked.clear()
    rows = torch.arange(len(data))
    oracle.decide(data.inputs, rows)
    oracle.decide(data.inputs[:3], rows[:3])
    before = len(asked)
    with pytest.raises(QueryLimitReached):
        oracle.decide(data.inputs, rows)
    assert len(asked) == before
    assert oracle.queries.tolist() == [2, 2, 2] + [1] * 9
