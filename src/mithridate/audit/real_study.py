"""The imaging study on a folder of real images: catalogs, six trainings, one audit.

Every step leaves files, and a step whose files exist is not done again: a study that was stopped goes on.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from mithridate.audit.executors import run_processes
from mithridate.audit.plan import AttackPlan, Authority, Execution, Plan, TaskPlan
from mithridate.audit.study import paper_attacks
from mithridate.errors import UserError
from mithridate.imaging.catalog import Catalog
from mithridate.imaging.linked import link_duplicates
from mithridate.imaging.sources.real import real_catalogs
from mithridate.imaging.training import Recipe, train

ROLES = ("victim", "surrogate")
DOSES = (0.003,)


@dataclass(frozen=True)
class Training:
    """One training, as plain data that travels to a worker."""

    catalog: Path
    out: Path
    cache: Path
    role: str
    seed: int
    recipe: Recipe


def prepare(data: Path, out: Path, seed: int) -> dict[str, Path]:
    """Write the catalogs of fundus, chest and skin below `out`; returns their files by task.

    Raises UserError when `out` holds the study of other data.
    """
    files = {}
    for name, found in real_catalogs(data, seed).items():
        catalog = link_duplicates(found)
        file = out / "catalogs" / f"{name}.parquet"
        if file.exists() and Catalog.load(file).fingerprint != catalog.fingerprint:
            raise UserError(f"{out} holds a study of other images: choose another --out, or delete it")
        catalog.save(file)
        files[name] = file
    return files


def train_all(
    catalogs: dict[str, Path],
    out: Path,
    *,
    seed: int,
    recipe: Callable[[str], Recipe],
    workers: int | None,
    progress: Callable[[str, int, int], None],
) -> None:
    """A victim and an independent surrogate for each task, side by side in single-threaded processes.

    `recipe` gives the recipe of a task by its name.
    """
    jobs = [
        Training(
            catalog=catalogs[task],
            out=model_folder(out, task, role),
            cache=out / "cache",
            role=role,
            seed=seed * len(ROLES) + number,
            recipe=recipe(task),
        )
        for task in ("skin", "chest", "fundus")  # the largest first, so that the last worker does not wait long
        if task in catalogs
        for number, role in enumerate(ROLES)
    ]
    progress("training", 0, len(jobs))
    for done, _ in enumerate(run_processes(train_one, jobs, workers), 1):
        progress("training", done, len(jobs))


def train_one(job: Training) -> str:
    """Train, or return at once when the model is finished."""
    catalog = Catalog.load(job.catalog)
    card = train(
        catalog,
        job.recipe,
        job.out,
        seed=job.seed,
        device="cpu",
        role="victim" if job.role == "victim" else "surrogate",
        cache=job.cache,
    )
    return card.name


def model_folder(out: Path, task: str, role: str) -> Path:
    return out / "models" / task / role


def real_plan(
    catalogs: dict[str, Path], out: Path, *, owner: str, authorized_by: str, seed: int, limit: int, workers: int | None
) -> Plan:
    """The paper's attacks on the trained victims, on at most `limit` images of each test part."""
    return Plan(
        name="The imaging study on real images",
        authority=Authority(
            owner=owner,
            authorized_by=authorized_by,
            statement="The models were trained by this study, for this study, on public research images.",
        ),
        seed=seed,
        tasks=tuple(
            TaskPlan(
                data=str(file.resolve()),
                limit=limit,
                victim=str(model_folder(out, task, "victim").resolve()),
                surrogates=(str(model_folder(out, task, "surrogate").resolve()),),
            )
            for task, file in catalogs.items()
        ),
        attacks=_attacks(),
        pictures=4,
        execution=Execution(workers=workers, shard=16),
    )


def _attacks() -> tuple[AttackPlan, ...]:
    return paper_attacks(DOSES)
