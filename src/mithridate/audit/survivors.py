"""The examples that held out against the white box, attacked again: was it the model, or a weak attack?"""

from __future__ import annotations

from collections.abc import Sequence
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
    """An oracle that keeps the margin of every iterate of every example."""

    def __init__(self, inner: Gradients, labels: Tensor) -> None:
        super().__init__(inner)
        self._labels = labels
        self.margins: list[list[float]] = [[] for _ in range(len(labels))]

    def loss_and_gradient(
        self, inputs: Tensor, labels: Tensor, rows: Tensor, loss: Loss
    ) -> tuple[Tensor, Tensor, Tensor]:
        answer = super().loss_and_gradient(inputs, labels, rows, loss)
        for row, value in zip(rows.tolist(), margin(answer[0], self._labels[rows]).tolist(), strict=True):
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
) -> SurvivorProbe:
    """Attack the surviving `examples` again on `model` and count, on `judge`, what fools them.

    draws, queries: shared by all examples.  right, survivors: of the whole task, for scale.
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

    recording = Recording(Gradients(model, count), examples.labels)
    returned = attack.run(recording, examples, budget, ExampleRandom(seed, "probe/again", examples.ids))
    seen = torch.tensor([max(margins, default=-torch.inf) > 0 for margins in recording.margins])
    not_returned = model.logits(returned).argmax(1) == examples.labels
    changes = [late_change(margins) for margins in recording.margins]
    each = max(1, draws // count), max(2, queries // count)
    range_ = replace(budget, epsilon=_half_range(budget, examples.inputs))
    return replace(
        probe,
        doubled=int(fooled("doubled", doubled(attack)).sum()),
        single_step=int(fooled("step", FGSM("margin")).sum()),
        gradient_free=int(fooled("square", Square(each[1])).sum()),
        queries=each[1],
        noise=int(fooled("noise", RandomNoise(each[0])).sum()),
        draws=each[0],
        half_range=int(fooled("range", PGD(every_step=False), range_).sum()),
        unfinished=sum(change > LOSS_CHANGE for change in changes),
        change=max(changes),
        lost=int((seen & not_returned).sum()),
    )


def doubled(attack: Attack) -> Attack:
    """The attack with twice the steps and one restart more; a single step becomes PGD."""
    names = {field.name for field in fields(attack)}  # type: ignore[arg-type]
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
