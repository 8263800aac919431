"""A cohort of phantom patients: who they are, how ill, and how their images are drawn.

Negatives have a severity from U(0, 0.42), positives from U(0.55, 1), and one patient in ten is borderline, from
U(0.42, 0.55); positive means severity >= 0.5.  Every draw comes from a hash of the cohort's seed and the patient's or
the image's own name, so an image does not depend on the size or the order of the cohort.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from itertools import count
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mithridate.errors import MithridateError, UserError
from mithridate.imaging.phantoms.location import PHANTOM_PREFIX
from mithridate.seeds import derive, generator

BORDERLINE = 0.10
"""Share of patients whose severity lies in U(0.42, 0.55)."""

Render = Callable[[int, float, np.random.Generator, np.random.Generator], NDArray[np.float32]]


@dataclass(frozen=True)
class Phantom:
    """One image of the cohort.  `severity` in [0, 1]; the seeds determine everything else about its pixels."""

    task: str
    id: str
    patient: str
    severity: float
    patient_seed: int
    image_seed: int

    @property
    def path(self) -> str:
        """The image as a catalog path, complete: "phantom:fundus/0.7310/<patient seed>/<image seed>"."""
        return f"{PHANTOM_PREFIX}{self.task}/{self.severity:.4f}/{self.patient_seed}/{self.image_seed}"


def draw_cohort(
    task: str, *, images: int | None = None, patients: int | None = None, seed: int = 0, prevalence: float = 0.5
) -> list[Phantom]:
    """So many images, or all images of so many patients; `prevalence` of them positive, to rounding, both present."""
    total = images if images is not None else patients or 0
    positives = min(total - 1, max(1, round(prevalence * total)))
    cohort: list[Phantom] = []
    for label, wanted in ((0, total - positives), (1, positives)):
        enough = 0
        for number in count():
            if enough >= wanted:
                break
            drawn = _patient(task, label, number, seed, prevalence)
            drawn = drawn[: wanted - enough] if images is not None else drawn
            enough += len(drawn) if images is not None else 1
            cohort.extend(drawn)
    return cohort


def render_phantom(path: str, size: int) -> NDArray[np.float32]:
    """The image that a catalog path describes: float32, size x size x C in [0, 1].

    Raises MithridateError when the path is not one that `Phantom.path` wrote.
    """
    try:
        task, severity, patient_seed, image_seed = path.removeprefix(PHANTOM_PREFIX).split("/")
        degree, patient, image = float(severity), int(patient_seed), int(image_seed)
    except ValueError:
        raise MithridateError(f"'{path}' does not describe a phantom: build the catalog again") from None
    return _renderer(task)(size, degree, generator(patient, "patient"), generator(image, "image"))


@cache
def renderer_fingerprint() -> str:
    """SHA-256 over the source of all phantom modules: cached images are drawn again when the drawing changes."""
    digest = hashlib.sha256()
    for path in sorted(Path(__file__).parent.glob("*.py")):
        digest.update(path.name.encode() + b"\x00" + path.read_bytes())
    return digest.hexdigest()


def _patient(task: str, label: int, number: int, seed: int, prevalence: float) -> list[Phantom]:
    """The one or two images of one patient; both show the same disease."""
    name = f"{task}-{'np'[label]}{number:06d}"
    rng = generator(seed, "cohort", name)
    severity = _severity(rng, label, prevalence)
    shots = 1 + int(rng.random() < 0.5)
    patient_seed = derive(seed, "patient", name)
    return [
        Phantom(task, f"{name}-{shot}", name, severity, patient_seed, derive(seed, "image", f"{name}-{shot}"))
        for shot in range(shots)
    ]


def _severity(rng: np.random.Generator, label: int, prevalence: float) -> float:
    """A severity of the class; borderline ones are as frequent in each class as U(0.42, 0.55) cut at 0.5 makes them."""
    draw, where = rng.random(), rng.random()
    inside = (0.08, 0.05)[label] / 0.13
    share = min(1.0, BORDERLINE * inside / (prevalence if label else 1 - prevalence))
    clear, border = ((0.0, 0.42), (0.42, 0.4999)) if label == 0 else ((0.55, 1.0), (0.5, 0.55))
    low, high = border if draw < share else clear
    return round(low + (high - low) * where, 4)


@cache
def _renderer(task: str) -> Render:
    """The drawing function of a task; imported when first needed."""
    if task not in {"fundus", "chest", "skin"}:
        raise UserError(f"there are no phantoms of '{task}': name fundus, chest or skin")
    render: Render = import_module(f"mithridate.imaging.phantoms.{task}").render
    return render
