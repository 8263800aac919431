"""`mithridate claims audit`, `certify` and `report`: how far a claim model can be gamed."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape
from rich.table import Table

from mithridate.cli.console import err, out, progress_bar

AllowCode = Annotated[
    bool, typer.Option("--allow-code", help="Open models whose loading runs code: a function, a pickled estimator.")
]


def register(app: typer.Typer) -> None:
    """Add the commands to the group `claims`."""
    app.command(epilog="Example:  mithridate claims audit plan.yaml --out runs/claims")(audit)
    app.command(epilog="Example:  mithridate claims certify plan.yaml --edits 2")(certify)
    app.command(epilog="Example:  mithridate claims report runs/claims")(report)


def audit(
    plan: Annotated[
        Path | None,
        typer.Argument(help="The plan, a YAML file; without one, a made-up population.", show_default=False),
    ] = None,
    out_folder: Annotated[
        Path | None,
        typer.Option("--out", help="The run folder.  [default: runs/ and the plan's name]", show_default=False),
    ] = None,
    workers: Annotated[int | None, typer.Option(min=1, help="Worker processes.  [default: the plan's]")] = None,
    allow_code: AllowCode = False,
) -> None:
    """Attack a model of claims under budgets of edits, with and without defenses, and write the report.

    The same command again goes on where a stopped run was.

    Example plan:

        authority: {owner: Example Payer, authorized_by: Head of Integrity, statement: may be attacked in this lab}

        data: {claims: march.jsonl, labels: march.truth.csv}

        attacks: [beam, exact]

        budgets: [{k: [1, 2, 3], classes: ABCDE}, {k: [1, 2], classes: AB}]

    A model that exists already:

        detector: {kind: http, url: "http://127.0.0.1:8000/deny", answers: scores, threshold: 0.5}
    """
    from mithridate.audit.claims.plan import demo_plan, load_claims_plan
    from mithridate.audit.claims.runner import run_claims
    from mithridate.cli.claims_results import print_results
    from mithridate.report.claims import write_claims_report

    loaded = demo_plan() if plan is None else load_claims_plan(plan)
    if workers is not None:
        loaded = loaded.model_copy(update={"execution": loaded.execution.model_copy(update={"workers": workers})})
    folder = out_folder or Path("runs") / ("claims" if plan is None else plan.stem)
    if plan is None:
        err.print("no plan given: a made-up population is attacked")
    with progress_bar() as progress:
        results = run_claims(loaded, folder, progress=progress, allow_code=allow_code)
    print_results(results)
    out.print(f"report: {escape(str(write_claims_report(folder)))}")


def certify(
    plan: Annotated[Path, typer.Argument(help="The plan, a YAML file: its data and its model.", show_default=False)],
    edits: Annotated[int, typer.Option(min=1, max=5, help="Edits of classes A and B that a decision must bear.")] = 2,
    limit: Annotated[int, typer.Option(min=2, help="Claims of the test part to certify.")] = 20,
    allow_code: AllowCode = False,
) -> None:
    """Say for each decision whether edits that the record supports can turn it.  Exits with 0 whatever is found."""
    from mithridate.audit.claims.plan import load_claims_plan
    from mithridate.audit.claims.subject import load_claims_subject
    from mithridate.claims.defenses.certificate import certify as prove

    loaded = load_claims_plan(plan)
    subject = load_claims_subject(loaded.model_copy(update={"claims": limit}), allow_code)
    claims, _ = subject.examples(0, len(subject.attacked))
    detector, table = subject.defense("none").detector, Table("claim", "decision", "certificate")
    _ = detector.exact  # one clear sentence for a model that cannot be read
    with progress_bar() as progress:
        for number, claim in enumerate(claims, 1):
            found = prove(claim, detector, subject.material.terms, k=edits)
            table.add_row(escape(claim.id), "denied" if found.denied else "approved", found.outcome)
            progress("certificates", number, len(claims))
    out.print(table)


def report(
    run: Annotated[Path, typer.Argument(help="The run folder of a claims audit.", show_default=False)],
    out_file: Annotated[
        Path | None, typer.Option("--out", help="The page.  [default: report.html in the run folder]")
    ] = None,
) -> None:
    """Write a claims run's report: one self-contained page."""
    from mithridate.report.claims import write_claims_report

    out.print(f"report: {escape(str(write_claims_report(run, out_file)))}")
