"""Whole audits of the shipped models on phantoms: small, but nothing in them is a stand-in."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml

from mithridate.audit.folder import RunFolder
from mithridate.audit.plan import Plan, load_plan
from mithridate.audit.runner import run
from mithridate.errors import UserError
from mithridate.imaging.cards import load_model, save_model
from mithridate.imaging.zoo import FOLDER

PLAN: dict[str, Any] = {
    "name": "test",
    "authority": {"owner": "us", "authorized_by": "us", "statement": "Phantom models, made to be attacked."},
    "seed": 5,
    "tasks": [
        {
            "data": {"phantom": "skin", "patients": 40, "seed": 99},
            "part": "all",
            "limit": 22,
            "victim": "builtin:skin/victim",
            "surrogates": ["builtin:skin/surrogate"],
        }
    ],
    "attacks": [
        {"attack": "noise", "budget": {"linf": "paper-code"}},
        {"attack": "fgsm", "budget": {"l2": 1.0}},
        {"attack": "pgd", "budget": {"linf": "paper-code"}, "knowledge": ["white-box", "black-box"], "steps": 4},
        {"attack": "rotation", "budget": {"degrees": 20}, "angles": 3},
    ],
    "pictures": 2,
    "checks": {"examples": 2, "draws": 20, "queries": 20},
    "execution": {"executor": "inline", "shard": 8},
}


def plan(**changes: Any) -> Plan:
    execution = {**PLAN["execution"], **changes.pop("execution", {})}
    return Plan.model_validate({**PLAN, **changes, "execution": execution})


def comparable(folder: Path) -> pd.DataFrame:
    return RunFolder(folder).findings().drop(columns="seconds")


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("audit") / "run"
    run(plan(), folder)
    return folder


def test_an_audit_measures_every_example_in_every_condition(done: Path) -> None:
    findings, results = RunFolder(done).findings(), RunFolder(done).results()
    assert findings.groupby("cell").size().tolist() == [22] * 6
    assert (findings["violation"] == 0).all()
    assert findings["verified"].all()
    task = results.tasks[0]
    accuracy = {c.kind: c.accuracy.value for c in task.conditions if c.kind != "other"}
    white = next(c for c in task.conditions if c.cell == "skin/white-box/pgd/linf-0.01")
    assert accuracy["clean"] > 0.7
    assert white.accuracy.value < 0.2
    assert white.accuracy.value <= accuracy["black-box"]
    assert abs(accuracy["noise"] - accuracy["clean"]) <= 0.1
    assert white.queries_per_example == 5  # four gradients and the last look
    assert results.complete
    # The summary is that of the findings.
    rows = findings[findings["cell"] == white.cell]
    assert white.accuracy.value == pytest.approx((rows["prediction"] == rows["label"]).mean())
    assert white.n == len(rows)


def test_the_run_folder_holds_its_plan(done: Path) -> None:
    assert load_plan(done / "plan.yaml") == plan()


def test_kept_pictures_are_the_attacked_images(done: Path) -> None:
    folder = RunFolder(done)
    clean, white = folder.pictures("skin/clean"), folder.pictures("skin/white-box/pgd/linf-0.01")
    assert clean.ids == white.ids
    assert sorted(clean.labels) == [0, 0, 1, 1]
    assert np.array_equal(clean.clean, clean.candidate)
    change = np.abs(white.candidate - white.clean).max(axis=(1, 2, 3))
    rows = folder.findings("skin/white-box/pgd/linf-0.01").set_index("example").loc[list(white.ids)]
    assert change == pytest.approx(rows["linf"].to_numpy(), abs=1e-7)
    assert white.probability == pytest.approx(rows["probability"].to_numpy())


@pytest.mark.parametrize(
    "execution",
    [{"shard": 5}, {"shard": 100}, {"executor": "processes", "workers": 2, "shard": 3}],
    ids=["small shards", "one shard", "two workers"],
)
def test_the_numbers_do_not_depend_on_how_the_work_was_done(
    done: Path, tmp_path: Path, execution: dict[str, Any]
) -> None:
    run(plan(execution=execution), tmp_path / "run")
    pd.testing.assert_frame_equal(comparable(tmp_path / "run"), comparable(done), check_exact=True)
    ours, theirs = RunFolder(tmp_path / "run").results(), RunFolder(done).results()
    assert ours.tasks == theirs.tasks
    assert ours.run == theirs.run


def test_a_finished_run_is_not_done_again_and_a_lost_shard_is(done: Path, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    shutil.copytree(done, folder)
    files = {file: file.stat().st_mtime_ns for file in folder.rglob("*.parquet")}
    lost = sorted(files)[3]
    lost.unlink()
    run(plan(), folder)
    after = {file: file.stat().st_mtime_ns for file in folder.rglob("*.parquet")}
    assert after.keys() == files.keys()
    assert [file for file in files if after[file] != files[file]] == [lost]
    pd.testing.assert_frame_equal(comparable(folder), comparable(done), check_exact=True)


def test_another_plan_does_not_mix_into_a_run(done: Path) -> None:
    with pytest.raises(UserError, match="holds another run"):
        run(plan(seed=6), done)


def test_a_folder_of_other_things_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("years of work")
    with pytest.raises(UserError, match="not empty"):
        run(plan(), tmp_path)


def collapsed(folder: Path) -> Path:
    """The shipped model with its last layer set to zero: it answers the same for every image."""
    network, card = load_model(FOLDER / "skin" / "victim")
    last = list(network.parameters())[-2:]
    for parameter in last:
        parameter.data.zero_()
    save_model(folder, network, card)
    return folder


def test_a_collapsed_model_is_not_attacked(tmp_path: Path) -> None:
    tasks = [{**PLAN["tasks"][0], "victim": str(collapsed(tmp_path / "model"))}]
    results = run(plan(tasks=tasks), tmp_path / "run")
    assert "includes 0.5" in str(results.tasks[0].refused)
    assert [c.kind for c in results.tasks[0].conditions] == ["clean"]


def test_mismatches_are_told_before_any_work(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"no threshold 'best'.*youden"):
        run(plan(tasks=[{**PLAN["tasks"][0], "threshold": "best"}]), tmp_path / "a")
    with pytest.raises(UserError, match="surrogate builtin:chest/victim takes 1 x"):
        run(plan(tasks=[{**PLAN["tasks"][0], "surrogates": ["builtin:chest/victim"]}]), tmp_path / "b")
    with pytest.raises(UserError, match="two tasks are called 'skin'"):
        run(plan(tasks=PLAN["tasks"] * 2), tmp_path / "c")
    assert not any(tmp_path.iterdir())


def command(folder: Path) -> list[str]:
    file = folder / "plan.yaml"
    tasks = [{**PLAN["tasks"][0], "limit": 40}]
    file.write_text(yaml.safe_dump({**PLAN, "tasks": tasks, "execution": {"executor": "inline", "shard": 2}}))
    return [
        sys.executable,
        "-m",
        "mithridate.cli.main",
        "audit",
        str(file),
        "--out",
        str(folder / "run"),
        "--no-report",
    ]


def as_from_a_terminal() -> None:
    """A test run in the background ignores Ctrl-C, and its children inherit that; and a busy machine must not let the
    audit finish before it is stopped."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    os.nice(10)


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT], ids=["kill -9", "Ctrl-C"])
def test_a_stopped_audit_goes_on_to_the_same_result(tmp_path: Path, how: signal.Signals) -> None:
    arguments = command(tmp_path)
    process = subprocess.Popen(
        arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, preexec_fn=as_from_a_terminal
    )
    findings = tmp_path / "run" / "findings"
    deadline = time.monotonic() + 120
    while len(list(findings.rglob("*.parquet"))) < 5 and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.01)
    os.kill(process.pid, how)
    _, said = process.communicate(timeout=60)
    kept = {file: file.read_bytes() for file in findings.rglob("*.parquet")}
    assert 5 <= len(kept) < 120
    assert not (tmp_path / "run" / "results.json").exists()
    if how == signal.SIGINT:
        assert process.returncode == 130
        assert "goes on from there" in said
    subprocess.run(arguments, check=True, capture_output=True)
    assert {file: file.read_bytes() for file in kept} == kept
    tasks = [{**PLAN["tasks"][0], "limit": 40}]
    run(plan(tasks=tasks), tmp_path / "whole")
    pd.testing.assert_frame_equal(comparable(tmp_path / "run"), comparable(tmp_path / "whole"), check_exact=True)
