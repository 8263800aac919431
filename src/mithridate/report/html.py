"""`write_report`: one self-contained page, with figures and tables beside it.

The page loads nothing: style, script and pictures are inside it, and its content security policy forbids the rest.
"""

from __future__ import annotations

import base64
import hashlib
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path

import jinja2

from mithridate.files import replace_text
from mithridate.report import methods, words
from mithridate.report.advice import limits, meaning, next_steps, summary
from mithridate.report.charts import charts
from mithridate.report.figures import write_figures
from mithridate.report.films import reel
from mithridate.report.page import asset, environment, smallest_fitting
from mithridate.report.panels import FIGURE_2, RULE, describe, gallery, triptych
from mithridate.report.pictures import Encoding, data_uri
from mithridate.report.spreadsheets import write_tables
from mithridate.report.study import ORDER, Study, read_study
from mithridate.report.svg import chart_svg, legend_svg
from mithridate.report.tables import attack_table, clean_table, dose_table
from mithridate.report.trust import trust
from mithridate.report.verdict import RULES, judge_task

LARGEST = 3_000_000
"""Bytes that a page aims to stay below: what a mail server and an old hospital computer take without complaint."""


@dataclass(frozen=True)
class Generosity:
    """How many examples a page shows, and how well: examples a task in Figure 2, a class in the appendix, a slider."""

    both_classes: bool
    appendix: int
    slider: int
    appendix_tasks: int
    stills: Encoding = "lossless"
    moving: Encoding = "display"


LEVELS = (
    Generosity(True, 3, 2, 1000),
    Generosity(True, 2, 2, 1000),
    Generosity(True, 2, 1, 1000),
    Generosity(False, 1, 1, 1000),
    Generosity(False, 1, 1, 1000, stills="display"),
    Generosity(False, 1, 1, 6, stills="display"),
    Generosity(False, 0, 0, 0, stills="display"),
)
"""From the most generous: the first whose page is small enough is written, else the last."""


def write_report(run: Path, out: Path | None = None) -> Path:
    """Write the report of a run folder and return its path; figures/ and tables/ are written beside it.

    `out` is the page's own path, by default report.html in the run folder; a folder gets report.html inside.
    Raises UserError when `run` holds no results or the page cannot be written.
    """
    study = read_study(run)
    page = run / "report.html" if out is None else out / "report.html" if out.is_dir() else out
    html = render(study)
    write_tables(study, page.parent / "tables")
    write_figures(study, page.parent / "figures")
    replace_text(page, html)
    return page


def render(study: Study) -> str:
    """The page as text: as many pictures as fit its size."""
    return smallest_fitting(LEVELS, partial(_render, study), LARGEST)


def _render(study: Study, generosity: Generosity) -> str:
    verdicts = [judge_task(task) for task in study.tasks]
    both = generosity.both_classes
    galleries = [gallery(t, FIGURE_2, 1, both) for t in study.attacked]
    appendix = [gallery(t, ORDER, generosity.appendix) for t in study.attacked[: generosity.appendix_tasks]]
    reels = [reel(t, generosity.slider) for t in study.attacked] if generosity.slider else []
    style, script = asset("style.css"), asset("slider.js")
    return _environment().get_template("report.html.j2").render(
        study=study,
        results=study.results,
        verdicts=verdicts,
        summary=summary(verdicts),
        meaning=meaning(verdicts),
        next_steps=next_steps(verdicts),
        limits=limits(study),
        missing=methods.missing(study),
        table_1=clean_table(study),
        table_2=attack_table(study),
        figure_1=triptych(study.attacked),
        galleries=[g for g in galleries if g],
        appendix=[g for g in appendix if g],
        reels=[r for r in reels if r],
        charts=charts(study),
        dose_table=dose_table,
        methods=methods,
        trust=trust(study),
        rule=RULE,
        rules=RULES,
        stills=generosity.stills,
        moving=generosity.moving,
        style=style,
        script=script,
        script_hash=base64.b64encode(hashlib.sha256(script.encode()).digest()).decode(),
    )  # fmt: skip


@lru_cache
def _environment() -> jinja2.Environment:
    made = environment(
        percent=words.percent,
        interval=words.interval,
        date=words.date,
        listed=words.listed,
        sentence=words.sentence,
        uri=data_uri,
    )
    made.globals |= {
        "dose": words.dose,
        "describe": describe,
        "chart_svg": chart_svg,
        "legend_svg": legend_svg,
    }
    return made
