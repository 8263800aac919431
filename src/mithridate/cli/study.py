"""`mithridate study DATA`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mithridate.cli.audit import carry_out
from mithridate.cli.console import out, progress_bar
from mithridate.cli.train import read_recipe


def study(
    data: Annotated[
        Path, typer.Argument(help="A folder that holds the folders fundus, chest and skin.", show_default=False)
    ],
    out_folder: Annotated[Path, typer.Option("--out", help="Folder of catalogs, models and the run.")] = Path("study"),
    seed: Annotated[int, typer.Option(min=0, help="Seed of splits, trainings and attacks.")] = 0,
    limit: Annotated[int, typer.Option(min=20, help="Test images a task that are attacked, at most.")] = 100,
    recipe: Annotated[str, typer.Option("--recipe", help="As in `mithridate train`.")] = "fine-tune",
    page: Annotated[
        Path | None, typer.Option("--page", help="Also write the results as a Markdown page.", show_default=False)
    ] = None,
    owner: Annotated[str, typer.Option(help="Owner of the models: whoever trains them.")] = "whoever ran this study",
    workers: Annotated[
        int | None, typer.Option(min=1, help="Worker processes.  [default: all cores]", show_default=False)
    ] = None,
) -> None:
    """Run the whole imaging study on real images: catalogs, six trainings, attacks, report.

    EfficientNet-Lite0 victims and independent surrogates are fine-tuned at 224 px on each set (the extra
    `efficientnet-lite0` brings their ImageNet weights), then attacked on patients that no training saw.
    The same command goes on where a stopped study was.

    Example:  mithridate study images/ --out study
    """
    from mithridate.audit.real_study import prepare, real_plan, train_all

    catalogs = prepare(data, out_folder, seed)
    with progress_bar() as progress:
        train_all(
            catalogs,
            out_folder,
            seed=seed,
            recipe=lambda task: read_recipe(recipe, task),
            workers=workers,
            progress=progress,
        )
    plan = real_plan(catalogs, out_folder, owner=owner, authorized_by=owner, seed=seed, limit=limit, workers=workers)
    results = carry_out(plan, out_folder / "run")
    if page is not None:
        from mithridate.report.markdown import write_page

        write_page(results, out_folder, page)
        out.print(f"page: {page}")
