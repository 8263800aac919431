"""`mithridate demo`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mithridate.cli.audit import carry_out
from mithridate.cli.console import err


def demo(
    out_folder: Annotated[Path, typer.Option("--out", help="The run folder.")] = Path("mithridate-demo"),
    quick: Annotated[bool, typer.Option("--quick", help="Fewer images and doses.")] = False,
    workers: Annotated[
        int | None, typer.Option(min=1, help="Worker processes.  [default: all cores]", show_default=False)
    ] = None,
) -> None:
    """Run the whole imaging study on embedded phantoms and models, and write the report.

    Three classifiers, attacked in the white box and the black box, with noise and rotation beside them.
    Nothing is downloaded and no patient's image is used.

    Example:  mithridate demo --out demo
    """
    from mithridate.audit.study import phantom_plan

    err.print("The images are procedural phantoms; the models were trained on phantoms and are for demonstration only.")
    carry_out(phantom_plan(quick=quick, workers=workers), out_folder)
