"""Checks 1 to 6: a failure voids everything that was found about the model."""

from __future__ import annotations

from mithridate.audit.checks.evidence import Evidence
from mithridate.audit.checks.wording import Verdict, check, counted
from mithridate.audit.results import Check

NATIVE_TOLERANCE = 1e-3
"""Difference in probability between adapter and native runtime that other kernels explain."""
BATCH_TOLERANCE = 1e-3


def budget_kept(e: Evidence) -> Check:
    """1. Every candidate, measured again in float64, lies inside its budget, is finite and in range."""
    rows = sum(len(cell.findings) for cell in e.attacked)
    worst = max((float(cell.findings["violation"].max()) for cell in e.attacked), default=0.0)
    unverified = sum(int((~cell.findings["verified"]).sum()) for cell in e.attacked)
    sentence = f"Of {counted(rows, 'candidate')} the largest violation is {worst:.3g} and {unverified} are not finite."
    numbers = {"candidates": rows, "violation": min(worst, 1e30), "unverified": unverified}
    return check(1, "fail" if worst > 0 or unverified else "pass", sentence, numbers)


def same_model(e: Evidence) -> Check:
    """2. The adapter answers as the model does for its owner."""
    probe, numbers = e.model, {"examples": e.model.examples, "native_difference": e.model.native_difference}
    if probe.native_difference > NATIVE_TOLERANCE and not probe.randomized:
        return check(
            2, "fail",
            f"On the same {probe.examples} images the adapter and the model's own runtime differ by "
            f"{probe.native_difference:.3g} in probability: another model was audited, or its answers change.", numbers,
        )  # fmt: skip
    agreed = f"The adapter agrees with the model's own runtime within {probe.native_difference:.1g} in probability"
    if e.reproduced is not None:
        r = e.reproduced
        numbers |= {"compared": r.images, "largest_difference": r.largest, "decisions": r.decisions}
        return check(
            2, "pass",
            f"{agreed}, and reproduces its owner's clean answers on {counted(r.images, 'image')}: largest difference "
            f"{r.largest:.3g}, {counted(r.decisions, 'decision')} changed.", numbers,
        )  # fmt: skip
    if e.confirmed == "card":
        return check(2, "pass", f"{agreed}; its preprocessing is that of its card.", numbers)
    return check(
        2, "warn",
        f"{agreed}, but nobody confirmed range, mean, order and size of its input: give the model's own clean "
        "answers as 'predictions'.", numbers,
    )  # fmt: skip


def untouched(e: Evidence) -> Check:
    """3. Evaluation mode, and every parameter, buffer, gradient and flag is what it was."""
    p = e.model
    if not p.white_box:
        return check(3, "not applicable", f"The model is a {p.access}, out of the audit's reach.", {})
    kept = "unchanged" if p.state_kept else "changed"
    sentence = (
        f"Parameters, buffers, gradients and flags are {kept} by gradients and attacks (SHA-256 before and after); "
    )
    sentence += f"{counted(p.training_parts, 'part')} of the model in training mode."
    verdict: Verdict = "pass" if p.state_kept and p.training_parts == 0 else "fail"
    return check(3, verdict, sentence, {"training_parts": p.training_parts, "state_kept": int(p.state_kept)})


def batch_free(e: Evidence) -> Check:
    """4. An image alone gets the answer that it gets among others."""
    p = e.model
    numbers = {"examples": p.batch_tested, "difference": p.batch_difference, "decisions": p.batch_decisions}
    if p.randomized:
        return check(4, "not applicable", "The model is random, so answers differ anyway: see check 7.", numbers)
    failed = p.batch_difference > BATCH_TOLERANCE or p.batch_decisions > 0
    return check(
        4, "fail" if failed else "pass",
        f"Alone and among others, {counted(p.batch_tested, 'image')} differ by at most {p.batch_difference:.1g} in "
        f"probability and in {counted(p.batch_decisions, 'decision')}"
        + (": the model mixes the images of a batch." if failed else "."), numbers,
    )  # fmt: skip


def survives_storage(e: Evidence) -> Check:
    """5. Successes still stand after storage: 8-bit pixels, and 12 and 16 bits for DICOM."""
    before = sum(len(cell.fooled()) for cell in e.white())
    after = sum(len(cell.fooled() & cell.fooled("stored_prediction")) for cell in e.white())
    numbers: dict[str, float | int] = {"successes": before, "kept_8": after}
    words = [f"8 bits keep {after} of {counted(before, 'white-box success', 'white-box successes')}"]
    for bits, (kept, of) in e.model.stored.items():
        numbers |= {f"kept_{bits}": kept, f"of_{bits}": of}
        words.append(f"{bits} bits {kept} of {of}")
    if before == 0:
        return check(
            5, "not applicable", "No white-box attack succeeded, so nothing could be lost in storage.", numbers
        )
    verdict: Verdict = "pass" if after >= 0.9 * before else "warn"
    tail = "" if verdict == "pass" else "; the success rate after storage is the one to go by"
    return check(5, verdict, "; ".join(words) + tail + ".", numbers)


def canaries_sang(e: Evidence) -> Check:
    """6. Models with known verdicts got them before this one was looked at; else the run would have ended."""
    return check(
        6, "pass" if e.canaries else "fail",
        f"{counted(e.canaries, 'canary model')} got the expected verdict before this model was audited."
        if e.canaries else "No canary was audited.", {"canaries": e.canaries},
    )  # fmt: skip


INTEGRITY = (budget_kept, same_model, untouched, batch_free, survives_storage, canaries_sang)
