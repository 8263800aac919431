"""The number of edits is the fewest steps that lead from one claim to the other, found by trying all steps."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import date
from functools import cache

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mithridate.claims.budget import CodeEdits, measure, visit_family
from mithridate.claims.claim import Billed, Claim, Condition, Diagnosis, Documentation, ServiceLine
from mithridate.errors import UserError

BASE = ("J189", "I10", "E119", "N179")
NEW = ("J690", "A419", "Z7901")
DOCUMENTED = Documentation((Condition("J690"), Condition("I10")), encounter_minutes=32.0, anesthesia_minutes=60.0)


def claim(codes: tuple[str, ...] = BASE, lines: tuple[ServiceLine, ...] = ()) -> Claim:
    principal, *secondary = (Diagnosis(code) for code in codes)
    billed = Billed(principal, tuple(secondary), lines=lines, charges=1000.0)
    return Claim("1", "p", 70, "F", "ms-drg", date(2025, 11, 3), billed, DOCUMENTED)


def steps(codes: tuple[str, ...], new: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    """Every list of codes one edit away."""
    for i, code in enumerate(codes):
        rest = codes[:i] + codes[i + 1 :]
        if rest:
            yield rest
        for other in new:
            if other not in codes:
                yield (*codes[:i], other, *codes[i + 1 :])
        for j in range(len(codes)):
            yield (*rest[:j], code, *rest[j:])
    for other in new:
        if other not in codes:
            for j in range(1, len(codes) + 1):  # reported as a further code, never first
                yield (*codes[:j], other, *codes[j:])


def form(base: tuple[str, ...], codes: tuple[str, ...]) -> tuple[object, ...]:
    """What counts: the first code, the order of the kept ones, and which new ones there are."""
    return codes[0], tuple(c for c in codes if c in base), frozenset(c for c in codes if c not in base)


@cache
def distances(size: int) -> dict[tuple[object, ...], int]:
    base, found, layer = BASE[:size], {}, {BASE[:size]}
    for distance in range(4):
        for codes in layer:
            found.setdefault(form(base, codes), distance)
        layer = {after for codes in layer for after in steps(codes, NEW[:2])} if distance < 3 else set()
    return found


@given(size=st.integers(1, 4), codes=st.permutations(BASE + NEW[:2]), length=st.integers(1, 6))
@settings(max_examples=300, deadline=None, derandomize=True)
def test_fewest_edits_of_diagnoses(size: int, codes: list[str], length: int) -> None:
    base = BASE[:size]
    after = tuple(c for c in codes if c in base or c in NEW)[:length]
    measured = measure(claim(base), claim(after))
    assert not measured.outside
    expected = distances(size).get(form(base, after))
    if expected is None:
        assert measured.edits > 3
    else:
        assert measured.edits == expected
    assert len(measured.classes) == measured.edits


@pytest.mark.parametrize(
    ("after", "classes"),
    [
        (("J690", "I10", "E119", "N179"), "B"),  # documented
        (("J189", "I10", "E1165", "N179"), "C"),  # category billed, not documented
        (("A419", "I10", "E119", "N179"), "D"),
        (("I10", "J189", "E119", "N179"), "A"),  # moved first
        (("J189", "I10", "E119"), "A"),  # dropped
        (("J189", "I10", "E119", "N179", "A419"), "D"),
        (("A419", "J189", "I10", "E119", "N179"), "AD"),  # reported, then moved first
        (("I10", "E119", "N179", "A419"), "AD"),
    ],
)
def test_classes(after: tuple[str, ...], classes: str) -> None:
    assert measure(claim(), claim(after)).classes == classes
    assert CodeEdits(len(classes), tuple(set(classes))).violation(claim(), claim(after)) == 0  # type: ignore[arg-type]
    assert CodeEdits(len(classes) - 1).violation(claim(), claim(after)) == 1
    assert CodeEdits(3, ("E",)).violation(claim(), claim(after)) == len(classes)


def test_lines() -> None:
    visit, asleep = ServiceLine("99213", units=1), ServiceLine("00790", units=1, minutes=60)
    before = claim(lines=(visit, asleep))
    documented = replace(visit, hcpcs="99214")
    assert measure(before, claim(lines=(documented, asleep))).classes == "B"  # 32 minutes support level 4
    assert measure(before, claim(lines=(replace(visit, hcpcs="99215"), asleep))).classes == "C"
    assert measure(before, claim(lines=(replace(visit, hcpcs="99203"), asleep))).classes == "D"
    longer = replace(asleep, minutes=75.0, units=2.0)
    assert measure(before, claim(lines=(documented, longer))).classes == "BEE"
    assert visit_family("99213") == "established office visit"
    assert visit_family("00790") is None


def test_what_is_no_edit_is_outside_every_budget() -> None:
    line = ServiceLine("99213", ("25",), 1, None, 100.0)
    before = claim(lines=(line,))
    for changed in (
        before.with_billed(procedures=("0W9930Z",)),
        before.with_billed(charges=2000.0),
        before.with_billed(lines=(line, line)),
        before.with_billed(lines=(replace(line, modifiers=()),)),
        before.with_billed(lines=(replace(line, minutes=10.0),)),
        before.with_billed(secondary=(Diagnosis("I10", "N"), *before.billed.secondary[1:])),
        before.with_billed(secondary=(*before.billed.secondary, Diagnosis("I10"))),
        replace(before, age=71),
        replace(before, documentation=Documentation()),
    ):
        assert CodeEdits(5).violation(before, changed) == float("inf")
        assert measure(before, changed).outside
    assert CodeEdits(0).violation(before, before) == 0


def test_refuses_a_budget_that_means_nothing() -> None:
    with pytest.raises(UserError, match="-1 edits"):
        CodeEdits(-1)
    with pytest.raises(UserError, match="'F'"):
        CodeEdits(1, ("A", "F"))  # type: ignore[arg-type]
    assert CodeEdits(2, ("E", "A")).describe() == {"kind": "code-edits", "k": 2, "classes": "AE"}
