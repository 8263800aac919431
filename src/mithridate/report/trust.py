"""The checks of a run as the report shows them: what failed first, everything on demand."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from mithridate.audit.results import Check, Conclusion
from mithridate.report.study import Study, Task
from mithridate.report.words import count, listed

OUTCOMES = {
    "robust": "Robust within this run: no attack had an effect, and no check of their strength failed",
    "inconclusive": "Inconclusive",
    "not robust": "Not robust",
    "void": "Void",
    "not attacked": "Not attacked",
}
WORDS = {"pass": "passed", "warn": "warned", "fail": "failed", "not applicable": "not applicable"}


@dataclass(frozen=True)
class Trust:
    """The checks of one task; `raised` are those that warned or failed."""

    task: Task
    conclusion: Conclusion
    checks: tuple[Check, ...]

    @property
    def outcome(self) -> str:
        return OUTCOMES[self.conclusion.outcome]

    @property
    def raised(self) -> tuple[Check, ...]:
        return tuple(c for c in self.checks if c.verdict in ("fail", "warn"))

    @property
    def tally(self) -> str:
        """ "20 checks: 17 passed, 1 failed, and 2 not applicable"."""
        found: Counter[str] = Counter(c.verdict for c in self.checks)
        parts = [f"{found[verdict]} {word}" for verdict, word in WORDS.items() if found[verdict]]
        return f"{count(len(self.checks), 'check')}: {listed(parts)}"


def trust(study: Study) -> list[Trust]:
    """Each task whose checks were run; none for runs of versions that had no checks."""
    return [
        Trust(task, task.result.conclusion, task.result.checks)
        for task in study.tasks
        if task.result.conclusion is not None and task.result.checks
    ]
