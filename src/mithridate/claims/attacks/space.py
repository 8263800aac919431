"""Every claim that a budget allows to be made of one claim: what attacks walk in and exact methods encode."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import combinations, product
from math import comb
from typing import Literal, TypeVar

from mithridate.claims.budget import CodeEdits, code_class, service_class
from mithridate.claims.claim import Claim, Diagnosis

Field = Literal["hcpcs", "units", "minutes"]
Item = TypeVar("Item")


@dataclass(frozen=True)
class LineOption:
    """Another value for one field of one service line."""

    line: int
    field: Field
    value: str | float


@dataclass(frozen=True)
class Edits:
    """One point of the space: places of dropped codes, codes added, the code that stands first, changed lines."""

    dropped: frozenset[int]
    added: frozenset[str]
    first: str
    lines: frozenset[LineOption] = frozenset()


@dataclass(frozen=True, eq=False)
class EditSpace:
    """The claims within `budget` of `claim` that bear only its own codes and those of `pool`.

    Codes that stay keep their order behind the first; new ones follow, sorted.  The order of further codes changes
    no payment and no column of a model; a rule that wants one code ahead of another is asked about this order only.
    """

    claim: Claim
    budget: CodeEdits
    pool: tuple[str, ...] = ()
    options: tuple[LineOption, ...] = ()

    def __post_init__(self) -> None:
        own, allowed = set(self.claim.codes), self.budget.classes
        pool = sorted({code for code in self.pool if code not in own and code_class(self.claim, code) in allowed})
        object.__setattr__(self, "pool", tuple(pool))
        object.__setattr__(self, "options", tuple(option for option in self.options if self._option_allowed(option)))

    @cached_property
    def codes(self) -> tuple[str, ...]:
        """The claim's own codes, the principal one first."""
        return self.claim.codes

    @cached_property
    def start(self) -> Edits:
        """No edit."""
        return Edits(frozenset(), frozenset(), self.codes[0])

    @property
    def reorders(self) -> bool:
        """Whether the budget allows edits of class A: a drop without a replacement, or a move."""
        return "A" in self.budget.classes

    def cost(self, edits: Edits) -> int:
        """How many edits of the budget these are: the same number as `claims.budget.measure` finds."""
        dropped, added = len(edits.dropped), len(edits.added)
        paired = max(dropped, added)
        if edits.first == self.codes[0]:
            count = paired
        elif edits.first in edits.added:
            count = paired + (0 not in edits.dropped)
        else:
            place = self.codes.index(edits.first)
            ahead_gone = all(i in edits.dropped for i in range(place))
            count = min(paired + 1, max(dropped, added + place) if ahead_gone else paired + 1)
        return count + len(edits.lines)

    def holds(self, edits: Edits) -> bool:
        """Whether the budget allows these edits."""
        cost = self.cost(edits)
        return cost <= self.budget.k and (self.reorders or cost == len(edits.added) + len(edits.lines))

    def apply(self, edits: Edits) -> Claim:
        """The edited claim."""
        billed = self.claim.billed
        kept = [item for i, item in enumerate(billed.diagnoses) if i not in edits.dropped]
        every = {item.code: item for item in kept} | {code: Diagnosis(code) for code in sorted(edits.added)}
        principal = every.pop(edits.first)
        lines = None
        if edits.lines:
            changed = list(billed.lines)
            for option in edits.lines:
                changed[option.line] = replace(changed[option.line], **{option.field: option.value})  # type: ignore[arg-type]
            lines = changed
        return self.claim.with_billed(principal=principal, secondary=every.values(), lines=lines)

    def led(self, edits: Edits) -> Edits:
        """The same edits with a first code that is still there, and at least one code."""
        present = [code for i, code in enumerate(self.codes) if i not in edits.dropped] + sorted(edits.added)
        if not present:  # a claim needs a diagnosis
            return replace(edits, dropped=edits.dropped - {0}, first=self.codes[0])
        return edits if edits.first in present else replace(edits, first=present[0])

    def neighbors(self, edits: Edits) -> list[Edits]:
        """All points one step on from here that the budget allows, in a fixed order."""
        kept = [i for i in range(len(self.codes)) if i not in edits.dropped]
        fresh = [code for code in self.pool if code not in edits.added]
        found = [replace(edits, added=edits.added | {code}) for code in fresh]
        for i in kept:
            dropped, leads = edits.dropped | {i}, self.codes[i] == edits.first
            rest = [self.codes[j] for j in kept if j != i] or sorted(edits.added)
            if rest:
                found.append(replace(edits, dropped=dropped, first=rest[0] if leads else edits.first))
            found += [
                replace(edits, dropped=dropped, added=edits.added | {code}, first=code if leads else edits.first)
                for code in fresh
            ]
        present = [self.codes[i] for i in kept] + sorted(edits.added)
        found += [replace(edits, first=code) for code in present if code != edits.first]
        taken = {(option.line, option.field) for option in edits.lines}
        found += [
            replace(edits, lines=edits.lines | {option})
            for option in self.options
            if (option.line, option.field) not in taken
        ]
        return [point for point in dict.fromkeys(found) if self.holds(point)]

    def every(self) -> Iterator[Edits]:
        """All points, the unedited claim first.  Their number grows as the pool to the k-th power: see `size`."""
        for dropped in self._subsets(range(len(self.codes))):
            kept = [code for i, code in enumerate(self.codes) if i not in dropped]
            for added in self._subsets(self.pool):
                for first in (*kept, *added):
                    point = Edits(frozenset(dropped), frozenset(added), first)
                    if self.cost(point) <= self.budget.k:
                        for lines in self.line_choices():
                            whole = replace(point, lines=lines)
                            if self.holds(whole):
                                yield whole

    def size(self) -> int:
        """How many points `every` yields, counted without making them (new codes differ in nothing that counts)."""
        choices = [len(lines) for lines in self.line_choices()]
        total = 0
        for dropped in self._subsets(range(len(self.codes))):
            kept = [code for i, code in enumerate(self.codes) if i not in dropped]
            for many in range(min(self.budget.k, len(self.pool)) + 1):
                added = self.pool[:many]
                for first in (*kept, *added):
                    point = Edits(frozenset(dropped), frozenset(added), first)
                    cost = self.cost(point)
                    fits = sum(cost + n <= self.budget.k for n in choices) if self.reorders or cost == many else 0
                    total += fits * comb(len(self.pool), many)
        return total

    def _subsets(self, items: Sequence[Item]) -> Iterator[tuple[Item, ...]]:
        return (chosen for size in range(self.budget.k + 1) for chosen in combinations(items, size))

    def line_choices(self) -> list[frozenset[LineOption]]:
        """Every way of changing lines with at most k edits."""
        fields: dict[tuple[int, str], list[LineOption | None]] = {}
        for option in self.options:
            fields.setdefault((option.line, option.field), [None]).append(option)
        ways = (frozenset(o for o in choice if o is not None) for choice in product(*fields.values()))
        return [way for way in ways if len(way) <= self.budget.k]

    def _option_allowed(self, option: LineOption) -> bool:
        line, allowed = self.claim.billed.lines[option.line], self.budget.classes
        if getattr(line, option.field) in (None, option.value):
            return False
        if option.field == "hcpcs":
            return service_class(self.claim, line.hcpcs, str(option.value)) in allowed
        return "E" in allowed
