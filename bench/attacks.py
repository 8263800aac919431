"""`make bench-attacks`: the attack engine beside torchattacks, Foolbox and ART, on the same models and images.

The peers live in a virtual environment of their own (they pin other versions); this script makes it, starts itself
again inside it, and runs every contender in a fresh process, one after the other.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
COMMAND = "make bench-attacks"
PACKAGES = (
    "torch==2.14.1",
    "torchvision==0.29.1",
    "torchattacks==3.5.1",
    "foolbox==3.3.4",
    "adversarial-robustness-toolbox==1.20.1",
)
GIGAFLOPS_A_STEP = 2 * 2 * 4.09
"""ResNet-50 at 224 px: 4.09 billion multiply-adds forward, as many for the input's gradient, two operations each."""


@dataclass(frozen=True)
class Outcome:
    """Seconds of the attack alone; part of the images fooled and mean cross-entropy, in float32 on the model itself;
    how far the largest change goes beyond epsilon; most memory of the process in GiB."""

    seconds: float
    fooled: float
    loss: float
    violation: float
    memory: float


def inside(folder: Path) -> None:
    """Start again inside the peers' environment, which is made first if there is none."""
    python = folder / "bin" / "python"
    if Path(sys.prefix).resolve() == folder.resolve():
        return
    if not python.exists():
        subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
        subprocess.run([str(python), "-m", "pip", "install", "--quiet", *PACKAGES], check=True)
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(ROOT / "src"), str(ROOT / "bench")])}
    os.execve(python, [str(python), str(Path(__file__).resolve()), *sys.argv[1:]], environment)


def measure(contender: str, subject: str, count: int, steps: int, threads: int) -> Outcome:
    """Run one contender in this process."""
    import torch

    torch.set_num_threads(threads)
    import attack_contenders
    from attack_subjects import SUBJECTS

    made = SUBJECTS[subject](count)
    torch.manual_seed(0)
    started = time.perf_counter()
    images = getattr(attack_contenders, contender)(made, steps).detach()
    seconds = time.perf_counter() - started
    with torch.no_grad():
        logits = torch.cat([made.module(part) for part in images.split(16)])
    return Outcome(
        seconds=seconds,
        fooled=float((logits.argmax(1) != made.labels).float().mean()),
        loss=float(torch.nn.functional.cross_entropy(logits, made.labels)),
        violation=float((images - made.images).abs().max()) - made.epsilon,
        memory=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20,
    )


def matmul_rate(threads: int) -> float:
    """The machine's own bfloat16 matrix rate, GFLOP/s: the best of five products of 2048 x 2048."""
    import torch

    torch.set_num_threads(threads)
    a = torch.randn(2048, 2048).bfloat16()
    seconds = []
    for _ in range(5):
        started = time.perf_counter()
        a @ a
        seconds.append(time.perf_counter() - started)
    return 2 * 2048**3 / min(seconds) / 1e9


def apart(function: Callable[..., Any], *arguments: object) -> Any:
    """In a fresh process, so that memory and caches are its own."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(function, arguments)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--peers", type=Path, default=ROOT / "runs" / "bench-attacks", help="the peers' environment")
    parser.add_argument("--images", type=int, default=16, help="images of ResNet-50 at 224 px")
    parser.add_argument("--digits", type=int, default=128, help="images of the adversarially trained network")
    parser.add_argument("--steps", type=int, default=20, help="steps of PGD")
    parser.add_argument("--ensemble-steps", type=int, default=100, help="steps of each attack of the ensemble")
    parser.add_argument("--threads", type=int, default=os.cpu_count(), help="kernel threads of every contender")
    parser.add_argument("--only", choices=("pgd", "ensemble", "sweep"), help="one section; nothing is written")
    arguments = parser.parse_args()
    inside(arguments.peers)

    from attack_report import ensemble, pgd, sweep
    from record import record

    found = []
    for section in (pgd, ensemble, sweep):
        if arguments.only in (None, section.__name__):
            found += section(arguments)
    if arguments.only is None:
        record(found)


if __name__ == "__main__":
    main()
