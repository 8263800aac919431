"""Views of the gradient oracle: expectation, backward pass, diversity, multilabel heads."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from imaging.attacks.known import SHAPE, Linear, examples, fooled, network, rng
from mithridate.budget import Linf
from mithridate.imaging.attacks import PGD, AnyFinding, BackwardPass, Diverse, Expectation, InputDiversity
from mithridate.imaging.attacks.losses import cross_entropy, margin
from mithridate.imaging.attacks.views import noisy
from mithridate.models.torch_module import TorchModel
from mithridate.oracle import Gradients, Scores


def test_the_expectation_is_the_mean_over_draws_and_each_draw_is_charged() -> None:
    """With the transformation x -> s x, s drawn per example, the mean gradient of a linear loss is w times mean s."""
    model = TorchModel(Linear(2, 1).eval())
    data = examples(model, 3)
    rows, draws = torch.arange(3), rng(data).uniform(torch.arange(3), (4,))
    used = iter(draws.T)
    oracle = Gradients(model, 3)
    seen = Expectation(oracle, 4, lambda x, _: x * next(used).view(-1, 1, 1, 1))
    _, _, gradient = seen.loss_and_gradient(data.inputs, data.labels, rows, margin)
    _, _, plain = Gradients(model, 3).loss_and_gradient(data.inputs, data.labels, rows, margin)
    assert torch.allclose(gradient, plain * draws.mean(1).view(-1, 1, 1, 1), atol=1e-6)
    assert oracle.queries.tolist() == [4] * 3


class Quantized(nn.Module):
    """A defense without a gradient in front of a linear model."""

    def __init__(self, inner: Linear) -> None:
        super().__init__()
        self.inner = inner

    def forward(self, x: Tensor) -> Tensor:
        return self.inner((x * 16).round() / 16)


def test_bpda_walks_through_a_defense_that_stops_the_plain_attack() -> None:
    inner = Linear(2, 3)
    defended, bare = TorchModel(Quantized(inner).eval()), TorchModel(inner.eval())
    data = examples(defended, 8)
    attack, budget = PGD(steps=20, random_start=False), Linf(0.12)
    plain = attack.run(Gradients(defended, 8), data, budget, rng(data))
    seen = BackwardPass(Gradients(bare, 8), lambda x, _: (x * 16).round() / 16)
    through = attack.run(seen, data, budget, rng(data))
    assert not any(fooled(defended, plain, data))
    assert all(fooled(defended, through, data))


def test_bpda_uses_the_stated_backward_pass() -> None:
    model = TorchModel(Linear(2, 3).eval())
    data = examples(model, 2)
    rows = torch.arange(2)
    seen = BackwardPass(Gradients(model, 2), lambda x, _: x.round(), lambda x, _: 3 * x)
    _, _, gradient = seen.loss_and_gradient(data.inputs, data.labels, rows, margin)
    _, _, plain = Gradients(model, 2).loss_and_gradient(data.inputs.round(), data.labels, rows, margin)
    assert torch.allclose(gradient, 3 * plain)
    assert torch.equal(seen.decide(data.inputs, rows), model.logits(data.inputs.round()).argmax(1))


def test_views_stack_and_attacks_do_not_notice() -> None:
    """A smoothing defense behind quantization, attacked by averaging over its noise."""
    inner = Linear(2, 3)
    model = TorchModel(inner.eval())
    data = examples(model, 5)
    oracle = Gradients(model, 5)
    bpda = BackwardPass(oracle, lambda x, _: (x * 16).round() / 16)
    seen = Expectation(bpda, 3, noisy(rng(data, 5), 0.05))
    candidates = PGD(steps=10).run(seen, data, Linf(0.12), rng(data))
    assert all(fooled(model, candidates, data))
    assert oracle.queries.tolist() == [3 * 11] * 5


def test_diversity_shrinks_within_the_frame_and_only_the_gradient_sees_it() -> None:
    model = TorchModel(network(2))
    data = examples(model, 6, shape=(3, 20, 20))
    rows, whole = torch.arange(6), Gradients(model, 6)
    never = InputDiversity(whole, rng(data), probability=0.0)
    _, _, gradient = never.loss_and_gradient(data.inputs, data.labels, rows, margin)
    _, _, plain = whole.loss_and_gradient(data.inputs, data.labels, rows, margin)
    assert torch.allclose(gradient, plain, atol=1e-5)
    always = InputDiversity(whole, rng(data), probability=1.0, smallest=0.5)
    shown = always._shrunk(torch.ones(6, 1, 20, 20), rows)
    covered = (shown > 0.5).flatten(1).float().mean(1)
    assert bool(((covered >= 0.2) & (covered <= 1.0)).all())
    assert len(set(covered.tolist())) > 2
    assert torch.equal(always.scores(data.inputs, rows), model.logits(data.inputs))
    candidates = Diverse(PGD(steps=4, momentum=1.0)).run(whole, data, Linf(0.03), rng(data))
    assert float(Linf(0.03).violation(data.inputs, candidates).max()) == 0.0


def test_any_finding_is_turned_exactly_when_one_sigmoid_crosses_its_threshold() -> None:
    raw = TorchModel(Linear(4, 6).eval())
    x = torch.rand(8, *SHAPE, generator=torch.Generator().manual_seed(0))
    findings = raw.logits(x) > 0
    seen = AnyFinding(Scores(raw, 8), findings)
    rows = torch.arange(8)
    assert seen.decide(x, rows).tolist() == [0] * 8
    y = torch.rand(8, *SHAPE, generator=torch.Generator().manual_seed(1))
    turned = ((raw.logits(y) > 0) != findings).any(1)
    assert torch.equal(seen.decide(y, rows) == 1, turned)
    # Rows are the oracle's examples, not places in the batch.
    assert torch.equal(seen.decide(y[[5, 2]], torch.tensor([5, 2])) == 1, turned[[5, 2]])


def test_any_finding_has_the_gradient_of_its_weakest_finding() -> None:
    raw = TorchModel(Linear(4, 6).eval(), kernel_batch=2)  # smaller than the batch: labels must travel with examples
    x = torch.rand(5, *SHAPE, generator=torch.Generator().manual_seed(0))
    findings = raw.logits(x) > 0
    seen, rows, label = AnyFinding(Gradients(raw, 5), findings), torch.arange(5), torch.zeros(5, dtype=torch.int64)
    _, value, gradient = seen.loss_and_gradient(x, label, rows, margin)
    logits = raw.logits(x)
    weakest = logits.abs().argmin(1)
    assert torch.allclose(value, -logits.abs().amin(1), atol=1e-5)
    sign = torch.where(findings[rows, weakest], -1.0, 1.0).view(-1, 1, 1, 1)
    weights = Linear(4, 6).w.detach().view(4, *SHAPE)
    assert torch.allclose(gradient, sign * weights[weakest], atol=1e-5)
    _, value, _ = seen.loss_and_gradient(x, label, rows, cross_entropy)
    assert torch.allclose(value, torch.log1p(torch.exp(-logits.abs().amin(1))), atol=1e-5)


def test_a_view_offers_no_more_than_the_oracle_behind_it() -> None:
    model = TorchModel(Linear().eval())
    data = examples(model, 2)
    seen = BackwardPass(Scores(model, 2), lambda x, _: x)
    with pytest.raises(AttributeError, match="loss_and_gradient"):
        PGD(steps=1).run(seen, data, Linf(0.1), rng(data))
