from __future__ import annotations

from pathlib import Path

import pytest

from mithridate.audit.cells import cells
from mithridate.audit.plan import load_plan
from mithridate.audit.study import PAPER_STEP, paper_attacks, phantom_plan
from mithridate.budget import Linf
from mithridate.errors import UserError

GOOD = """\
name: chest
authority:
  owner: Example Hospital
  authorized_by: Head of Radiology
  statement: This model may be attacked in our laboratory.
seed: 3
tasks:
  - data: chest.parquet
    victim: builtin:chest/victim
    surrogates: [models/other]
attacks:
  - attack: noise
    budget: {linf: paper-code}
  - attack: pgd
    budget: {linf: paper-text}
    knowledge: [white-box, black-box]
    relative_step: 0.5
    doses: [0.005]
  - attack: rotation
    budget: {degrees: 30}
"""


def write(folder: Path, text: str) -> Path:
    path = folder / "plan.yaml"
    path.write_text(text)
    return path


def test_a_plan_is_read_and_its_paths_are_beside_it(tmp_path: Path) -> None:
    plan = load_plan(write(tmp_path, GOOD))
    assert plan.tasks[0].data == str(tmp_path / "chest.parquet")
    assert plan.tasks[0].victim == "builtin:chest/victim"
    assert plan.tasks[0].surrogates == (str(tmp_path / "models/other"),)
    assert "paper-code: 0.01" in plan.epsilon_reading()
    assert "paper-text: 0.02" in plan.epsilon_reading()


@pytest.mark.parametrize(
    ("old", "new", "line", "said"),
    [
        ("relative_step", "relative_stop", 17, "no such field"),
        ("owner: Example Hospital", "owner: ''", 3, "at least 2 characters"),
        ("  authorized_by: Head of Radiology\n", "", 2, "authority.authorized_by: this field is missing"),
        ("linf: paper-text", "linf: paper", 15, "paper-text"),
        ("linf: paper-text", "linf: -1", 15, "greater than or equal to 0"),
        ("{linf: paper-text}", "{}", 15, "exactly one of linf and l2"),
        ("attack: rotation", "attack: rotate", 19, "noise"),
        ("degrees: 30", "degrees: 300", 20, "180"),
        ("    victim: builtin:chest/victim\n", "", 8, "victim: this field is missing"),
        ("[white-box, black-box]", "[grey-box]", 16, "white-box"),
        ("seed: 3", "seed: [3", 7, "not YAML"),
    ],
)
def test_every_mistake_is_reported_with_its_line(tmp_path: Path, old: str, new: str, line: int, said: str) -> None:
    assert old in GOOD
    with pytest.raises(UserError) as caught:
        load_plan(write(tmp_path, GOOD.replace(old, new)))
    assert f"plan.yaml, line {line}" in str(caught.value)
    assert said in str(caught.value)


def test_without_authority_nothing_runs(tmp_path: Path) -> None:
    text = GOOD[: GOOD.index("authority")] + GOOD[GOOD.index("seed") :]
    with pytest.raises(UserError, match="authority: this field is missing"):
        load_plan(write(tmp_path, text))


def test_several_mistakes_are_all_reported(tmp_path: Path) -> None:
    with pytest.raises(UserError) as caught:
        load_plan(write(tmp_path, GOOD.replace("degrees: 30", "degrees: 300").replace("relative_step", "x")))
    assert len(str(caught.value).splitlines()) == 2


@pytest.mark.parametrize("text", ["", "- 1\n", "just words\n"])
def test_what_is_no_plan_at_all(tmp_path: Path, text: str) -> None:
    with pytest.raises(UserError, match="empty or not a mapping"):
        load_plan(write(tmp_path, text))


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"none\.yaml cannot be read"):
        load_plan(tmp_path / "none.yaml")


def test_repeated_attacks_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="attack 4 repeats attack 1"):
        load_plan(write(tmp_path, GOOD + "  - attack: noise\n    budget: {linf: paper-code}\n"))


def test_cells_are_the_clean_one_and_every_attacker_at_every_dose(tmp_path: Path) -> None:
    found = {cell.key: cell for cell in cells(load_plan(write(tmp_path, GOOD)), surrogates=2)}
    assert list(found) == [
        "clean",
        "noise/noise/linf-0.01",
        "white-box/pgd/linf-0.005",
        "white-box/pgd/linf-0.02",
        "black-box-1/pgd/linf-0.005",
        "black-box-1/pgd/linf-0.02",
        "black-box-2/pgd/linf-0.005",
        "black-box-2/pgd/linf-0.02",
        "rotation/rotation/rotation-30",
    ]
    dose = found["white-box/pgd/linf-0.005"]
    assert (dose.budget, dose.main, dose.surrogate) == (Linf(0.005), False, None)
    # The step is stated relative to the budget, so that every dose of a sweep walks alike.
    assert dose.attack.step_size == pytest.approx(0.0025)  # type: ignore[union-attr]
    assert found["white-box/pgd/linf-0.02"].main
    assert found["black-box-2/pgd/linf-0.02"].surrogate == 1
    assert len({(cell.sweep, cell.budget.size) for cell in found.values()}) == len(found)


def test_the_papers_attack_is_the_papers() -> None:
    """imaging-study: eps 0.02 and step 0.01 on pixels in [-1, 1], 20 steps, random start."""
    attacks = paper_attacks(relative_step=PAPER_STEP)
    pgd = next(attack for attack in attacks if attack.attack == "pgd")
    plan = phantom_plan().model_copy(update={"attacks": attacks})
    cell = next(c for c in cells(plan, 1) if c.kind == "white-box" and c.main)
    assert pgd.steps == 20  # type: ignore[union-attr]
    assert cell.budget == Linf(0.02 / 2)
    assert cell.attack.step_size == pytest.approx(0.01 / 2)  # type: ignore[union-attr]
    assert cell.attack.random_start  # type: ignore[union-attr]
    assert cell.attack.every_step  # type: ignore[union-attr]
