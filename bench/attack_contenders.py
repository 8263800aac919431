"""The contenders of `make bench-attacks`: one function each, (subject, steps) -> adversarial images."""

from __future__ import annotations

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


def _ours(subject: Subject, attack: object, kernel_batch: int, factors: tuple[float, ...] = ()) -> Tensor:
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
    return _ours(subject, _pgd(subject, steps, False), 128, (0.2, 0.4, 0.6, 0.8, 1.0))


def mithridate_largest(subject: Subject, steps: int) -> Tensor:
    return _ours(subject, _pgd(subject, steps, True), 128)


def mithridate_standard(subject: Subject, steps: int) -> Tensor:
    return _ours(subject, StandardEnsemble(steps, 9, 50 * steps), 128)


def mithridate_cheap_to_dear(subject: Subject, steps: int) -> Tensor:
    return _ours(subject, CheapToDear(steps, 9, 50 * steps), 128)


def torchattacks_pgd(subject: Subject, steps: int) -> Tensor:
    import torchattacks

    attack = torchattacks.PGD(subject.module, eps=subject.epsilon, alpha=subject.epsilon / 4, steps=steps)
    return torch.cat([attack(*part) for part in _parts(subject, 16)])


def foolbox_pgd(subject: Subject, steps: int) -> Tensor:
    import foolbox

    model = foolbox.PyTorchModel(subject.module, bounds=(0, 1), device="cpu")
    attack = foolbox.attacks.LinfPGD(abs_stepsize=subject.epsilon / 4, steps=steps)
    return torch.cat([attack(model, x, y, epsilons=subject.epsilon)[1] for x, y in _parts(subject, 16)])


def art_pgd(subject: Subject, steps: int) -> Tensor:
    from art.attacks.evasion import ProjectedGradientDescentPyTorch
    from art.estimators.classification import PyTorchClassifier

    shape = tuple(subject.images.shape[1:])
    model = PyTorchClassifier(
        subject.module, nn.CrossEntropyLoss(), shape, subject.classes, clip_values=(0.0, 1.0), device_type="cpu"
    )
    attack = ProjectedGradientDescentPyTorch(
        model, eps=subject.epsilon, eps_step=subject.epsilon / 4, max_iter=steps, num_random_init=1, batch_size=16,
        verbose=False,
    )  # fmt: skip
    return torch.from_numpy(np.asarray(attack.generate(subject.images.numpy(), subject.labels.numpy())))


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


PGDS = (torchattacks_pgd, foolbox_pgd, art_pgd)
