"""Models that were not made here, audited from end to end; the linear one's verdicts are known in closed form."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import yaml

from audit.foreign import TILT, answers, plan, save_catalog
from mithridate.audit.folder import RunFolder
from mithridate.audit.runner import run
from mithridate.errors import MithridateError, UserError
from models.files import SIZE, endpoint, linear_answers, linear_onnx, linear_plan

PGD = {"attack": "pgd", "steps": 20, "random_start": False}


@pytest.fixture(scope="module")
def catalog(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_catalog(tmp_path_factory.mktemp("sides"))


def predictions(catalog: Path, file: Path) -> Path:
    found = answers(catalog.parent)
    pd.DataFrame({"id": list(found), "probability": list(found.values())}).to_csv(file, index=False)
    return file


def verdicts(results: Any) -> dict[int, str]:
    return {check.number: check.verdict for check in results.tasks[0].checks}


def test_below_the_known_distance_the_model_is_robust_and_beyond_it_is_not(catalog: Path, tmp_path: Path) -> None:
    """Halves of noise average out: every image lies TILT from the boundary, up to what 8 x 16 x 16 draws leave."""
    victim = linear_plan(linear_onnx(tmp_path / "m.onnx"), predictions=str(predictions(catalog, tmp_path / "p.csv")))
    for size, outcome, fooled in ((0.9 * TILT, "robust", 0.0), (1.1 * TILT, "not robust", 1.0)):
        attacks = [{"attack": "noise", "budget": {"linf": size}}, {**PGD, "budget": {"linf": size}}]
        results = run(plan(catalog, victim, attacks), tmp_path / outcome)
        task = results.tasks[0]
        assert task.conclusion.outcome == outcome
        white = next(c for c in task.conditions if c.kind == "white-box")
        assert white.attack_success_rate.value == fooled
        assert task.robust_accuracy.value == 1 - fooled
        assert verdicts(results)[2] == "pass"
        assert len(task.checks) == 20
        assert not [c for c in task.checks if c.verdict == "fail"]
        assert {c.name: c.found for c in results.canaries} == {c.name: c.expected for c in results.canaries}
        assert "proved against onnxruntime" in task.victim["access"]
        # The report reads the same file.
        assert RunFolder(tmp_path / outcome).results() == results


def test_the_wrong_reading_of_the_input_is_found_out_and_named(catalog: Path, tmp_path: Path) -> None:
    victim = linear_plan(
        linear_onnx(tmp_path / "m.onnx"),
        input={"size": SIZE, "channels": 1, "layout": "NHWC"},
        predictions=str(predictions(catalog, tmp_path / "p.csv")),
    )
    with pytest.raises(UserError, match=r"p\.csv is not reproduced.*range \[0, 255\], no mean or std it is"):
        run(plan(catalog, victim, [{**PGD, "budget": {"linf": 0.1}}]), tmp_path / "run")
    flipped = {**victim, "input": linear_plan(Path())["input"], "positive": "dark left"}
    with pytest.raises(UserError, match="another class is the positive one"):
        run(plan(catalog, flipped, [{**PGD, "budget": {"linf": 0.1}}]), tmp_path / "flipped")


def test_without_the_owners_answers_the_audit_says_that_nobody_vouches(catalog: Path, tmp_path: Path) -> None:
    victim = linear_plan(linear_onnx(tmp_path / "m.onnx"))
    results = run(plan(catalog, victim, [{**PGD, "budget": {"linf": 0.01}}]), tmp_path / "run")
    assert verdicts(results)[2] == "warn"


def test_a_black_box_refuses_white_box_attacks_and_is_never_called_robust(catalog: Path, tmp_path: Path) -> None:
    file = linear_onnx(tmp_path / "m.onnx", foreign=True)
    with pytest.raises(UserError, match=r"gradients of m\.onnx.*ThresholdedRelu.*take white-box out"):
        run(plan(catalog, linear_plan(file), [{**PGD, "budget": {"linf": 0.01}}]), tmp_path / "a")
    assert not (tmp_path / "a").exists()
    square = {"attack": "square", "budget": {"linf": 0.02}, "queries": 20}
    held = run(plan(catalog, linear_plan(file), [square]), tmp_path / "b").tasks[0]
    assert held.conclusion.outcome == "inconclusive"
    assert "No white-box attack" in held.conclusion.reasons[0]
    square = {"attack": "square", "budget": {"linf": 3 * TILT}, "queries": 60}
    assert run(plan(catalog, linear_plan(file), [square]), tmp_path / "c").tasks[0].conclusion.outcome == "not robust"


def http(url: str, **more: Any) -> dict[str, Any]:
    image = {"size": SIZE, "channels": 1}
    names = ["dark left", "bright left"]
    return {"format": "http", "url": url, "input": image, "head": "probabilities", "classes": names, **more}


def test_a_query_budget_that_runs_out_keeps_what_was_found(catalog: Path, tmp_path: Path) -> None:
    attacks = [
        {"attack": "noise", "budget": {"linf": 0.02}},
        {"attack": "square", "budget": {"linf": 0.3}, "queries": 40},
    ]
    with endpoint(lambda n, k, body: (200, {"predictions": linear_answers(body)})) as (url, bodies):
        part = run(plan(catalog, http(url, queries=120), attacks), tmp_path / "run")
        assert not part.complete
        assert "budget of 120 images is spent" in str(part.stopped)
        assert [c.kind for c in part.tasks[0].conditions][:2] == ["clean", "noise"]
        assert part.tasks[0].conclusion.outcome in ("inconclusive", "not robust")
        sent = sum(len(json.loads(body)["instances"]) for body in bodies)
        assert sent <= 120
        # A larger budget goes on from there and pays only for what is new.
        whole = run(plan(catalog, http(url, queries=5000), attacks), tmp_path / "run")
        assert whole.complete
        assert whole.stopped is None
        assert len(whole.tasks[0].conditions) == 3
        bought = len(bodies)
        assert run(plan(catalog, http(url, queries=5000), attacks), tmp_path / "run").tasks == whole.tasks
        assert len(bodies) == bought


def test_an_endpoint_that_fails_ends_the_run_and_keeps_its_shards(catalog: Path, tmp_path: Path) -> None:
    def failing(n: int, _: str, body: bytes) -> tuple[int, Any]:
        return (500, "down") if n > 4 else (200, {"predictions": linear_answers(body)})

    attacks = [{"attack": "noise", "budget": {"linf": 0.02}}]
    with endpoint(failing) as (url, _), pytest.raises(MithridateError, match="answered 500"):
        run(plan(catalog, http(url, retries=0), attacks), tmp_path / "run")
    assert list((tmp_path / "run" / "findings").rglob("*.parquet"))


def test_from_the_command_line(catalog: Path, tmp_path: Path) -> None:
    """A factory needs --allow-code; with it the audit runs, says its outcome, and writes the report."""
    (tmp_path / "sides_model.py").write_text(
        "import torch\n"
        "class Sides(torch.nn.Module):\n"
        "    def forward(self, x):\n"
        f"        z = 8 * (x[..., :{SIZE // 2}].mean((1, 2, 3)) - x[..., {SIZE // 2}:].mean((1, 2, 3)))\n"
        "        return torch.stack([-z / 2, z / 2], 1)\n"
        "def make():\n"
        "    return Sides()\n"
    )
    text = {
        "authority": {"owner": "us", "authorized_by": "us", "statement": "Made to be attacked in this test."},
        "tasks": [
            {
                "name": "sides",
                "data": str(catalog),
                "victim": {
                    "format": "torch",
                    "factory": "sides_model:make",
                    "input": {"size": SIZE, "channels": 1},
                    "head": "logits",
                    "classes": ["dark left", "bright left"],
                },
            }
        ],
        "attacks": [{**PGD, "budget": {"linf": 0.02}}],
        "execution": {"executor": "inline"},
        "checks": {"examples": 4, "draws": 40, "queries": 40},
    }
    (tmp_path / "plan.yaml").write_text(yaml.safe_dump(text))
    arguments = [sys.executable, "-m", "mithridate.cli.main", "audit", "plan.yaml", "--out", "run"]
    refused = subprocess.run(arguments, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert refused.returncode == 2
    assert "--allow-code" in refused.stderr
    done = subprocess.run([*arguments, "--allow-code"], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "sides: robust" in done.stdout
    assert "warn: 2." in done.stdout
    page = (tmp_path / "run" / "report.html").read_text()
    assert "Whether the figures can be believed" in page
    assert "nobody confirmed range" in page


def die_first(arguments: tuple[str, Any]) -> Any:
    """The first worker to come here is killed, as by the out-of-memory killer; the work is then really done."""
    from mithridate.audit.runner import do

    flag, job = Path(arguments[0]), arguments[1]
    try:
        flag.touch(exist_ok=False)
    except FileExistsError:
        return do(job)
    os.kill(os.getpid(), signal.SIGKILL)
    return None


def test_a_killed_workers_shard_is_done_again(catalog: Path, tmp_path: Path) -> None:
    from mithridate.audit.cells import CLEAN
    from mithridate.audit.executors import run_processes
    from mithridate.audit.jobs import jobs_of

    made = plan(catalog, linear_plan(linear_onnx(tmp_path / "m.onnx")), [{**PGD, "budget": {"linf": 0.02}}])
    jobs = jobs_of(made, made.tasks[0], CLEAN, 24, tmp_path / "run", None)
    flag = str(tmp_path / "killed")
    assert [made_now for _, made_now in run_processes(die_first, [(flag, job) for job in jobs], 1)] == [True] * 3
    findings = RunFolder(tmp_path / "run").findings("sides/clean")
    assert sorted(findings["example"]) == sorted(f"i{i:02d}" for i in range(24))
