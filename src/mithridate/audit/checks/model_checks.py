"""Checks 7 to 10 and 19: whether the model, and the loss that is raised on it, let an attack see anything."""

from __future__ import annotations

from mithridate.audit.checks.evidence import CellEvidence, Evidence
from mithridate.audit.checks.wording import Verdict, check, counted
from mithridate.audit.results import Check

SLOPE_TOLERANCE = 0.5
"""Part of the measured slope that the computed one may miss before the gradient is not the function's."""
BPDA = "with  gradient: {backward: straight-through}  or  {backward: surrogate}"
"""What a plan says to replace a backward pass."""
NO_GRADIENTS = "The model is a {}: no white-box attack was run."


def not_random(e: Evidence) -> Check:
    """7. Five passes give the same predictions; else an attack must average over the randomness (EOT)."""
    p = e.model
    numbers = {"passes": p.passes, "examples": p.examples, "spread": p.spread, "flips": p.flips}
    sentence = (
        f"Over {p.passes} passes probabilities vary by at most {p.spread:.2g} and {counted(p.flips, 'decision')} change"
    )
    if p.randomized and e.everywhere(lambda c: c.option("samples", 1) > 1):
        return check(7, "warn", f"{sentence}; a white-box attack of each budget averages over them (EOT).", numbers)
    if p.randomized:
        return check(
            7, "fail",
            f"{sentence}: attack the expectation over the randomness (EOT), with  gradient: {{samples: 20}}.", numbers,
        )  # fmt: skip
    return check(7, "pass", f"{sentence}.", numbers)


def head_as_stated(e: Evidence) -> Check:
    """8. Probabilities are not taken for logits, nor logits for probabilities (AutoAttack's thresholds)."""
    p = e.model
    if p.mislabeled is None:
        taken = "; the attacks work on their logarithm" if "probabilit" in p.output else ""
        return check(8, "pass", f"The answers look like the stated head, '{p.output}'{taken}.", {})
    # One logit between 0 and 1 may be chance; a row of a softmax is not.
    verdict: Verdict = (
        "fail" if p.output in ("logits", "probabilities", "multilabel-probabilities", "probability") else "warn"
    )
    return check(8, verdict, f"The head was stated as '{p.output}', but {p.mislabeled}: state the right head.", {})


def gradients_there(e: Evidence) -> Check:
    """9. No zero, NaN or infinite input gradient on any example (Athalye et al. 2018; Pintor et al. 2022)."""
    p = e.model
    if p.zero is None or p.broken is None or p.starved is None:
        return check(9, "not applicable", NO_GRADIENTS.format(p.access), {})
    numbers = {"examples": p.examples, "zero": len(p.zero), "broken": len(p.broken), "starved": len(p.starved)}
    fooled = frozenset().union(*(cell.fooled() for cell in e.white()))
    held = [example for example in (*p.zero, *p.broken) if example not in fooled]
    found = (
        f"Of {counted(p.examples, 'example')} {len(p.zero)} have a zero input gradient and {len(p.broken)} one that is "
        "not finite"
    )
    if held and e.everywhere(_replaced):
        return check(
            9, "warn",
            f"{found}, and {len(held)} of them held out; a white-box attack of each budget replaces what stops the "
            "gradient (BPDA).", numbers,
        )  # fmt: skip
    if held:
        return check(
            9, "fail",
            f"{found}, and {len(held)} of them held out: the gradient is masked; raise another loss, or replace what "
            f"stops the gradient (BPDA), {BPDA}.", numbers,
        )  # fmt: skip
    if p.zero or p.broken:
        return check(9, "warn", f"{found}; all of them were fooled all the same.", numbers)
    if p.starved:
        return check(
            9, "warn",
            f"{found}; {len(p.starved)} have none under cross-entropy, which saturates: attacks should raise the "
            "margin.", numbers,
        )  # fmt: skip
    return check(9, "pass", f"{found}.", numbers)


def loss_fits(e: Evidence) -> Check:
    """10. The difference-of-logits ratio needs three classes (four when targeted): else the margin."""
    losses = sorted({str(c.parameters["loss"]) for c in e.attacked if "loss" in c.parameters})
    if not losses:
        return check(10, "not applicable", "No attack of the run raises a loss.", {})
    classes, named = e.model.classes, ", ".join(losses)
    if "dlr" in losses and classes < 3:
        # The engine falls back to the margin; saying so keeps a reader from crediting DLR.
        return check(
            10, "warn", f"The model has {classes} classes, so the margin stood in for 'dlr'.", {"classes": classes}
        )
    return check(10, "pass", f"With {classes} classes the attacks raise: {named}.", {"classes": classes})


def _replaced(cell: CellEvidence) -> bool:
    return bool(cell.option("backward", "own") != "own")


def preprocessing_open(e: Evidence) -> Check:
    """19. The computed gradient is the function's own: no undifferentiable step stands before the model, or BPDA
    replaces it (Athalye et al. 2018)."""
    p = e.model
    if p.zero is None:
        return check(19, "not applicable", NO_GRADIENTS.format(p.access), {})
    if p.randomized:
        return check(19, "not applicable", "The model is random, so slopes cannot be compared: see check 7.", {})
    if p.slope_error is None:
        return check(
            19, "not applicable", "The answer does not move along random directions, so no slope is known.", {}
        )
    numbers = {"slope_error": p.slope_error}
    if p.slope_error > SLOPE_TOLERANCE:
        found = (
            f"Along random directions the computed slopes leave {100 * p.slope_error:.0f}% of the measured ones "
            "unexplained: a step before or in the model is not differentiable"
        )
        if e.everywhere(_replaced):
            words = "; a white-box attack of each budget replaces it in the backward pass (BPDA)."
            return check(19, "warn", found + words, numbers)
        return check(19, "fail", f"{found}; replace it in the backward pass (BPDA), {BPDA}.", numbers)
    return check(
        19, "pass",
        f"Along random directions the computed slopes explain the measured ones but for {100 * p.slope_error:.0f}%.",
        numbers,
    )  # fmt: skip


MODEL_CHECKS = (not_random, head_as_stated, gradients_there, loss_fits)
