"""Where images and labels come from: one module a source, each with `build(request) -> Catalog`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module

from mithridate.errors import UserError
from mithridate.imaging.catalog import Catalog
from mithridate.imaging.sources.request import Request
from mithridate.imaging.tasks import TASKS, Fractions

__all__ = ["SOURCES", "Request", "Source", "build_catalog", "default_fractions"]


@dataclass(frozen=True)
class Source:
    """A kind of source: its module and one line for people."""

    module: str
    summary: str
    task: str | None = None  # its own task, where it has one


SOURCES: dict[str, Source] = {
    "kaggle-dr": Source(
        "kaggle_dr", "Kaggle diabetic retinopathy: trainLabels.csv, retinopathy_solution.csv", "fundus"
    ),
    "chestxray14": Source("chestxray14", "NIH ChestX-ray14: Data_Entry_2017*.csv; works from the table alone", "chest"),
    "isic": Source("isic", "ISIC archive or HAM10000 metadata: melanocytic lesions", "skin"),
    "folder-csv": Source("folder_csv", "any folder of images with a CSV table"),
    "dicom-folder": Source("dicom_folder", "DICOM files with a CSV table by SOPInstanceUID, PatientID or file name"),
    "medmnist": Source("medmnist", "a MedMNIST .npz archive"),
    "phantom": Source("phantom", "rendered phantoms, no files: --task fundus, chest or skin"),
}


def build_catalog(source: str, request: Request) -> Catalog:
    """Build a catalog from a source by name.  Raises UserError for an unknown source or a mistake in the data."""
    if source not in SOURCES:
        raise UserError(f"there is no source '{source}': name one of {', '.join(SOURCES)}")
    module = import_module(f"{__name__}.{SOURCES[source].module}")  # pydicom and others are imported when needed
    build: Callable[[Request], Catalog] = module.build
    return build(request)


def default_fractions(source: str) -> Fractions:
    """The fractions of a source's own task, else the general ones."""
    task = SOURCES[source].task if source in SOURCES else None
    return TASKS[task].fractions if task is not None else Fractions()
