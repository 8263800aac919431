"""What the verdicts mean together, what to do next, and what an audit of this kind cannot say."""

from __future__ import annotations

from collections.abc import Sequence

from mithridate.audit.checks.conclusion import WEAKENED_RATE
from mithridate.audit.results import Kind
from mithridate.report.study import Study
from mithridate.report.verdict import Level, Verdict
from mithridate.report.words import listed, percent

HIGH_CONFIDENCE = 0.9


def _names(verdicts: Sequence[Verdict]) -> str:
    return listed([v.task.name for v in verdicts])


def _reached(verdicts: Sequence[Verdict], kind: Kind, *levels: Level) -> list[Verdict]:
    return [v for v in verdicts if v.levels.get(kind) in levels]


def _surely_harmed(verdicts: Sequence[Verdict], kind: Kind) -> list[Verdict]:
    """Those whose whole interval of the success rate says so: one flipped image of a few is no general statement."""
    found = []
    for verdict in _reached(verdicts, kind, "fooled", "weakened"):
        strongest = verdict.task.strongest(kind)
        low = strongest.attack_success_rate.low if strongest else None
        if low is not None and low >= WEAKENED_RATE:
            found.append(verdict)
    return found


def summary(verdicts: Sequence[Verdict]) -> str:
    """One paragraph over all tasks."""
    attacked = [v for v in verdicts if v.level in ("fooled", "weakened", "held")]
    parts = []
    for level, words in (
        (
            "fooled",
            "{} fooled: at least one attack makes the model wrong in half or more of the images that it had right",
        ),
        ("weakened", "{} weakened: an attack changes answers, though fewer than half"),
        ("held", "{} held against every attack that was tried, which is no proof of safety"),
    ):
        found = [v for v in attacked if v.level == level]
        if found:
            verb = "was" if len(found) == 1 else "were"
            head = _head(found, verdicts)
            parts.append(words.format(head if level == "held" else f"{head} {verb}") + ".")
    others: tuple[tuple[Level, str], ...] = (
        ("inconclusive", "not judged: the attacks had no effect, and the checks found them too weak to tell"),
        ("void", "not judged: a check of the audit's own integrity failed"),
        ("not attacked", "not attacked"),
        ("not measured", "not measured under attack"),
    )
    for level, words in others:
        rest = [v for v in verdicts if v.level == level]
        if rest:
            verb = "was" if len(rest) == 1 else "were"
            parts.append(f"{_head(rest, verdicts)} {verb} {words}.")
    return " ".join(parts) or "This run holds no models."


def _head(some: Sequence[Verdict], verdicts: Sequence[Verdict]) -> str:
    return ("The model" if len(verdicts) == 1 else f"{len(some)} of {len(verdicts)} models") + f" ({_names(some)})"


def meaning(verdicts: Sequence[Verdict]) -> list[str]:
    """What the figures mean for people who rely on these models; only what the figures support."""
    found = []
    white, black = _reached(verdicts, "white-box", "fooled"), _surely_harmed(verdicts, "black-box")
    if white:
        found.append(
            f"Whoever holds the model ({_names(white)}) and can reach an image between the scanner and the model "
            "can choose the answer. High accuracy on untouched images does not protect against this."
        )
    computed = [v for v in white if v.noise_harmless]
    if computed:
        found.append(
            f"This is not a matter of image quality ({_names(computed)}): random noise does no harm, "
            "the computed change does."
        )
    fragile = [v for v in verdicts if v.noise_harmless is False]
    if fragile:
        found.append(
            f"The model ({_names(fragile)}) loses accuracy to random noise alone: "
            "part of its weakness needs no attacker."
        )
    sure = [v for v in white if _still_confident(v)]
    if sure:
        found.append(
            f"Confidence is no warning sign ({_names(sure)}): on the attacked images the mean stated confidence is "
            f"{'at least ' if len(sure) > 1 else ''}{percent(min(_confidence(v) or 0.0 for v in sure))}."
        )
    if black:
        found.append(
            f"Keeping the model secret is not enough ({_names(black)}): changes computed on a look-alike carry over."
        )
    turned = _surely_harmed(verdicts, "rotation")
    if turned:
        found.append(
            f"No computation of pixels is needed ({_names(turned)}): turning the image already changes answers."
        )
    held = [v for v in verdicts if v.level == "held"]
    if held:
        found.append(
            f"The attacks of this run did not break every model ({_names(held)} held). A stronger attack still may."
        )
    unclear = [v for v in verdicts if v.level == "inconclusive"]
    if unclear:
        found.append(
            f"That the attacks of this run had no effect ({_names(unclear)}) says nothing yet: a check found that they "
            "were too weak."
        )
    refused = [v for v in verdicts if v.level == "not attacked"]
    if refused:
        found.append(
            f"A model that cannot tell its classes apart ({_names(refused)}) has nothing for an attack to take away."
        )
    return found or ["No attack was measured, so the run says nothing about attackers."]


def _confidence(verdict: Verdict) -> float | None:
    white = verdict.task.strongest("white-box")
    return None if white is None else white.confidence.value


def _still_confident(verdict: Verdict) -> bool:
    confidence = _confidence(verdict)
    return confidence is not None and confidence >= HIGH_CONFIDENCE


def next_steps(verdicts: Sequence[Verdict]) -> list[str]:
    """What to do, most urgent first."""
    steps = []
    harmed = [v for v in verdicts if v.level in ("fooled", "weakened")]
    if harmed:
        steps += [
            f"Do not let the answer of these models alone ({_names(harmed)}) decide a payment, a treatment, or a place "
            "in a trial: wherever someone gains from a wrong answer, assume that the image may have been changed.",
            "Fingerprint each image at the scanner and check the fingerprint before the model reads it. A change made "
            "on the way is then seen, however small it is.",
            "Harden the model (adversarial training, for instance), then run the same plan again. Compare the accuracy "
            "on untouched images too: hardening has a price.",
        ]
    if _reached(verdicts, "rotation", "fooled", "weakened"):
        steps.append("Train with rotated images, or bring every image upright before the model reads it.")
    if any(v.noise_harmless is False for v in verdicts):
        steps.append("Train with noisy images: a model should not lose accuracy to the noise of an ordinary detector.")
    if any(v.level == "held" for v in verdicts):
        steps.append(
            "Where the attacks failed, try stronger ones before relying on it: more steps, restarts, other losses, "
            "other budgets, and an attack that knows the defense."
        )
    if any(v.level in ("inconclusive", "void") for v in verdicts):
        steps.append(
            "Do what the failed checks ask for, then run the same plan again: as it stands, the run is no evidence "
            "that a model resists."
        )
    if any(v.level == "not attacked" for v in verdicts):
        steps.append(
            "Mend the refused model first: check its labels, its preprocessing, and that it is the model meant."
        )
    if any(v.level == "not measured" for v in verdicts):
        steps.append("Finish the run: a model without attack figures has not been audited.")
    return [
        *steps,
        "Repeat the audit whenever the model, its preprocessing, or its scanners change, and file both reports.",
    ]


def limits(study: Study) -> list[str]:
    """What these figures cannot say."""
    found = []
    if study.results.synthetic:
        found.append(
            "Every image of this run is a phantom, drawn by a program. The run shows the method and how these models "
            "behave on phantoms; it says nothing about any model that reads patients' images."
        )
    found += [
        "Each success rate is a lower bound on the danger: a better attacker may do more. A failed attack is no proof "
        "of safety.",
        "The intervals speak of the sampling of images like these. Other hospitals, scanners, and patients may differ.",
        "No human readers judged the images. Whether a change can be seen is shown in the figures, not measured; SSIM "
        "and PSNR are stand-ins.",
        "The changes were applied to digital images. Attacks on the scanner, the printed film, or the training data "
        "were not tried.",
    ]
    if any(c.kind == "black-box" for t in study.tasks for c in t.result.conditions):
        found.append(
            "The black-box figures hold for the look-alikes that were used. A closer look-alike, or an attacker who "
            "may ask the model itself, can reach more."
        )
    return found
