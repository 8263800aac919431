"""Models whose own backward pass says nothing, and what stands in for it."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from imaging.attacks.known import Linear, attacked, distances, examples, fooled, rng
from mithridate.attack import Examples
from mithridate.budget import Linf
from mithridate.imaging.attacks import APGD, PGD, StraightThrough, SurrogateBackward
from mithridate.models.torch_module import TorchModel
from mithridate.oracle import Gradients, Scores


class Stairs(nn.Module):
    """A linear model behind an operator that is flat almost everywhere."""

    def __init__(self, inner: Linear, how: str) -> None:
        super().__init__()
        self.inner, self.how = inner, how

    def forward(self, x: Tensor) -> Tensor:
        if self.how == "round":
            return self.inner((x * 63).round() / 63)
        if self.how == "round in place":
            return self.inner((x * 63).round_() / 63)
        if self.how == "floor, as a function":
            return self.inner(torch.floor(x * 255) / 255)
        logits = self.inner(x)
        return torch.sign(logits - logits.mean(1, keepdim=True))


HOWS = ["round", "round in place", "floor, as a function", "sign"]


def behind_stairs(how: str) -> tuple[TorchModel, Examples, Linf]:
    inner = Linear(2, 4)
    model = TorchModel(Stairs(inner, how).eval())
    data = examples(model, 8)
    return model, data, Linf(2.0 * float(distances(inner, data, 1).max()) + 0.01)


@pytest.mark.parametrize("attack", [PGD(10, random_start=False), APGD(20)], ids=["pgd", "apgd"])
@pytest.mark.parametrize("how", HOWS)
def test_stairs_that_hide_the_gradient_are_walked_as_slopes(how: str, attack: PGD | APGD) -> None:
    model, data, budget = behind_stairs(how)
    hidden = Gradients(model, len(data))
    blind = attack.run(hidden, data, budget, rng(data))
    oracle = Gradients(model, len(data))
    seen = attack.run(StraightThrough(oracle), data, budget, rng(data))
    assert not all(fooled(model, blind, data))
    assert all(fooled(model, seen, data))
    assert float(budget.violation(data.inputs, seen).max()) == 0.0
    assert int(oracle.gradients.max()) > 0


@pytest.mark.parametrize("how", HOWS)
def test_what_comes_out_is_the_models_own_answer(how: str) -> None:
    model, data, _ = behind_stairs(how)
    rows = torch.arange(len(data))
    loss = lambda logits, labels: logits[:, 0]  # noqa: E731
    logits, _, _ = StraightThrough(Gradients(model, len(data))).loss_and_gradient(data.inputs, data.labels, rows, loss)
    assert torch.equal(logits, model.logits(data.inputs))


def test_an_exported_program_is_reached_too() -> None:
    module = Stairs(Linear(2, 4), "round").eval()
    data = examples(TorchModel(module), 4)
    program = torch.export.export(module, (data.inputs,)).module(check_guards=False)
    for part in program.modules():
        part.training = False
    model = TorchModel(program, kernel_batch=4)
    loss = lambda logits, labels: logits[:, 1] - logits[:, 0]  # noqa: E731
    rows = torch.arange(4)
    _, _, own = Gradients(model, 4).loss_and_gradient(data.inputs, data.labels, rows, loss)
    _, _, straight = StraightThrough(Gradients(model, 4)).loss_and_gradient(data.inputs, data.labels, rows, loss)
    slope = (module.inner.w[1] - module.inner.w[0]).detach().view(data.inputs.shape[1:])
    assert float(own.abs().max()) == 0.0
    assert torch.allclose(straight, slope.expand_as(straight), atol=1e-5)


class Cut(nn.Module):
    """Leaves torch and comes back: no gradient at all."""

    def __init__(self, inner: Linear) -> None:
        super().__init__()
        self.inner = inner

    def forward(self, x: Tensor) -> Tensor:
        return self.inner(torch.from_numpy(x.detach().numpy().copy()))


def test_a_surrogates_gradient_leads_where_there_is_none_and_the_model_is_asked_for_scores_only() -> None:
    inner = Linear(2, 4)
    model, other = TorchModel(Cut(inner).eval()), TorchModel(inner.eval())
    data = examples(other, 8)
    budget = Linf(1.1 * float(distances(inner, data, 1).max()))
    blind, _ = attacked(PGD(5, random_start=False), model, data, budget)
    assert torch.equal(blind, data.inputs)
    oracle = Scores(model, len(data))
    candidates = PGD(5, random_start=False).run(SurrogateBackward(oracle, other), data, budget, rng(data))
    assert all(fooled(model, candidates, data))
    assert oracle.queries.tolist() == [6] * len(data)
