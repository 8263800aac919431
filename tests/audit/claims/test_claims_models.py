"""Every kind of model that a plan may name goes through a whole audit, with as much knowledge as it gives away."""

from __future__ import annotations

import json
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import joblib  # type: ignore[import-untyped]
import pandas as pd
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from mithridate.audit.claims.models import CallableModel, DetectorPlan, EstimatorModel, HttpModelPlan, TrainedModel
from mithridate.audit.claims.plan import BudgetPlan, ClaimsPlan, PopulationData, demo_plan
from mithridate.audit.claims.results import ClaimsResults
from mithridate.audit.claims.runner import run_claims
from mithridate.audit.claims.subject import load_claims_subject
from mithridate.audit.plan import Execution
from mithridate.errors import UserError


def plan(detector: DetectorPlan, attack: str = "greedy", defenses: tuple[str, ...] = ("none",)) -> ClaimsPlan:
    changes = {
        "detector": detector,
        "data": PopulationData(claims=900, seed=3, claims_a_provider=15),
        "attacks": (attack,),
        "attackers": ("adaptive",),
        "defenses": defenses,
        "budgets": (BudgetPlan(k=(1,)),),
        "claims": 4,
        "certified_edits": 1,
        "execution": Execution(executor="inline", shard=4),
    }
    return ClaimsPlan.model_validate(demo_plan().model_dump() | changes)


def findings(folder: Path) -> pd.DataFrame:
    return pd.concat([pd.read_parquet(file) for file in folder.rglob("*.parquet")])


class Payer(BaseHTTPRequestHandler):
    """Denies what is billed with more than three diagnoses; one path answers with labels, one with scores."""

    def do_POST(self) -> None:
        claims = json.loads(self.rfile.read(int(self.headers["Content-Length"])))["claims"]
        many = [len(claim.get("secondary", [])) for claim in claims]
        answer = {"/labels": {"denied": [n > 2 for n in many]}, "/scores": {"scores": [n * 100.0 for n in many]}}
        self.send_response(200)
        self.end_headers()
        self.wfile.write(json.dumps(answer[self.path]).encode())

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Payer)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()


def audited(plan: ClaimsPlan, folder: Path) -> ClaimsResults:
    results = run_claims(plan, folder, allow_code=True)
    found = findings(folder)
    assert (found["violation"] == 0).all()
    assert (found["paid_after"] >= found["paid_before"]).all()
    return results


@pytest.mark.parametrize("kind", ["xgboost", "logistic"])
def test_trained_here_and_attacked_exactly(kind: str, tmp_path: Path) -> None:
    results = audited(plan(TrainedModel(kind=kind, trees=10, leaves=4), "exact"), tmp_path)  # type: ignore[arg-type]
    assert results.stability is not None
    assert results.detector["kind"] == kind


def test_a_pipeline_of_the_users_is_fitted_and_attacked_exactly(tmp_path: Path) -> None:
    file = tmp_path / "pipeline.joblib"
    joblib.dump(make_pipeline(StandardScaler(), LogisticRegression(C=0.05, max_iter=300)), file)
    model = EstimatorModel(kind="scikit-learn", path=str(file))
    results = audited(plan(model, "exact", ("none", "families")), tmp_path / "run")
    assert results.stability is not None
    assert {item.name for item in results.defenses} == {"none", "families"}
    with pytest.raises(UserError, match="--allow-code"):
        load_claims_subject(plan(model))


def test_a_model_that_cannot_be_read_is_searched_and_not_certified(tmp_path: Path) -> None:
    file = tmp_path / "near.joblib"
    joblib.dump(make_pipeline(StandardScaler(), KNeighborsClassifier(15)), file)
    model = EstimatorModel(kind="scikit-learn", path=str(file))
    assert audited(plan(model), tmp_path / "run").stability is None
    with pytest.raises(UserError, match="exact form"):
        run_claims(plan(model, "exact"), tmp_path / "other", allow_code=True)
    assert not (tmp_path / "other").exists()


def test_a_function_of_the_users(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "own_payer.py").write_text("def score(claims):\n    return [len(c.codes) / 10 for c in claims]\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", sys.path.copy())
    model = CallableModel(kind="callable", function="own_payer:score", threshold=0.45)
    results = audited(plan(model, "beam", ("none", "records")), tmp_path / "run")
    found = findings(tmp_path / "run")
    plain = found[found["cell"].str.startswith("none/")]
    assert ((plain["margin_after"] >= 0.45) == plain["denied_after"]).all()  # five diagnoses or more
    assert plain["margin_before"].max() >= 0.45
    assert results.stability is None
    with pytest.raises(UserError, match="runs code of yours"):
        load_claims_subject(plan(model))
    missing = CallableModel(kind="callable", function="own_payer:nothing")
    with pytest.raises(UserError, match="cannot be imported: AttributeError"):
        load_claims_subject(plan(missing), allow_code=True)


def test_an_endpoint_of_labels_gives_labels_away_and_no_more(address: str, tmp_path: Path) -> None:
    model = HttpModelPlan(kind="http", url=f"{address}/labels", answers="labels")
    results = audited(plan(model).model_copy(update={"claims": 8}), tmp_path)
    assert [item.value for item in results.defenses[0].detection] == [None, None]
    assert results.conditions[0].detection_5.value is None
    found = findings(tmp_path)
    assert found["denied_before"].any()
    turned = found[found["denied_before"] & ~found["denied_after"]]
    assert len(turned)  # a dropped code is an edit of class A
    assert set("".join(turned["classes"])) == {"A"}


def test_an_endpoint_of_scores_of_any_scale_gets_a_threshold(address: str, tmp_path: Path) -> None:
    model = HttpModelPlan(kind="http", url=f"{address}/scores", false_positive_rate=0.2)
    results = audited(plan(model), tmp_path)
    held = results.defenses[0].false_positives
    assert all(item.value is not None and item.value <= 0.3 for item in held)
    assert findings(tmp_path)["margin_before"].max() >= 100
