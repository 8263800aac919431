"""A run's main figures as a Markdown page for the manual, written by command and never by hand."""

from __future__ import annotations

from pathlib import Path

from mithridate.audit.results import Condition, Estimate, Results, TaskResult
from mithridate.files import replace_text
from mithridate.imaging.cards import read_card


def write_page(results: Results, study: Path, page: Path) -> None:
    """Write `page` from a study's results and its models' cards in study/models/TASK/ROLE."""
    lines = [
        "# Real images, measured",
        "",
        "Written by `make real DATA=...`; do not edit. "
        f"Run `{results.run}`, mithridate {results.mithridate}, seed {results.seed}, {results.created[:10]}. "
        "All intervals are 95%: Wilson for proportions, Newcombe for the AUC, t for means, widened by the design "
        "effect where several images come from one patient or lesion.",
        "",
        "## The models on patients they never saw",
        "",
        "Test AUC and accuracy over the whole group-held-out part. The surrogate of the black-box attacker has the",
        "victim's architecture, ImageNet start and training images, and another seed: an attacker with less would",
        "transfer less.",
        "",
        "| task | model | trained on | test images | AUC | accuracy | always the commoner class |",
        "|---|---|---|---|---|---|---|",
    ]
    for task in results.tasks:
        for role in ("victim", "surrogate"):
            lines.append(_card(study / "models" / task.task / role, task, role))
    lines += ["", "## Under attack", "", f"{results.epsilon_reading}."]
    for task in results.tasks:
        lines += _task(task)
    page.parent.mkdir(parents=True, exist_ok=True)
    replace_text(page, "\n".join(lines) + "\n")


def _card(folder: Path, task: TaskResult, role: str) -> str:
    card = read_card(folder)
    trained = sum(n for part in ("train", "validation") for n in card.data.images.get(part, {}).values())
    if card.test is None:
        return f"| {task.task} | {role}, {card.architecture} | {trained} images | none | | | |"
    auc, accuracy = card.test.auc, card.test.accuracy
    return (
        f"| {task.task} | {role}, {card.architecture} | {trained} images | {card.test.images} "
        f"| {_interval(auc.value, auc.low, auc.high)} "
        f"| {_interval(accuracy.value, accuracy.low, accuracy.high)} | {card.test.majority_accuracy:.3f} |"
    )


def _task(task: TaskResult) -> list[str]:
    lines = [
        "",
        f"### {task.task}: {task.positive} against {task.negative}",
        "",
        f"{task.data['n']} test images of {task.data['groups']} patients or lesions, "
        f"{task.data['positives']} positive.",
        "",
    ]
    if task.refused:
        return [*lines, f"The model was {task.refused}."]
    lines += [
        "| condition | dose | accuracy | AUC | mean confidence | wrong, of those right when clean | SSIM |",
        "|---|---|---|---|---|---|---|",
    ]
    return lines + [_condition(condition) for condition in task.conditions]


def _condition(c: Condition) -> str:
    dose = f"{c.size:g}" + ({"linf": "", "l2": " (L2)", "rotation": " degrees"}.get(c.budget["kind"], ""))
    cells = [c.label, dose if c.kind != "clean" else ""]
    cells += [_estimate(e) for e in (c.accuracy, c.auc, c.confidence, c.attack_success_rate)]
    return "| " + " | ".join([*cells, "" if c.kind == "clean" else f"{c.ssim.value:.3f}"]) + " |"


def _estimate(e: Estimate) -> str:
    return _interval(e.value, e.low, e.high)


def _interval(value: float | None, low: float | None, high: float | None) -> str:
    if value is None or low is None or high is None:
        return ""
    return f"{value:.3f} ({low:.3f} to {high:.3f})"
