"""The study of Finlayson et al. as a plan: noise, PGD white box and black box at several doses, rotation."""

from __future__ import annotations

from mithridate.audit.plan import (
    AttackPlan,
    Authority,
    ChecksPlan,
    Execution,
    NoisePlan,
    NormBudget,
    PGDPlan,
    PhantomData,
    Plan,
    RotationBudget,
    RotationPlan,
    TaskPlan,
)

DOSES = (0.001, 0.003, 0.02)
"""Further values of epsilon around the paper's 0.01, on pixels in [0, 1]."""

PAPER_STEP = 0.5
"""The step of the paper's code, as a part of epsilon."""


def paper_attacks(
    doses: tuple[float, ...] = DOSES, *, degrees: float = 30.0, relative_step: float = PAPER_STEP / 2
) -> tuple[AttackPlan, ...]:
    """The paper's PGD (20 steps from a random start, every step taken) on the victim and on a surrogate, noise of the
    same size as the control, and the worst rotation.

    A step of half of epsilon, as in the paper's code, jumps between the corners of the box and misses a few examples
    that half as long a step fools in as many steps; an audit takes the stronger one.
    """
    budget = NormBudget(linf="paper-code")
    return (
        NoisePlan(attack="noise", budget=budget, doses=doses),
        PGDPlan(
            attack="pgd",
            budget=budget,
            knowledge=("white-box", "black-box"),
            steps=20,
            relative_step=relative_step,
            doses=doses,
        ),
        RotationPlan(attack="rotation", budget=RotationBudget(degrees=degrees)),
    )


def phantom_plan(*, quick: bool = False, workers: int | None = None) -> Plan:
    """The embedded study: shipped models, procedural images that no shipped model was trained on."""
    doses = (0.003,) if quick else DOSES
    return Plan(
        name="The imaging study on embedded phantoms" + (", quick" if quick else ""),
        authority=Authority(
            owner="the mithridate project",
            authorized_by="the mithridate project",
            statement="The shipped models and phantoms were made to be attacked by anyone.",
        ),
        seed=20180415,
        tasks=tuple(
            TaskPlan(
                data=PhantomData(phantom=task, patients=60 if quick else 120, seed=7001),
                part="all",
                limit=24 if quick else 96,  # whole kernel batches
                victim=f"builtin:{task}/victim",
                surrogates=(f"builtin:{task}/surrogate",),
            )
            for task in ("fundus", "chest", "skin")
        ),
        attacks=paper_attacks(doses),
        pictures=4,
        execution=Execution(workers=workers, kernel_batch=24 if quick else 32),
        checks=ChecksPlan(examples=4, draws=200, queries=200) if quick else ChecksPlan(draws=1000, queries=500),
    )
