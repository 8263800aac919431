"""`make bench-attacks`: the attack engine beside torchattacks, Foolbox and ART, on the same models and images.

The peers live in the environment of `make test-extras` (they pin other versions); this script starts itself again
inside it, and runs every contender in a fresh process, one after the other.  A section is written down as soon as it is
measured; a run that was stopped goes on with the contender that it stopped at.
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
SECTIONS = ("pgd", "ensemble", "sweep", "strength")


def inside(folder: Path) -> None:
    """Start again inside the peers' environment."""
    python = folder / "bin" / "python"
    if Path(sys.prefix).resolve() == folder.resolve():
        return
    if not python.exists():
        sys.exit(f"{folder} holds no Python: `make bench-attacks` makes it")
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(ROOT / "src"), str(ROOT / "bench")])}
    os.execve(python, [str(python), str(Path(__file__).resolve()), *sys.argv[1:]], environment)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--folder", type=Path, default=ROOT / "runs" / "bench-attacks", help="models and unfinished measurements"
    )
    parser.add_argument("--peers", type=Path, default=ROOT / ".venv-peers", help="the peers' environment")
    parser.add_argument("--images", type=int, default=16, help="images of ResNet-50 at 224 px")
    parser.add_argument("--graded", type=int, default=32, help="images of the network with five classes, at most 80")
    parser.add_argument("--digits", type=int, default=128, help="images of the network with ten classes")
    parser.add_argument("--strength-images", type=int, default=48, help="images of each of the six models, at most 96")
    parser.add_argument("--steps", type=int, default=20, help="steps of PGD")
    parser.add_argument("--ensemble-steps", type=int, default=100, help="steps of each attack of the ensemble")
    parser.add_argument("--strength-steps", type=int, default=100, help="steps of each attack on the six models")
    parser.add_argument("--threads", type=int, default=os.cpu_count(), help="kernel threads of every contender")
    parser.add_argument("--only", nargs="+", choices=SECTIONS, default=SECTIONS, help="some sections only")
    arguments = parser.parse_args()
    peers = arguments.peers
    if {"ensemble", "strength", "sweep"} & set(arguments.only) and Path(sys.prefix).resolve() != peers.resolve():
        from attack_models import prepare

        prepare(arguments.folder)
    inside(peers)

    import attack_report
    from attack_trials import Trials
    from record import record

    trials = Trials(arguments.folder, arguments.threads)
    for name in SECTIONS:
        if name in arguments.only:
            record(getattr(attack_report, name)(arguments, trials))
            trials.forget()


if __name__ == "__main__":
    main()
