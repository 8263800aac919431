"""Claims: only what is billed can be replaced."""

from __future__ import annotations

import dataclasses
from datetime import date

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mithridate.claims.claim import (
    Billed,
    Claim,
    Condition,
    Diagnosis,
    Documentation,
    Enrollment,
    Measurement,
    ServiceLine,
)
from mithridate.errors import UserError

RECORD = Documentation(
    (Condition("I50.22"), Condition("J18.9", "ruled-out"), Condition("Z85.3", "history")),
    labs=(Measurement("bnp", 300.0), Measurement("bnp", 900.0, "pg/mL")),
    vitals=(Measurement("bmi", 41.2),),
    length_of_stay=4,
)
CLAIM = Claim(
    "c1",
    "p1",
    72,
    "F",
    "ms-drg",
    date(2026, 2, 3),
    Billed(Diagnosis("i11.0"), (Diagnosis("I50.22"),), ("0QS604Z",), (ServiceLine("99214"),), 100.0),
    RECORD,
    "m1",
    date(2026, 1, 30),
    "20",
    Enrollment("02", "1"),
)
CODES = st.from_regex(r"[A-Z][0-9][0-9A-Z]\.?[0-9A-Z]{0,4}", fullmatch=True)
DIAGNOSES = st.builds(Diagnosis, CODES, st.sampled_from(["Y", "N", ""]))
LINES = st.builds(ServiceLine, st.sampled_from(["99213", "80053"]), st.just(("25",)), st.floats(0.5, 9))


@settings(deadline=None)
@given(DIAGNOSES, st.lists(DIAGNOSES), st.lists(LINES), st.floats(0, 1e6))
def test_an_edit_reaches_nothing_but_what_is_billed(
    principal: Diagnosis, secondary: list[Diagnosis], lines: list[ServiceLine], charges: float
) -> None:
    edited = CLAIM.with_billed(principal=principal, secondary=secondary, lines=lines, charges=charges)
    for field in dataclasses.fields(Claim):
        if field.name != "billed":
            assert getattr(edited, field.name) is getattr(CLAIM, field.name)
    assert edited.billed == Billed(principal, tuple(secondary), CLAIM.billed.procedures, tuple(lines), charges)
    assert edited.same_encounter(CLAIM)
    assert edited.with_billed(CLAIM.billed) == CLAIM


@pytest.mark.parametrize("name", ["documentation", "age", "discharge_date", "payer_model", "provider"])
def test_with_billed_has_no_way_to_name_anything_else(name: str) -> None:
    with pytest.raises(TypeError):
        CLAIM.with_billed(**{name: getattr(CLAIM, name)})


@pytest.mark.parametrize("value", [CLAIM, CLAIM.billed, RECORD, RECORD.conditions[0], CLAIM.billed.lines[0]])
def test_every_part_is_frozen_and_hashable(value: object) -> None:
    name = dataclasses.fields(value)[0].name  # type: ignore[arg-type]
    with pytest.raises((dataclasses.FrozenInstanceError, AttributeError, TypeError)):
        setattr(value, name, None)
    assert hash(value) == hash(dataclasses.replace(value))  # type: ignore[type-var]


@pytest.mark.parametrize(
    "change",
    [
        {"age": 73},
        {"documentation": Documentation()},
        {"discharge_date": date(2026, 2, 4)},
        {"enrollment": Enrollment()},
    ],
)
def test_another_encounter_is_told_apart(change: dict[str, object]) -> None:
    assert not CLAIM.same_encounter(dataclasses.replace(CLAIM, **change))  # type: ignore[arg-type]


def test_codes_are_held_without_dots_in_upper_case() -> None:
    assert CLAIM.codes == ("I110", "I5022")
    assert ServiceLine(" g0439 ").hcpcs == "G0439"
    assert CLAIM.with_billed(procedures=["0qs6.04z"]).billed.procedures == ("0QS604Z",)


def test_only_active_conditions_support_a_code() -> None:
    assert RECORD.supports("I50.22")
    assert RECORD.supports("I50"), "a documented condition is more specific than the code"
    assert not RECORD.supports("I50.23")
    assert not RECORD.supports("J18.9")
    assert not RECORD.supports("Z85.3")
    assert RECORD.active_codes == {"I5022"}


def test_the_last_measurement_counts() -> None:
    assert RECORD.measured("bnp") == 900.0
    assert RECORD.measured("bmi") == 41.2
    assert RECORD.measured("sodium") is None


def test_death_is_read_from_the_discharge_status() -> None:
    assert not CLAIM.alive
    assert dataclasses.replace(CLAIM, discharge_status="01").alive


def test_an_unknown_status_of_a_condition_is_refused() -> None:
    with pytest.raises(UserError, match="maybe"):
        Condition("I10", "maybe")
