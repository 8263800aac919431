"""Every attack that a plan can name, through one whole audit of a model whose boundary is known."""

from __future__ import annotations

from pathlib import Path
from typing import Any, get_args

import pytest

from audit.foreign import TILT, plan, save_catalog
from mithridate.audit.attack_plans import AttackPlan
from mithridate.audit.cells import cells
from mithridate.audit.folder import RunFolder
from mithridate.audit.plan import Plan, dump_plan, load_plan
from mithridate.audit.results import Condition, Results
from mithridate.audit.runner import run
from mithridate.errors import UserError
from mithridate.imaging.attacks import (
    APGD,
    PGD,
    Borderline,
    CheapToDear,
    MotionGrid,
    StandardEnsemble,
    WorstMotion,
)
from models.files import SIZE, linear_onnx, linear_plan

BEYOND = {"linf": 1.2 * TILT}
FAR = {"l2": 1.2 * TILT * SIZE}
"""The Euclidean length of a change by 1.2 x TILT at every pixel."""

CERTAIN: list[dict[str, Any]] = [
    {"attack": "fgsm", "budget": BEYOND},
    {"attack": "pgd", "budget": BEYOND, "steps": 3, "momentum": 0.9, "restarts": 2, "every_step": False},
    {"attack": "pgd", "budget": FAR, "steps": 3, "targeted": True, "loss": "dlr"},
    {"attack": "apgd", "budget": BEYOND, "steps": 4, "loss": "cross-entropy"},
    {"attack": "apgd", "budget": BEYOND, "steps": 4, "loss": "margin"},
    {"attack": "apgd", "budget": FAR, "steps": 4, "loss": "dlr"},
    {"attack": "apgd-targeted", "budget": BEYOND, "steps": 4},
    {"attack": "fab", "budget": BEYOND, "steps": 4},
    {"attack": "deepfool", "budget": BEYOND, "steps": 4},
    {"attack": "minimum-norm", "budget": FAR, "steps": 20},
    {"attack": "carlini-wagner", "budget": FAR, "steps": 20, "searches": 2},
    {"attack": "standard-ensemble", "budget": BEYOND, "order": "published", "steps": 4, "queries": 4},
    {"attack": "standard-ensemble", "budget": BEYOND, "steps": 4, "queries": 4},
    {"attack": "pgd", "budget": BEYOND, "steps": 2, "borderline": 1.0, "label": "all, nearest first"},
    {"attack": "pgd", "budget": BEYOND, "steps": 2, "gradient": {"samples": 3, "noise": 0.01}},
    {"attack": "pgd", "budget": BEYOND, "steps": 2, "gradient": {"backward": "straight-through"}},
    {"attack": "pgd", "budget": BEYOND, "steps": 2, "gradient": {"backward": "surrogate"}},
    {"attack": "transfer", "budget": BEYOND, "steps": 4},
    {"attack": "universal", "budget": BEYOND, "knowledge": ["white-box", "black-box"], "train_images": 12},
]
"""Attacks that fool every image: beyond the boundary, with gradients of it, or of a surrogate that is parallel."""
OTHERS: list[dict[str, Any]] = [
    {"attack": "noise", "budget": BEYOND},
    {"attack": "square", "budget": BEYOND, "queries": 30},
    {"attack": "finite-differences", "budget": BEYOND, "steps": 2, "directions": 3, "query_limit": 9},
    {"attack": "hop-skip-jump", "budget": BEYOND, "steps": 1, "first_draws": 5, "query_limit": 60},
    {"attack": "boundary", "budget": FAR, "steps": 5, "query_limit": 12},
    {"attack": "rotation", "budget": {"degrees": 20}, "angles": 3},
    {"attack": "motion", "budget": {"degrees": 20, "pixels": 2}, "angles": 3, "shifts": 2},
    {"attack": "motion", "budget": {"degrees": 20, "pixels": 2}, "search": "worst-of-k", "k": 3},
    {"attack": "patch", "budget": {"area": 0.15}, "epochs": 1, "train_images": 12},
    {"attack": "patch", "budget": {"area": 0.15}, "natural": True, "train_images": 12},
]


def made(folder: Path, attacks: list[dict[str, Any]], **more: Any) -> Plan:
    catalog = folder / "catalog.parquet"
    if not catalog.exists():
        save_catalog(folder, 30, train=12)
    victim, other = linear_plan(linear_onnx(folder / "m.onnx")), linear_plan(linear_onnx(folder / "s.onnx", scale=4.0))
    tasks = [{"name": "sides", "data": str(catalog), "victim": victim, "surrogates": [other]}]
    return plan(catalog, victim, attacks, **({"tasks": tasks} | more))


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> Results:
    folder = tmp_path_factory.mktemp("all")
    return run(made(folder, CERTAIN + OTHERS), folder / "run")


def test_the_lists_above_name_every_attack_there_is() -> None:
    kinds = get_args(get_args(AttackPlan)[0])
    names = {get_args(kind.model_fields["attack"].annotation)[0] for kind in kinds}
    assert {attack["attack"] for attack in CERTAIN + OTHERS} == names


def conditions(results: Results, attack: dict[str, Any]) -> list[Condition]:
    """Those of one attack of the plan, found by what the result says of it."""
    said = [f"{k}={v}" for k, v in attack.items() if k not in ("attack", "budget", "knowledge", "gradient", "label")]
    said += [f"gradient.{k}={v}" for k, v in attack.get("gradient", {}).items()]
    kind = next(iter(attack["budget"]))
    return [
        c
        for c in results.tasks[0].conditions
        if c.attack.startswith(f"{attack['attack']}(") and all(s in c.attack for s in said) and kind in str(c.budget)
    ]


@pytest.mark.parametrize("attack", CERTAIN, ids=lambda a: f"{a['attack']} {a.get('gradient', a.get('loss', ''))}")
def test_each_attack_with_gradients_is_carried_out_and_fools(done: Results, attack: dict[str, Any]) -> None:
    mine = conditions(done, attack)
    assert mine
    for condition in mine:
        assert condition.n == 18
        assert condition.violation == 0
        assert condition.unverified == 0
        assert condition.attack_success_rate.value == 1.0, condition.label


@pytest.mark.parametrize("attack", OTHERS, ids=lambda a: f"{a['attack']} {a.get('search', a.get('natural', ''))}")
def test_each_other_attack_is_carried_out_inside_its_budget(done: Results, attack: dict[str, Any]) -> None:
    (condition,) = conditions(done, attack)
    assert condition.n == 18
    assert condition.violation == 0
    if "query_limit" in attack:
        assert 0 < condition.queries_per_example <= attack["query_limit"]


def test_what_was_learned_is_kept_and_not_learned_again(tmp_path: Path) -> None:
    attacks = [a for a in CERTAIN + OTHERS if a["attack"] in ("universal", "patch")]
    run(made(tmp_path, attacks), tmp_path / "run")
    kept = {file: file.read_bytes() for file in (tmp_path / "run" / "trained").rglob("*.npz")}
    assert len(kept) == 4  # two perturbations, for model and surrogate; the patches, and the control
    for shard in (tmp_path / "run" / "findings").rglob("*.parquet"):
        shard.unlink()
    before = {file: file.stat().st_mtime_ns for file in kept}
    run(made(tmp_path, attacks), tmp_path / "run")
    assert {file: file.stat().st_mtime_ns for file in kept} == before


def test_what_attacks_not_every_image_at_its_hardest_is_no_white_box_verdict(done: Results) -> None:
    kinds = {c.label: c.kind for c in done.tasks[0].conditions}
    assert kinds["White box, universal perturbation"] == "other"
    assert kinds["Black box, universal perturbation"] == "black-box"
    assert kinds["White box, adversarial patch"] == kinds["White box, natural patch (control)"] == "other"
    assert kinds["White box, all, nearest first"] == "white-box"
    borderline = {"attack": "pgd", "budget": {"linf": 0.1}, "borderline": 0.2}
    near = Plan.model_validate({**AUTHORITY, "attacks": [borderline]})
    assert [c.kind for c in cells(near, 0)] == ["clean", "other"]


AUTHORITY: dict[str, Any] = {
    "authority": {"owner": "us", "authorized_by": "us", "statement": "Made to be attacked in this test."},
    "tasks": [{"data": "a.parquet", "victim": "builtin:skin/victim"}],
}


def built(attack: dict[str, Any]) -> Any:
    return cells(Plan.model_validate({**AUTHORITY, "attacks": [attack]}), 1)[1].attack


def test_a_plan_builds_the_attack_that_it_names() -> None:
    budget = {"linf": 0.1}
    momentum = built({"attack": "pgd", "budget": budget, "momentum": 0.5, "relative_step": 0.25, "restarts": 3})
    assert momentum == PGD(20, pytest.approx(0.025), restarts=3, momentum=0.5)
    assert built({"attack": "apgd", "budget": budget, "loss": "dlr", "restarts": 2}) == APGD(100, "dlr", 2)
    published = {"attack": "standard-ensemble", "budget": budget, "steps": 7, "queries": 9}
    assert built({**published, "order": "published"}) == StandardEnsemble(steps=7, queries=9)
    assert built(published) == CheapToDear(steps=7, queries=9)
    assert built({"attack": "pgd", "budget": budget, "borderline": 0.3}) == Borderline(PGD(), 0.3)
    motion = {"attack": "motion", "budget": {"degrees": 30, "pixels": 3}}
    assert built({**motion, "angles": 5, "shifts": 3}) == MotionGrid(5, 3)
    assert built({**motion, "search": "worst-of-k", "k": 4}) == WorstMotion(4)


def test_a_curve_of_motions_grows_in_both_directions() -> None:
    motion = {"attack": "motion", "budget": {"degrees": 30, "pixels": 3}, "doses": [10]}
    found = cells(Plan.model_validate({**AUTHORITY, "attacks": [motion]}), 0)
    assert [(c.budget.degrees, c.budget.pixels) for c in found[1:]] == [(10, 1), (30, 3)]  # type: ignore[attr-defined]


def test_two_curves_of_one_attack_are_kept_apart() -> None:
    attacks = [
        {"attack": "pgd", "budget": {"linf": 0.1}, "doses": [0.05]},
        {"attack": "pgd", "budget": {"linf": 0.2}, "doses": [0.15], "momentum": 1.0},
    ]
    found = cells(Plan.model_validate({**AUTHORITY, "attacks": attacks}), 0)[1:]
    assert len({c.key for c in found}) == 4
    assert [c.sweep for c in found] == ["White box, PGD"] * 2 + ["White box, PGD (2)"] * 2


@pytest.mark.parametrize(
    ("attack", "said"),
    [
        ("{attack: carlini-wagner, budget: {linf: 0.1}}", "give it a budget l2"),
        ("{attack: pgd, budget: {linf: 0.1}, momentum: 1.5}", "less than or equal to 1"),
        ("{attack: pgd, budget: {linf: 0.1}, knowledge: []}", "at least 1 item"),
        ("{attack: pgd, budget: {linf: 0.1}, gradient: {noise: 0.1}}", "give 'samples' of 2 or more"),
        ("{attack: pgd, budget: {linf: 0.1}, gradient: {backwards: own}}", "no such field"),
        (
            "{attack: pgd, budget: {linf: 0.1}, gradient: {backward: surrogate}, knowledge: [black-box]}",
            "take black-box out",
        ),
        ("{attack: patch, budget: {linf: 0.1}}", "no such field"),
        ("{attack: patch, budget: {area: 0.9}}", "less than or equal to 0.7"),
        ("{attack: universal, budget: {area: 0.1}}", "no such field"),
        ("{attack: motion, budget: {degrees: 10}}", "pixels: this field is missing"),
        ("{attack: boundary, budget: {l2: 1}, query_limit: 0}", "greater than or equal to 1"),
        ("{attack: square, budget: {linf: 0.1}, knowledge: [white-box]}", "no such field"),
    ],
)
def test_a_mistake_is_one_sentence_with_its_line(tmp_path: Path, attack: str, said: str) -> None:
    head = dump_plan(Plan.model_validate({**AUTHORITY, "attacks": [{"attack": "noise", "budget": {"linf": 0.1}}]}))
    kept = head[: head.index("attacks:")]
    line = kept.count("\n") + 2
    (tmp_path / "plan.yaml").write_text(f"{kept}attacks:\n- {attack}\n")
    with pytest.raises(UserError) as caught:
        load_plan(tmp_path / "plan.yaml")
    assert said in str(caught.value)
    assert f"plan.yaml, line {line}: attacks.1" in str(caught.value)


def test_what_the_task_does_not_have_is_told_before_anything_runs(tmp_path: Path) -> None:
    alone = {"surrogates": ()}

    def refused(attack: dict[str, Any], said: str, **task: Any) -> None:
        whole = made(tmp_path, [attack])
        tasks = tuple(t.model_copy(update=task) for t in whole.tasks)
        with pytest.raises(UserError, match=said):
            run(whole.model_copy(update={"tasks": tasks}), tmp_path / "run")
        assert not (tmp_path / "run").exists()

    transfer = {"attack": "transfer", "budget": BEYOND}
    refused(transfer, r"attack 1 \(transfer\) is computed on a surrogate and the task names none", **alone)
    replaced = {"attack": "pgd", "budget": BEYOND, "gradient": {"backward": "surrogate"}}
    refused(replaced, r"attack 1 \(pgd\) is computed on a surrogate", **alone)
    universal = {"attack": "universal", "budget": BEYOND}
    refused(universal, "trained on part 'train', and part 'all' is attacked", part="all")
    refused({**universal, "train_on": "validation"}, "the catalog has no validation images")


def test_a_search_for_the_smallest_change_that_ends_outside_the_budget_is_no_fault_of_the_attack(
    tmp_path: Path,
) -> None:
    """Its iterates fool from outside the budget: nothing that it could have returned."""
    short = {"l2": 0.8 * TILT * SIZE}
    attacks = [
        {"attack": "minimum-norm", "budget": short, "steps": 30},
        {"attack": "fab", "budget": {"linf": 0.8 * TILT}, "steps": 10},
        {"attack": "pgd", "budget": {"linf": 0.5 * TILT}, "relative_step": 0.5, "borderline": 1.0},
    ]
    (task,) = run(made(tmp_path, attacks), tmp_path / "run").tasks
    assert task.conclusion is not None
    assert [c.evidence for c in task.checks if c.verdict == "fail"] == []
    assert task.conclusion.outcome == "robust"


def test_a_copy_in_half_precision_changes_no_verdict_and_no_shard_size_changes_its_numbers(tmp_path: Path) -> None:
    attacks = [a for a in CERTAIN if a["attack"] in ("pgd", "apgd", "fab", "transfer")]
    held = [{"attack": "pgd", "budget": {"linf": 0.8 * TILT}, "steps": 5, "label": "short of it"}]
    exact = run(made(tmp_path, attacks + held), tmp_path / "exact")
    found = {}
    for shard in (4, 7):
        execution = {"executor": "inline", "shard": shard, "precision": "bfloat16"}
        results = run(made(tmp_path, attacks + held, execution=execution), tmp_path / str(shard))
        found[shard] = RunFolder(tmp_path / str(shard)).findings().drop(columns="seconds")
        for ours, theirs in zip(results.tasks[0].conditions, exact.tasks[0].conditions, strict=True):
            assert ours.label == theirs.label
            assert ours.attack_success_rate == theirs.attack_success_rate
            assert ours.violation == 0
    assert found[4].equals(found[7])
    assert results.run != exact.run
