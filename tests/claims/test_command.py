"""`mithridate claims`: files in, sentences and exit codes out."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from mithridate.claims.input import read_claims
from mithridate.cli.claims import claims_app
from mithridate.errors import UserError

HEADER = "id,provider,age,sex,payer_model,discharge_date,principal,principal_poa,secondary\n"
GOOD = "c1,p1,72,F,ms-drg,2026-02-01,J18.9,Y,J96.01:Y\n"
BAD_AGE = "c2,p1,,F,ms-drg,2026-02-01,J18.9,Y,\n"
RETIRED = "c3,p1,72,F,ms-drg,2026-02-01,J18.9,Y,E88.81:Y\n"


def run(*arguments: str) -> Result:
    """Run `mithridate claims ...`; a mistake of the user's comes back as the UserError that the entry point prints."""
    result = CliRunner().invoke(claims_app, arguments)
    if isinstance(result.exception, UserError):
        raise result.exception
    return result


@pytest.fixture
def table(tmp_path: Path) -> Path:
    path = tmp_path / "claims.csv"
    path.write_text(HEADER + GOOD + BAD_AGE + RETIRED)
    return path


def test_read_keeps_the_good_and_names_the_bad(table: Path) -> None:
    kept = table.with_name("kept.jsonl")
    result = run("read", str(table), "--out", str(kept))
    assert result.exit_code == 1
    assert "line 3 (claim c2), age: is missing" in result.stderr
    assert "1 claims read (1 ms-drg), 2 left out" in result.stdout
    assert [claim.id for claim in read_claims(kept).claims] == ["c1"]
    facts = json.loads(run("read", str(table), "--json").stdout)
    assert [problem["claim"] for problem in facts["problems"]] == ["c2", "c3"]


def test_check_reports_codes_by_rule(table: Path) -> None:
    result = run("check", str(table), "--json")
    assert result.exit_code == 1
    facts = json.loads(result.stdout)
    assert facts["claims"] == 2, "the retired code is the rules' to report"
    assert facts["reasons"] == {"DX-RETIRED": 1}
    assert facts["denied"] == 1
    assert "fixture" in facts["vintages"]["pairs"]


def test_price_prints_vintages_and_writes_a_row_a_claim(table: Path) -> None:
    table.write_text(HEADER + GOOD)
    prices = table.with_name("prices.csv")
    result = run("price", str(table), "--stay-rate", "1000", "--out", str(prices))
    assert result.exit_code == 0
    assert "FY2026" in result.stdout
    (row,) = csv.DictReader(prices.read_text().splitlines())
    assert row == {
        "claim": "c1",
        "payer_model": "ms-drg",
        "units": "1.3144",
        "amount": "1314.40",
        "signature": "DRG 193",
    }


def test_generate_writes_claims_and_the_truth_about_them(tmp_path: Path) -> None:
    path = tmp_path / "made.jsonl"
    facts = json.loads(run("generate", "--out", str(path), "--claims", "90", "--seed", "5", "--json").stdout)
    claims = read_claims(path).claims
    truth = list(csv.DictReader((tmp_path / "made.truth.csv").read_text().splitlines()))
    assert facts["claims"] == len(claims) == len(truth) == 90
    assert [claim.id for claim in claims] == [row["claim"] for row in truth]
    for row in truth:
        assert row["abusive"] == "1" or row["amount"] == row["honest_amount"]
    again = tmp_path / "again.jsonl"
    run("generate", "--out", str(again), "--claims", "90", "--seed", "5")
    assert again.read_bytes() == path.read_bytes()


def test_a_file_without_one_usable_claim_is_the_users_mistake(table: Path) -> None:
    table.write_text(HEADER + BAD_AGE)
    with pytest.raises(UserError, match="holds no claim that can be used"):
        run("price", str(table))
    table.write_text(HEADER)
    with pytest.raises(UserError, match="holds no claims"):
        run("check", str(table))


def test_a_factor_without_fees_is_refused(table: Path) -> None:
    with pytest.raises(UserError, match="give it with --fees"):
        run("price", str(table), "--fee-factor", "30")
