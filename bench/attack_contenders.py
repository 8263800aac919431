"""The contenders of `make bench-attacks`: one function each, (subject, steps) -> adversarial images."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from attack_subjects import Subject
from torch import Tensor, nn

from mithridate.attack import Examples
from mithridate.budget import Linf
from mithridate.imaging.attacks import PGD, CheapToDear, StandardEnsemble
from mithridate.imaging.engine.scout import Scout, fast_model, run_scouted
from mithridate.imaging.engine.sweep import sweep
from mithridate.models.torch_module import TorchModel
from mithridate.seeds import ExampleRandom

MODULES = {
    "torchattacks": ("torchattacks",),
    "foolbox": ("foolbox",),
    "art": ("art.attacks.evasion", "art.estimators.classification"),
    "mithridate": (),
}
"""What a contender's library imports, which is not part of its time."""

QUERIES = 10
"""Questions of the square attack for each step of the gradient attacks beside it, on two classes."""


def _ours(
    subject: Subject,
    attack: object,
    kernel_batch: int,
    factors: tuple[float, ...] = (),
) -> Tensor:
    data = Examples(subject.images, subject.labels, tuple(str(i) for i in range(len(subject.images))))
    rng = ExampleRandom(0, "bench", data.ids)
    model = TorchModel(subject.module, kernel_batch=kernel_batch)
    copy = fast_model(subject.module, subject.images, kernel_batch=kernel_batch)
    if factors:
        scout = Scout(model, copy, len(data), kernel_batch=kernel_batch)
        return sweep(attack, scout, data, [Linf(subject.epsilon * f) for f in factors], rng)[-1]
    budget = Linf(subject.epsilon)
    return run_scouted(attack, model, copy, data, budget, rng, kernel_batch=kernel_batch)[0]


def _pgd(subject: Subject, steps: int, every_step: bool) -> PGD:
    return PGD(steps, subject.epsilon / 4, loss="cross-entropy", every_step=every_step)


def mithridate_pgd(subject: Subject, steps: int) -> Tensor:
    return _ours(subject, _pgd(subject, steps, True), 16)


def mithridate_verdict(subject: Subject, steps: int) -> Tensor:
    return _ours(subject, _pgd(subject, steps, False), 16)


def mithridate_sweep(subject: Subject, steps: int) -> Tensor:
    return _ours(subject, _pgd(subject, steps, False), 8, (0.2, 0.4, 0.6, 0.8, 1.0))


def mithridate_largest(subject: Subject, steps: int) -> Tensor:
    return _ours(subject, _pgd(subject, steps, True), 8)


def mithridate_standard(subject: Subject, steps: int) -> Tensor:
    return _ensemble(subject, StandardEnsemble(steps, 9, 50 * steps))


def mithridate_discarding(subject: Subject, steps: int) -> Tensor:
    return _ensemble(subject, StandardEnsemble(steps, 9, 50 * steps, discard_hopeless=True))


def mithridate_cheap_to_dear(subject: Subject, steps: int) -> Tensor:
    return _ensemble(subject, CheapToDear(steps, 9, 50 * steps))


def _ensemble(subject: Subject, attack: object) -> Tensor:
    # Small images in larger batches: what there is to compute is less than what it takes to ask for it.
    return _ours(subject, attack, 48 if subject.images.shape[-1] < 32 else 16)


def mithridate_strength(subject: Subject, steps: int) -> Tensor:
    return _ours(subject, CheapToDear(steps, 9, QUERIES * steps), 16)


def torchattacks_pgd(subject: Subject, steps: int) -> Tensor:
    import torchattacks

    attack = torchattacks.PGD(subject.module, eps=subject.epsilon, alpha=subject.epsilon / 4, steps=steps)
    return torch.cat([attack(*part) for part in _parts(subject, 16)])


def torchattacks_strength(subject: Subject, steps: int) -> Tensor:
    """Its AutoAttack but for the targeted APGD, whose loss needs four classes."""
    import torchattacks

    common = {"eps": subject.epsilon, "norm": "Linf", "seed": 0}
    attacks = (
        torchattacks.APGD(subject.module, loss="ce", steps=steps, **common),
        torchattacks.FAB(subject.module, steps=steps, n_restarts=1, n_classes=subject.classes, **common),
        torchattacks.Square(subject.module, n_queries=QUERIES * steps, **common),
    )
    return _each_in_turn(subject, *(lambda x, y, attack=attack: attack(x, y) for attack in attacks))


def _foolbox(subject: Subject) -> Any:
    import foolbox

    return foolbox.PyTorchModel(subject.module, bounds=(0, 1), device="cpu")


def foolbox_pgd(subject: Subject, steps: int) -> Tensor:
    import foolbox

    model = _foolbox(subject)
    attack = foolbox.attacks.LinfPGD(abs_stepsize=subject.epsilon / 4, steps=steps)
    return torch.cat([attack(model, x, y, epsilons=subject.epsilon)[1] for x, y in _parts(subject, 16)])


def foolbox_strength(subject: Subject, steps: int) -> Tensor:
    """Its strongest on two classes: PGD, the minimum-norm search, DeepFool."""
    import foolbox

    model, e = _foolbox(subject), subject.epsilon
    attacks = (
        foolbox.attacks.LinfPGD(steps=steps, rel_stepsize=2.5 / steps),
        foolbox.attacks.LInfFMNAttack(steps=steps),
        foolbox.attacks.LinfDeepFoolAttack(steps=steps),
    )
    return _each_in_turn(subject, *(lambda x, y, a=a: a(model, x, y, epsilons=e)[1] for a in attacks))


def _art(subject: Subject) -> Any:
    from art.estimators.classification import PyTorchClassifier

    shape = tuple(subject.images.shape[1:])
    return PyTorchClassifier(
        subject.module, nn.CrossEntropyLoss(), shape, subject.classes, clip_values=(0.0, 1.0), device_type="cpu"
    )


def art_pgd(subject: Subject, steps: int) -> Tensor:
    from art.attacks.evasion import ProjectedGradientDescentPyTorch

    model = _art(subject)
    attack = ProjectedGradientDescentPyTorch(
        model, eps=subject.epsilon, eps_step=subject.epsilon / 4, max_iter=steps, num_random_init=1, batch_size=16,
        verbose=False,
    )  # fmt: skip
    return torch.from_numpy(np.asarray(attack.generate(subject.images.numpy(), subject.labels.numpy())))


def art_strength(subject: Subject, steps: int) -> Tensor:
    """APGD and the square attack, which its AutoAttack would choose on two classes."""
    from art.attacks.evasion import AutoProjectedGradientDescent, SquareAttack

    model, e = _art(subject), subject.epsilon
    attacks = (
        AutoProjectedGradientDescent(
            model, eps=e, eps_step=2 * e, max_iter=steps, nb_random_init=1, batch_size=32, loss_type="cross_entropy",
            verbose=False,
        ),
        SquareAttack(model, eps=e, max_iter=QUERIES * steps, batch_size=32, verbose=False),
    )  # fmt: skip
    return _each_in_turn(
        subject, *(lambda x, y, a=a: torch.from_numpy(np.asarray(a.generate(x.numpy(), y.numpy()))) for a in attacks)
    )


def torchattacks_standard(subject: Subject, steps: int) -> Tensor:
    """AutoAttack's four as torchattacks chains them, with the stated steps and queries (its own wrapper fixes both)."""
    import torchattacks

    common = {"eps": subject.epsilon, "norm": "Linf", "seed": 0}
    attack = torchattacks.MultiAttack(
        [
            torchattacks.APGD(subject.module, loss="ce", steps=steps, **common),
            torchattacks.APGDT(subject.module, n_classes=subject.classes, steps=steps, **common),
            torchattacks.FAB(
                subject.module, multi_targeted=True, n_classes=subject.classes, steps=steps, n_restarts=1, **common
            ),
            torchattacks.Square(subject.module, n_queries=50 * steps, **common),
        ]
    )
    return torch.cat([attack(*part) for part in _parts(subject, 128)])


def _parts(subject: Subject, size: int) -> list[tuple[Tensor, Tensor]]:
    return list(zip(subject.images.split(size), subject.labels.split(size), strict=True))


def _each_in_turn(subject: Subject, *attacks: Callable[[Tensor, Tensor], Tensor]) -> Tensor:
    """What fools first, each attack on what the ones before it left.  The peers' changes are cut to epsilon, which
    costs them nothing but their rounding."""
    found, pending = subject.images.clone(), torch.arange(len(subject.images))
    for attack in attacks:
        if len(pending) == 0:
            break
        fallen = []
        for rows in pending.split(32):
            x, y = subject.images[rows], subject.labels[rows]
            moved = attack(x, y).detach().clamp(x - subject.epsilon, x + subject.epsilon).clamp(0, 1)
            with torch.no_grad():
                wrong = subject.module(moved).argmax(1) != y
            found[rows[wrong]] = moved[wrong]
            fallen.append(wrong)
        pending = pending[~torch.cat(fallen)]
    return found
