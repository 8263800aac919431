"""Reading CSV and JSON: what is sound is kept, what is not is named with its place."""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mithridate.claims.claim import (
    PAYER_MODELS,
    POA_INDICATORS,
    Billed,
    Claim,
    Condition,
    Diagnosis,
    Documentation,
    Enrollment,
    Measurement,
    ServiceLine,
)
from mithridate.claims.input import ReadOptions, claim_record, read_claims, write_claims
from mithridate.claims.input.diagnosis_codes import CodePolicy
from mithridate.claims.input.records import read_record
from mithridate.errors import UserError

GOOD: dict[str, Any] = {
    "id": "c1",
    "provider": "p1",
    "age": 72,
    "sex": "F",
    "payer_model": "cms-hcc-v28",
    "discharge_date": "2026-02-01",
    "principal": "I10",
}
NAMES = st.text(st.characters(codec="utf-8", exclude_categories=["Cs", "Cc", "Z"]), min_size=1, max_size=8)
AMOUNTS = st.floats(0, 1e6).map(lambda value: round(value, 2))
CODES = st.sampled_from(["I10", "I110", "I5022", "E119", "J189"])
DIAGNOSES = st.builds(Diagnosis, CODES, st.sampled_from(POA_INDICATORS))
LINES = st.builds(
    ServiceLine,
    st.sampled_from(["99214", "00790", "G0439"]),
    st.lists(st.sampled_from(["25", "AA", "P3"]), max_size=2).map(tuple),
    st.floats(0.5, 20),
    st.none() | st.floats(1, 300),
    AMOUNTS,
)
MEASURED = st.lists(st.builds(Measurement, NAMES, st.floats(-50, 500), st.sampled_from(["", "%"])), max_size=2).map(
    tuple
)
RECORDS = st.builds(
    Documentation,
    st.lists(st.builds(Condition, CODES, st.sampled_from(["active", "history", "ruled-out"])), max_size=2).map(tuple),
    MEASURED,
    MEASURED,
    st.none() | st.integers(0, 40),
    st.none() | AMOUNTS,
    st.none() | AMOUNTS,
)
CLAIMS = st.builds(
    Claim,
    NAMES,
    NAMES,
    st.integers(0, 124),
    st.sampled_from("FM"),
    st.sampled_from(PAYER_MODELS),
    st.dates(date(2025, 10, 1), date(2026, 3, 1)),
    st.builds(
        Billed,
        DIAGNOSES,
        st.lists(DIAGNOSES, max_size=3).map(tuple),
        st.just(("0QS604Z",)) | st.just(()),
        st.lists(LINES, max_size=2).map(tuple),
        AMOUNTS,
    ),
    RECORDS,
    st.just("") | NAMES,
    st.none() | st.dates(date(2025, 9, 1), date(2025, 9, 30)),
    st.sampled_from(["01", "20"]),
    st.builds(Enrollment, st.sampled_from(["NA", "02"]), st.sampled_from("01"), st.booleans(), st.booleans()),
)


@settings(suppress_health_check=[HealthCheck.too_slow], deadline=None, max_examples=60)
@given(CLAIMS)
def test_a_claim_is_read_as_it_was_written(claim: Claim) -> None:
    assert read_record(json.loads(json.dumps(claim_record(claim)))) == claim


def test_a_file_of_claims_is_read_as_it_was_written(tmp_path: Path) -> None:
    claims = [read_record(GOOD | {"id": f"c{number}", "age": 60 + number}) for number in range(3)]
    assert write_claims(tmp_path / "claims.jsonl", iter(claims)) == 3
    parsed = read_claims(tmp_path / "claims.jsonl")
    assert list(parsed.claims) == claims
    assert parsed.problems == ()


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"age": None}, "age: is missing"),
        ({"age": ""}, "age: is missing"),
        ({"age": -1}, "age: -1 must be at least 0"),
        ({"age": 130}, "age: 130 is not a whole number from 0 to 124"),
        ({"sex": None}, "sex: is missing"),
        ({"sex": "X"}, "sex: 'X' is neither F nor M"),
        ({"payer_model": "barter"}, "payer_model: 'barter' is not known: use ms-drg"),
        ({"discharge_date": "2026-02-30"}, "discharge_date: '2026-02-30' is not a date"),
        ({"admission_date": "2026-02-02"}, "admission_date: 2026-02-02 is after the discharge on 2026-02-01"),
        ({"lines": [{"hcpcs": "99214", "units": -2}]}, "service 1, units: -2 must be above 0"),
        ({"lines": [{"hcpcs": "99214", "units": float("nan")}]}, "service 1, units: nan must be above 0"),
        ({"lines": [{"hcpcs": "00790", "minutes": 0}]}, "service 1, minutes: 0 must be above 0"),
        ({"lines": [{"hcpcs": "9921"}]}, "service 1, hcpcs: '9921' does not have five"),
        ({"lines": "99214"}, "lines: str in place of a list"),
        ({"principal": None}, "principal: the principal diagnosis is missing"),
        ({"principal": {"code": "I10", "poa": "Q"}}, "principal, poa: 'Q' is not known"),
        ({"secondary": ["I50.9", 7]}, "secondary 2: int in place of an object"),
        ({"charges": -5}, "charges: -5 must be at least 0"),
        ({"discharge_status": "home"}, "discharge_status: 'home' is not two digits"),
        ({"documentation": {"length_of_stay": 1.5}}, "length_of_stay: 1.5 is not a whole number"),
        ({"documentation": {"conditions": [{"code": "I10", "status": "maybe"}]}}, "status: 'maybe' is not known"),
        ({"enrollment": {"institutional": "yes"}}, "institutional: 'yes' is neither true nor false"),
        ({"shade": "red"}, "has a field 'shade' that is not known"),
        ({"id": " "}, "id: is missing"),
        ({"principal": "QQQ"}, "'QQQ' is no ICD-10-CM code"),
        ({"principal": "I11"}, "I11 is incomplete: use a code below it, such as I11.0, I11.9"),
        ({"principal": "E88.81"}, "E88.81 was retired on 2023-10-01: use one of E88.810"),
        ({"principal": "E88.810", "discharge_date": "2022-01-01"}, "E88.810 is valid only from 2023-10-01"),
        ({"secondary": ["277.7"]}, "277.7 is an ICD-9 code and was refused: choose among E88.810"),
    ],
)
def test_a_bad_claim_is_named_and_the_others_are_kept(tmp_path: Path, change: dict[str, Any], says: str) -> None:
    path = tmp_path / "claims.jsonl"
    lines = [GOOD, GOOD | {"id": "bad"} | change, GOOD | {"id": "c3"}]
    path.write_text("\n".join(map(json.dumps, lines)) + "\n")
    parsed = read_claims(path)
    assert [claim.id for claim in parsed.claims] == ["c1", "c3"]
    (problem,) = parsed.refused
    assert str(problem).startswith(f"{path} line 2")
    assert says in str(problem)


def test_an_icd9_code_with_one_successor_is_mapped_and_said(tmp_path: Path) -> None:
    path = tmp_path / "claims.json"
    path.write_text(json.dumps([GOOD | {"principal": "401.9"}]))
    parsed = read_claims(path)
    assert parsed.claims[0].codes == ("I10",)
    assert parsed.refused == ()
    assert "401.9 is an ICD-9 code and was mapped to approximately I10" in str(parsed.problems[0])
    strict = read_claims(path, ReadOptions(codes=CodePolicy(icd9="refuse")))
    assert strict.claims == ()
    assert "401.9 is an ICD-9 code and was refused" in str(strict.problems[0])


def test_invalid_codes_can_be_left_to_the_rules(tmp_path: Path) -> None:
    path = tmp_path / "claims.json"
    path.write_text(json.dumps(GOOD | {"principal": "QQQ"}))
    assert read_claims(path, ReadOptions(codes=CodePolicy(invalid="keep"))).claims[0].codes == ("QQQ",)


def test_two_claims_of_one_id_are_told_apart(tmp_path: Path) -> None:
    path = tmp_path / "claims.jsonl"
    path.write_text(json.dumps(GOOD) + "\n" + json.dumps(GOOD) + "\n")
    parsed = read_claims(path)
    assert len(parsed.claims) == 1
    assert "line 2 (claim c1), id: is also that of the claim on line 1" in str(parsed.problems[0])


def test_broken_json_costs_its_line_or_the_rest_of_its_list(tmp_path: Path) -> None:
    lines = tmp_path / "lines.jsonl"
    lines.write_text(f'{json.dumps(GOOD)}\n{{"id": \n{json.dumps(GOOD | {"id": "c3"})}\n7\n')
    parsed = read_claims(lines)
    assert [claim.id for claim in parsed.claims] == ["c1", "c3"]
    assert [problem.where for problem in parsed.problems] == ["line 2", "line 4"]
    listed = tmp_path / "list.json"
    listed.write_text(f'[\n{json.dumps(GOOD)},\n{json.dumps(GOOD | {"id": "c2"})},\n{{"id" 3}},\n{{}}]')
    parsed = read_claims(listed)
    assert len(parsed.claims) == 2
    assert "line 4" in str(parsed.problems[0])
    assert "nothing after it" in str(parsed.problems[0])


CSV = """id,provider,age,sex,payer_model,discharge_date,principal,principal_poa,secondary,lines,conditions,vitals
c1,p1,72,F,ms-drg,2026-02-01,J18.9,Y,I50.9:N; E11.9,,J18.9; I50.9:history,bmi=41.2 kg/m2
c2,p1,,F,physician,2026-02-01,I10,,,99214,,
c3,p1,60,M,physician,2026-02-01,I10,,,99214-25 x1 $130.50; 97110-GP-59 x3,,
c4,p1,60,M,anesthesia,2026-02-01,K80.20,,,00790-AA-P3 95min $900,,
c5,p1,60,M,physician,2026-02-01,I10,,,99214 twice,,
c6,p1,60,M,physician,2026-02-01,I10,,,97110 x-2,,
"""


def test_csv_rows_become_claims(tmp_path: Path) -> None:
    path = tmp_path / "claims.csv"
    path.write_text(CSV)
    parsed = read_claims(path)
    stay, visit, operation = parsed.claims
    assert stay.billed.diagnoses == (Diagnosis("J189", "Y"), Diagnosis("I509", "N"), Diagnosis("E119", ""))
    assert stay.documentation.conditions == (Condition("J189"), Condition("I509", "history"))
    assert stay.documentation.measured("bmi") == 41.2
    assert visit.billed.lines == (ServiceLine("99214", ("25",), 1, None, 130.5), ServiceLine("97110", ("GP", "59"), 3))
    assert visit.billed.charges == 130.5
    assert operation.billed.lines == (ServiceLine("00790", ("AA", "P3"), 1, 95, 900),)
    assert [problem.where for problem in parsed.problems] == ["line 3", "line 6", "line 7"]
    says = " ".join(map(str, parsed.problems))
    for part in ("(claim c2), age: is missing", "'99214 twice' is not written as", "units: -2 must be above 0"):
        assert part in says


@pytest.mark.parametrize(
    ("name", "text", "says"),
    [
        ("a.csv", "id,provider\n1,2\n", "has no column 'age'"),
        ("a.csv", CSV.replace("vitals", "weight"), "has a column 'weight' that is not known"),
        ("a.csv", CSV.replace("conditions", "lines"), "two columns called 'lines'"),
        ("a.csv", "", "is empty"),
        ("a.csv", "hello\n", "no CSV, JSON, X12 837 or FHIR"),
        ("absent", None, "there is no file"),
        ("a.837", "ISA*00*", "106 characters"),
    ],
)
def test_a_file_that_is_no_claims_file_is_named(tmp_path: Path, name: str, text: str | None, says: str) -> None:
    path = tmp_path / name
    if text is not None:
        path.write_text(text)
    with pytest.raises(UserError, match=says):
        read_claims(path)


@pytest.mark.parametrize("options", [{"format": "pdf"}, {"payer_model": "barter"}])
def test_unknown_options_are_named(options: dict[str, str]) -> None:
    with pytest.raises(UserError, match=f"'{next(iter(options.values()))}'"):
        ReadOptions(**options)  # type: ignore[arg-type]
