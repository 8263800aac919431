"""The examples that held out against the white box, attacked again: was it the model, or a weak attack?"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import fields, replace
from typing import Any

import torch
from torch import Tensor

from mithridate.attack import Attack, Examples
from mithridate.audit.checks.effort_checks import LAST_STEPS, LOSS_CHANGE
from mithridate.audit.checks.evidence import SurvivorProbe
from mithridate.budget import L2, Linf
from mithridate.imaging.attacks import FGSM, PGD, RandomNoise
from mithridate.imaging.attacks.losses import margin
from mithridate.imaging.attacks.square import Square
from mithridate.imaging.engine.oracles import View
from mithridate.models.torch_module import TorchModel
from mithridate.oracle import Gradients, Loss, Model
from mithridate.seeds import ExampleRandom, derive


class Recording(View):
    """An oracle that keeps the margin of every iterate of every example that lies inside the budget: the others, of
    searches for the smallest change or of images under a random transformation, are no candidates."""

    def __init__(self, inner: Gradients, examples: Examples, budget: Linf | L2) -> None:
        super().__init__(inner)
        self._examples, self._budget = examples, budget
        self.margins: list[list[float]] = [[] for _ in range(len(examples))]
        self.strayed = torch.zeros(len(examples), dtype=torch.bool)

    def loss_and_gradient(
        self, inputs: Tensor, labels: Tensor, rows: Tensor, loss: Loss
    ) -> tuple[Tensor, Tensor, Tensor]:
        answer = super().loss_and_gradient(inputs, labels, rows, loss)
        inside = self._budget.violation(self._examples.inputs[rows], inputs) == 0
        self.strayed[rows[~inside]] = True
        values = margin(answer[0], self._examples.labels[rows])
        for row, value in zip(rows[inside].tolist(), values[inside].tolist(), strict=True):
            self.margins[row].append(value)
        return answer


def survivors_of(right: frozenset[str], fooled: frozenset[str], probed: int, seed: int) -> list[str]:
    """Up to `probed` of the examples that held out: a seeded choice."""
    return sorted(right - fooled, key=lambda example: derive(seed, "survivor", example))[:probed]


def probe_survivors(
    *,
    cell: str,
    attack: Attack,
    budget: Linf | L2,
    model: TorchModel,
    judge: Model,
    examples: Examples,
    right: int,
    survivors: int,
    draws: int,
    queries: int,
    seed: int,
    see: Callable[[Attack], Attack] = lambda attack: attack,
) -> SurvivorProbe:
    """Attack the surviving `examples` again on `model` and count, on `judge`, what fools them.

    draws, queries: shared by all examples.  right, survivors: of the whole task, for scale.  see: how an attack with
    gradients sees the model.
    """
    count = len(examples)
    described: dict[str, Any] = {"cell": cell, "budget": budget.describe(), "size": budget.size}
    probe = SurvivorProbe(**described, right=right, survivors=survivors, probed=count)
    if count == 0:
        return probe

    def fooled(name: str, rival: Attack, inside: Linf | L2 = budget) -> Tensor:
        rng = ExampleRandom(seed, f"probe/{name}", examples.ids)
        candidates = rival.run(Gradients(model, count), examples, inside, rng)
        kept = inside.violation(examples.inputs, candidates) == 0
        return (judge.logits(candidates).argmax(1) != examples.labels) & kept

    recording = Recording(Gradients(model, count), examples, budget)
    returned = see(attack).run(recording, examples, budget, ExampleRandom(seed, "probe/again", examples.ids))
    seen = torch.tensor([max(margins, default=-torch.inf) > 0 for margins in recording.margins])
    not_returned = model.logits(returned).argmax(1) == examples.labels
    # What goes in and out of the budget searches the smallest change: its loss is not meant to settle at a height.
    changes = [
        0.0 if strayed else late_change(margins)
        for margins, strayed in zip(recording.margins, recording.strayed.tolist(), strict=True)
    ]
    each = max(1, draws // count), max(2, queries // count)
    range_ = replace(budget, epsilon=_half_range(budget, examples.inputs))
    return replace(
        probe,
        doubled=int(fooled("doubled", see(doubled(attack))).sum()),
        single_step=int(fooled("step", see(FGSM("margin"))).sum()),
        gradient_free=int(fooled("square", Square(each[1])).sum()),
        queries=each[1],
        noise=int(fooled("noise", RandomNoise(each[0])).sum()),
        draws=each[0],
        half_range=int(fooled("range", see(PGD(every_step=False)), range_).sum()),
        unfinished=sum(change > LOSS_CHANGE for change in changes),
        change=max(changes),
        lost=int((seen & not_returned).sum()),
    )


def doubled(attack: Attack) -> Attack:
    """The attack with twice the steps and one restart more; a single step becomes PGD."""
    names = {field.name for field in fields(attack)}  # type: ignore[arg-type]
    if "attack" in names:
        inner: Attack = replace(attack, attack=doubled(attack.attack))  # type: ignore[attr-defined, type-var]
        return inner
    if "steps" not in names:
        return PGD(steps=40, restarts=2, every_step=False)
    values: dict[str, Any] = {"steps": 2 * attack.steps}  # type: ignore[attr-defined]
    if "restarts" in names:
        values["restarts"] = attack.restarts + 1  # type: ignore[attr-defined]
    if "every_step" in names:
        values["every_step"] = False
    stronger: Attack = replace(attack, **values)  # type: ignore[type-var]
    return stronger


def late_change(margins: Sequence[float]) -> float:
    """How far the running best rose in the last 10 steps, as a part of its whole rise; 0 where it never rose."""
    best = torch.tensor(list(margins), dtype=torch.float64).cummax(0).values
    if len(best) <= LAST_STEPS:
        return 0.0
    rise = float(best[-1] - best[0])
    return float(best[-1] - best[-1 - LAST_STEPS]) / rise if rise > 0 else 0.0


def _half_range(budget: Linf | L2, x: Tensor) -> float:
    """Half of the pixels' range, in the budget's own norm."""
    return 0.5 if isinstance(budget, Linf) else 0.5 * float(x[0].numel()) ** 0.5
