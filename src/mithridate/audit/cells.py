"""From a plan to its cells: one cell is one task's model under one attack, one attacker and one budget."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from mithridate.attack import Attack
from mithridate.audit.attack_options import GradientAttack, GradientOptions, Sees
from mithridate.audit.attack_plans import AttackPlan, NoisePlan, RotationPlan
from mithridate.audit.plan import Plan
from mithridate.audit.results import Kind
from mithridate.audit.trained_attacks import PatchPlan, TrainedAttack
from mithridate.budget import Budget, Nothing

OWN_GRADIENTS = GradientOptions()


@dataclass(frozen=True)
class Cell:
    """One condition of a task.

    key        unique within the task
    surrogate  the model that a black-box attacker computes on, by its index in the plan
    main       marks the budget that the plan states, as against further doses
    sees       what the attack's oracle offers, `limit` the questions that it answers an image, at most
    gradient   how gradients are obtained
    training   the plan of an attack that is trained first; `attack` is None then
    """

    key: str
    kind: Kind
    label: str
    attack: Attack | None
    parameters: dict[str, Any]
    budget: Budget
    surrogate: int | None
    main: bool
    sweep: str | None
    sees: Sees = "gradients"
    gradient: GradientOptions = OWN_GRADIENTS
    limit: int | None = None
    training: TrainedAttack | None = None

    @property
    def cost(self) -> int:
        """Model evaluations an example, roughly: what the progress bar counts."""
        p = self.parameters
        each = 3 * int(p.get("steps", 1)) * int(p.get("restarts", 1)) * int(p.get("searches", 1))
        each *= int(p.get("directions", 1)) * self.gradient.samples if self.training is None else 0
        asked = (
            int(p.get("angles", 0)) * (int(p.get("shifts", 1)) ** 2)
            + int(p.get("draws", 0))
            + int(p.get("queries", 0)) * int(p.get("restarts", 1))
            + int(p.get("first_draws", 0)) * int(p.get("steps", 1)) * 3
        )
        return 3 + (each + asked if self.limit is None else min(each + asked, self.limit))

    @property
    def training_cost(self) -> int:
        """Model evaluations of its training, roughly."""
        p = self.parameters
        return 3 * int(p["epochs"]) * int(p["train_images"]) if self.training is not None else 0

    @property
    def needs_gradients(self) -> bool:
        """Whether it asks the model under audit itself for gradients."""
        own = self.surrogate is None and self.gradient.backward != "surrogate"
        return own and self.sees == "gradients" and (self.attack is not None or self.training is not None)


CLEAN = Cell("clean", "clean", "Clean", None, {}, Nothing(), None, True, None)


def cells(plan: Plan, surrogates: int) -> list[Cell]:
    """All cells of one task with so many surrogates, the clean one first."""
    found = [CLEAN]
    for attack in plan.attacks:
        for who, kind, surrogate in _attackers(attack, surrogates):
            found += _apart(_doses(attack, who, kind, surrogate), found)
    return found


def _apart(mine: list[Cell], found: list[Cell]) -> list[Cell]:
    """The cells of one attack, numbered where an earlier attack has the same keys or the same curve."""
    keys, sweeps = {cell.key for cell in found}, {cell.sweep for cell in found if cell.sweep}
    named_alike = bool({cell.label for cell in mine} & {cell.label for cell in found})
    number, named = 1, mine
    while any(cell.key in keys or cell.sweep in sweeps for cell in named):
        number += 1
        named = [
            replace(
                cell,
                key=f"{cell.key}-{number}",
                label=f"{cell.label} ({number})" if named_alike else cell.label,
                sweep=f"{cell.sweep} ({number})" if named_alike and cell.sweep else cell.sweep,
            )
            for cell in mine
        ]
    return named


def _attackers(attack: AttackPlan, surrogates: int) -> list[tuple[str, Kind, int | None]]:
    """Who carries the attack out: in words, as a kind of condition, and on which surrogate."""
    if isinstance(attack, NoisePlan):
        return [("", "noise", None)]
    if isinstance(attack, RotationPlan):
        return [("", "rotation", None)]
    if not isinstance(attack, GradientAttack | TrainedAttack):
        return [("", "other", None)]
    # What does not attack every image as hard as it can says nothing about those that hold out.
    partial = isinstance(attack, TrainedAttack) or (attack.borderline is not None and attack.borderline < 1)
    found: list[tuple[str, Kind, int | None]] = []
    for knowledge in attack.knowledge:
        if knowledge == "white-box":
            found.append(("White box, ", "other" if partial else "white-box", None))
        else:
            found += [("Black box, ", "black-box", i) for i in range(surrogates)]
    return found


def _doses(attack: AttackPlan, who: str, kind: Kind, surrogate: int | None) -> list[Cell]:
    stated = attack.budget.at(None)
    parameters = _parameters(attack)
    title = attack.label or _title(attack)
    suffix = "" if not surrogate else f" (surrogate {surrogate + 1})"
    budgets = [(stated, True)] + [(attack.budget.at(d), False) for d in attack.doses if d != stated.size]
    sweep = f"{who}{title}{suffix}" if len(budgets) > 1 else None
    training = attack if isinstance(attack, TrainedAttack) else None
    return [
        Cell(
            key="/".join(
                [kind if surrogate is None else f"{kind}-{surrogate + 1}", attack.attack, _dose(budget.describe())]
            ),
            kind=kind,
            label=f"{who}{title}{suffix}",
            attack=None if isinstance(attack, TrainedAttack) else attack.build(budget),
            parameters=parameters,
            budget=budget,
            surrogate=surrogate,
            main=main,
            sweep=sweep,
            sees=attack.sees,
            gradient=getattr(attack, "gradient", OWN_GRADIENTS),
            limit=getattr(attack, "query_limit", None),
            training=training,
        )
        for budget, main in sorted(budgets, key=lambda pair: pair[0].size)
    ]


def _parameters(attack: AttackPlan) -> dict[str, Any]:
    """What determines the attack, beside its budget; of the gradient's options those that say something."""
    parameters = attack.model_dump(exclude={"budget", "label", "doses", "knowledge", "gradient"})
    gradient = getattr(attack, "gradient", OWN_GRADIENTS).model_dump(exclude_defaults=True)
    return parameters | ({"gradient": gradient} if gradient else {})


def _title(attack: AttackPlan) -> str:
    if isinstance(attack, PatchPlan) and attack.natural:
        return "natural patch (control)"
    title = attack.title
    if isinstance(attack, GradientAttack) and attack.borderline is not None:
        title += " on borderline cases" if attack.borderline < 1 else ", borderline first"
    return title


def _dose(budget: dict[str, Any]) -> str:
    size = budget.get("epsilon", budget.get("degrees", budget.get("area", 0.0)))
    return f"{budget['kind']}-{size:g}"
