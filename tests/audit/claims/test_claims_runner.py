"""A whole small run: judged independently, resumed after a loss, the same for any shard size, and reported."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest

from mithridate.audit.claims.models import TrainedModel
from mithridate.audit.claims.plan import BudgetPlan, ClaimsPlan, FileData, PopulationData, demo_plan
from mithridate.audit.claims.runner import run_claims
from mithridate.audit.claims.subject import ClaimsSubject, load_claims_subject
from mithridate.audit.plan import Execution
from mithridate.claims.input import write_claims
from mithridate.errors import UserError


def plan(shard: int = 2) -> ClaimsPlan:
    return demo_plan().model_copy(
        update={
            "data": PopulationData(claims=900, seed=3, claims_a_provider=15),
            "detector": TrainedModel(trees=20, leaves=6, false_positive_rate=0.1),
            "attacks": ("greedy",),
            "defenses": ("none", "records"),
            "budgets": (BudgetPlan(k=(1,)), BudgetPlan(k=(1,), classes="AB")),
            "claims": 4,
            "certified_edits": 1,
            "execution": Execution(executor="inline", shard=shard),
        }
    )


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("claims") / "run"
    run_claims(plan(), folder)
    return folder


def findings(folder: Path) -> pd.DataFrame:
    parts = [pd.read_parquet(file) for file in sorted(folder.rglob("*.parquet"))]
    whole = pd.concat(parts).drop(columns="seconds")
    return whole.sort_values(["cell", "claim"], ignore_index=True)


def test_findings_are_sound(run: Path) -> None:
    found = findings(run)
    assert len(found) == 4 * 8  # claims x cells
    assert (found["violation"] == 0).all()
    assert found["lawful"].all()
    assert (found["edits"] <= 1).all()
    adaptive = found[found["cell"].str.contains("adaptive")]
    assert (adaptive["paid_after"] >= adaptive["paid_before"]).all()
    results = json.loads((run / "results.json").read_text())
    assert {item["name"] for item in results["defenses"]} == {"none", "records"}
    assert results["stability"]["n"] == 4
    assert len(results["scenarios"]) == 4


def test_who_knows_nothing_goes_for_the_most_money(run: Path) -> None:
    found = findings(run).set_index(["cell", "claim"])["asked_after"]
    naive, adaptive = found["none/naive/greedy/ABCDE-1"], found["none/adaptive/greedy/ABCDE-1"]
    assert (naive >= adaptive).all()
    assert json.loads((run / "results.json").read_text())["drift"]["rows"][0]["who"] == "honest"
    assert (run / "providers.csv").is_file()


def test_a_lost_shard_is_made_again_and_nothing_else(run: Path) -> None:
    before, files = findings(run), sorted(run.rglob("*.parquet"))
    times = {file: file.stat().st_mtime_ns for file in files}
    files[0].unlink()
    run_claims(plan(), run)
    pd.testing.assert_frame_equal(findings(run), before)
    assert [f for f in files[1:] if f.stat().st_mtime_ns != times[f]] == []


def test_shard_size_changes_no_number(run: Path, tmp_path: Path) -> None:
    run_claims(plan(shard=4), tmp_path / "other")
    pd.testing.assert_frame_equal(findings(tmp_path / "other"), findings(run))


def test_refuses_the_folder_of_another_run(run: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="another run"):
        run_claims(plan().model_copy(update={"seed": 9}), run)
    with pytest.raises(UserError, match="shard size"):
        run_claims(plan(shard=3), run)
    (tmp_path / "file").write_text("x")
    with pytest.raises(UserError, match="not empty"):
        run_claims(plan(), tmp_path)


def test_labels_that_do_not_fit_are_named(tmp_path: Path) -> None:
    subject = load_claims_subject(plan())
    write_claims(tmp_path / "c.jsonl", subject.material.claims[:5])
    names = [claim.id for claim in subject.material.claims[:5]]

    def subject_of(labels: str) -> ClaimsSubject:
        (tmp_path / "l.csv").write_text(labels)
        data = FileData(claims=str(tmp_path / "c.jsonl"), labels=str(tmp_path / "l.csv"))
        load_claims_subject.cache_clear()
        return load_claims_subject(plan().model_copy(update={"data": data}))

    def load(labels: str) -> int:
        return len(subject_of(labels).material.claims)

    assert load("id,fraud\n" + "\n".join(f"{name},1" for name in names[:3])) == 3
    unlabeled = subject_of(f"id,fraud\n{names[0]},1\n").left_out
    assert [f"(claim {name}): has no label" in text for name, text in zip(names[1:], unlabeled, strict=True)] == [
        True
    ] * 4
    with (tmp_path / "c.jsonl").open("a") as stream:
        stream.write('{"id": "broken", "age": -3}\n')
    assert any("line 6" in text and "broken" in text for text in subject_of(f"id,fraud\n{names[0]},1\n").left_out)
    assert load("claim,abusive\n" + "\n".join(f"{name},0" for name in names)) == 5
    with pytest.raises(UserError, match="line 2: fraud is 'maybe'"):
        load(f"id,fraud\n{names[0]},maybe\n")
    with pytest.raises(UserError, match="columns id and fraud"):
        load("a,b\n1,2\n")
    with pytest.raises(UserError, match="do the ids match"):
        load("id,fraud\nnobody,1\n")
