"""What was done, in words, and what the words mean."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from mithridate.audit.results import Condition
from mithridate.report.study import Study
from mithridate.report.words import ABSENT, count, dose, duration, gray_levels, sentence

PAPER_EPSILON_NOTE = (
    "Finlayson et al. state eps = 0.02. Their code applies it to pixels in [-1, 1], which is 0.01, or 2.55 of 255 gray "
    "levels, on pixels in [0, 1]; “paper-code” is that reading, “paper-text” is 0.02 on pixels in [0, 1]."
)

ATTACKS = {
    "pgd": "Projected gradient descent (Madry et al. 2018): many small steps, each in the direction that harms the "
    "model most, each cut back into the budget.",
    "fgsm": "Fast gradient sign method (Goodfellow et al. 2015): one step of full size.",
    "transfer": "Transfer with momentum (Dong et al. 2018) and input diversity (Xie et al. 2019): steps on a surrogate "
    "that are meant to carry over to other models.",
    "apgd": "Auto-PGD (Croce and Hein 2020): projected gradient descent that halves its steps when they stop helping.",
    "apgd-targeted": "Auto-PGD towards each of the likeliest wrong classes in turn (Croce and Hein 2020).",
    "fab": "Fast adaptive boundary attack (Croce and Hein 2020): the nearest point where the answer changes.",
    "deepfool": "DeepFool (Moosavi-Dezfooli et al. 2016): step by step over the linearized model's boundary.",
    "minimum-norm": "Fast minimum-norm attack (Pintor et al. 2021): the smallest change, in a shrinking ball.",
    "carlini-wagner": "Carlini and Wagner (2017): the smallest Euclidean change that fools, weighed against success.",
    "standard-ensemble": "AutoAttack's standard ensemble (Croce and Hein 2020): four attacks, each on the images that "
    "withstood the ones before.",
    "square": "Square (Andriushchenko et al. 2020): random squares, kept when the scores get worse.",
    "finite-differences": "Finite differences, as ZOO (Chen et al. 2017): gradients estimated from scores alone.",
    "hop-skip-jump": "HopSkipJump (Chen et al. 2020): walks along the boundary, asking for decisions alone.",
    "boundary": "Boundary attack (Brendel et al. 2018): a random walk along the boundary, asking for decisions alone.",
    "motion": "Rotation and translation to the worst place of a grid or of random tries (Engstrom et al. 2019).",
    "universal": "Universal perturbation (Moosavi-Dezfooli et al. 2017): one change for all images.",
    "patch": "Adversarial patch (Brown et al. 2017): a visible sticker, trained on other images to work anywhere.",
    "noise": "Random noise of the attack's own size: the control. What noise does not do, a computed change does.",
    "rotation": "Rotation to the angle that the model likes least (Engstrom et al. 2019), among evenly spaced angles.",
}

METRICS = {
    "accuracy": "Accuracy",
    "auc": "AUC",
    "sensitivity": "Sensitivity",
    "specificity": "Specificity",
    "confidence": "Confidence",
    "attack_success_rate": "Success",
    "stored_success_rate": "Success, stored",
    "ssim": "SSIM",
    "psnr": "PSNR",
}

GLOSSARY = (
    ("Adversarial attack", "A change to an image that is computed to make a model answer wrongly."),
    ("White box", "The attacker holds the model itself and can compute which change harms it most: the worst case."),
    (
        "Black box",
        "The attacker does not hold the model. The change is computed on a look-alike (surrogate) that was trained "
        "separately, and carried over.",
    ),
    ("Random noise", "A change of the same size, drawn by chance. The control: it shows what size alone does."),
    (
        "Gray level",
        "One of the 256 steps of an 8-bit image, from 0 (black) to 255 (white). A change of a few is hard to see.",
    ),
    ("Epsilon (eps)", "The largest allowed change at any pixel, on a scale where black is 0 and white is 1."),
    ("Accuracy", "The part of the images that the model has right when it answers with the likelier class."),
    ("Majority-class accuracy", "The accuracy of always giving the more frequent answer without looking at the image."),
    (
        "AUC",
        "How often a diseased image gets a higher probability than a healthy one: 0.5 is chance, 1 is perfect, and "
        "below 0.5 the order is turned around.",
    ),
    ("Sensitivity", "The part of the diseased images that the model finds at its operating threshold."),
    ("Specificity", "The part of the healthy images that the model clears at its operating threshold."),
    ("Confidence", "The probability that the model states for the answer it gives."),
    ("Success rate", "Of the images that the model had right, the part that the attack made wrong."),
    (
        "95% interval",
        "The range of values that the data leave plausible. With more patients it gets narrower.",
    ),
    ("SSIM", "Structural similarity of two images as a human might see it; 1 means identical."),
    ("PSNR", "Peak signal-to-noise ratio in decibels; above about 40 dB two images are hard to tell apart."),
    ("Phantom", "An image drawn by a program, not taken from a patient."),
)


@dataclass(frozen=True)
class AttackLine:
    """One attack of the run for the methods table."""

    tasks: tuple[str, ...]
    label: str
    parameters: str
    budgets: str
    computed_on: str
    queries: str


def attack_lines(study: Study) -> list[AttackLine]:
    """Every attack once, its doses and the tasks that it was used on together."""
    together: dict[tuple[str, ...], list[tuple[str, list[Condition]]]] = {}
    for task in study.tasks:
        mine: dict[tuple[str, str, str], list[Condition]] = {}
        for c in task.result.conditions:
            if c.kind != "clean":
                mine.setdefault((c.label, c.attack, c.surrogate or "the model itself"), []).append(c)
        for key, conditions in mine.items():
            ordered = sorted(conditions, key=lambda c: c.size)
            together.setdefault((*key, _doses(ordered)), []).append((task.name, ordered))
    return [
        AttackLine(
            tasks=tuple(name for name, _ in users),
            label=label,
            parameters=attack,
            budgets=doses,
            computed_on=computed_on,
            queries=_range([c.queries_per_example for _, conditions in users for c in conditions]),
        )
        for (label, attack, computed_on, doses), users in together.items()
    ]


def _range(values: list[float]) -> str:
    low, high = f"{min(values):.4g}", f"{max(values):.4g}"
    return low if low == high else f"{low}–{high}"


def _doses(conditions: list[Condition]) -> str:
    kind = conditions[0].budget.get("kind")
    if len(conditions) == 1:
        return dose(conditions[0].budget, conditions[0].size)
    sizes = ", ".join(f"{c.size:g}" for c in conditions)
    if kind == "linf":
        levels = ", ".join(gray_levels(c.size) for c in conditions)
        return f"eps {sizes} on pixels in [0, 1], that is {levels} of 255 gray levels"
    return f"{kind} {sizes}"


def explained(study: Study) -> list[str]:
    """One sentence for each kind of attack in the run."""
    names = {c.attack.split("(")[0].strip().casefold() for t in study.tasks for c in t.result.conditions}
    return [text for key, text in ATTACKS.items() if key in names]


def interval_methods(study: Study) -> list[tuple[str, str]]:
    """Metric and the methods of its intervals.  Design effects differ from row to row, so they are counted together."""
    found = []
    for name, label in METRICS.items():
        methods: dict[str, None] = {}
        widest = 1.0
        for method in _methods(study, name):
            base, _, effect = method.partition(", design effect ")
            methods[base] = None
            widest = max(widest, _float(effect))
        if methods:
            more = (
                f"; widened for images of one patient or lesion, design effect up to {widest:.2f}" if widest > 1 else ""
            )
            found.append((label, ", ".join(methods) + more))
    return found


def _methods(study: Study, name: str) -> Iterator[str]:
    for task in study.tasks:
        for condition in task.result.conditions:
            estimate = getattr(condition, name)
            if estimate.value is not None:
                yield estimate.method


def _float(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return 1.0


def facts(study: Study) -> list[tuple[str, str]]:
    """What identifies the run."""
    results, manifest = study.results, _manifest(study)
    versions = manifest.get("versions")
    device = manifest.get("device")
    found = [
        ("Reading of epsilon", results.epsilon_reading),
        ("Seed", str(results.seed)),
        ("Fingerprint of the run", results.run),
        ("Version", f"mithridate {results.mithridate}"),
        ("Computed in", duration(results.seconds)),
    ]
    if isinstance(versions, dict):
        found.append(("Libraries", ", ".join(f"{k} {v}" for k, v in versions.items() if k != "mithridate")))
    if isinstance(device, dict):
        found.append(("Device", ", ".join(str(v) for v in device.values())))
    return found


def subjects(study: Study) -> list[tuple[str, list[tuple[str, str]]]]:
    """For each task its data and its model, as pairs of name and value."""
    return [
        (
            task.title,
            [
                ("Positive", task.result.positive),
                ("Negative", task.result.negative),
                *((f"Data, {key}", _plain(value)) for key, value in task.result.data.items()),
                *((f"Model, {key}", _plain(value)) for key, value in task.result.victim.items()),
            ],
        )
        for task in study.tasks
    ]


def _plain(value: Any) -> str:
    if value is None or value == "" or value == {}:
        return ABSENT
    if isinstance(value, dict):
        return "; ".join(f"{key} {_plain(item)}" for key, item in value.items())
    if isinstance(value, (list, tuple)):
        return ", ".join(_plain(item) for item in value)
    if isinstance(value, float):
        return f"{value:.4g}"
    return str(value)


def missing(study: Study) -> list[str]:
    """What a run that was stopped lacks, as far as its own conditions tell; empty for a complete run."""
    if study.results.complete:
        return []
    planned = _manifest(study).get("tasks")
    names = [str(t.get("name")) for t in planned if isinstance(t, dict)] if isinstance(planned, list) else []
    found = [f"{name}: nothing was measured" for name in names if name not in {t.name for t in study.tasks}]
    labels = {(c.label, c.size, c.budget.get("kind")): None for t in study.attacked for c in t.result.conditions}
    for task in study.attacked:
        have = {(c.label, c.size, c.budget.get("kind")) for c in task.result.conditions}
        gone = [key for key in labels if key not in have]
        words = [f"{label} ({dose({'kind': kind}, size)})" if size else label for label, size, kind in gone]
        if words:
            found.append(f"{task.name}: {', '.join(words)}")
    return [sentence(text) for text in found] or ["Which conditions are missing cannot be told from the results."]


def _manifest(study: Study) -> dict[str, Any]:
    try:
        content = json.loads((study.path / "manifest.json").read_text())
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}


def scale(study: Study) -> str:
    """ "3 tasks, 39 conditions, 6,240 examples attacked"."""
    conditions = [c for t in study.tasks for c in t.result.conditions if c.kind != "clean"]
    return ", ".join(
        (
            count(len(study.tasks), "model"),
            count(len(conditions), "attack condition"),
            count(sum(c.n for c in conditions), "attacked image"),
        )
    )
