"""One contender at a time, in a process of its own; what was measured is kept until its run is through."""

from __future__ import annotations

import hashlib
import importlib
import json
import multiprocessing
import resource
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]


@dataclass(frozen=True)
class Outcome:
    """Seconds of the attack alone; part of the images fooled within epsilon and mean cross-entropy, in float32 on the
    model itself; how far the largest change goes beyond epsilon; most memory of the process in GiB."""

    seconds: float
    fooled: float
    loss: float
    violation: float
    memory: float


class Trials:
    """Outcomes by contender, subject and settings.  Those of this very source code are kept in `folder` until their
    section is through, so that a run that was stopped goes on where it was, and no ratio is of two runs."""

    def __init__(self, folder: Path, threads: int) -> None:
        self._folder, self._threads = folder, threads
        self._file = folder / "outcomes.json"
        self._code = _code()

    def outcome(self, contender: str, subject: str, count: int, steps: int, threads: int) -> Outcome:
        """Measured now, or before the run was stopped."""
        known = json.loads(self._file.read_text()) if self._file.exists() else {}
        key = f"{self._code} {contender} {subject} {count} {steps} {threads}"
        if key in known:
            found = Outcome(**known[key])
        else:
            found = apart(measure, contender, subject, count, steps, threads, self._folder)
            self._file.parent.mkdir(parents=True, exist_ok=True)
            self._file.write_text(json.dumps(known | {key: asdict(found)}, indent=1) + "\n")
        print(
            f"{contender:26} {subject:18} {found.seconds:8.1f} s  fooled {found.fooled:6.1%}  loss {found.loss:8.4f}  "
            f"beyond epsilon {found.violation:+.1e}  {found.memory:.2f} GiB",
            flush=True,
        )
        return found

    def outcomes(
        self, subject: str, count: int, steps: int, *contenders: str, threads: int | None = None
    ) -> dict[str, Outcome]:
        """Of each contender, all on the same kernel threads."""
        return {name: self.outcome(name, subject, count, steps, threads or self._threads) for name in contenders}

    def matmul_rate(self) -> float:
        """This machine's bfloat16 matrix rate with as many threads as the contenders have, GFLOP/s."""
        rate: float = apart(matmul_rate, self._threads)
        return rate

    def forget(self) -> None:
        """A section is through: the next run measures anew."""
        self._file.unlink(missing_ok=True)


def measure(contender: str, subject: str, count: int, steps: int, threads: int, folder: Path) -> Outcome:
    """Run one contender in this process."""
    import torch

    torch.set_num_threads(threads)
    import attack_contenders
    import attack_subjects

    for module in attack_contenders.MODULES[contender.partition("_")[0]]:
        importlib.import_module(module)
    made = attack_subjects.subject(subject, count, folder)
    torch.manual_seed(0)
    started = time.perf_counter()
    images = getattr(attack_contenders, contender)(made, steps).detach()
    seconds = time.perf_counter() - started
    with torch.no_grad():
        logits = torch.cat([made.module(part) for part in images.split(16)])
    beyond = (images - made.images).abs().flatten(1).amax(1) - made.epsilon
    return Outcome(
        seconds=seconds,
        fooled=float(((logits.argmax(1) != made.labels) & (beyond <= 1e-6)).float().mean()),
        loss=float(torch.nn.functional.cross_entropy(logits, made.labels)),
        violation=float(beyond.max()),
        memory=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20,
    )


def matmul_rate(threads: int) -> float:
    """The best of twenty products of 2048 x 2048: what the machine can do, were nothing in the way."""
    import torch

    torch.set_num_threads(threads)
    a = torch.randn(2048, 2048).bfloat16()
    seconds = []
    for _ in range(20):
        started = time.perf_counter()
        a @ a
        seconds.append(time.perf_counter() - started)
    return 2 * 2048**3 / min(seconds) / 1e9


def apart(function: Callable[..., Any], *arguments: object) -> Any:
    """In a fresh process, so that memory and caches are its own."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(function, arguments)


def _code() -> str:
    """A digest of all that determines an outcome here: the subjects, the contenders and the engine."""
    found = hashlib.sha256()
    source = ROOT / "src" / "mithridate"
    files = list((ROOT / "bench").glob("attack_[cms]*.py"))
    files += (source / "imaging" / "attacks").glob("*.py")
    files += (source / "imaging" / "engine").glob("*.py")
    files += (source / "models" / "torch_module.py", source / "oracle.py", source / "budget.py")
    for file in sorted(files):
        found.update(file.read_bytes())
    return found.hexdigest()[:16]
