"""Rebuild the small models that ship with the program:  python -m mithridate.imaging.zoo_build

For each of the three phantom tasks a victim and a surrogate, independently trained: other phantom patients, another
seed.  Everything is a function of the seeds below, so anyone can repeat it; an interrupted build goes on where it was.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from mithridate.errors import UserError
from mithridate.imaging.cards import CARD, ModelCard, read_card
from mithridate.imaging.sources.phantom import phantom_catalog
from mithridate.imaging.tasks import Fractions
from mithridate.imaging.training import Event, Recipe, preset, train
from mithridate.imaging.training.checkpoint import RUN
from mithridate.imaging.training.logs import LOG
from mithridate.imaging.training.run import Role
from mithridate.imaging.zoo import FOLDER, TASKS

IMAGES: Final = 4000
FRACTIONS: Final = Fractions(validation=0.1, test=0.15)


@dataclass(frozen=True)
class Seeds:
    """Of the phantom cohort and of the training."""

    cohort: int
    training: int


# Cohort seeds from 0 up to 99 are left to demonstrations and users: no shipped model has seen their patients.
SEEDS: Final[dict[Role, Seeds]] = {"victim": Seeds(101, 1), "surrogate": Seeds(202, 2)}


def build_model(
    task: str,
    role: Role,
    folder: Path,
    *,
    images: int = IMAGES,
    recipe: Recipe | None = None,
    cache: Path | None = None,
    progress: Callable[[Event], None] | None = None,
) -> ModelCard:
    """Train one shipped model into `folder/<task>/<role>`, over a model of other settings; at once when it is there.

    Raises UserError when the folder holds an unfinished training of other settings.
    """
    seeds, recipe, place = SEEDS[role], recipe or preset("small", task), folder / task / role
    catalog = phantom_catalog(task, images, seed=seeds.cohort, fractions=FRACTIONS)
    finished = (place / CARD).exists()
    if finished:
        card = read_card(place)
        wanted = (catalog.fingerprint, seeds.training, recipe.model_dump(mode="json"))
        if (card.data.fingerprint, card.seed, card.recipe) == wanted:
            return card
    return train(
        catalog,
        recipe,
        place,
        seed=seeds.training,
        device="cpu",
        progress=progress,
        role=role,
        name=f"phantom-{task}-{role}",
        cache=cache,
        restart=finished,
    )


def tidy(place: Path) -> None:
    """Leave only what ships of one model: its weights and its card."""
    for name in (LOG, RUN):
        (place / name).unlink(missing_ok=True)
    shutil.rmtree(place / "tensorboard", ignore_errors=True)


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m mithridate.imaging.zoo_build", description=__doc__.splitlines()[0] if __doc__ else None
    )
    parser.add_argument("--out", type=Path, default=FOLDER, help="where the models go (default: the package itself)")
    parser.add_argument("--images", type=int, default=IMAGES, help="phantoms per model")
    parser.add_argument("--cache", type=Path, help="folder to keep rendered phantoms in")
    parser.add_argument("--only", nargs="*", default=[], metavar="TASK/ROLE", help="some models only")
    parser.add_argument("--keep", action="store_true", help="keep training logs and settings beside the models")
    chosen = parser.parse_args(arguments)
    every = [f"{task}/{role}" for task in TASKS for role in SEEDS]
    unknown = [name for name in chosen.only if name not in every]
    if unknown:
        parser.error(f"there is no model {unknown[0]}: choose from {', '.join(every)}")
    try:
        for name in chosen.only or every:
            task, role = name.split("/")
            card = build_model(
                task,
                "victim" if role == "victim" else "surrogate",
                chosen.out,
                images=chosen.images,
                cache=chosen.cache,
                progress=_show,
            )
            _report(card)
            if not chosen.keep:
                tidy(chosen.out / task / role)
    except UserError as error:
        print(f"zoo_build: {error}", file=sys.stderr)
        return 2
    return 0


def _report(card: ModelCard) -> None:
    assert card.test is not None
    auc, accuracy = card.test.auc, card.test.accuracy
    print(
        f"{card.name}: test AUC {auc.value:.3f} [{auc.low:.3f}, {auc.high:.3f}], accuracy {accuracy.value:.3f}, "
        f"{card.test.images} images, epoch {card.epochs}",
        flush=True,
    )


def _show(event: Event) -> None:
    if event.validation_auc is not None:
        now = time.strftime("%H:%M:%S")
        line = f"{now}  epoch {event.step * event.epochs // event.steps} of {event.epochs}: loss {event.loss:.4f}"
        print(f"{line}, validation AUC {event.validation_auc:.4f}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
