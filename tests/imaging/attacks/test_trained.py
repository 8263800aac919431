"""Attacks that are trained first, on other images: the universal perturbation and the patch; and transfer."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from imaging.attacks.known import Linear, attacked, examples, fooled, network, rng, some
from mithridate.attack import Examples
from mithridate.budget import L2, Linf
from mithridate.errors import UserError
from mithridate.imaging.attacks import (
    FGSM,
    PGD,
    AdversarialPatch,
    Borderline,
    CheapToDear,
    Ensemble,
    PatchTraining,
    RandomNoise,
    UniversalPerturbation,
    UniversalTraining,
    transfer_matrix,
)
from mithridate.imaging.budgets import Patch
from mithridate.models.torch_module import TorchModel
from mithridate.oracle import Gradients


class Sums(nn.Module):
    """Class 1 when the image is bright: every image falls to the same perturbation."""

    def forward(self, x: Tensor) -> Tensor:
        z = (x - 0.5).flatten(1).mean(1) * 50 + 1
        return torch.stack([torch.zeros_like(z), z], 1)


@pytest.mark.parametrize("budget", [Linf(0.05), L2(0.6)])
def test_one_perturbation_learned_on_some_images_fools_others(budget: Linf | L2) -> None:
    model = TorchModel(Sums().eval())
    data = examples(model, 24)
    ones = (data.labels == 1).nonzero().flatten().tolist()
    train, test = some(data, ones[:6]), some(data, ones[6:])
    attack = UniversalTraining(epochs=5, batch=3).train(Gradients(model, len(train)), train, budget)
    candidates, oracle = attacked(attack, model, test, budget)
    assert all(fooled(model, candidates, test))
    assert float(budget.violation(test.inputs, candidates).max()) == 0.0
    assert int(oracle.queries.sum()) == 0
    # The same everywhere; in the middle of the range nothing is cut off.
    assert torch.allclose((candidates - test.inputs), attack.perturbation.expand_as(candidates), atol=1e-6)


def test_training_does_not_depend_on_the_order_of_the_examples() -> None:
    model = TorchModel(Linear(2, 1).eval())
    data = examples(model, 7)
    turned = some(data, [6, 2, 4, 0, 1, 3, 5])
    one, other = (UniversalTraining(epochs=2, batch=3).train(Gradients(model, 7), d, Linf(0.1)) for d in (data, turned))
    assert torch.equal(one.perturbation, other.perturbation)
    first, second = (
        PatchTraining(0, epochs=1, batch=3).train(Gradients(model, 7), d, Patch(0.2)) for d in (data, turned)
    )
    assert torch.equal(first.patch, second.patch)


def test_a_perturbation_of_another_size_is_refused() -> None:
    model = TorchModel(Linear().eval())
    with pytest.raises(UserError, match="train one at this size"):
        attacked(UniversalPerturbation(torch.zeros(3, 4, 4)), model, examples(model), Linf(0.1))


class Corner(nn.Module):
    """Class 2 wherever something white is seen: the largest mean of any 3 x 3 window; classes 0 and 1 by brightness."""

    def forward(self, x: Tensor) -> Tensor:
        white = nn.functional.avg_pool2d(x, 3, 1).flatten(1).amax(1)
        mean = x.flatten(1).mean(1)
        return torch.stack([2 - 2 * mean, 2 * mean, 4 * white - 2.0], 1)


def test_a_patch_is_learned_that_works_at_every_place_and_a_natural_one_does_not() -> None:
    model = TorchModel(Corner().eval())
    g = torch.Generator().manual_seed(0)
    x = 0.2 + 0.3 * torch.rand(12, 1, 16, 16, generator=g)
    data = Examples(x, model.logits(x).argmax(1), tuple(f"e{i}" for i in range(12)))
    assert 2 not in data.labels
    train, test, budget = some(data, list(range(6))), some(data, list(range(6, 12))), Patch(0.12)
    learned = PatchTraining(2, epochs=6, batch=6).train(Gradients(model, 6), train, budget)
    candidates, _ = attacked(learned, model, test, budget)
    assert model.logits(candidates).argmax(1).tolist() == [2] * 6
    places = {tuple((c != o).any(0).nonzero().amin(0).tolist()) for c, o in zip(candidates, test.inputs, strict=True)}
    assert len(places) > 2
    natural, _ = attacked(AdversarialPatch(x[0, :, :8, :8]), model, test, budget)
    assert not any(fooled(model, natural, test))
    assert bool((natural != test.inputs).flatten(1).any(1).all())


def test_a_patch_needs_images_of_other_classes_and_fitting_channels() -> None:
    model = TorchModel(Linear().eval())
    data = examples(model)
    only = some(data, (data.labels == 1).nonzero().flatten().tolist())
    with pytest.raises(UserError, match="images of other classes"):
        PatchTraining(1).train(Gradients(model, len(only)), only, Patch(0.1))
    with pytest.raises(UserError, match="channels"):
        attacked(AdversarialPatch(torch.zeros(1, 4, 4)), model, data, Patch(0.1))
    with pytest.raises(UserError, match="does not fit"):
        attacked(AdversarialPatch(torch.zeros(3, 4, 4)), model, data, Patch(0.9))


def test_the_transfer_matrix_has_the_white_box_on_its_diagonal() -> None:
    """Models with the same weights fool each other as themselves; one that looks at other pixels is not fooled."""
    same, other = Linear(2, 1), Linear(2, 9)
    with torch.no_grad():
        same.w[:, ::2], other.w[:, 1::2] = 0, 0
    models = {"a": TorchModel(same.eval()), "twin": TorchModel(same.eval()), "other": TorchModel(other.eval())}
    data = examples(models["a"], 20)
    matrix = transfer_matrix(models, data, Linf(0.08), seed=0, attack=PGD(steps=5, random_start=False))
    assert matrix.rate("a", "a").value == matrix.rate("a", "twin").value == 1.0
    assert matrix.rate("other", "other").value == 1.0
    assert matrix.rate("a", "other").value == matrix.rate("other", "a").value == 0.0
    assert matrix.right.tolist()[:2] == [20, 20]


def test_borderline_cases_are_attacked_and_the_rest_left_alone() -> None:
    model = TorchModel(Linear(2, 3).eval())
    data = examples(model, 20)
    probability = model.logits(data.inputs).softmax(1).amax(1)
    near = 2 * probability - 1 <= 0.5
    assert 0 < int(near.sum()) < 20
    candidates, oracle = attacked(Borderline(PGD(steps=5), gap=0.5), model, data, Linf(0.1))
    changed = (candidates != data.inputs).flatten(1).any(1)
    assert torch.equal(changed, near)
    assert torch.equal(oracle.gradients > 0, near)


def test_an_ensemble_is_the_worst_case_of_its_parts_and_spares_who_has_fallen() -> None:
    model = TorchModel(network(3, seed=4))
    data = examples(model, 16, shape=(3, 10, 10))
    budget = Linf(0.03)
    parts = (FGSM("margin"), PGD(steps=10, every_step=False))
    single = [fooled(model, attacked(part, model, data, budget)[0], data) for part in parts]
    candidates, oracle = attacked(Ensemble(parts), model, data, budget)
    together = fooled(model, candidates, data)
    assert all(t >= max(a, b) for t, a, b in zip(together, *single, strict=True))
    fell_first = torch.tensor(single[0])
    assert oracle.gradients[fell_first].tolist() == [1] * int(fell_first.sum())


def test_examples_that_are_wrong_already_cost_one_question() -> None:
    model = TorchModel(Linear(2, 3).eval())
    data = examples(model, 6)
    wrong = Examples(data.inputs, 1 - data.labels, data.ids)
    candidates, oracle = attacked(CheapToDear(steps=5, queries=5), model, wrong, Linf(0.1))
    assert torch.equal(candidates, data.inputs)
    assert oracle.queries.tolist() == [1] * 6


def test_momentum_keeps_direction() -> None:
    """On a loss whose gradient flips sign every step, momentum goes on where plain steps go back and forth."""

    class Zigzag(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            mean = x.flatten(1).mean(1)
            z = torch.where(mean < 0.525, 10 * mean, 5.25 - 1 * (mean - 0.525))
            z = torch.where(mean > 0.545, 5.23 + 20 * (mean - 0.545), z)
            return torch.stack([torch.full_like(z, 50.0), z], 1)

    model = TorchModel(Zigzag().eval())
    data = Examples(torch.full((1, 1, 2, 2), 0.5), torch.tensor([0]), ("a",))
    means = {
        momentum: float(
            PGD(steps=12, step_size=0.01, random_start=False, momentum=momentum)
            .run(Gradients(model, 1), data, Linf(0.2), rng(data))
            .mean()
        )
        for momentum in (0.0, 1.0)
    }
    assert means[0.0] < 0.54
    assert means[1.0] > 0.58


def test_noise_is_not_an_attack() -> None:
    model = TorchModel(Linear(2, 3).eval())
    data = examples(model, 10)
    strong, _ = attacked(PGD(steps=5), model, data, Linf(0.05))
    weak, _ = attacked(RandomNoise(5), model, data, Linf(0.05))
    assert sum(fooled(model, weak, data)) < sum(fooled(model, strong, data))
