"""`write_claims_report`: the page of a claims audit, verdict first; self-contained like the page of images."""

from __future__ import annotations

from pathlib import Path

from pydantic import ValidationError

from mithridate.audit.claims.results import ClaimsResults
from mithridate.errors import UserError
from mithridate.files import replace_text
from mithridate.report import words
from mithridate.report.claims_chart import gain_chart
from mithridate.report.claims_tables import (
    attack_table,
    defense_table,
    drift_table,
    every_attack_table,
    family_table,
    scenario_table,
)
from mithridate.report.claims_verdict import judge_claims
from mithridate.report.page import asset, environment


def write_claims_report(run: Path, out: Path | None = None) -> Path:
    """Write the page of a claims run and return its path: report.html in the run folder unless `out` names another.

    Raises UserError when `run` is not a finished claims run or the page cannot be written.
    """
    file = run / "results.json"
    if not file.is_file():
        raise UserError(f"{run} holds no results.json: give the folder of a run that `mithridate claims audit` wrote")
    try:
        results = ClaimsResults.model_validate_json(file.read_text())
    except ValidationError as error:
        why = error.errors()[0]["msg"]
        raise UserError(f"{file} is not a claims result of this version of mithridate: {why}") from None
    page = run / "report.html" if out is None else out / "report.html" if out.is_dir() else out
    replace_text(page, render_claims(results))
    return page


def render_claims(results: ClaimsResults) -> str:
    """The page as text."""
    made = environment(percent=words.percent, date=words.date, sentence=words.sentence)
    return made.get_template("claims.html.j2").render(
        results=results,
        verdict=judge_claims(results),
        chart=gain_chart(results),
        defenses=defense_table(results),
        attacks=attack_table(results),
        every=every_attack_table(results),
        families=family_table(results),
        drift=drift_table(results),
        scenarios=scenario_table(results),
        duration=words.duration(results.seconds),
        style=asset("style.css"),
    )
