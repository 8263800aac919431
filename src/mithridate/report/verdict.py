"""The verdict on one task: plain sentences that follow from the numbers by rules that are written here, once.

Every word of judgment ("fooled", "weakened", "held", "harmless") has a threshold below; the report prints the rules.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from mithridate.audit.checks.conclusion import FOOLED_RATE, TOLERANCE, WEAKENED_RATE, effect_of
from mithridate.audit.results import Condition, Kind
from mithridate.report.study import Task, usable
from mithridate.report.words import count, dose, interval, listed, percent, points, sentence, with_interval

HARD_TO_SEE = 4 / 255
"""Changes up to four gray levels at any pixel, at an SSIM of at least 0.9, are called hard to see."""

Level = Literal["fooled", "weakened", "held", "inconclusive", "void", "not attacked", "not measured"]

Topic = Kind | Literal["task", "trust"]

TOPICS: dict[Topic, str] = {
    "task": "Refused",
    "trust": "Trust",
    "clean": "Untouched",
    "noise": "Noise",
    "white-box": "White box",
    "black-box": "Black box",
    "rotation": "Rotation",
    "other": "Other attack",
}


@dataclass(frozen=True)
class Statement:
    """One sentence or two about one condition, the model as a whole ("task"), or the checks ("trust")."""

    kind: Topic
    text: str

    @property
    def topic(self) -> str:
        """The word that leads the sentence in print."""
        return TOPICS[self.kind]


@dataclass(frozen=True)
class Verdict:
    """`headline` is a few words, `statements` say why; `levels` holds what each kind of attack reached."""

    task: Task
    level: Level
    headline: str
    statements: tuple[Statement, ...]
    levels: dict[Kind, Level]
    noise_harmless: bool | None


def level_of(clean: Condition | None, attacked: Condition | None) -> Level:
    """How far one attack got, from its success rate and the accuracy that it took."""
    return effect_of(clean, attacked)


def judge_task(task: Task) -> Verdict:
    """The verdict on one task."""
    if task.result.refused is not None:
        why = reason(task.result.refused)
        text = f"The {task.name} model was not attacked: {why}. An attack on it would show nothing."
        return Verdict(task, "not attacked", "Not attacked", (Statement("task", text),), {}, None)
    kinds: tuple[Kind, ...] = ("white-box", "black-box", "rotation", "other")
    strongest = {kind: task.strongest(kind) for kind in kinds}
    levels: dict[Kind, Level] = {k: level_of(task.clean, c) for k, c in strongest.items() if c is not None}
    statements = [_clean(task), _attack(task, "white-box"), _noise(task)]
    statements += [_attack(task, kind) for kind in ("black-box", "rotation", "other")]
    order: tuple[Level, ...] = ("fooled", "weakened", "held")
    level: Level = next((v for v in order if v in levels.values()), "not measured")
    statements = [*_trust(task), *statements]
    level, headline = _trusted(task, level, _headline(levels))
    if level == "void":
        levels = {}
    noise = task.strongest("noise")
    harmless = None if noise is None or task.clean is None else _noise_harmless(task.clean, noise)
    return Verdict(task, level, headline, tuple(s for s in statements if s), levels, harmless)


def _trusted(task: Task, level: Level, headline: str) -> tuple[Level, str]:
    """What the checks leave of a level: a void audit says nothing, and a weak attack says nothing of a model that
    held."""
    outcome = task.result.conclusion.outcome if task.result.conclusion else None
    if outcome == "void":
        return "void", "Void: an integrity check failed"
    if outcome == "inconclusive" and level in ("held", "not measured"):
        return "inconclusive", "Inconclusive: the attacks were too weak to tell"
    return level, headline


def _trust(task: Task) -> list[Statement]:
    """Why an outcome is void or inconclusive, in the words of the checks."""
    conclusion = task.result.conclusion
    if conclusion is None or conclusion.outcome not in ("void", "inconclusive"):
        return []
    return [Statement("trust", sentence(reason)) for reason in conclusion.reasons]


def _headline(levels: dict[Kind, Level]) -> str:
    """ "Fooled by white box and black box; held against rotation"."""
    words: dict[Level, str] = {"fooled": "fooled by", "weakened": "weakened by", "held": "held against"}
    parts = []
    for level, word in words.items():
        kinds = [TOPICS[kind].lower() for kind, reached in levels.items() if reached == level]
        if kinds:
            parts.append(f"{word} {listed(kinds)}")
    text = "; ".join(parts) or "not measured under attack"
    return text[0].upper() + text[1:]


def reason(refused: str) -> str:
    """Why a model was refused, without the announcement and the full stop."""
    return refused.strip().removeprefix("not attacked: ").rstrip(".")


def _clean(task: Task) -> Statement:
    clean = task.clean
    if clean is None or clean.accuracy.value is None:
        return Statement(
            "clean", "The untouched images were not measured, so nothing can be said about what attacks change."
        )
    majority = task.result.majority_accuracy
    text = f"The {task.name} model is right in {with_interval(clean.accuracy)} of {count(clean.n, 'untouched image')}"
    rest = f"always giving the more frequent answer would be right in {percent(majority)}"
    if clean.accuracy.value > majority:
        return Statement("clean", f"{text}; {rest}.")
    return Statement("clean", f"{text}. That is no better than a blind guess: {rest}.")


def _attack(task: Task, kind: Kind) -> Statement | None:
    """What the strongest usable attack of a kind did; None when the run holds none of this kind."""
    found = task.strongest(kind)
    if found is None:
        return _void(task, kind)
    clean = task.clean
    if clean is None or clean.accuracy.value is None or found.accuracy.value is None:
        return Statement(
            kind, f"Under {_who(found)} ({dose(found.budget, found.size)}) accuracy is {percent(found.accuracy.value)}."
        )
    after = f"accuracy {_moves(clean.accuracy.value, found.accuracy.value)}"
    subject = {
        "white-box": f"{_change(found)}, made by an attacker who holds the model,",
        "black-box": f"{_change(found)}, made by an attacker who holds only a look-alike"
        + (f" ({found.surrogate})," if found.surrogate else ","),
        "rotation": f"turning the image ({dose(found.budget, found.size)}, to the worst angle)",
    }.get(kind, f"{found.label} ({dose(found.budget, found.size)})")
    rate = found.attack_success_rate
    effect = (
        f"makes it wrong in {with_interval(rate)} of the images that it had right; {after}"
        if rate.value is not None
        else f"moves {after}"
    )
    text = sentence(f"{subject} {effect}")
    if level_of(clean, found) == "held":
        text += f" {_held(found)}"
    return Statement(kind, text)


def _who(condition: Condition) -> str:
    names: dict[Kind, str] = {
        "noise": "random noise",
        "white-box": "the white-box attack",
        "black-box": "the black-box attack",
        "rotation": "rotation",
    }
    return names.get(condition.kind, condition.label)


def _change(condition: Condition) -> str:
    """ "a change that is hard to see (at most 2.55 of 255 gray levels at any pixel)"."""
    small = condition.budget.get("kind") == "linf" and condition.size <= HARD_TO_SEE
    similar = condition.ssim.value is not None and condition.ssim.value >= 0.9
    return f"a change {'that is hard to see ' if small and similar else ''}({dose(condition.budget, condition.size)})"


def _moves(before: float, after: float) -> str:
    if percent(before) == percent(after):
        return f"stays at {percent(after)}"
    return f"{'falls' if after < before else 'rises'} from {percent(before)} to {percent(after)}"


def _held(condition: Condition) -> str:
    high = condition.attack_success_rate.high
    allows = f" The interval allows a success rate of up to {percent(high)}." if high is not None else ""
    return f"This attack failed; that is no proof that a stronger one would fail.{allows}"


def _noise_harmless(clean: Condition, noise: Condition) -> bool | None:
    if clean.accuracy.value is None or noise.accuracy.value is None:
        return None
    return clean.accuracy.value - noise.accuracy.value <= TOLERANCE


def _noise(task: Task) -> Statement | None:
    noise, clean = task.strongest("noise"), task.clean
    if noise is None:
        return _void(task, "noise")
    if clean is None or clean.accuracy.value is None or noise.accuracy.value is None:
        return Statement("noise", f"Under random noise accuracy is {percent(noise.accuracy.value)}.")
    white = task.strongest("white-box")
    same = white is not None and white.budget.get("kind") == noise.budget.get("kind") and white.size == noise.size
    subject = "Random noise of the same size" if same else f"Random noise ({dose(noise.budget, noise.size)})"
    lost = clean.accuracy.value - noise.accuracy.value
    figures = f"accuracy {percent(noise.accuracy.value)}, interval {interval(noise.accuracy)}"
    if not interval(noise.accuracy):
        figures = f"accuracy {percent(noise.accuracy.value)}"
    if lost > TOLERANCE:
        return Statement(
            "noise",
            f"{subject} already costs {points(lost)} ({figures}): the model is fragile even without an attacker.",
        )
    costs = f"costs {points(lost)}" if lost > 0 else "costs nothing"
    return Statement("noise", f"{subject} is harmless: it {costs} ({figures}).")


def _void(task: Task, kind: Kind) -> Statement | None:
    """Why a kind of condition that the run holds cannot be used."""
    found = [c for c in task.main if c.kind == kind and not usable(c)]
    if not found:
        return None
    worst = found[0]
    if worst.violation != 0:
        why = f"a candidate left its budget by {worst.violation:g}, so its figures are void"
    else:
        why = "nothing was measured"
    return Statement(kind, f"The result of {_who(worst)} cannot be used: {why}.")


RULES = (
    f"“Fooled”: the attack makes the model wrong in at least {percent(FOOLED_RATE, 0)} of the images that it had "
    f"right, and costs more than {points(TOLERANCE)} of accuracy.",
    f"“Weakened”: short of that, but the success rate is at least {percent(WEAKENED_RATE, 0)} or the loss more than "
    f"{points(TOLERANCE)}.",
    "“Held”: neither.",
    f"Random noise is called harmless when it costs at most {points(TOLERANCE)} of accuracy.",
    "A change is called hard to see when it is at most 4 of 255 gray levels at any pixel and the mean structural "
    "similarity (SSIM) is at least 0.9.  No readers were asked: look at Figures 1, 2, and 4 and judge.",
    "“Inconclusive”: every attack was held, but a check of the attacks’ strength failed or no attacker held the model. "
    "“Void”: a check of the audit’s integrity failed.",
    "Where a run holds several attacks of a kind, the verdict speaks of the one that leaves the least accuracy.",
)
"""How the words follow the numbers, for the methods section."""
