"""`mithridate train`."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mithridate.cli.console import err, out, progress_bar
from mithridate.errors import UserError

if TYPE_CHECKING:  # torch takes seconds to import: the command does it when it runs
    from mithridate.imaging.cards import Estimate, ModelCard
    from mithridate.imaging.training import Event, Recipe

CatalogFile = Annotated[Path, typer.Argument(metavar="CATALOG", help="A catalog file, from `mithridate data catalog`.")]
Out = Annotated[Path, typer.Option("--out", help="Folder of the model; an unfinished training in it goes on.")]
RecipeName = Annotated[str, typer.Option("--recipe", help="paper, small or fine-tune; or a .json or .yaml file.")]
Architecture = Annotated[
    str | None,
    typer.Option(help="resnet50, resnet18, densenet121, efficientnet-lite0 or resnet-small.", show_default=False),
]
Pretrained = Annotated[
    str | None, typer.Option(help="Start of the backbone: imagenet or none.", metavar="imagenet|none")
]
Weights = Annotated[
    Path | None, typer.Option(help="Local file of ImageNet weights (for example resnet50-11ad3fa6.pth).")
]
Changes = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="FIELD=VALUE", help="Change any field of the recipe; may be repeated."),
]


def train(
    catalog: CatalogFile,
    out_folder: Out,
    recipe: RecipeName = "paper",
    architecture: Architecture = None,
    pretrained: Pretrained = None,
    weights: Weights = None,
    size: Annotated[int | None, typer.Option(help="Side of the square input, pixels.")] = None,
    epochs: Annotated[int | None, typer.Option(help="Epochs at most.")] = None,
    batch_size: Annotated[int | None, typer.Option(help="Images per step, all processes together.")] = None,
    learning_rate: Annotated[float | None, typer.Option(help="Learning rate of the head.")] = None,
    precision: Annotated[str | None, typer.Option(metavar="float32|bfloat16", help="Arithmetic of training.")] = None,
    changes: Changes = None,
    seed: Annotated[int, typer.Option(min=0, help="Another seed gives an independent training.")] = 0,
    role: Annotated[str, typer.Option(metavar="victim|surrogate", help="What the card says it is for.")] = "victim",
    name: Annotated[
        str | None, typer.Option(help="Name on the card.  [default: TASK-ROLE]", show_default=False)
    ] = None,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or cuda:N.")] = "auto",
    image_root: Annotated[Path | None, typer.Option(help="Folder of the images, if they have moved.")] = None,
    cache: Annotated[Path | None, typer.Option(help="Folder to keep decoded images in, for the next training.")] = None,
    restart: Annotated[bool, typer.Option("--restart", help="Start over, discarding what --out holds.")] = False,
) -> None:
    """Train a classifier and write it with its card: weights, data fingerprint, metrics, operating thresholds.

    Killed at any moment, the same command goes on and ends with the same weights.  The default recipe is the paper's:
    ImageNet ResNet-50, every layer, SGD 1e-3 with momentum 0.9, batch 32.

    Example:  mithridate train chest.parquet --out models/chest --recipe fine-tune --seed 1

    Several GPUs:  torchrun --no-python --nproc-per-node 4 mithridate train chest.parquet --out models/chest
    """
    from mithridate.imaging.catalog import Catalog
    from mithridate.imaging.training import TrainingInterrupted
    from mithridate.imaging.training import train as run_training

    if role not in ("victim", "surrogate"):
        raise UserError(f"--role '{role}' is not known: say victim or surrogate")
    images = Catalog.load(catalog, image_root)
    given = {
        "architecture": architecture,
        "pretrained": pretrained,
        "size": size,
        "epochs": epochs,
        "batch_size": batch_size,
        "learning_rate": learning_rate,
        "precision": precision,
    }
    overrides = {key: value for key, value in given.items() if value is not None} | parse_changes(changes or [])
    chosen = read_recipe(recipe, images.task.name).override(overrides)
    try:
        with _asked_to_stop() as stop, _bar() as progress:
            card = run_training(
                images,
                chosen,
                out_folder,
                seed=seed,
                device=device,
                progress=progress,
                role="victim" if role == "victim" else "surrogate",
                name=name,
                weights=weights,
                cache=cache,
                restart=restart,
                stop=stop,
            )
    except TrainingInterrupted as interrupted:
        err.print(f"{interrupted}; the checkpoint is in {out_folder}, and the same command goes on from there")
        raise typer.Exit(130) from None
    _print_card(out_folder, card)


def read_recipe(reference: str, task: str) -> Recipe:
    """A preset by name, or a recipe from a .json or .yaml file; raises UserError."""
    import yaml

    from mithridate.imaging.training.recipe import parse, preset

    path = Path(reference)
    if path.suffix not in (".json", ".yaml", ".yml"):
        return preset(reference, task)
    try:
        return parse(yaml.safe_load(path.read_text(encoding="utf-8")) or {})
    except OSError as error:
        raise UserError(f"the recipe {path} cannot be read: {error.strerror or error}") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        place = getattr(error, "problem_mark", None)
        line = f" at line {place.line + 1}" if place else ""
        raise UserError(f"the recipe {path} is not valid YAML or JSON{line}: correct it") from error
    except UserError as error:
        raise UserError(f"{path}: {error}") from error


def parse_changes(changes: list[str]) -> dict[str, Any]:
    """`["epochs=3", "augmentation.rotation=20"]` as names and values, each value read as YAML; raises UserError."""
    import yaml

    parsed: dict[str, Any] = {}
    for change in changes:
        field, sign, text = change.partition("=")
        if not sign or not field.strip():
            raise UserError(f"--set '{change}' is not FIELD=VALUE: write for example --set augmentation.rotation=20")
        try:
            value = yaml.safe_load(text)
        except yaml.YAMLError as error:
            raise UserError(f"--set '{change}': the value cannot be read, use a number, a word or a [list]") from error
        # YAML 1.1 reads 1e-4 as text: a number must hold a dot there.
        parsed[field.strip()] = _number(value) if isinstance(value, str) else value
    return parsed


def _number(text: str) -> float | str:
    try:
        return float(text)
    except ValueError:
        return text


@contextmanager
def _bar() -> Iterator[Callable[[Event], None]]:
    with progress_bar() as update:

        def show(event: Event) -> None:
            update(f"training ({event.stage})", event.step, event.steps)

        yield show


@contextmanager
def _asked_to_stop() -> Iterator[Callable[[], bool]]:
    """Whether Ctrl-C or a termination signal came: training then ends its step and writes a checkpoint.

    A second Ctrl-C interrupts at once; the last checkpoint stays whole.
    """
    asked = False

    def note(number: int, frame: FrameType | None) -> None:
        nonlocal asked
        if asked:
            raise KeyboardInterrupt
        asked = True
        err.print("stopping after this step; once more to stop at once")

    before = {number: signal.signal(number, note) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield lambda: asked
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _print_card(folder: Path, card: ModelCard) -> None:
    out.print(f"{card.name}: {card.architecture}, {card.epochs} epochs, weights SHA-256 {card.sha256[:12]}")
    for part, metrics in (("validation", card.validation), ("test", card.test)):
        if metrics is not None:
            out.print(
                f"{part}: AUC {_show(metrics.auc)}, accuracy {_show(metrics.accuracy)} "
                f"(always answering the majority: {metrics.majority_accuracy:.3f}), {metrics.images} images"
            )
    out.print(f"model: {folder}")


def _show(estimate: Estimate) -> str:
    value = "unknown" if estimate.value is None else f"{estimate.value:.3f}"
    return f"{value} [{estimate.low:.3f}, {estimate.high:.3f}]"
