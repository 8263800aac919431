"""The sections of `make bench-attacks`: which contenders meet, and which ratios are written down."""

from __future__ import annotations

import argparse

from attacks import COMMAND, GIGAFLOPS_A_STEP, Outcome, apart, matmul_rate, measure
from record import Measurement

PEERS = ("torchattacks_pgd", "foolbox_pgd", "art_pgd")


def pgd(arguments: argparse.Namespace) -> list[Measurement]:
    """PGD on ResNet-50: all steps for all, and to a verdict."""
    runs = _run(arguments, "resnet", arguments.images, arguments.steps, "mithridate_pgd", "mithridate_verdict", *PEERS)
    ours, verdict, peers = runs["mithridate_pgd"], runs["mithridate_verdict"], [runs[name] for name in PEERS]
    fastest, leanest = min(p.seconds for p in peers), min(p.memory for p in peers)
    rate = apart(matmul_rate, arguments.threads)
    reached = GIGAFLOPS_A_STEP * arguments.images * arguments.steps / ours.seconds
    print(f"bfloat16 matrix products {rate:.0f} GFLOP/s; PGD {reached:.0f} GFLOP/s")
    name = f"PGD-{arguments.steps}, ResNet-50, 224 px, {arguments.images} images"
    best_loss = max(p.loss for p in peers)
    return [
        _ratio(f"{name}, all steps: fastest peer's time over ours", fastest / ours.seconds, 2.5),
        _ratio(f"{name}, all steps: our final loss over the best peer's", ours.loss / best_loss, 0.99),
        _ratio(f"{name}, to a verdict: fastest peer's time over ours", fastest / verdict.seconds, 8),
        _points(f"{name}, to a verdict: success below the best peer's", max(p.fooled for p in peers) - verdict.fooled),
        _ratio(f"{name}: memory over the leanest peer's", ours.memory / leanest, 1, higher=False),
        Measurement(f"{name}: of this machine's bfloat16 matrix rate", 100 * reached / rate, 25, "%", True, COMMAND),
    ]


def ensemble(arguments: argparse.Namespace) -> list[Measurement]:
    """The standard ensemble on an adversarially trained network with ten classes."""
    names = ("mithridate_standard", "mithridate_cheap_to_dear", "torchattacks_standard")
    runs = _run(arguments, "digits", arguments.digits, arguments.ensemble_steps, *names)
    ours, quick, peer = (runs[name] for name in names)
    name = (
        f"standard ensemble, {arguments.ensemble_steps} steps, adversarially trained digits, {arguments.digits} images"
    )
    return [
        _ratio(f"{name}, published order: torchattacks' time over ours", peer.seconds / ours.seconds, 3),
        _ratio(f"{name}, cheap to dear: torchattacks' time over ours", peer.seconds / quick.seconds, None),
        _points(f"{name}, published order: our robust accuracy above torchattacks'", peer.fooled - ours.fooled),
        _points(f"{name}, cheap to dear: our robust accuracy above torchattacks'", peer.fooled - quick.fooled),
    ]


def sweep(arguments: argparse.Namespace) -> list[Measurement]:
    """Five sizes of epsilon on the adversarially trained network, against all steps of the largest alone."""
    names = ("mithridate_sweep", "mithridate_largest")
    runs = _run(arguments, "digits", arguments.digits, arguments.steps, *names)
    ratio = runs["mithridate_sweep"].seconds / runs["mithridate_largest"].seconds
    return [_ratio("five sizes of epsilon, PGD: time over the largest alone", ratio, 1.6, higher=False)]


def _run(arguments: argparse.Namespace, subject: str, count: int, steps: int, *names: str) -> dict[str, Outcome]:
    found = {}
    for name in names:
        found[name] = one = apart(measure, name, subject, count, steps, arguments.threads)
        print(
            f"{name:28} {one.seconds:8.1f} s  fooled {one.fooled:6.1%}  loss {one.loss:8.4f}  "
            f"beyond epsilon {one.violation:+.1e}  {one.memory:.2f} GiB",
            flush=True,
        )
    return found


def _ratio(name: str, value: float, target: float | None, higher: bool = True) -> Measurement:
    return Measurement(name, value, target, "x", higher, COMMAND)


def _points(name: str, value: float) -> Measurement:
    return Measurement(name, 100 * value, 0.5, "points", False, COMMAND)
