"""`mithridate report RUN`."""

from __future__ import annotations

import webbrowser
from pathlib import Path
from typing import Annotated

import typer

from mithridate.cli.console import out


def report(
    run: Annotated[Path, typer.Argument(help="The run folder.", show_default=False)],
    out_file: Annotated[
        Path | None,
        typer.Option("--out", help="The page.  [default: report.html in the run folder]", show_default=False),
    ] = None,
    open_page: Annotated[bool, typer.Option("--open", help="Open the page in the browser.")] = False,
) -> None:
    """Write a run's report: one self-contained page, with figures/ and tables/ beside it.

    The page needs no network and can be mailed, printed and filed.

    Example:  mithridate report runs/chest --open
    """
    from mithridate.report.html import write_report

    page = write_report(run, out_file)
    out.print(f"report: {page}")
    if open_page:
        webbrowser.open(page.resolve().as_uri())
