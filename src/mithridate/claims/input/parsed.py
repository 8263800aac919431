"""What reading gives: the claims that are sound, and a located sentence for everything that is not."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from mithridate.claims.claim import Claim


@dataclass(frozen=True)
class Problem:
    """Something in a file that could not be taken as it stands.

    Attributes: path, where ("line 17", "line 3, segment 25"), claim (its id, or ""), field, says (a clause that ends
    with what to do), kept (True: a note about a claim that was read all the same: an ICD-9 code that was mapped).
    """

    path: Path
    where: str
    claim: str
    field: str
    says: str
    kept: bool = False

    def __str__(self) -> str:
        named = f" (claim {self.claim})" if self.claim else ""
        return f"{self.path} {self.where}{named}, {self.field}: {self.says}"


@dataclass(frozen=True)
class Parsed:
    """The claims of a file in its order, and its problems in order."""

    claims: tuple[Claim, ...]
    problems: tuple[Problem, ...]

    @property
    def refused(self) -> tuple[Problem, ...]:
        """Problems for which a claim was left out."""
        return tuple(problem for problem in self.problems if not problem.kept)


class Refused(Exception):
    """Raised inside a reader when a claim cannot be taken: the field and what is wrong with it."""

    def __init__(self, field: str, says: str) -> None:
        super().__init__(f"{field}: {says}")
        self.field, self.says = field, says
