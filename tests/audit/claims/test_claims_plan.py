"""A claims plan: refused without an authority, every mistake with its line, every condition once."""

from __future__ import annotations

from pathlib import Path

import pytest

from mithridate.audit.claims.plan import demo_plan, load_claims_plan
from mithridate.audit.claims.work import cells
from mithridate.errors import UserError

GOOD = """\
authority: {owner: Example Payer, authorized_by: Integrity, statement: may be attacked here}
data: {claims: march.jsonl, labels: march.csv}
attacks: [beam, exact]
attackers: [adaptive, naive]
defenses: [none, records]
budgets: [{k: [3, 1, 1], classes: EBA}]
"""


def write(folder: Path, text: str) -> Path:
    (folder / "plan.yaml").write_text(text)
    return folder / "plan.yaml"


def test_reads_a_plan_and_makes_each_condition_once(tmp_path: Path) -> None:
    plan = load_claims_plan(write(tmp_path, GOOD))
    assert (plan.budgets[0].k, plan.budgets[0].classes) == ((1, 3), "ABE")
    assert plan.data.claims == str(tmp_path / "march.jsonl")  # type: ignore[union-attr]
    assert not plan.keeps_edits
    keys = [cell.key for cell in cells(plan)]
    assert len(keys) == len(set(keys))
    # Undefended: two attacks, and beam by who knows nothing; records: beam by both, exact by who reads the plain model.
    assert len(keys) == 2 * (3 + 3)
    assert "records/adaptive/exact/ABE-1" not in keys


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("authority", "#", "authority"),
        ("statement: may be attacked here", "statement: ok", "line 1: authority.statement"),
        ("EBA", "EBZ", "line 6.*letters of ABCDE"),
        ("[3, 1, 1]", "[0]", "1 to 10"),
        ("[none, records]", "[records]", "none"),
        ("[beam, exact]", "[beam, magic]", "line 3"),
        ("[adaptive, naive]", "[naive]", "'adaptive' too"),
        ("authority", "detector: {kind: magic}\nauthority", "line 1: .*'lightgbm'"),
        ("authority", "detector: {kind: http, url: here}\nauthority", "line 1: .*url"),
        ("authority", "detector: {kind: http, url: 'http://127.0.0.1/'}\nauthority", "only asked"),
        ("authority", "detector: {kind: callable, function: nothing}\nauthority", "line 1: .*function"),
        ("[none, records]", "[none, monotone]\ndetector: {kind: logistic}", "monotone constraints"),
    ],
)
def test_mistakes_have_their_place(tmp_path: Path, old: str, new: str, message: str) -> None:
    with pytest.raises(UserError, match=message):
        load_claims_plan(write(tmp_path, GOOD.replace(old, new, 1)))


ASKED = GOOD.replace("[beam, exact]", "[beam]") + "detector: {kind: http, url: 'http://127.0.0.1/', answers: %s}\n"


def test_models_that_exist_already(tmp_path: Path) -> None:
    assert not load_claims_plan(write(tmp_path, ASKED % "scores")).labels_only
    assert load_claims_plan(write(tmp_path, (ASKED % "labels").replace(", records]", "]"))).labels_only
    with pytest.raises(UserError, match="answers with labels"):
        load_claims_plan(write(tmp_path, ASKED % "labels"))
    with pytest.raises(UserError, match="trains the model anew"):
        load_claims_plan(write(tmp_path, (ASKED % "scores").replace("records", "families")))
    saved = load_claims_plan(write(tmp_path, GOOD + "detector: {kind: scikit-learn, path: model.joblib}\n"))
    assert saved.detector.path == str(tmp_path / "model.joblib")  # type: ignore[union-attr]


def test_made_up_claims_may_be_written_down() -> None:
    assert demo_plan().keeps_edits
    assert demo_plan().synthetic


def test_files_that_are_no_plan(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="cannot be read"):
        load_claims_plan(tmp_path / "none.yaml")
    with pytest.raises(UserError, match="line 1: this is not YAML"):
        load_claims_plan(write(tmp_path, "a: [1"))
    with pytest.raises(UserError, match="not a mapping"):
        load_claims_plan(write(tmp_path, "- a"))
