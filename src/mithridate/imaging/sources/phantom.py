"""A cohort of phantoms as a catalog: no files, every image rendered from its own line."""

from __future__ import annotations

import pandas as pd

from mithridate.errors import UserError
from mithridate.imaging.catalog import Catalog
from mithridate.imaging.phantoms.cohort import draw_cohort
from mithridate.imaging.sources.build import make_catalog
from mithridate.imaging.sources.request import Request
from mithridate.imaging.tasks import TASKS, Fractions

SOURCE = "phantom"


def phantom_catalog(
    task: str,
    images: int | None = None,
    *,
    patients: int | None = None,
    seed: int = 0,
    prevalence: float = 0.5,
    fractions: Fractions | None = None,
) -> Catalog:
    """A catalog of `images` phantoms, or of all images of `patients` phantom patients, of one task.

    task "fundus", "chest" or "skin"; prevalence in (0, 1), kept exactly (to rounding) among images or patients.
    A patient has one image or two.  Metadata columns: severity in [0, 1], patient_seed, image_seed (63-bit).
    An image depends on seed, task and its own id alone: a larger cohort begins with the same images.
    Raises UserError for an unknown task or a cohort too small to hold both classes in every part.
    """
    if task not in TASKS:
        raise UserError(f"there are no phantoms of '{task}': name one of {', '.join(TASKS)}")
    if (images is None) == (patients is None):
        raise UserError("a cohort of phantoms needs either a number of images or a number of patients")
    size = images if images is not None else patients
    if size is None or size < 2:
        raise UserError(f"a cohort of {size} phantoms is too small: ask for at least 2")
    if not 0 < prevalence < 1:
        raise UserError(f"the prevalence {prevalence} is not between 0 and 1: give, for example, 0.5")
    members = draw_cohort(task, images=images, patients=patients, seed=seed, prevalence=prevalence)
    rows = pd.DataFrame(
        {
            "id": [member.id for member in members],
            "path": [member.path for member in members],
            "label": [int(member.severity >= 0.5) for member in members],
            "group": [member.patient for member in members],
            "severity": [member.severity for member in members],
            "patient_seed": [member.patient_seed for member in members],
            "image_seed": [member.image_seed for member in members],
        }
    )
    return make_catalog(
        rows,
        request=Request(fractions=fractions, seed=seed),
        task=TASKS[task],
        root=None,
        source=SOURCE,
        where=f"the cohort of {task} phantoms",
        notes=["Phantoms: rendered images with no patient behind them."],
    )


def build(request: Request) -> Catalog:
    """The cohort that a request describes; its task says which phantoms.  Raises UserError."""
    if request.task is None:
        raise UserError(f"the source phantom needs a task: add --task {', --task '.join(TASKS)}")
    if request.positive is not None:
        raise UserError("phantoms are labelled by their severity (positive from 0.5): leave out --positive")
    return phantom_catalog(
        request.task.name,
        request.images,
        seed=request.seed,
        prevalence=request.prevalence,
        fractions=request.fractions,
    )
