"""What every attack promises: it stays in its budget, does not depend on company, and fails where it must."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from imaging.attacks.known import SHAPE, Constant, Linear, attacked, examples, fooled, network, rng, some
from mithridate.attack import Examples
from mithridate.budget import L2, Linf
from mithridate.imaging.attacks import (
    APGD,
    FAB,
    FGSM,
    PGD,
    AdversarialPatch,
    AnyFinding,
    Borderline,
    Boundary,
    CarliniWagner,
    CheapToDear,
    DeepFool,
    Diverse,
    FiniteDifferences,
    HopSkipJump,
    MinimumNorm,
    MotionGrid,
    RandomNoise,
    Square,
    StandardEnsemble,
    TargetedAPGD,
    UniversalPerturbation,
    WorstMotion,
)
from mithridate.imaging.budgets import Patch, RotationTranslation
from mithridate.models.torch_module import TorchModel
from mithridate.oracle import Decisions, Gradients, Scores

WHITE = [
    FGSM(),
    FGSM("dlr"),
    PGD(steps=4, restarts=2),
    PGD(steps=4, momentum=1.0, every_step=False),
    APGD(steps=12),
    APGD(steps=12, loss="dlr", restarts=2),
    TargetedAPGD(steps=10, classes=3),
    FAB(steps=5, classes=2, restarts=2),
    FAB(steps=5, inside_is_enough=True),
    DeepFool(steps=5),
    MinimumNorm(steps=10),
    Diverse(PGD(steps=3, momentum=1.0)),
    Borderline(PGD(steps=3), gap=1.0),
    StandardEnsemble(steps=8, classes=2, queries=12),
    CheapToDear(steps=8, classes=2, queries=12, quick=3),
    UniversalPerturbation(torch.linspace(-1, 1, 108).view(SHAPE)),
]
SCORES = [Square(queries=20), Square(queries=8, restarts=2), FiniteDifferences(steps=3, directions=4, kind="pixels")]
LABELS = [HopSkipJump(steps=2, first_draws=10), Boundary(steps=10), RandomNoise(3)]
BALLS = [*WHITE, *SCORES, *LABELS]
NAMES = [type(attack).__name__ for attack in BALLS]
MOTIONS = [WorstMotion(4), MotionGrid(3, 2)]
CARLINI_WAGNER = CarliniWagner(steps=10, searches=2)
ORACLES = {
    **dict.fromkeys(map(id, [*WHITE, CARLINI_WAGNER]), Gradients),
    **dict.fromkeys(map(id, [*SCORES, *MOTIONS]), Scores),
}


def run(attack: Any, model: TorchModel, data: Examples, budget: Any, limit: int | None = None) -> tuple[Tensor, Any]:
    """With the least knowledge that the attack claims to need."""
    oracle = ORACLES.get(id(attack), Decisions)(model, len(data), limit)
    return attack.run(oracle, data, budget, rng(data)), oracle


@settings(max_examples=100, deadline=None)
@given(
    st.sampled_from(BALLS),
    st.one_of(st.floats(0, 0.6).map(Linf), st.floats(0, 6).map(L2)),
    st.integers(0, 100),
    st.sampled_from([2, 3, 5]),
)
def test_no_attack_leaves_its_budget(attack: Any, budget: Any, seed: int, classes: int) -> None:
    model = TorchModel(Linear(classes, seed).eval())
    data = examples(model, 3, seed, inside=False)
    candidates, _ = run(attack, model, data, budget)
    assert candidates.shape == data.inputs.shape
    assert float(budget.violation(data.inputs, candidates).max()) == 0.0


@settings(max_examples=8, deadline=None)
@given(st.floats(0, 6), st.integers(0, 100))
def test_carlini_wagner_does_not_leave_its_budget(epsilon: float, seed: int) -> None:
    model = TorchModel(Linear(3, seed).eval())
    data = examples(model, 3, seed, inside=False)
    candidates, _ = run(CARLINI_WAGNER, model, data, L2(epsilon))
    assert float(L2(epsilon).violation(data.inputs, candidates).max()) == 0.0


@settings(max_examples=12, deadline=None)
@given(st.floats(0.01, 0.5), st.integers(0, 100), st.sampled_from([(3, 9, 9), (1, 9, 12)]))
def test_no_patch_leaves_its_disc(area: float, seed: int, shape: tuple[int, ...]) -> None:
    model = TorchModel(Linear(2, seed, shape).eval())
    data = examples(model, 4, seed, shape, inside=False)
    patch = torch.rand(shape[0], 7, 7, generator=torch.Generator().manual_seed(seed))
    candidates, _ = run(AdversarialPatch(patch), model, data, Patch(area))
    assert float(Patch(area).violation(data.inputs, candidates).max()) == 0.0


@pytest.mark.parametrize("attack", MOTIONS)
def test_no_motion_leaves_its_budget(attack: Any) -> None:
    model = TorchModel(network())
    smooth = torch.nn.functional.interpolate(torch.rand(2, 3, 5, 5), size=(24, 24), mode="bicubic").clamp(0, 1)
    data = Examples(smooth, model.logits(smooth).argmax(1), ("a", "b"))
    budget = RotationTranslation(12.0, 2.0)
    candidates, _ = run(attack, model, data, budget)
    assert float(budget.violation(data.inputs, candidates).max()) == 0.0


@pytest.mark.parametrize("attack", BALLS, ids=NAMES)
@pytest.mark.parametrize("budget", [Linf(0.0), L2(0.0)], ids=["linf", "l2"])
def test_no_budget_no_change(attack: Any, budget: Any) -> None:
    model = TorchModel(Linear(3).eval())
    data = examples(model, 4)
    candidates, _ = run(attack, model, data, budget)
    assert torch.allclose(candidates, data.inputs, atol=1e-7)
    assert not any(fooled(model, candidates, data))


@pytest.mark.parametrize("attack", BALLS, ids=NAMES)
@pytest.mark.parametrize("classes", [2, 4])
def test_a_constant_model_cannot_be_fooled_and_harms_no_attack(attack: Any, classes: int) -> None:
    model = TorchModel(Constant(classes).eval())
    data = examples(model, 3, inside=False)
    candidates, _ = run(attack, model, data, Linf(0.3))
    assert not any(fooled(model, candidates, data))
    assert bool(torch.isfinite(candidates).all())
    assert float(Linf(0.3).violation(data.inputs, candidates).max()) == 0.0


@pytest.mark.parametrize("attack", BALLS, ids=NAMES)
def test_company_and_order_do_not_matter(attack: Any) -> None:
    """More examples than lanes, so that lanes are refilled, against few and in another order."""
    torch.set_num_threads(1)
    model = TorchModel(network(3), kernel_batch=16)
    data = examples(model, 18)
    together, counted = run(attack, model, data, Linf(0.05))
    part = [17, 4, 11]
    alone, alone_counted = run(attack, model, some(data, part), Linf(0.05))
    assert torch.equal(alone, together[part])
    assert torch.equal(alone_counted.queries, counted.queries[part])


@pytest.mark.parametrize("attack", BALLS, ids=NAMES)
@pytest.mark.parametrize("limit", [0, 1, 7])
def test_a_query_limit_is_kept_and_what_was_found_is_returned(attack: Any, limit: int) -> None:
    model = TorchModel(Linear(3).eval())
    data = examples(model, 4)
    candidates, oracle = run(attack, model, data, Linf(0.2), limit)
    assert int(oracle.queries.max()) <= limit
    assert float(Linf(0.2).violation(data.inputs, candidates).max()) == 0.0


class OneLogit(nn.Module):
    """A sigmoid head's logit."""

    def __init__(self) -> None:
        super().__init__()
        self.two = Linear(2, 5)

    def forward(self, x: Tensor) -> Tensor:
        z = self.two(x)
        return z[:, 1:] - z[:, :1]


STRONG = [
    PGD(steps=20, loss="margin"),
    PGD(steps=20, loss="cross-entropy"),
    PGD(steps=20, loss="dlr"),
    APGD(steps=20),
    APGD(steps=20, loss="dlr"),
    TargetedAPGD(steps=20),
    FAB(steps=20),
    DeepFool(),
    MinimumNorm(60),
    Square(300),
    StandardEnsemble(steps=20, queries=50),
]


@pytest.mark.parametrize("attack", STRONG, ids=[str(attack) for attack in STRONG])
@pytest.mark.parametrize("head", ["two", "three", "five", "sigmoid", "multilabel"])
def test_every_head_falls_to_every_attack(attack: Any, head: str) -> None:
    """A linear model at twice its distance: whoever fails here has lost its gradient to the head."""
    data_budget = Linf(0.15)
    if head == "multilabel":
        raw = TorchModel(Linear(4, 6).eval(), "logits")
        x = 0.4 + 0.2 * torch.rand(5, *SHAPE, generator=torch.Generator().manual_seed(0))
        findings = raw.logits(x) > 0
        data = Examples(x, torch.zeros(5, dtype=torch.int64), tuple("abcde"))
        oracle = AnyFinding(Gradients(raw, 5), findings)
        candidates = attack.run(oracle, data, data_budget, rng(data))
        assert bool(((raw.logits(candidates) > 0) != findings).any(1).all())
        return
    model = (
        TorchModel(OneLogit().eval(), "logit")
        if head == "sigmoid"
        else TorchModel(Linear({"two": 2, "three": 3, "five": 5}[head], 6).eval())
    )
    data = examples(model, 5)
    candidates, _ = attacked(attack, model, data, data_budget)
    assert all(fooled(model, candidates, data))
