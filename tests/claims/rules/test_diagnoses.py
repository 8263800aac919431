"""Diagnosis rules: each fires on its own case and on no other."""

from __future__ import annotations

from datetime import date

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mithridate.claims.claim import Billed, Claim, Condition, Diagnosis, Documentation
from mithridate.claims.rules import REASONS, Rules
from mithridate.claims.rules.conventions import excluded_together, in_span, parse_spans

DAY = date(2026, 2, 1)
RULES = Rules()


def stay(*codes: str, age: int = 60, sex: str = "F", model: str = "ms-drg", day: date = DAY, poa: str = "Y") -> Claim:
    diagnoses = tuple(Diagnosis(code, poa) for code in codes)
    return Claim("c", "p", age, sex, model, day, Billed(diagnoses[0], diagnoses[1:]))


def reasons(claim: Claim) -> list[str]:
    return [item.reason for item in RULES.check(claim)]


@pytest.mark.parametrize(
    ("claim", "expected"),
    [
        (stay("J18.9", "I50.9"), []),
        (stay("J18.9", "QQQ"), ["DX-UNKNOWN"]),
        (stay("I11"), ["DX-INCOMPLETE"]),
        (stay("J18.9", "E88.81"), ["DX-RETIRED"]),
        (stay("J18.9", "E88.810", day=date(2022, 1, 1)), ["DX-FUTURE"]),
        (stay("J18.9", "277.7"), ["DX-ICD9"]),
        (stay("J18.9", "E11.9", "E11.9"), ["DX-DUPLICATE"]),
        (stay("J18.9", "N40.0"), ["DX-SEX"]),
        (stay("J18.9", "N40.0", sex="M"), []),
        (stay("J18.9", "Z90.79", sex="M"), []),  # a longer prefix overrules that of Z90.7
        (stay("O80", age=30), []),
        (stay("O80", age=70), ["DX-AGE"]),
        (stay("O80", age=30, sex="M"), ["DX-SEX"]),
        (stay("P00.0", age=0), []),
        (stay("P00.0", age=1), ["DX-AGE"]),
        (stay("Z68.41", model="physician"), []),
        (stay("Z68.41"), ["DX-PRINCIPAL"]),
        (stay("W10.0XXA"), ["DX-PRINCIPAL"]),
        (stay("F02.80"), ["DX-MANIFESTATION"]),
        (stay("G30.9", "F02.80"), []),
        (stay("J18.9", "F02.80", "G30.9"), []),  # examples only: any disease may come first
        (stay("J18.9", "D63.1"), ["DX-SEQUENCE"]),
        (stay("N18.4", "D63.1"), []),
        (stay("D63.1", "N18.4"), ["DX-SEQUENCE"]),  # after, where it must come before
        (stay("I11.0"), ["DX-SEQUENCE"]),
        (stay("I11.0", "I50.22"), []),
        (stay("I13.2", "I50.22"), ["DX-SEQUENCE"]),
        (stay("I13.2", "I50.22", "N18.6"), []),
        (stay("I10", "I50.9"), ["DX-COMBINATION"]),
        (stay("N18.4", "I10"), ["DX-COMBINATION"]),
        (stay("J18.9", "J84.9"), ["DX-EXCLUDES1"]),
        (stay("J84.9", "J18.9"), ["DX-EXCLUDES1"]),
        (stay("J18.9", "J70.3"), ["DX-EXCLUDES1"]),  # inside the range J70.2-J70.4
        (stay("J18.9", "J70.5"), []),
        (stay("E11.9", "E10.9"), ["DX-EXCLUDES1"]),
        (stay("J18.9", poa=""), ["POA-MISSING"]),
        (stay("J18.9", poa="", model="cms-hcc-v28"), []),
    ],
    ids=lambda value: " ".join(value.codes) if isinstance(value, Claim) else ",".join(value) or "kept",
)
def test_a_rule_fires_on_its_case_only(claim: Claim, expected: list[str]) -> None:
    assert reasons(claim) == expected


def test_icd9_codes_were_right_in_their_time() -> None:
    assert reasons(stay("J18.9", "401.9", day=date(2014, 1, 1))) == []


def test_the_documented_stay_is_compared_with_the_dates() -> None:
    billed = Billed(Diagnosis("J18.9"))
    claim = Claim("c", "p", 60, "F", "ms-drg", DAY, billed, Documentation(length_of_stay=3), "", date(2026, 1, 29))
    assert reasons(claim) == []
    longer = Claim("c", "p", 60, "F", "ms-drg", DAY, billed, Documentation(length_of_stay=3), "", date(2026, 1, 28))
    assert reasons(longer) == ["STAY-DATES"]
    assert [item.reason for item in Rules(with_record=False).check(longer)] == []


def test_unknown_procedures_are_named() -> None:
    claim = stay("S72.001A", poa="Y").with_billed(procedures=["0QS604Z", "0QS6ZZZ"])
    assert [(item.reason, item.item) for item in RULES.check(claim)] == [("PX-UNKNOWN", "0QS6ZZZ")]


def test_a_message_names_code_and_reason() -> None:
    (broken,) = RULES.check(stay("J18.9", "N40.0"))
    assert broken.message == f"DX-SEX N40.0 in F: {REASONS['DX-SEX'].says}"


CODES = st.sampled_from(
    ["J189", "J849", "J703", "I10", "I110", "I509", "N184", "E119", "E109", "F0280", "G309", "N400"]
)


@settings(deadline=None)
@given(st.lists(CODES, min_size=1, max_size=6), st.sampled_from("FM"), st.integers(0, 110))
def test_the_cache_never_changes_an_answer(codes: list[str], sex: str, age: int) -> None:
    claim = stay(*codes, sex=sex, age=age)
    assert RULES.check(claim) == Rules().check(claim) == RULES.check(claim)


@settings(deadline=None)
@given(CODES, CODES)
def test_exclusion_is_mutual_and_never_of_itself(first: str, second: str) -> None:
    assert excluded_together(first, second) == excluded_together(second, first)
    assert not excluded_together(first, first)


def test_excludes1_notes_agree_with_the_tabular_list() -> None:
    """Every single code named in a note excludes the code that bears the note, as simple-icd-10-cm reads it."""
    import re

    import simple_icd_10_cm as tabular

    checked = 0
    for code in ("J18", "I10", "E11", "N17", "F32", "R65.2", "K92.2", "E66", "I50", "J44", "G40", "N39.0"):
        for note in tabular.get_excludes1(code):
            for named in re.findall(r"\(([A-Z]\d\d\.\d+)\)", note):
                leaf = next(iter(tabular.get_descendants(code)), code).replace(".", "")
                if not named.startswith(code):
                    assert excluded_together(leaf, named.replace(".", "")), (code, note)
                    checked += 1
    assert checked > 8


@pytest.mark.parametrize(
    ("code", "text", "inside"),
    [
        ("O109", "O10-O11", True),
        ("O119", "O10-O11", True),
        ("O12", "O10-O11", False),
        ("T3696XA", "T36-T65", True),
        ("I5022", "I50", True),
        ("I51", "I50", False),
    ],
)
def test_ranges_hold_for_all_codes_below_their_ends(code: str, text: str, inside: bool) -> None:
    assert in_span(code, parse_spans(text)[0]) == inside


def test_conditions_are_not_billed_codes() -> None:
    record = Documentation((Condition("N40.0"),))
    claim = Claim("c", "p", 60, "F", "ms-drg", DAY, Billed(Diagnosis("J18.9")), record)
    assert RULES.check(claim) == ()
