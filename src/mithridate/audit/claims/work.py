"""The shards of a claims audit: which conditions there are, and how one part of one of them is made."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from mithridate.audit.claims.findings import judge
from mithridate.audit.claims.plan import SEARCHES, AttackName, BudgetPlan, ClaimsPlan
from mithridate.audit.claims.subject import ClaimsSubject, load_claims_subject
from mithridate.claims.attacks.exact import ExactOptimum
from mithridate.claims.attacks.oracle import Decisions, Scores, WhiteBox
from mithridate.claims.attacks.surrogate import SurrogateGradient
from mithridate.claims.defenses.deploy import DefenseName
from mithridate.claims.endpoint import CallableDecider
from mithridate.claims.input import write_claims
from mithridate.claims.outside import OutsideDetector
from mithridate.files import replace_file
from mithridate.seeds import generator

NOBODY_LOOKS = CallableDecider(lambda claims: [False] * len(claims))
"""What a naive attacker of an undefended model believes: every claim is paid."""


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
    allow_code: bool = False


def cells(plan: ClaimsPlan) -> list[Cell]:
    """All conditions.

    A naive attacker of a defense knows only the model without it; of the model itself, nothing: it goes for the most
    money.  The exact attack needs a model that it can read, which neither a check of records nor nothing is, and a
    surrogate is fitted to a model's decisions.
    """
    found = []
    for defense in plan.defenses:
        for attacker in plan.attackers:
            for attack in plan.attacks:
                if attack == "exact" and defense == "records" and attacker == "adaptive":
                    continue
                if attack in ("exact", "surrogate") and defense == "none" and attacker == "naive":
                    continue
                found += [Cell(defense, attacker, attack, b, k) for b in plan.budgets for k in b.k]
    return list(dict.fromkeys(found))


def make_shard(job: Job) -> bool:
    """Make one shard unless its file exists; returns whether it was made now."""
    subject, cell = load_claims_subject(job.plan, job.allow_code), job.cell
    folder = Path("findings") / cell.key
    target = job.run / folder / f"{job.first:06d}-{job.last:06d}.parquet"
    if target.exists():
        return False
    claims, fraud = subject.examples(job.first, job.last)
    terms, budget = subject.material.terms, cell.budget.at(cell.k)
    defended = subject.defense(cell.defense)
    started = time.perf_counter()
    oracle = _oracle(subject, cell, len(claims))
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


def _oracle(subject: ClaimsSubject, cell: Cell, examples: int) -> Decisions:
    """As much as this attacker may know: nothing, labels, scores, or the model itself."""
    plan, terms, plain = subject.plan, subject.material.terms, subject.defense("none")
    if cell.attacker == "naive" and cell.defense == "none":
        return Decisions(NOBODY_LOOKS, terms, examples, plan.query_limit)
    seen = plain.model if cell.attacker == "naive" else subject.defense(cell.defense).as_seen_by_attacker
    if plan.labels_only:
        return Decisions(seen, terms, examples, plan.query_limit)
    kind = Scores if isinstance(plain.detector, OutsideDetector) else WhiteBox
    return kind(seen, terms, examples, plan.query_limit)


def _attack(name: AttackName, subject: ClaimsSubject) -> Any:
    if name == "exact":
        return ExactOptimum()
    return SurrogateGradient(subject.surrogate) if name == "surrogate" else SEARCHES[name]
