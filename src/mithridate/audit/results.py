"""What an audit found, in plain numbers: the content of `results.json` and the only thing a report needs to read."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

Kind = Literal["clean", "noise", "white-box", "black-box", "rotation", "other"]


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Estimate(_Frozen):
    """A figure with its 95% interval; None where it is not defined (an AUC without both classes, say)."""

    value: float | None
    low: float | None
    high: float | None
    method: str


class Condition(_Frozen):
    """One task's model under one attack and budget, over n examples."""

    cell: str
    """Unique within the run, for instance "fundus/white-box/linf=0.01"; the key of findings and pictures."""
    kind: Kind
    label: str
    """For people: "White box, PGD"."""
    attack: str
    """The attack's name and parameters on one line; "none" for the clean condition."""
    budget: dict[str, Any]
    """{"kind": "linf" | "l2" | "rotation" | "none", "epsilon" | "degrees": float, ...}"""
    size: float
    """The dose: epsilon, degrees, or 0."""
    main: bool
    """True for the study's own conditions (Table 2, Figure 2); False for the other doses of a sweep."""
    sweep: str | None
    """Conditions of one task with the same sweep name form one dose-response curve, the clean condition its dose 0."""
    surrogate: str | None
    """Black box: the model that the attack was computed on."""
    n: int
    accuracy: Estimate
    auc: Estimate
    sensitivity: Estimate
    specificity: Estimate
    threshold: float
    """Operating threshold of sensitivity and specificity, from the model's card."""
    confidence: Estimate
    """Mean of the larger class probability."""
    attack_success_rate: Estimate
    """Of the examples that were right when clean, the part that the attack made wrong; not defined when clean."""
    stored_success_rate: Estimate
    """The same after storage as 8-bit pixels."""
    ssim: Estimate
    psnr: Estimate
    """Mean decibels over the changed images."""
    queries_per_example: float
    violation: float
    """The largest violation of the budget over all examples; anything but 0 voids the condition."""
    unverified: int
    """Candidates whose predictions are not finite."""


class Check(_Frozen):
    """One of the twenty questions that the audit asks of itself; see docs/checks.md."""

    number: int
    title: str
    group: Literal["integrity", "strength"]
    """A failed integrity check voids the task; a failed strength check makes a failed attack inconclusive."""
    verdict: Literal["pass", "warn", "fail", "not applicable"]
    evidence: str
    """One sentence with the figures that the verdict rests on."""
    numbers: dict[str, float | int]


class Canary(_Frozen):
    """A model whose verdict is known beforehand, audited before any other."""

    name: str
    expected: str
    found: str
    evidence: str


Outcome = Literal["not attacked", "void", "not robust", "inconclusive", "robust"]


class Conclusion(_Frozen):
    """What the checks let one say of a task.

    "robust" means: within these budgets no attack of the run had an effect, at least one of them held the model, and no
    check of the attacks' strength failed.  It is never a proof.
    """

    outcome: Outcome
    reasons: tuple[str, ...]


class TaskResult(_Frozen):
    """One task: its data, its model and every condition."""

    task: str
    modality: str
    positive: str
    negative: str
    data: dict[str, Any]
    """fingerprint, source, n, positives, groups, split."""
    victim: dict[str, Any]
    """The model card's fields that a reader needs: name, architecture, size, thresholds, metrics, weights' SHA-256."""
    majority_accuracy: float
    refused: str | None
    """Why the model was not attacked (clean AUC interval includes 0.5), or None."""
    conditions: tuple[Condition, ...]
    robust_accuracy: Estimate | None = None
    """Right when clean and under every main attack: each example at its worst."""
    checks: tuple[Check, ...] = ()
    conclusion: Conclusion | None = None


class Results(_Frozen):
    """One run."""

    mithridate: str
    name: str
    run: str
    """Fingerprint of everything that determines the numbers."""
    created: str
    """ISO 8601, UTC."""
    authority: dict[str, str]
    """owner, authorized_by, statement: who owns the models and who allowed the test."""
    seed: int
    epsilon_reading: str
    """How the paper's eps was read, in words."""
    synthetic: bool
    """True when every image is a phantom."""
    seconds: float
    complete: bool
    """False when the run was stopped: the report then says what is missing."""
    stopped: str | None = None
    """Why it was stopped, when it stopped by itself: a query budget that ran out."""
    canaries: tuple[Canary, ...] = ()
    tasks: tuple[TaskResult, ...]
