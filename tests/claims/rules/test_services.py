"""Rules about services, and CMS's tables as users bring them."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest

from mithridate.claims.claim import Billed, Claim, Diagnosis, Documentation, ServiceLine
from mithridate.claims.rules import MedicallyUnlikely, ProcedurePairs, Rules, repeated_claims
from mithridate.errors import UserError

DAY = date(2026, 2, 1)
RULES = Rules()


def visit(*lines: ServiceLine, record: Documentation | None = None, claim_id: str = "c", patient: str = "m") -> Claim:
    billed = Billed(Diagnosis("I10", ""), lines=lines)
    return Claim(claim_id, "p", 60, "F", "physician", DAY, billed, record or Documentation(), patient)


def reasons(claim: Claim, rules: Rules = RULES) -> list[str]:
    return [item.reason for item in rules.check(claim)]


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        ([ServiceLine("99214"), ServiceLine("80053")], []),
        ([ServiceLine("80053"), ServiceLine("82565")], ["NCCI-PAIR"]),
        ([ServiceLine("82565"), ServiceLine("80053")], ["NCCI-PAIR"]),
        ([ServiceLine("80053"), ServiceLine("82565", ("59",))], ["NCCI-PAIR"]),  # indicator 0: no modifier helps
        ([ServiceLine("20610"), ServiceLine("99213")], ["NCCI-PAIR"]),
        ([ServiceLine("20610"), ServiceLine("99213", ("25",))], []),  # indicator 1
        ([ServiceLine("20610"), ServiceLine("99213", ("GA",))], ["NCCI-PAIR"]),
        ([ServiceLine("97110", (), 6)], []),
        ([ServiceLine("97110", (), 7)], ["MUE-UNITS"]),
        ([ServiceLine("97110", ("GP",), 4), ServiceLine("97110", ("59",), 3)], ["MUE-UNITS"]),
        ([ServiceLine("99214", (), 0)], ["LINE-UNITS"]),
        ([ServiceLine("97110", (), -2)], ["LINE-UNITS"]),
        ([ServiceLine("82565"), ServiceLine("82565")], ["LINE-DUPLICATE"]),
        ([ServiceLine("82565"), ServiceLine("82565", ("91",))], []),
        ([ServiceLine("00790")], ["AN-MINUTES"]),
        ([ServiceLine("00790", minutes=-5)], ["LINE-UNITS"]),
    ],
)
def test_a_rule_fires_on_its_case_only(lines: list[ServiceLine], expected: list[str]) -> None:
    assert reasons(visit(*lines)) == expected


@pytest.mark.parametrize(("billed", "expected"), [(90, []), (90.5, ["AN-TIME"]), (150, ["AN-TIME"])])
def test_anesthesia_is_billed_up_to_the_recorded_minutes(billed: float, expected: list[str]) -> None:
    claim = visit(ServiceLine("00790", minutes=billed), record=Documentation(anesthesia_minutes=90))
    assert reasons(claim) == expected
    assert reasons(claim, Rules(with_record=False)) == []
    assert reasons(visit(ServiceLine("00790", minutes=billed))) == [], "nothing was recorded"


def test_two_lines_share_the_recorded_minutes() -> None:
    lines = (ServiceLine("00790", minutes=60), ServiceLine("00840", minutes=60))
    assert reasons(visit(*lines, record=Documentation(anesthesia_minutes=100))) == ["AN-TIME"]


@pytest.mark.parametrize(("minutes", "expected"), [(40, []), (39, ["EM-TIME"])])
def test_a_visit_lasts_as_long_as_its_level_asks(minutes: float, expected: list[str]) -> None:
    assert reasons(visit(ServiceLine("99215"), record=Documentation(encounter_minutes=minutes))) == expected


def test_a_service_on_two_claims_is_named_on_the_second() -> None:
    first, second = visit(ServiceLine("82565"), claim_id="a"), visit(ServiceLine("82565"), claim_id="b")
    found = repeated_claims([first, second])
    assert list(found) == ["b"]
    assert found["b"][0].message.startswith("CLAIM-REPEATED 82565, as on claim a")
    marked = visit(ServiceLine("82565", ("91",)), claim_id="b")
    others = visit(ServiceLine("82565"), claim_id="b", patient="n")
    nameless = visit(ServiceLine("82565"), claim_id="b", patient="")
    for other in (marked, others, nameless):
        assert repeated_claims([first, other]) == {}


def test_cms_files_are_read_below_their_notice(tmp_path: Path) -> None:
    pairs = tmp_path / "ptp.txt"
    pairs.write_text(
        "CPT only copyright notice\n\n"
        "Column 1\tColumn 2\t*=in existence prior to 1996\tEffective Date\tDeletion Date *=no data\t"
        '"Modifier\n0=not allowed\n1=allowed"\tPTP Edit Rationale\n'
        "11111\t22222\t\t20200101\t*\t0\tx\n"
        "11111\t33333\t\t20200101\t20251231\t0\tx\n"
        "11111\t44444\t\t20270101\t*\t0\tx\n"
        "11111\t55555\t\t20200101\t*\t9\tx\n"
    )
    units = tmp_path / "mue.csv"
    units.write_text(
        'Notice\nHCPCS/CPT Code,Practitioner Services MUE Values,MUE Adjudication Indicator\n22222,2,"1 Line"\n'
    )
    rules = Rules(ProcedurePairs.load(pairs), MedicallyUnlikely.load(units))
    lines = [ServiceLine(code) for code in ("11111", "22222", "33333", "44444", "55555")]
    found = [item.item for item in rules.check(visit(*lines))]
    assert found == ["22222 with 11111"], "the others were deleted, are of the future, or were withdrawn"
    by_line = [ServiceLine("22222", (), 2), ServiceLine("22222", ("59",), 2)]
    assert reasons(visit(*by_line), rules) == []
    assert reasons(visit(ServiceLine("22222", (), 3)), rules) == ["MUE-UNITS"]
    assert "ptp.txt" in rules.vintages()["pairs"]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("column_1,column_2,effective,deleted,modifier\n1,2,20200101,,7\n", "line 2: '7' is not a modifier indicator"),
        ("column_1,column_2,effective,deleted,modifier\n1,,20200101,,0\n", "line 2: one of the two codes is missing"),
        ("column_1,column_2,effective,deleted,modifier\n1,2,01/02/2020,,0\n", "line 2: '01/02/2020' is not a date"),
        ("column_1,column_2,effective,deleted,modifier\n", "no rows"),
        ("a,b\n1,2\n", "no header with the columns 'column 1'"),
        ("", "no header"),
    ],
)
def test_a_wrong_table_is_named_with_its_line(tmp_path: Path, text: str, says: str) -> None:
    path = tmp_path / "ptp.csv"
    path.write_text(text)
    with pytest.raises(UserError, match=says):
        ProcedurePairs.load(path)


@pytest.mark.parametrize(("name", "says"), [("absent.csv", "no table at"), ("mue.xlsx", "save the table in it as CSV")])
def test_a_file_that_is_no_table_is_named(tmp_path: Path, name: str, says: str) -> None:
    if name != "absent.csv":
        (tmp_path / name).write_bytes(b"PK\x03\x04")
    with pytest.raises(UserError, match=says):
        MedicallyUnlikely.load(tmp_path / name)
