"""Names of the checks, and how a finding of one is put together."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Literal

from mithridate.audit.results import Check

Verdict = Literal["pass", "warn", "fail", "not applicable"]

TITLES: Final[dict[int, str]] = {
    1: "Changes stay inside their budget",
    2: "The audited model is the caller's model",
    3: "The model was not changed",
    4: "Answers do not depend on the batch",
    5: "Successes survive storage",
    6: "Canaries got the expected verdict",
    7: "The model is not random",
    8: "The head is what it was said to be",
    9: "Gradients are there",
    10: "The loss fits the number of classes",
    11: "No gradient-free attack does better",
    12: "Neither transfer nor noise does better",
    13: "No single step does better",
    14: "Success grows with the budget",
    15: "More steps change nothing",
    16: "The loss has settled",
    17: "The attack returns what it finds",
    18: "Random draws do not do as well",
    19: "Preprocessing does not hide the gradient",
    20: "Robustness is counted per example at its worst",
}
LAST_INTEGRITY: Final = 6


def check(number: int, verdict: Verdict, evidence: str, numbers: Mapping[str, float | int]) -> Check:
    """A check's result; its group follows from its number."""
    return Check(
        number=number,
        title=TITLES[number],
        group="integrity" if number <= LAST_INTEGRITY else "strength",
        verdict=verdict,
        evidence=evidence,
        numbers=dict(numbers),
    )


def counted(n: int, one: str, many: str | None = None) -> str:
    """ "1 image", "2 images"."""
    return f"{n:,} {one if n == 1 else many or one + 's'}"
