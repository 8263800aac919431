"""The space holds exactly the claims that the budget's own measurement allows."""

from __future__ import annotations

from datetime import date

import pytest

from mithridate.claims.attacks.space import EditSpace, LineOption
from mithridate.claims.budget import CodeEdits, EditClass, measure
from mithridate.claims.claim import Billed, Claim, Condition, Diagnosis, Documentation, ServiceLine

VISIT = Claim(
    "1",
    "p",
    70,
    "F",
    "physician",
    date(2025, 11, 3),
    Billed(
        Diagnosis("J189"),
        (Diagnosis("I10"), Diagnosis("E119")),
        lines=(ServiceLine("99213"), ServiceLine("00790", minutes=60.0)),
    ),
    Documentation((Condition("J690"),), encounter_minutes=32.0),
)
OPTIONS = (
    LineOption(0, "hcpcs", "99214"),
    LineOption(0, "hcpcs", "99215"),
    LineOption(0, "units", 2.0),
    LineOption(1, "minutes", 75.0),
    LineOption(0, "minutes", 10.0),  # the line has no minutes, so there is nothing to set
)
POOL = ("J690", "E1165", "A419", "I10")


def space(k: int, classes: tuple[EditClass, ...], options: tuple[LineOption, ...] = OPTIONS) -> EditSpace:
    return EditSpace(VISIT, CodeEdits(k, classes), POOL, options)


@pytest.mark.parametrize("k", [0, 1, 2, 3])
@pytest.mark.parametrize("classes", ["ABCDE", "AB", "BC", "E", "ACD"])
def test_every_point_is_measured_as_it_costs(k: int, classes: str) -> None:
    here = space(k, tuple(classes))  # type: ignore[arg-type]
    points = list(here.every())
    assert points[0] == here.start
    assert here.apply(here.start) == VISIT
    assert len(points) == len(set(points)) == here.size()
    for point in points:
        candidate = here.apply(point)
        assert measure(VISIT, candidate).edits == here.cost(point)
        assert here.budget.violation(VISIT, candidate) == 0


@pytest.mark.parametrize("classes", ["ABCDE", "AB", "BC"])
def test_steps_reach_every_point(classes: str) -> None:
    here = space(3, tuple(classes), OPTIONS[:1])  # type: ignore[arg-type]
    seen, layer = {here.start}, [here.start]
    while layer:
        layer = [point for edits in layer for point in here.neighbors(edits) if point not in seen]
        layer = list(dict.fromkeys(layer))
        seen |= set(layer)
    assert seen == set(here.every())


def test_keeps_to_the_classes() -> None:
    assert space(2, ("B",)).pool == ("J690",)
    assert space(2, ("C",)).pool == ("E1165",)
    assert [option.value for option in space(2, ("E",)).options] == [2.0, 75.0]
    assert [option.value for option in space(2, ("B",)).options] == ["99214"]  # 32 minutes do not support 99215
