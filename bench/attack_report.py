"""The sections of `make bench-attacks`: which contenders meet, and which ratios are written down."""

from __future__ import annotations

import argparse

from attack_models import GRADED, KINDS, MODALITIES
from attack_trials import Trials
from record import Measurement

COMMAND = "make bench-attacks"
PEERS = ("torchattacks_pgd", "foolbox_pgd", "art_pgd")
GIGAFLOPS_A_STEP = 2 * 2 * 4.09
"""ResNet-50 at 224 px: 4.09 billion multiply-adds forward, as many for the input's gradient, two operations each."""


def pgd(arguments: argparse.Namespace, trials: Trials) -> list[Measurement]:
    """PGD on ResNet-50: all steps for all, and to a verdict."""
    images, steps = arguments.images, arguments.steps
    runs = trials.outcomes("resnet", images, steps, "mithridate_pgd", "mithridate_verdict", *PEERS)
    ours, verdict, peers = runs["mithridate_pgd"], runs["mithridate_verdict"], [runs[name] for name in PEERS]
    fastest, leanest = min(p.seconds for p in peers), min(p.memory for p in peers)
    rate = trials.matmul_rate()
    reached = GIGAFLOPS_A_STEP * images * steps / ours.seconds
    print(f"bfloat16 matrix products {rate:.0f} GFLOP/s; PGD {reached:.0f} GFLOP/s")
    name = f"PGD-{steps}, ResNet-50, 224 px, {images} images"
    best_loss = max(p.loss for p in peers)
    return [
        Measurement(f"{name}: ours, all steps", ours.seconds, None, "s", False, COMMAND),
        Measurement(f"{name}: fastest peer, all steps", fastest, None, "s", False, COMMAND),
        _ratio(f"{name}, all steps: fastest peer's time over ours", fastest / ours.seconds, 2.5),
        _ratio(f"{name}, all steps: our final loss over the best peer's", ours.loss / best_loss, 0.99),
        _ratio(f"{name}, to a verdict: fastest peer's time over ours", fastest / verdict.seconds, 8),
        _points(f"{name}, to a verdict: success below the best peer's", max(p.fooled for p in peers) - verdict.fooled),
        _ratio(f"{name}: memory over the leanest peer's", ours.memory / leanest, 1, higher=False),
        Measurement(f"{name}: this machine's bfloat16 matrix rate", rate, None, "GFLOP/s", True, COMMAND),
        Measurement(f"{name}: of this machine's bfloat16 matrix rate", 100 * reached / rate, 25, "%", True, COMMAND),
    ]


def ensemble(arguments: argparse.Namespace, trials: Trials) -> list[Measurement]:
    """The standard ensemble on adversarially trained networks: one of medical images, and one so small that threads
    would only wait for one another."""
    return [
        *_ensemble(arguments, trials, GRADED, "fundus grades", arguments.graded),
        *_ensemble(arguments, trials, "digits", "digits", arguments.digits, threads=1),
    ]


def _ensemble(
    arguments: argparse.Namespace, trials: Trials, subject: str, title: str, images: int, threads: int | None = None
) -> list[Measurement]:
    steps = arguments.ensemble_steps
    orders = {
        "mithridate_standard": "published order",
        "mithridate_discarding": "published order, the hopeless discarded",
        "mithridate_cheap_to_dear": "cheap to dear",
    }
    runs = trials.outcomes(subject, images, steps, *orders, "torchattacks_standard", threads=threads)
    peer = runs["torchattacks_standard"]
    name = f"standard ensemble, {steps} steps, adversarially trained {title}, {images} images"
    found = [Measurement(f"{name}: torchattacks' robust accuracy", 100 * (1 - peer.fooled), None, "%", False, COMMAND)]
    for contender, order in orders.items():
        ours = runs[contender]
        found += [
            _ratio(f"{name}, {order}: torchattacks' time over ours", peer.seconds / ours.seconds, 3),
            _points(f"{name}, {order}: our robust accuracy above torchattacks'", peer.fooled - ours.fooled),
        ]
    return found


def sweep(arguments: argparse.Namespace, trials: Trials) -> list[Measurement]:
    """Five sizes of epsilon on an adversarially trained network, against all steps of the largest alone."""
    names = ("mithridate_sweep", "mithridate_largest")
    runs = trials.outcomes("chest-trained", arguments.strength_images, arguments.steps, *names)
    ratio = runs["mithridate_sweep"].seconds / runs["mithridate_largest"].seconds
    return [_ratio("five sizes of epsilon, PGD: time over the largest alone", ratio, 1.6, higher=False)]


def strength(arguments: argparse.Namespace, trials: Trials) -> list[Measurement]:
    """Robust accuracy on six models, each library with the strongest that it has for two classes."""
    found = []
    count, steps = arguments.strength_images, arguments.strength_steps
    names = tuple(f"{library}_strength" for library in ("mithridate", "torchattacks", "foolbox", "art"))
    for subject in (f"{modality}-{kind}" for modality in MODALITIES for kind in KINDS):
        runs = trials.outcomes(subject, count, steps, *names)
        ours, peers = runs[names[0]], {name: runs[name] for name in names[1:]}
        title = f"strength, {subject}, {count} images, {steps} steps"
        best = max(p.fooled for p in peers.values())
        seconds = ", ".join(f"{name.removesuffix('_strength')} {p.seconds:.0f} s" for name, p in peers.items())
        print(f"{subject}: ours {ours.seconds:.0f} s, {seconds}")
        found += [
            Measurement(f"{title}: our robust accuracy", 100 * (1 - ours.fooled), None, "%", False, COMMAND),
            _points(f"{title}: our robust accuracy above the strongest peer's", best - ours.fooled),
        ]
    return found


def _ratio(name: str, value: float, target: float | None, higher: bool = True) -> Measurement:
    return Measurement(name, value, target, "x", higher, COMMAND)


def _points(name: str, value: float) -> Measurement:
    return Measurement(name, 100 * value, 0.5, "points", False, COMMAND)
