"""`mithridate data`: build a catalog from a source, show it, check it."""

from __future__ import annotations

import json
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.markup import escape
from rich.table import Table

from mithridate.cli.console import err, out, progress_bar
from mithridate.errors import UserError

if TYPE_CHECKING:
    from mithridate.imaging.catalog import Catalog
    from mithridate.imaging.catalog_checks import Check
    from mithridate.imaging.sources import Request

data_app = typer.Typer(
    help="Catalogs: which images take part in a study, with labels, patients and parts.",
    no_args_is_help=True,
    rich_markup_mode="rich",
)

_COLORS = {"pass": "green", "warn": "yellow", "fail": "red"}


class Missing(StrEnum):
    """What to do with rows whose image is not there."""

    refuse = "refuse"
    drop = "drop"


@data_app.command(
    epilog="Example:  mithridate data catalog chestxray14 /data/nih --positive Pneumonia --out chest.parquet"
)
def catalog(
    source: Annotated[
        str, typer.Argument(help="kaggle-dr, chestxray14, isic, folder-csv, dicom-folder, medmnist or phantom.")
    ],
    path: Annotated[
        Path | None, typer.Argument(help="Folder of the images (medmnist: the .npz file; phantom: none).")
    ] = None,
    metadata: Annotated[
        list[Path] | None, typer.Option(help="Label table, .csv or .csv.gz; twice for two tables of kaggle-dr.")
    ] = None,
    save_as: Annotated[Path | None, typer.Option("--out", help="Write the catalog to this Parquet file.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as JSON, and nothing else.")] = False,
    with_checks: Annotated[bool, typer.Option("--check", help="Also look at the images; see `data check`.")] = False,
    positive: Annotated[
        str | None, typer.Option(help="Label rule: Pneumonia, 'grade>=2', 'dx=mel|bcc'. Default: the task's own.")
    ] = None,
    positive_name: Annotated[str | None, typer.Option(help="What positive means, in words for reports.")] = None,
    task: Annotated[
        str | None, typer.Option(help="fundus, chest or skin; needed for phantom, optional for general sources.")
    ] = None,
    test_fraction: Annotated[float | None, typer.Option(help="Share of patients for the test part.")] = None,
    validation_fraction: Annotated[float | None, typer.Option(help="Share of patients for validation.")] = None,
    seed: Annotated[int, typer.Option(help="Seed of the split (phantom: of the cohort too).")] = 0,
    image_column: Annotated[str | None, typer.Option(help="Column that names the image.")] = None,
    label_column: Annotated[str | None, typer.Option(help="Column that holds the label.")] = None,
    group_column: Annotated[str | None, typer.Option(help="Column of the patient (or lesion).")] = None,
    missing: Annotated[Missing, typer.Option(help="Rows that name missing images: refuse or drop.")] = Missing.refuse,
    frame: Annotated[int, typer.Option(min=0, help="Frame of multi-frame DICOM files, from 0.")] = 0,
    images: Annotated[int, typer.Option(help="Number of phantoms.")] = 1000,
    prevalence: Annotated[float, typer.Option(help="Share of positive phantoms.")] = 0.5,
) -> None:
    """Build a catalog: the label rule applied, the patients divided into train, validation and test.

    Reads tables and headers, no pixels.  The source chestxray14 works from its table alone.
    With --check, exits with 1 when a check fails; the catalog is written all the same.
    """
    from mithridate.imaging.labels import LabelRule
    from mithridate.imaging.sources import Request, build_catalog

    with progress_bar() as progress:
        request = Request(
            root=path,
            metadata=tuple(metadata or ()),
            task=_task(task),
            positive=LabelRule.parse(positive) if positive is not None else None,
            positive_words=positive_name,
            seed=seed,
            image_column=image_column,
            label_column=label_column,
            group_column=group_column,
            missing=missing.value,
            frame=frame,
            images=images,
            prevalence=prevalence,
            progress=progress,
        )
        built = build_catalog(source, _with_fractions(request, source, test_fraction, validation_fraction))
        checks = _checked(built, progress) if with_checks else None
    if save_as is not None:
        built.save(save_as)
    _report(built, checks, as_json, save_as)
    _exit_for(checks or [])


@data_app.command(epilog="Example:  mithridate data show chest.parquet")
def show(
    catalog_file: Annotated[Path, typer.Argument(metavar="CATALOG", help="A catalog written by `data catalog`.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as JSON, and nothing else.")] = False,
) -> None:
    """Show what a catalog holds: task, rule, images and patients in each part and class, fingerprint."""
    from mithridate.imaging.catalog import Catalog

    _report(Catalog.load(catalog_file), None, as_json, None)


@data_app.command(epilog="Example:  mithridate data check chest.parquet")
def check(
    catalog_file: Annotated[Path, typer.Argument(metavar="CATALOG", help="A catalog written by `data catalog`.")],
    root: Annotated[Path | None, typer.Option(help="Folder of the images, when they have moved.")] = None,
    cache: Annotated[Path | None, typer.Option(help="Folder for decoded images, for quicker repeats.")] = None,
    sample: Annotated[int, typer.Option(min=20, help="Images for the shortcut checks.")] = 3000,
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as JSON, and nothing else.")] = False,
) -> None:
    """Look at the images: shortcuts, near-duplicates across parts, class balance, patients in each part.

    Prints pass, warn or fail for each, with the evidence.  Exits with 1 when a check fails.
    """
    from mithridate.imaging.catalog import Catalog

    with progress_bar() as progress:
        checks = _checked(Catalog.load(catalog_file, root), progress, cache=cache, sample=sample)
    if as_json:
        typer.echo(json.dumps({"checks": [item.to_dict() for item in checks]}, indent=2))
    else:
        _print_checks(checks)
    _exit_for(checks)


def _exit_for(checks: list[Check]) -> None:
    if any(item.status == "fail" for item in checks):
        raise typer.Exit(1)


def _task(name: str | None) -> Any:
    from mithridate.imaging.tasks import TASKS

    if name is not None and name not in TASKS:
        raise UserError(f"there is no task '{name}': name one of {', '.join(TASKS)}, or describe positives by a rule")
    return TASKS[name] if name is not None else None


def _with_fractions(request: Request, source: str, test: float | None, validation: float | None) -> Request:
    """Fractions given on the command line; the one that was not given stays as the source's task has it."""
    from dataclasses import replace

    from mithridate.imaging.sources import default_fractions

    if test is None and validation is None:
        return request
    own = request.task.fractions if request.task is not None else default_fractions(source)
    changes = {name: value for name, value in (("test", test), ("validation", validation)) if value is not None}
    return replace(request, fractions=replace(own, **changes))


def _checked(catalog: Catalog, progress: Any, **options: Any) -> list[Check]:
    from mithridate.imaging.catalog_checks import check_catalog

    return check_catalog(catalog, progress=progress, **options)


def _report(catalog: Catalog, checks: list[Check] | None, as_json: bool, saved: Path | None) -> None:
    if as_json:
        typer.echo(json.dumps(_facts(catalog, checks, saved), indent=2))
        return
    out.print(f"[bold]{escape(catalog.task.positive)}[/] against {escape(catalog.task.negative)}", end="")
    out.print(f" ({escape(catalog.task.modality)}; rule {escape(catalog.rule)}; seed {catalog.seed})")
    table = Table("part", "class", *(("images", "groups")), box=None, pad_edge=False)
    for column in table.columns[2:]:
        column.justify = "right"
    for split, classes in catalog.counts().items():
        for name in ("positive", "negative"):
            table.add_row(split, name, f"{classes[name]['images']:,}", f"{classes[name]['groups']:,}")
    out.print(table)
    for note in catalog.notes:
        out.print(f"Note: {escape(note)}")
    out.print(f"fingerprint {catalog.fingerprint}")
    if checks is not None:
        _print_checks(checks)
    if saved is not None:
        out.print(f"written to {escape(str(saved))}")
    else:
        err.print("not saved: add --out FILE.parquet to keep it")


def _facts(catalog: Catalog, checks: list[Check] | None, saved: Path | None) -> dict[str, Any]:
    facts: dict[str, Any] = {
        "source": catalog.source,
        "task": catalog.task.to_dict(),
        "rule": catalog.rule,
        "seed": catalog.seed,
        "counts": catalog.counts(),
        "fingerprint": catalog.fingerprint,
        "notes": list(catalog.notes),
        "out": str(saved) if saved is not None else None,
    }
    if checks is not None:
        facts["checks"] = [item.to_dict() for item in checks]
    return facts


def _print_checks(checks: list[Check]) -> None:
    for item in checks:
        out.print(f"[bold {_COLORS[item.status]}]{item.status}[/]  {escape(item.name)}: {escape(item.evidence)}")
        if item.status != "pass":
            out.print(f"      {escape(item.advice)}")
