"""X12 837 and FHIR: as other parsers read the same files, and located problems."""

from __future__ import annotations

import json
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest

from mithridate.claims.claim import ServiceLine
from mithridate.claims.input import ReadOptions, read_claims
from mithridate.claims.input.x12 import x12_records

ISA = "ISA*00*          *00*          *ZZ*SENDER         *ZZ*RECEIVER       *260201*1200*^*00501*000000001*0*T*:~"
PERSON = "HL*1**20*1~NM1*85*2*CLINIC*****XX*1234567893~HL*2*1*22*0~SBR*P*18~NM1*IL*1*DOE*****MI*M1~DMG*D8*19540302*F~"
STAY = (
    "CLM*S1*9000***11:A:1~DTP*434*RD8*20260120-20260201~DTP*435*DT*202601201530~CL1*1*7*20~"
    "HI*ABK:J189:::::::Y~HI*ABF:I509:::::::N*ABF:E119~HI*BBR:0QS604Z:D8:20260121~LX*1~SV2*0300*HC:80053*50*UN*1~"
    "LX*2~SV2*0120**4000*DA*12~"
)
VISIT = "CLM*V1*900***11:B:1~HI*ABK:K8020~LX*1~SV1*HC:00790:AA:P3*900*MJ*95***1~DTP*472*D8*20260201~"


def interchange(version: str, *claims: str, person: str = PERSON) -> str:
    return (
        f"{ISA}GS*HC*S*R*20260201*1200*1*X*{version}~ST*837*0001*{version}~{person}{''.join(claims)}SE*1*0001~IEA*1*1~"
    )


def test_a_stay_is_read_whole(tmp_path: Path) -> None:
    path = tmp_path / "stay.837"
    path.write_text(interchange("005010X223A2", STAY))
    parsed = read_claims(path)
    assert parsed.problems == ()
    (claim,) = parsed.claims
    assert (claim.id, claim.provider, claim.patient, claim.sex) == ("S1", "1234567893", "M1", "F")
    assert claim.age == 71, "the birthday comes after the discharge"
    assert (claim.payer_model, claim.discharge_status, claim.billed.charges) == ("ms-drg", "20", 9000)
    assert (str(claim.admission_date), str(claim.discharge_date)) == ("2026-01-20", "2026-02-01")
    assert [(item.code, item.poa) for item in claim.billed.diagnoses] == [("J189", "Y"), ("I509", "N"), ("E119", "")]
    assert claim.billed.procedures == ("0QS604Z",)
    assert claim.billed.lines == (ServiceLine("80053", (), 1, None, 50),)


@pytest.mark.parametrize("delimiters", ["*:~", "|>\n", "^!'"])
def test_any_delimiters_are_read(tmp_path: Path, delimiters: str) -> None:
    element, component, end = delimiters
    text = interchange("005010X222A1", VISIT)
    text = text.replace("^", "U").replace("*", "\0").replace(":", component).replace("~", end).replace("\0", element)
    path = tmp_path / "visit.837"
    path.write_text(text)
    (claim,) = read_claims(path).claims
    assert claim.payer_model == "anesthesia"
    assert claim.billed.lines == (ServiceLine("00790", ("AA", "P3"), 1, 95, 900),)


def test_a_bad_claim_of_many_is_named_by_segment(tmp_path: Path) -> None:
    path = tmp_path / "many.837"
    bad = VISIT.replace("*V1*", "*V2*").replace("MJ*95", "MJ*-3")
    text = interchange("005010X222A1", VISIT, bad, VISIT.replace("*V1*", "*V3*")).replace("~", "~\n")
    path.write_text(text)
    parsed = read_claims(path)
    assert [claim.id for claim in parsed.claims] == ["V1", "V3"]
    (problem,) = parsed.problems
    line = next(number for number, row in enumerate(text.splitlines(), 1) if row.startswith("CLM*V2"))
    assert problem.where == f"line {line}, segment {line}"
    assert "(claim V2), service 1, minutes: -3 must be above 0" in str(problem)


def test_a_patient_who_is_not_the_subscriber_has_their_own_age(tmp_path: Path) -> None:
    child = "HL*3*2*23*0~NM1*QC*1*DOE*KIM~DMG*D8*20160101*M~"
    path = tmp_path / "child.837"
    path.write_text(interchange("005010X222A1", child, VISIT))
    (claim,) = read_claims(path).claims
    assert (claim.age, claim.sex) == (10, "M")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (interchange("005010X222A1", VISIT, person=PERSON.replace("DMG*D8*19540302*F~", "")), "age: is missing"),
        (interchange("005010X222A1", VISIT, person=PERSON.replace("1954", "2054")), "2054-03-02 is after the date"),
        (interchange("005010X223A2", STAY.replace("202601201530", "202603201530")), "is after the discharge"),
        (interchange("005010X222A1", VISIT).partition("SE*")[0], "the file ends within it"),
        (interchange("005010X222A1", VISIT.replace("ABK:K8020", "BK:57420")), "574.20 is an ICD-9 code"),
    ],
)
def test_what_an_837_lacks_is_named(tmp_path: Path, text: str, says: str) -> None:
    path = tmp_path / "bad.837"
    path.write_text(text)
    parsed = read_claims(path)
    assert says in " ".join(map(str, parsed.problems))


def test_837_files_are_read_as_hccinfhir_reads_them() -> None:
    """On its sample files: the same claims, diagnoses, services, modifiers and quantities."""
    from hccinfhir.extractor_837 import extract_sld_837

    compared = 0
    for number in range(13):
        sample = files("hccinfhir") / "sample_files" / f"sample_837_{number}.txt"
        theirs = [
            (item.claim_id, item.procedure_code, item.modifiers, item.quantity, set(item.claim_diagnosis_codes))
            for item in extract_sld_837(sample.read_text())
            if item.procedure_code
        ]
        ours = []
        for _, record in x12_records(Path(str(sample))):
            assert isinstance(record, dict)
            codes = {record["principal"]["code"], *(item["code"] for item in record["secondary"])}
            ours += [
                (record["id"], line["hcpcs"], line["modifiers"], float(line["units"]), codes)
                for line in record["lines"]
            ]
        assert ours == theirs
        compared += len(ours)
    assert compared > 15


PATIENT = {"resourceType": "Patient", "id": "m1", "gender": "female", "birthDate": "1954-03-02"}
BENEFIT: dict[str, Any] = {
    "resourceType": "ExplanationOfBenefit",
    "id": "e1",
    "type": {"coding": [{"code": "institutional"}]},
    "subType": {"coding": [{"code": "inpatient"}]},
    "patient": {"reference": "Patient/m1"},
    "provider": {"identifier": {"value": "1234567893"}},
    "billablePeriod": {"start": "2026-01-20", "end": "2026-02-01"},
    "diagnosis": [
        {"sequence": 2, "diagnosisCodeableConcept": {"coding": [{"code": "I50.9"}]}},
        {
            "sequence": 3,
            "diagnosisCodeableConcept": {"coding": [{"code": "J18.9"}]},
            "type": [{"coding": [{"code": "principal"}]}],
            "onAdmission": {"coding": [{"code": "y"}]},
        },
    ],
    "procedure": [{"procedureCodeableConcept": {"coding": [{"code": "0QS604Z"}]}}],
    "supportingInfo": [
        {"category": {"coding": [{"code": "discharge-status"}]}, "code": {"coding": [{"code": "20"}]}},
    ],
    "item": [
        {
            "productOrService": {"coding": [{"code": "80053"}]},
            "modifier": [{"coding": [{"code": "91"}]}],
            "quantity": {"value": 2},
            "adjudication": [
                {"category": {"coding": [{"code": "submitted"}]}, "amount": {"value": 50}},
            ],
        }
    ],
    "total": [{"category": {"coding": [{"code": "submitted"}]}, "amount": {"value": 9000}}],
}


def test_a_bundle_gives_a_claim_with_age_and_sex(tmp_path: Path) -> None:
    path = tmp_path / "bundle.json"
    path.write_text(json.dumps({"resourceType": "Bundle", "entry": [{"resource": BENEFIT}, {"resource": PATIENT}]}))
    parsed = read_claims(path)
    assert parsed.problems == ()
    (claim,) = parsed.claims
    assert (claim.id, claim.provider, claim.patient, claim.age, claim.sex) == ("e1", "1234567893", "m1", 71, "F")
    assert (claim.payer_model, claim.discharge_status, claim.billed.charges) == ("ms-drg", "20", 9000)
    assert [(item.code, item.poa) for item in claim.billed.diagnoses] == [("J189", "Y"), ("I509", "")]
    assert claim.billed.procedures == ("0QS604Z",)
    assert claim.billed.lines == (ServiceLine("80053", ("91",), 2, None, 50),)


def test_patients_come_from_the_same_lines_or_another_file(tmp_path: Path) -> None:
    lines, apart = tmp_path / "eobs.ndjson", tmp_path / "patients.ndjson"
    lines.write_text(json.dumps(BENEFIT) + "\n" + json.dumps(PATIENT) + "\n")
    assert [claim.age for claim in read_claims(lines).claims] == [71]
    lines.write_text(json.dumps(BENEFIT) + "\n")
    apart.write_text(json.dumps(PATIENT) + "\n")
    assert [claim.age for claim in read_claims(lines, ReadOptions(patients=apart)).claims] == [71]
    assert "age: is missing" in str(read_claims(lines).problems[0])


def test_other_resources_and_wrong_shapes_are_named(tmp_path: Path) -> None:
    path = tmp_path / "mixed.ndjson"
    wrong = BENEFIT | {"id": "e2", "diagnosis": "J18.9"}
    rows = [BENEFIT, {"resourceType": "Observation"}, wrong, PATIENT]
    path.write_text("\n".join(map(json.dumps, rows)))
    parsed = read_claims(path)
    assert [claim.id for claim in parsed.claims] == ["e1"]
    assert [problem.where for problem in parsed.problems] == ["line 2", "line 3"]
    assert "Observation is no claim" in str(parsed.problems[0])
    assert "in place of a list of objects" in str(parsed.problems[1])
