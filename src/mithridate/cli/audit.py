"""`mithridate audit PLAN.yaml`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape
from rich.table import Table

from mithridate.cli.console import err, out, progress_bar

if TYPE_CHECKING:  # torch takes seconds to import: the commands do it when they run
    from mithridate.audit.plan import Plan
    from mithridate.audit.results import Estimate, Results, TaskResult


def audit(
    plan: Annotated[Path, typer.Argument(help="The plan, a YAML file.", show_default=False)],
    out_folder: Annotated[
        Path | None,
        typer.Option("--out", help="The run folder.  [default: runs/ and the plan's name]", show_default=False),
    ] = None,
    workers: Annotated[
        int | None,
        typer.Option(min=1, help="Worker processes.  [default: the plan's, else all cores]", show_default=False),
    ] = None,
    report: Annotated[bool, typer.Option(help="Write report.html as well.")] = True,
    allow_code: Annotated[
        bool,
        typer.Option("--allow-code", help="Open models whose loading runs code: a factory, a pickled estimator."),
    ] = False,
) -> None:
    """Attack the models that a plan names and say how they fare.

    The same command again goes on where a stopped run was.

    Example plan:

        authority: {owner: Example Hospital, authorized_by: Head of Radiology, statement: may be attacked in this lab}

        tasks: [{data: catalogs/chest.parquet, victim: models/chest, surrogates: [models/chest-2]}]

        attacks: [{attack: pgd, budget: {linf: paper-code}, knowledge: [white-box, black-box]}]

    Example:  mithridate audit plan.yaml --out runs/chest
    """
    from mithridate.audit.plan import load_plan

    loaded = load_plan(plan)
    if workers is not None:
        loaded = loaded.model_copy(update={"execution": loaded.execution.model_copy(update={"workers": workers})})
    carry_out(loaded, out_folder or Path("runs") / plan.stem, report=report, allow_code=allow_code)


def carry_out(plan: Plan, folder: Path, *, report: bool = True, allow_code: bool = False) -> Results:
    """Run a plan with a progress bar, print its main figures and write its report."""
    from mithridate.audit.runner import run

    with progress_bar() as progress:
        results = run(plan, folder, progress=progress, allow_code=allow_code)
    print_results(results)
    if report:
        from mithridate.report.html import write_report

        out.print(f"report: {write_report(folder)}")
    else:
        out.print(f"results: {folder / 'results.json'}")
    return results


def print_results(results: Results) -> None:
    """The main conditions as a table, for people at a terminal."""
    err.print(f"epsilon: {results.epsilon_reading}")
    table = Table("task", "condition", "n", "accuracy", "AUC", "confidence", title=results.name)
    for task in results.tasks:
        for condition in task.conditions:
            if condition.main:
                table.add_row(
                    task.task,
                    condition.label,
                    str(condition.n),
                    _text(condition.accuracy),
                    _text(condition.auc),
                    _text(condition.confidence),
                )
        if task.refused:
            table.add_row(task.task, task.refused)
    out.print(table)
    for task in results.tasks:
        _print_conclusion(task)
    if results.stopped:
        err.print(f"[bold red]stopped:[/] {escape(results.stopped)}; what was finished is kept and reported")


def _print_conclusion(task: TaskResult) -> None:
    """The outcome of one task, and the checks that failed or warned."""
    if task.conclusion is None:
        return
    out.print(f"{escape(task.task)}: [bold]{task.conclusion.outcome}[/]")
    raised = {f"Check {check.number}: {check.evidence}" for check in task.checks if check.verdict == "fail"}
    for reason in task.conclusion.reasons if task.conclusion.outcome in ("void", "inconclusive") else ():
        if reason not in raised:
            out.print(f"  {escape(reason)}")
    for check in task.checks:
        if check.verdict in ("fail", "warn"):
            out.print(f"  {check.verdict}: {check.number}. {escape(check.title)}. {escape(check.evidence)}")


def _text(e: Estimate) -> str:
    if e.value is None:
        return "-"
    return f"{e.value:.3f} ({e.low:.3f}-{e.high:.3f})" if e.low is not None and e.high is not None else f"{e.value:.3f}"
