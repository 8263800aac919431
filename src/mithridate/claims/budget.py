"""`CodeEdits`: how many edits of what is billed are allowed, and of which classes; measured from the two claims alone.

An edit is one of: replace a diagnosis code, drop one, report one more, move one to another place, set the units or the
minutes of a service line, or change a line's HCPCS code.  Patient, stay, documentation, procedures, modifiers and
charges are outside every budget.  The classes, by what the edit does to the truth of the claim:

A  reorder codes, or drop one          C  a code of a category already billed, not supported
B  a code that documentation supports  D  a code of another category, not supported
                                       E  units or minutes

A and B are not overtly fraudulent; what a payer's model does under C, D and E measures its power to detect.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, get_args

from mithridate.claims.claim import Billed, Claim
from mithridate.claims.codes import category
from mithridate.errors import UserError

EditClass = Literal["A", "B", "C", "D", "E"]
CLASSES: tuple[EditClass, ...] = get_args(EditClass)
HONEST: tuple[EditClass, ...] = ("A", "B")
"""The classes of edits that leave a claim supported by its documentation."""

VISIT_MINUTES: dict[str, dict[str, int]] = {
    "new office visit": {"99202": 15, "99203": 30, "99204": 45, "99205": 60},
    "established office visit": {"99212": 10, "99213": 20, "99214": 30, "99215": 40},
}
"""Least total minutes of the clinician's day that support each level of an office visit (CMS, since 2024)."""

_FAMILY = {code: family for family, levels in VISIT_MINUTES.items() for code in levels}


@dataclass(frozen=True)
class Measured:
    """The smallest number of edits between two claims, and the classes that they are of, sorted, one letter an edit.

    `outside` names a change that is no edit at all, or is empty.
    """

    edits: int
    classes: str
    outside: str = ""


@dataclass(frozen=True)
class CodeEdits:
    """At most k edits, each of one of the classes."""

    k: int
    classes: tuple[EditClass, ...] = CLASSES

    def __post_init__(self) -> None:
        if self.k < 0:
            raise UserError(f"a budget of {self.k} edits is not possible: give 0 or more")
        unknown = [item for item in self.classes if item not in CLASSES]
        if unknown:
            raise UserError(f"there is no edit class '{unknown[0]}': use {', '.join(CLASSES)}")
        object.__setattr__(self, "classes", tuple(item for item in CLASSES if item in self.classes))

    @property
    def size(self) -> float:
        return float(self.k)

    def violation(self, original: Claim, candidate: Claim) -> float:
        """Edits too many plus edits of classes that are not allowed; infinite when something else was changed."""
        measured = measure(original, candidate)
        if measured.outside:
            return float("inf")
        return float(max(0, measured.edits - self.k) + sum(item not in self.classes for item in measured.classes))

    def describe(self) -> dict[str, Any]:
        return {"kind": "code-edits", "k": self.k, "classes": "".join(self.classes)}


def visit_family(hcpcs: str) -> str | None:
    """The family of visits that an evaluation-and-management code is a level of; None for other services."""
    return _FAMILY.get(hcpcs)


def code_class(original: Claim, code: str) -> EditClass:
    """The class of a diagnosis code that the original claim does not bear."""
    if original.documentation.supports(code):
        return "B"
    billed = {category(item) for item in original.codes}
    return "C" if category(code) in billed else "D"


def service_class(original: Claim, old: str, new: str) -> EditClass:
    """The class of another HCPCS code on a line: levels of one family of visits are siblings, supported by time."""
    family = visit_family(old)
    if family is None or visit_family(new) != family:
        return "D"
    minutes = original.documentation.encounter_minutes
    return "B" if minutes is not None and minutes >= VISIT_MINUTES[family][new] else "C"


def measure(original: Claim, candidate: Claim) -> Measured:
    """Edits between two claims; see the module for what one edit is."""
    if not original.same_encounter(candidate):
        return Measured(0, "", "the encounter or its documentation")
    before, after = original.billed, candidate.billed
    outside = _outside(before, after)
    if outside:
        return Measured(0, "", outside)
    count, letters = _diagnosis_edits(original, before.codes, after.codes)
    for old, new in zip(before.lines, after.lines, strict=True):
        if old.hcpcs != new.hcpcs:
            letters += service_class(original, old.hcpcs, new.hcpcs)
            count += 1
        changed = (old.units != new.units) + (old.minutes != new.minutes)
        letters += "E" * changed
        count += changed
    return Measured(count, "".join(sorted(letters)))


def _outside(before: Billed, after: Billed) -> str:
    """What was changed that no edit changes."""
    if before.procedures != after.procedures:
        return "procedures"
    if before.charges != after.charges:
        return "charges"
    if len(before.lines) != len(after.lines):
        return "the number of service lines"
    for old, new in zip(before.lines, after.lines, strict=True):
        if replace(new, hcpcs=old.hcpcs, units=old.units, minutes=old.minutes) != old:
            return "modifiers or charge of a service line"
        if (old.minutes is None) != (new.minutes is None):
            return "whether a service line has minutes"
    present = {item.code: item.poa for item in before.diagnoses}
    if any(present.get(item.code, item.poa) != item.poa for item in after.diagnoses):
        return "present-on-admission indicator of a kept code"
    if len(set(after.codes)) < len(after.codes):
        return "a code billed twice"
    return ""


def _diagnosis_edits(original: Claim, before: Sequence[str], after: Sequence[str]) -> tuple[int, str]:
    """Replacements, drops, new codes and moves, at their fewest.  Where a new secondary code stands does not count."""
    place = {code: index for index, code in enumerate(before)}
    new = [code for code in after if code not in place]
    kept = [place[code] for code in after if code in place]
    gone = sorted(set(place.values()) - set(kept))
    old_first = after[0] in place
    count = _with_old_first(kept, gone, len(new)) if old_first else _with_new_first(kept, gone, len(new))
    letters = "".join(code_class(original, code) for code in new)
    return count, letters + "A" * (count - len(new))


def _with_old_first(kept: list[int], gone: list[int], new: int) -> int:
    """The first code was billed before: what stood ahead of it is dropped and leaves no new code there, or it moved.

    kept: former places of the kept codes, in their present order; gone: those of the others; new: how many are new.
    """
    first, rest = kept[0], kept[1:]
    ahead = sum(place < first for place in gone)
    in_place = ahead + max(len(gone) - ahead, new) + len(rest) - _longest_rising([i for i in rest if i > first])
    moved = max(len(gone), new) + 1 + len(rest) - _longest_rising(rest)
    return min(in_place, moved)


def _with_new_first(kept: list[int], gone: list[int], new: int) -> int:
    """The first code is new: it replaced one that nothing kept stands ahead of, was followed until the principal
    diagnosis moved away, or moved there itself."""
    paired = max(len(gone), new)
    ways = [paired + 1 + len(kept) - _longest_rising(kept)]
    ways += [paired + len(kept) - _longest_rising([i for i in kept if i > place]) for place in gone]
    if 0 in kept:
        ways.append(1 + max(len(gone), new - 1) + len(kept) - _longest_rising([i for i in kept if i > 0]))
    return min(ways)


def _longest_rising(numbers: Sequence[int]) -> int:
    tails: list[int] = []
    for number in numbers:
        at = bisect_left(tails, number)
        tails[at : at + 1] = [number]
    return len(tails)
