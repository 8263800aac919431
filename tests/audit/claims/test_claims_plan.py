"""A claims plan: refused without an authority, every mistake with its line, every condition once."""

from __future__ import annotations

from pathlib import Path

import pytest

from mithridate.audit.claims.plan import demo_plan, load_claims_plan
from mithridate.audit.claims.runner import cells
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
    # Undefended: two attacks; records: beam by both attackers, exact by the one who reads the plain model.
    assert len(keys) == 2 * (2 + 3)
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
    ],
)
def test_mistakes_have_their_place(tmp_path: Path, old: str, new: str, message: str) -> None:
    with pytest.raises(UserError, match=message):
        load_claims_plan(write(tmp_path, GOOD.replace(old, new, 1)))


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
