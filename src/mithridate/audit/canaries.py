"""Canaries: four models whose verdict is known, audited before any other.  A wrong verdict ends the audit.

A linear model's distance to its boundary is known in closed form: just below it nothing may succeed, just above it
everything must.  A model without gradients, one that rounds its input and one that adds noise hold out against a plain
attack although they are not robust: the checks must say so, each for its own reason.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import torch
from torch import Tensor, nn

from mithridate.attack import Examples
from mithridate.audit.cells import CLEAN, Cell
from mithridate.audit.checks import run_checks
from mithridate.audit.checks.conclusion import conclude
from mithridate.audit.checks.evidence import CellEvidence, Evidence
from mithridate.audit.findings import judge
from mithridate.audit.probes import probe_model
from mithridate.audit.results import Canary
from mithridate.audit.summary import condition
from mithridate.audit.survivors import probe_survivors, survivors_of
from mithridate.budget import Linf
from mithridate.errors import MithridateError
from mithridate.imaging.attacks import PGD
from mithridate.models.image_input import ImageInput
from mithridate.models.opened import Opened
from mithridate.models.torch_module import TorchModel
from mithridate.models.views import Answer
from mithridate.oracle import Gradients
from mithridate.seeds import ExampleRandom, derive

SIDE: Final = 8
COUNT: Final = 8
DISTANCE: Final = 0.03
"""Every canary example's Linf distance to the linear model's boundary."""
STEPS: Final = 20
SEED: Final = 20190218


class Linear(nn.Module):
    """Logits (0, w.x): the boundary lies |w.x| / |w|_1 away in Linf."""

    def __init__(self, weight: Tensor) -> None:
        super().__init__()
        self.register_buffer("weight", weight)
        self.training = False

    def score(self, x: Tensor) -> Tensor:
        weight = self.get_buffer("weight")
        return (x.flatten(1) - 0.5) @ weight

    def forward(self, x: Tensor) -> Tensor:
        score = self.score(x)
        return torch.stack([torch.zeros_like(score), score], 1)


class ZeroGradient(Linear):
    """Answers with the sign alone: flat on either side."""

    def score(self, x: Tensor) -> Tensor:
        return 3 * super().score(x).sign()


class Quantized(Linear):
    """Rounds its input to 16 levels first."""

    def score(self, x: Tensor) -> Tensor:
        return super().score((x * 15).round() / 15)


class Noisy(Linear):
    """Adds fresh noise to every answer."""

    def __init__(self, weight: Tensor) -> None:
        super().__init__(weight)
        self._noise = torch.Generator().manual_seed(derive(SEED, "noise"))

    def score(self, x: Tensor) -> Tensor:
        score = super().score(x)
        return score + 0.05 * torch.randn(len(score), generator=self._noise)


@dataclass(frozen=True)
class Song:
    """One canary: its model, the budget as a part of the linear distance, and the verdict that it must get.  `check` is
    the number of the check that must have failed, if one must."""

    name: str
    build: Callable[[Tensor], Linear]
    size: float
    expected: str
    check: int | None = None


SONGS: Final = (
    Song("linear, budget 5% short of the boundary", Linear, 0.95, "robust"),
    Song("linear, budget 5% beyond the boundary", Linear, 1.05, "not robust"),
    Song("zero gradient", ZeroGradient, 2.0, "inconclusive", 9),
    Song("quantized input", Quantized, 2.0, "inconclusive", 19),
    Song("noisy", Noisy, 0.5, "inconclusive", 7),
)


def run_canaries(songs: Sequence[Song] = SONGS) -> tuple[Canary, ...]:
    """Audit every canary.  Raises MithridateError when one gets the wrong verdict: nothing that this installation
    finds could then be believed."""
    found = tuple(_audit(song) for song in songs)
    for canary in found:
        if canary.found != canary.expected:
            raise MithridateError(
                f"the audit is void: the canary model '{canary.name}' must be found {canary.expected} and was found "
                f"{canary.found} ({canary.evidence}); the attacks or libraries of this installation do not work"
            )
    return found


def examples_at(weight: Tensor) -> Examples:
    """Images whose Linf distance to the linear boundary is exactly DISTANCE, both classes alike."""
    ids = tuple(f"canary {i}" for i in range(COUNT))
    rng, rows = ExampleRandom(SEED, "canaries", ids), torch.arange(COUNT)
    x = rng.uniform(rows, (SIDE * SIDE,), 0.3, 0.7).double()
    labels = rows % 2
    wanted = (2 * labels - 1) * DISTANCE * weight.double().abs().sum()
    direction = weight.double() / weight.double().square().sum()
    x = x + (wanted - (x - 0.5) @ weight.double())[:, None] * direction
    return Examples(x.float().view(COUNT, 1, SIDE, SIDE), labels, ids, targets=1 - labels)


def _audit(song: Song) -> Canary:
    weight = torch.randn(SIDE * SIDE, generator=torch.Generator().manual_seed(derive(SEED, "weight")))
    examples, module = examples_at(weight), song.build(weight)
    opened = Opened(
        model=TorchModel(module, kernel_batch=COUNT, name=song.name),
        native=lambda spec, x: module(spec.apply(x)),
        image=ImageInput(SIDE, 1),
        answer=Answer("logits", (1,)),
        module=module,
        reason="a canary",
        sha256="",
        architecture="canary",
    )
    attack, budget = PGD(STEPS, random_start=False), Linf(song.size * DISTANCE)
    parameters = {"attack": "pgd", "steps": STEPS, "random_start": False, "loss": "margin"}
    cells = (CLEAN, Cell("white-box/pgd", "white-box", "White box, PGD", attack, parameters, budget, None, True, None))
    evidence = tuple(_measure(cell, opened, examples) for cell in cells)
    right, fooled = evidence[1].right, evidence[1].fooled()
    held = survivors_of(right, fooled, COUNT, SEED)
    rows = torch.tensor([examples.ids.index(example) for example in held], dtype=torch.int64)
    probe = probe_survivors(
        cell="canary",
        attack=attack,
        budget=budget,
        model=opened.model if isinstance(opened.model, TorchModel) else TorchModel(module),
        judge=opened.model,
        examples=Examples(examples.inputs[rows], examples.labels[rows], tuple(held)),
        right=len(right),
        survivors=len(held),
        draws=20 * COUNT,
        queries=20 * COUNT,
        seed=SEED,
    )
    whole = Evidence(
        cells=evidence,
        model=probe_model(opened, examples, None, SEED),
        survivors=(probe,),
        reproduced=None,
        confirmed="card",
        robust_accuracy=len(right - fooled) / COUNT,
        canaries=len(SONGS),
    )
    checks = run_checks(whole)
    conditions = [condition(cell.key, cell, e.findings, 0.5) for cell, e in zip(cells, evidence, strict=True)]
    conclusion = conclude(conditions, checks)
    failed = [c.number for c in checks if c.verdict == "fail"]
    outcome: str = conclusion.outcome
    if song.check is not None and song.check not in failed:
        outcome = f"{outcome}, but not by check {song.check}"
    of = f"{len(fooled)} of {len(right)} examples fooled"
    return Canary(
        name=song.name,
        expected=song.expected,
        found=outcome,
        evidence=f"{of}; checks failed: {', '.join(map(str, failed)) or 'none'}",
    )


def _measure(cell: Cell, opened: Opened, examples: Examples) -> CellEvidence:
    assert isinstance(opened.model, TorchModel)
    oracle = Gradients(opened.model, len(examples))
    candidates = examples.inputs
    if cell.attack is not None:
        candidates = cell.attack.run(oracle, examples, cell.budget, ExampleRandom(SEED, cell.key, examples.ids))
    table = judge(
        cell=cell.key,
        model=opened.model,
        examples=examples,
        groups=list(examples.ids),
        candidates=candidates,
        budget=cell.budget,
        oracle=oracle,
        seconds=0.0,
    )
    return CellEvidence(
        key=cell.key,
        kind=cell.kind,
        attack=str(cell.parameters.get("attack", "none")),
        parameters=cell.parameters,
        budget=cell.budget.describe(),
        size=cell.budget.size,
        main=cell.main,
        sweep=cell.sweep,
        findings=table.to_pandas(),
    )
