"""Run a plan: every cell of every task, shard by shard, into a run folder that can be resumed and reported."""

from __future__ import annotations

import math
import platform
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

from mithridate import __version__
from mithridate.audit.canaries import run_canaries
from mithridate.audit.cells import CLEAN, cells
from mithridate.audit.executors import run_inline, run_processes, warm_up
from mithridate.audit.folder import read_json, write_json
from mithridate.audit.jobs import Job, fingerprint
from mithridate.audit.plan import Plan, dump_plan
from mithridate.audit.probing import ProbeJob, make_probes
from mithridate.audit.results import Results
from mithridate.audit.shards import make_shard
from mithridate.audit.subject import Subject, load_subject
from mithridate.audit.summary import threshold_of
from mithridate.audit.training import TrainingJob, make_training, training_subject
from mithridate.audit.work import Work, refuse_impossible
from mithridate.errors import QueryLimitReached, UserError
from mithridate.files import replace_text

WORTH_WORKERS = 2000
"""Model evaluations from which worker processes pay."""

AnyJob = Job | ProbeJob | TrainingJob

Progress = Callable[[str, int, int], None]
"""(what is being done, units done, units in all), called after every shard."""


def run(
    plan: Plan, out: Path, *, progress: Progress | None = None, cache: Path | None = None, allow_code: bool = False
) -> Results:
    """Carry out a plan into `out` and return its results, which are also in out/results.json.

    Shards whose findings exist are not made again, so a run that was stopped goes on where it was.  Ctrl-C and errors
    leave all finished shards in place; a query budget that runs out during the attacks leaves partial results, marked.
    `allow_code` permits models whose loading runs code.  Raises UserError when `out` holds the run of another plan, and
    MithridateError when a canary gets the wrong verdict.
    """
    started = time.perf_counter()
    if plan.execution.executor == "processes" and _most_work(plan) > WORTH_WORKERS:
        warm_up()
    subjects = [
        load_subject(task, plan.execution.kernel_batch, plan.seed, cache, allow_code, out / "answers.sqlite")
        for task in plan.tasks
    ]
    _refuse_twins(subjects)
    work = []
    for task, subject in zip(plan.tasks, subjects, strict=True):
        threshold_of(subject, task.threshold)  # a wrong name should fail now, not after hours
        mine = cells(plan, len(task.surrogates))
        refuse_impossible(plan, task, subject, mine)
        work.append(Work(plan, task, subject, mine, out, cache, allow_code))
        for job in work[-1].training():
            training_subject(job.base)  # the images to train on are missed now, too
    (canaries,) = run_inline(lambda _: run_canaries(), [None])  # on one kernel thread, as everything is
    identity = run_fingerprint(plan, subjects)
    _open(plan, subjects, identity, out)
    # Clean predictions come first: they decide whether a model is the caller's and worth attacking at all.
    _carry_out(plan, [job for w in work for job in w.jobs(CLEAN)], progress, "clean")
    accepted = [w.accept() for w in work]
    training: list[AnyJob] = [job for w in accepted for job in w.training()]
    if training:
        _carry_out(plan, training, progress, "training")
    jobs: list[AnyJob] = [job for w in accepted for cell in w.attacks for job in w.jobs(cell)]
    stopped = _until_spent(lambda: _carry_out(plan, jobs, progress, "attacks"))
    probes: list[AnyJob] = [w.probes() for w in accepted if not w.refused]
    stopped = _until_spent(lambda: _carry_out(plan, probes, progress, "checks")) or stopped
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
        complete=stopped is None,
        stopped=stopped,
        canaries=canaries,
        tasks=tuple(w.result(len(canaries), stopped) for w in accepted),
    )
    write_json(out / "results.json", whole.model_dump(mode="json"))
    return whole


def _until_spent(work: Callable[[], None]) -> str | None:
    """Do the work; why it stopped, when a query budget ran out in the middle.  What was finished is kept."""
    try:
        work()
    except QueryLimitReached as limit:
        return str(limit)
    return None


def run_fingerprint(plan: Plan, subjects: list[Subject]) -> str:
    """Hash of everything that determines a run's numbers: plan, weights, data and versions; not how it is executed."""
    return fingerprint(
        {
            "mithridate": __version__,
            "torch": torch.__version__,
            "plan": plan.model_dump(mode="json", include={"seed", "attacks", "pictures"}),
            "kernel_batch": plan.execution.kernel_batch,
            "precision": plan.execution.precision,
            "tasks": [
                [s.name, s.catalog.fingerprint, s.card.sha256, [c.sha256 for _, c in s.surrogates]] for s in subjects
            ],
        }
    )


def do(job: AnyJob) -> tuple[int, bool]:
    """One job, whichever it is."""
    if isinstance(job, ProbeJob):
        return make_probes(job)
    return make_training(job) if isinstance(job, TrainingJob) else make_shard(job)


def _most_work(plan: Plan) -> float:
    """Model evaluations of a plan at most, as far as it can be told before the images are known."""
    return sum(
        (task.limit or math.inf) * sum(cell.cost for cell in cells(plan, len(task.surrogates))) for task in plan.tasks
    )


def _carry_out(plan: Plan, jobs: Sequence[AnyJob], progress: Progress | None, what: str) -> None:
    total, done = sum(job.cost for job in jobs), 0
    if progress:
        progress(what, 0, total)
    # A few seconds' work is done before workers have imported their libraries.
    if plan.execution.executor == "processes" and len(jobs) > 1 and total > WORTH_WORKERS:
        finished = run_processes(do, jobs, plan.execution.workers)
    else:
        finished = run_inline(do, jobs)
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
