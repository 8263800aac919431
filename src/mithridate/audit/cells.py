"""From a plan to its cells: one cell is one task's model under one attack, one attacker and one budget."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from mithridate.attack import Attack
from mithridate.audit.attack_plans import AttackPlan, HopSkipJumpPlan, NoisePlan, RotationPlan, SquarePlan
from mithridate.audit.plan import Plan
from mithridate.audit.results import Kind
from mithridate.budget import Budget, Nothing

NAMES = {
    "pgd": "PGD",
    "apgd": "APGD",
    "fgsm": "FGSM",
    "square": "Square (scores only)",
    "hop-skip-jump": "HopSkipJump (labels only)",
    "noise": "Random noise",
    "rotation": "Rotation",
}


@dataclass(frozen=True)
class Cell:
    """One condition of a task.  `key` is unique within the task; `surrogate` is the model that a black-box attacker
    computes on, by its index in the plan; `main` marks the budget that the plan states, as against further doses."""

    key: str
    kind: Kind
    label: str
    attack: Attack | None
    parameters: dict[str, Any]
    budget: Budget
    surrogate: int | None
    main: bool
    sweep: str | None

    @property
    def cost(self) -> int:
        """Model evaluations an example, roughly: what the progress bar counts."""
        p = self.parameters
        return (
            3
            + 3 * int(p.get("steps", 1)) * int(p.get("restarts", 1))
            + int(p.get("angles", 0))
            + int(p.get("draws", 0))
            + int(p.get("queries", 0)) * int(p.get("restarts", 1))
            + int(p.get("first_draws", 0)) * int(p.get("steps", 1)) * 3
        )


CLEAN = Cell("clean", "clean", "Clean", None, {}, Nothing(), None, True, None)


def cells(plan: Plan, surrogates: int) -> list[Cell]:
    """All cells of one task with so many surrogates, the clean one first."""
    found = [CLEAN]
    for attack in plan.attacks:
        for knowledge, surrogate in _attackers(attack, surrogates):
            found += _doses(attack, knowledge, surrogate)
    keys = [cell.key for cell in found]
    # Two attacks of one kind in a plan: number the later ones, so that every key stays unique.
    return [
        cell if keys.index(cell.key) == index else _numbered(cell, keys[:index].count(cell.key) + 1)
        for index, cell in enumerate(found)
    ]


def _numbered(cell: Cell, number: int) -> Cell:
    return Cell(**{**cell.__dict__, "key": f"{cell.key}-{number}", "label": f"{cell.label} ({number})"})


def _attackers(attack: Any, surrogates: int) -> list[tuple[Kind, int | None]]:
    if isinstance(attack, NoisePlan):
        return [("noise", None)]
    if isinstance(attack, RotationPlan):
        return [("rotation", None)]
    if isinstance(attack, SquarePlan | HopSkipJumpPlan):
        return [("other", None)]
    found: list[tuple[Kind, int | None]] = []
    for knowledge in attack.knowledge:
        found += [("white-box", None)] if knowledge == "white-box" else [("black-box", i) for i in range(surrogates)]
    return found


def _doses(attack: AttackPlan, kind: Kind, surrogate: int | None) -> list[Cell]:
    stated = attack.budget.at(None)
    parameters = attack.model_dump(exclude={"budget", "label", "doses", "knowledge"})
    name = attack.label or NAMES[attack.attack]
    who = {"white-box": "White box, ", "black-box": "Black box, "}.get(kind, "")
    suffix = "" if not surrogate else f" (surrogate {surrogate + 1})"
    budgets = [(stated, True)] + [(attack.budget.at(d), False) for d in attack.doses if d != stated.size]
    sweep = f"{who}{name}{suffix}" if len(budgets) > 1 else None
    return [
        Cell(
            key="/".join(
                [kind if surrogate is None else f"{kind}-{surrogate + 1}", attack.attack, _dose(budget.describe())]
            ),
            kind=kind,
            label=f"{who}{name}{suffix}",
            attack=attack.build(budget),
            parameters=parameters,
            budget=budget,
            surrogate=surrogate,
            main=main,
            sweep=sweep,
        )
        for budget, main in sorted(budgets, key=lambda pair: pair[0].size)
    ]


def _dose(budget: dict[str, Any]) -> str:
    size = budget.get("epsilon", budget.get("degrees", 0.0))
    return f"{budget['kind']}-{size:g}"
