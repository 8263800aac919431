"""Walking on a copy: whatever the copy believes, only what the caller's own model confirms counts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from imaging.attacks.known import Linear, examples, fooled, network, rng, some
from mithridate.budget import L2, Linf
from mithridate.imaging.attacks import APGD, FAB, FGSM, PGD, DeepFool, Square, TargetedAPGD
from mithridate.imaging.attacks.borderline import Borderline
from mithridate.imaging.attacks.ensembles import Ensemble, StandardEnsemble
from mithridate.imaging.engine.oracles import is_scout
from mithridate.imaging.engine.scout import Scout, fast_model, run_scouted
from mithridate.models.torch_module import TorchModel
from mithridate.oracle import Gradients

EARLY = [
    PGD(steps=25, every_step=False),
    APGD(steps=25),
    TargetedAPGD(steps=25),
    Square(queries=300),
    DeepFool(),
    FAB(steps=25, inside_is_enough=True),
]


class Credulous(nn.Module):
    """The model with its boundary drawn nearer to class 1: from there it believes in a success too early."""

    def __init__(self, inner: Linear, shift: float) -> None:
        super().__init__()
        self.inner, self.shift = inner, shift

    def forward(self, x: Tensor) -> Tensor:
        return self.inner(x) + self.shift * torch.tensor([1.0, 0.0])


@pytest.mark.parametrize("attack", EARLY, ids=[type(a).__name__ for a in EARLY])
def test_a_copy_that_claims_too_early_is_not_believed(attack: Any) -> None:
    """Every example can be fooled within the budget; the copy claims so half-way."""
    own = Linear(2, 4)
    model = TorchModel(own.eval())
    whole = examples(model, 24)
    data = some(whole, (whole.labels == 1).nonzero().flatten().tolist())
    logits = model.logits(data.inputs)
    copy = TorchModel(Credulous(own, float((logits[:, 1] - logits[:, 0]).min()) / 2).eval())
    assert not any(fooled(copy, data.inputs, data))
    candidates, _ = run_scouted(attack, model, copy, data, Linf(0.15), rng(data))
    assert all(fooled(model, candidates, data))
    assert float(Linf(0.15).violation(data.inputs, candidates).max()) == 0.0


@pytest.mark.parametrize("attack", EARLY, ids=[type(a).__name__ for a in EARLY])
@pytest.mark.parametrize("budget", [Linf(0.15), L2(1.0)], ids=["linf", "l2"])
def test_the_scout_finds_what_float32_finds(attack: Any, budget: Any) -> None:
    module = network(3, seed=2)
    model = TorchModel(module)
    data = examples(model, 9, shape=(3, 10, 10))
    exact = attack.run(Gradients(model, 9), data, budget, rng(data))
    scouted, _ = run_scouted(attack, model, fast_model(module, data.inputs), data, budget, rng(data))
    differ = sum(a != b for a, b in zip(fooled(model, exact, data), fooled(model, scouted, data), strict=True))
    assert differ <= 1


def test_decisions_are_the_models_own_and_gradients_the_copys() -> None:
    model, copy = TorchModel(Linear(2, 1).eval()), TorchModel(Linear(2, 2).eval())
    data = examples(model)
    rows = torch.arange(len(data))
    scout = Scout(model, copy, len(data))
    assert torch.equal(scout.decide(data.inputs, rows), model.logits(data.inputs).argmax(1))
    assert torch.equal(scout.scores(data.inputs, rows), copy.logits(data.inputs))
    assert scout.queries.tolist() == [2] * len(data)
    loss = lambda logits, labels: logits.gather(1, labels[:, None])[:, 0]  # noqa: E731
    _, _, gradient = scout.loss_and_gradient(data.inputs, data.labels, rows, loss)
    _, _, expected = copy.logits_and_gradient(data.inputs, data.labels, loss)
    assert torch.equal(gradient, expected)
    assert scout.gradients.tolist() == [1] * len(data)


def test_a_copy_that_never_sees_success_costs_none_of_it() -> None:
    """The copy is another model altogether: what is returned as fooled is what the model itself says."""
    model = TorchModel(Linear(2, 1).eval())
    data = examples(model)
    ensemble = Ensemble((FGSM("margin"), PGD(steps=5, every_step=False)))
    candidates, scout = run_scouted(ensemble, model, TorchModel(Linear(2, 7).eval()), data, Linf(0.01), rng(data))
    assert float(Linf(0.01).violation(data.inputs, candidates).max()) == 0.0
    assert int(scout.queries.min()) > 0


def test_the_standard_ensemble_on_a_scout_is_the_standard_ensemble() -> None:
    module = network(4, seed=1)
    model = TorchModel(module)
    data = examples(model, 8, shape=(3, 10, 10))
    ensemble = StandardEnsemble(steps=15, classes=3, queries=40)
    exact = ensemble.run(Gradients(model, 8), data, Linf(0.04), rng(data))
    scouted, _ = run_scouted(ensemble, model, fast_model(module, data.inputs), data, Linf(0.04), rng(data))
    differ = sum(a != b for a, b in zip(fooled(model, exact, data), fooled(model, scouted, data), strict=True))
    assert differ <= 1


@pytest.mark.parametrize("attack", EARLY, ids=[type(a).__name__ for a in EARLY])
def test_on_a_copy_in_half_precision_company_and_order_do_not_matter(attack: Any) -> None:
    torch.set_num_threads(1)
    module = network(3, seed=2)
    model = TorchModel(module)
    data = examples(model, 18, shape=(3, 10, 10))
    copy = fast_model(module, data.inputs)
    part = [17, 4, 11]
    together, counted = run_scouted(attack, model, copy, data, Linf(0.05), rng(data))
    few = some(data, part)
    alone, alone_counted = run_scouted(attack, model, copy, few, Linf(0.05), rng(few))
    assert torch.equal(alone, together[part])
    assert torch.equal(alone_counted.queries, counted.queries[part])


def test_a_success_that_the_model_has_confirmed_is_not_asked_about_again() -> None:
    class Counting(TorchModel):
        asked = 0

        def logits(self, inputs: Tensor) -> Tensor:
            Counting.asked += len(inputs)
            return super().logits(inputs)

    own = Linear(2, 4).eval()
    data = examples(TorchModel(own), 8)
    model = Counting(own)
    attack = PGD(steps=5, every_step=False)
    candidates, _ = run_scouted(attack, model, TorchModel(own), data, Linf(0.3), rng(data))
    assert Counting.asked == len(data)
    assert all(fooled(model, candidates, data))


def test_what_lies_outside_the_budget_gives_no_doubt_about_who_holds_out() -> None:
    """FAB's smallest change sits on the copy's boundary, which is never quite the model's own: where it is larger than
    the budget, that is no reason to attack the example again."""

    class Counting(TorchModel):
        gradients = 0

        def logits_and_gradient(self, inputs: Tensor, labels: Tensor, loss: Any) -> tuple[Tensor, Tensor, Tensor]:
            Counting.gradients += len(inputs)
            return super().logits_and_gradient(inputs, labels, loss)

        def with_batch(self, kernel_batch: int) -> TorchModel:
            return self

    own = Linear(2, 4).eval()
    model = Counting(own)
    whole = examples(model, 24)
    data = some(whole, (whole.labels == 1).nonzero().flatten().tolist())
    copy = TorchModel(Credulous(own, 0.01).eval())
    candidates, scout = run_scouted(FAB(25, inside_is_enough=True), model, copy, data, Linf(1e-4), rng(data))
    assert not any(fooled(model, candidates, data))
    assert not bool(scout.denied.any())
    assert Counting.gradients == 0


def test_of_an_ensemble_only_the_attack_that_was_given_a_false_hope_runs_again() -> None:
    calls: list[tuple[str, bool, int]] = []

    @dataclass(frozen=True)
    class Noted:
        name: str
        attack: Any

        def run(self, oracle: Any, data: Any, budget: Any, streams: Any) -> Tensor:
            calls.append((self.name, is_scout(oracle), len(data)))
            candidates: Tensor = self.attack.run(oracle, data, budget, streams)
            return candidates

    class Idle:
        def run(self, oracle: Any, data: Any, budget: Any, streams: Any) -> Tensor:
            return data.inputs.clone()

    own = Linear(2, 4).eval()
    model = TorchModel(own)
    whole = examples(model, 24)
    data = some(whole, (whole.labels == 1).nonzero().flatten().tolist())
    logits = model.logits(data.inputs)
    margins = logits[:, 1] - logits[:, 0]
    copy = TorchModel(Credulous(own, float(margins.min()) - 1e-4).eval())
    parts = (Noted("idle", Idle()), Noted("pgd", PGD(steps=5, every_step=False)), Noted("last", Idle()))
    for ensemble in (Ensemble(parts), Borderline(Ensemble(parts), gap=1.0)):
        calls.clear()
        candidates, scout = run_scouted(ensemble, model, copy, data, Linf(1e-5), rng(data))
        assert not any(fooled(model, candidates, data))
        assert not bool(scout.denied.any())
        everyone = len(data)
        deceived = calls[2][2]
        assert 0 < deceived < everyone
        assert calls == [
            ("idle", True, everyone),
            ("pgd", True, everyone),
            ("pgd", False, deceived),
            ("last", True, everyone),
        ]
        assert int(scout.gradients.max()) == 10  # 5 on the copy and 5 on the model, all counted
        assert int(scout.gradients.min()) == 5
