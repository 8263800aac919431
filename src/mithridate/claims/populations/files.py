"""A population on disk: the claims as JSON lines, and beside them what is true of each."""

from __future__ import annotations

import csv
from pathlib import Path

from mithridate.claims.input.write import write_claims
from mithridate.claims.payment import Pricer
from mithridate.claims.population import Population
from mithridate.files import replace_file

TRUTH_COLUMNS = ("claim", "provider", "kind", "scheme", "onset", "abusive", "amount", "honest_amount")


def truth_path(claims: Path) -> Path:
    """Where the truth about a file of claims is written: claims.jsonl -> claims.truth.csv."""
    return claims.with_name(f"{claims.name.removesuffix(claims.suffix)}.truth.csv")


def save_population(population: Population, path: Path) -> Path:
    """Write the claims to `path` and the truth beside it, whose path is given back.

    The truth has one row a claim: its provider, the provider's kind, scheme and first day of abuse, whether this claim
    is abusive, and the payment as billed and as an honest provider would have billed.  Raises UserError when the disk
    refuses.
    """
    write_claims(path, population.claims)
    truth = truth_path(path)
    replace_file(truth, lambda partial: _write_truth(population, partial))
    return truth


def _write_truth(population: Population, partial: Path) -> None:
    pricer = Pricer()
    providers = {provider.id: provider for provider in population.providers}
    rows = zip(population.claims, population.honest_billing, population.abusive, strict=True)
    with partial.open("w", encoding="utf-8", newline="") as stream:
        table = csv.writer(stream)
        table.writerow(TRUTH_COLUMNS)
        for claim, honest, abusive in rows:
            provider = providers[claim.provider]
            paid, due = pricer.price(claim).amount, pricer.price(claim.with_billed(honest)).amount
            facts = (provider.kind, provider.scheme, provider.onset or "", int(abusive))
            table.writerow((claim.id, claim.provider, *facts, f"{paid:.2f}", f"{due:.2f}"))
