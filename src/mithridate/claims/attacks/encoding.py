"""What the variables of an encoded edit space stand for, and the way back from a solution to edits."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from mithridate.claims.attacks.milp import Row
from mithridate.claims.attacks.space import Edits, EditSpace, LineOption
from mithridate.claims.attacks.tokens import Signature

INFINITY = float("inf")


@dataclass(frozen=True)
class Place:
    """How a code came to stand first, and how many moves that cost: `moves` in all, `ahead` among new codes only."""

    code: str
    moves: int
    ahead: int


@dataclass
class Encoding:
    """A problem, and the meaning of its variables."""

    space: EditSpace
    drops: dict[int, int] = field(default_factory=dict)
    adds: dict[str, int] = field(default_factory=dict)
    leads: dict[Place, int] = field(default_factory=dict)
    lines: dict[frozenset[LineOption], int] = field(default_factory=dict)
    paid: dict[Signature, int] = field(default_factory=dict)
    kinds: dict[tuple[str | None, ...], int] = field(default_factory=dict)
    rows: list[Row] = field(default_factory=list)
    count: int = 0
    by_codes: bool = False

    def variable(self) -> int:
        self.count += 1
        return self.count - 1

    def row(self, terms: Iterable[tuple[int, float]], lower: float, upper: float) -> None:
        merged: dict[int, float] = {}
        for variable, factor in terms:
            merged[variable] = merged.get(variable, 0.0) + factor
        self.rows.append(Row(tuple(merged), tuple(merged.values()), lower, upper))

    def leading(self, code: str) -> list[int]:
        """The variables of which one is 1 when this code stands first."""
        return [variable for place, variable in self.leads.items() if place.code == code]

    def decode(self, chosen: Sequence[int]) -> Edits:
        """The edits that a solution stands for."""
        on = set(chosen)
        first = next(place.code for place, variable in self.leads.items() if variable in on)
        return Edits(
            frozenset(i for i, variable in self.drops.items() if variable in on),
            frozenset(code for code, variable in self.adds.items() if variable in on),
            first,
            next((options for options, variable in self.lines.items() if variable in on), frozenset()),
        )

    def without(self, chosen: Sequence[int]) -> Row:
        """A row that only the edits of this solution break."""
        deciding = [*self.drops.values(), *self.adds.values(), *self.leads.values(), *self.lines.values()]
        on = set(chosen)
        factors = tuple(1.0 if variable in on else -1.0 for variable in deciding)
        return Row(tuple(deciding), factors, -INFINITY, sum(variable in on for variable in deciding) - 1.0)
