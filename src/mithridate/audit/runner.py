"""Run a plan: every cell of every task, shard by shard, into a run folder that can be resumed and reported."""

from __future__ import annotations

import platform
import time
from collections.abc import Callable
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

from mithridate import __version__
from mithridate.audit.cells import CLEAN, Cell, cells
from mithridate.audit.executors import run_inline, run_processes
from mithridate.audit.folder import RunFolder, read_json, write_json
from mithridate.audit.plan import Plan, TaskPlan, dump_plan
from mithridate.audit.results import Results, TaskResult
from mithridate.audit.shards import Job, cell_name, fingerprint, jobs_of, make_shard
from mithridate.audit.subject import Subject, load_subject
from mithridate.audit.summary import refusal, task_result, threshold_of
from mithridate.errors import UserError
from mithridate.files import replace_text

WORTH_WORKERS = 2000
"""Model evaluations from which worker processes pay."""

Progress = Callable[[str, int, int], None]
"""(what is being done, units done, units in all), called after every shard."""


def run(plan: Plan, out: Path, *, progress: Progress | None = None, cache: Path | None = None) -> Results:
    """Carry out a plan into `out` and return its results, which are also in out/results.json.

    Shards whose findings exist are not made again, so a run that was stopped goes on where it was.  Ctrl-C and errors
    leave all finished shards in place.  Raises UserError when `out` holds the run of another plan.
    """
    started = time.perf_counter()
    subjects = [load_subject(task, plan.execution.kernel_batch, plan.seed, cache) for task in plan.tasks]
    _refuse_twins(subjects)
    for task, subject in zip(plan.tasks, subjects, strict=True):
        threshold_of(subject, task.threshold)  # a wrong name should fail now, not after hours
    identity = run_fingerprint(plan, subjects)
    _open(plan, subjects, identity, out)
    results: list[TaskResult] = []
    plans = list(zip(plan.tasks, subjects, strict=True))
    # Clean predictions come first: they decide whether a model is worth attacking at all.
    _carry_out(
        plan, [job for t, s in plans for job in jobs_of(plan, t, CLEAN, len(s.order), out, cache)], progress, "clean"
    )
    refused = {s.name: refusal(RunFolder(out).findings(cell_name(s, CLEAN))) for s in subjects}
    work: list[tuple[TaskPlan, Subject, list[Cell]]] = []
    jobs: list[Job] = []
    for task, subject in plans:
        mine = [CLEAN] if refused[subject.name] else cells(plan, len(task.surrogates))
        work.append((task, subject, mine))
        jobs += [job for cell in mine[1:] for job in jobs_of(plan, task, cell, len(subject.order), out, cache)]
    _carry_out(plan, jobs, progress, "attacks")
    for task, subject, mine in work:
        results.append(
            task_result(
                RunFolder(out),
                subject,
                mine,
                refused[subject.name],
                part=task.part,
                threshold=threshold_of(subject, task.threshold),
            )
        )
    whole = Results(
        mithridate=__version__,
        name=plan.name,
        run=identity,
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        authority=plan.authority.model_dump(),
        seed=plan.seed,
        epsilon_reading=plan.epsilon_reading(),
        synthetic=all(not isinstance(task.data, str) for task in plan.tasks),
        seconds=round(time.perf_counter() - started, 1),
        complete=True,
        tasks=tuple(results),
    )
    write_json(out / "results.json", whole.model_dump(mode="json"))
    return whole


def run_fingerprint(plan: Plan, subjects: list[Subject]) -> str:
    """Hash of everything that determines a run's numbers: plan, weights, data and versions; not how it is executed."""
    return fingerprint(
        {
            "mithridate": __version__,
            "torch": torch.__version__,
            "plan": plan.model_dump(mode="json", include={"seed", "attacks", "pictures"}),
            "kernel_batch": plan.execution.kernel_batch,
            "tasks": [
                [s.name, s.catalog.fingerprint, s.card.sha256, [c.sha256 for _, c in s.surrogates]] for s in subjects
            ],
        }
    )


def _carry_out(plan: Plan, jobs: list[Job], progress: Progress | None, what: str) -> None:
    total, done = sum(job.cost for job in jobs), 0
    if progress:
        progress(what, 0, total)
    # A few seconds' work is done before workers have imported their libraries.
    if plan.execution.executor == "processes" and len(jobs) > 1 and total > WORTH_WORKERS:
        finished = run_processes(make_shard, jobs, plan.execution.workers)
    else:
        finished = run_inline(make_shard, jobs)
    for cost, _ in finished:
        done += cost
        if progress:
            progress(what, done, total)


def _open(plan: Plan, subjects: list[Subject], identity: str, out: Path) -> None:
    """Write the manifest of a new run, or check that the folder holds this very run."""
    file = out / "manifest.json"
    if file.is_file():
        known = read_json(file)
        if known.get("run") != identity:
            raise UserError(
                f"{out} holds another run (other plan, models, data or versions): choose another --out, or delete it"
            )
        return
    if out.exists() and any(out.iterdir()):
        raise UserError(f"{out} is not empty and holds no run: choose an empty or new folder for --out")
    manifest: dict[str, Any] = {
        "run": identity,
        "started": datetime.now(UTC).isoformat(timespec="seconds"),
        "plan": plan.model_dump(mode="json", exclude={"tasks"}),
        "tasks": [
            {
                "name": subject.name,
                "data": subject.catalog.fingerprint,
                "victim": {"name": subject.card.name, "sha256": subject.card.sha256},
                "surrogates": [{"name": c.name, "sha256": c.sha256} for _, c in subject.surrogates],
            }
            for subject in subjects
        ],
        "versions": {name: version(name) for name in ("torch", "monai", "numpy", "pillow", "pydicom", "scikit-image")}
        | {"mithridate": __version__, "python": platform.python_version()},
        "device": {"kind": "cpu", "machine": platform.machine(), "system": platform.system()},
    }
    replace_text(out / "plan.yaml", dump_plan(plan))
    write_json(file, manifest)


def _refuse_twins(subjects: list[Subject]) -> None:
    names = [subject.name for subject in subjects]
    twins = {name for name in names if names.count(name) > 1}
    if twins:
        raise UserError(f"two tasks are called '{sorted(twins)[0]}': give each task its own 'name' in the plan")
