"""The three sets of real images that `make real` runs on: fundus, chest and skin, one folder each."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from mithridate.errors import UserError
from mithridate.imaging.catalog import Catalog
from mithridate.imaging.labels import LabelRule
from mithridate.imaging.sources import chestxray14, folder_csv, isic
from mithridate.imaging.sources.request import Request
from mithridate.imaging.tasks import TASKS, Fractions

# Small sets need a large test part: the interval of an AUC narrows with the root of the smaller class.
FRACTIONS = Fractions(validation=0.10, test=0.25)


def real_catalogs(root: Path, seed: int = 0, fractions: Fractions = FRACTIONS) -> dict[str, Catalog]:
    """Catalogs "fundus", "chest" and "skin" of the folders of these names below `root`.

    fundus  `images/` and `labels.csv` (image, patient, icdr_grade): grade 2 and above, by patient
    chest   `images/` and a table in the NIH column names: pneumonia against no finding, by patient
    skin    `images/` and `labels.csv` (isic_id, lesion_id, benign_malignant): malignant against benign, by lesion

    Raises UserError when a folder is missing or does not hold what it should.
    """
    for name in TASKS:
        if not (root / name).is_dir():
            raise UserError(f"{root} has no folder '{name}': the folders fundus, chest and skin are needed")
    base = Request(fractions=fractions, seed=seed)
    fundus = replace(
        base,
        root=root / "fundus",
        task=TASKS["fundus"],
        positive=LabelRule.parse("icdr_grade>=2"),
        group_column="patient",
    )
    chest = replace(base, root=root / "chest", positive=LabelRule.parse("Pneumonia"))
    skin = replace(base, root=root / "skin")
    return {"fundus": folder_csv.build(fundus), "chest": chestxray14.build(chest), "skin": isic.build(skin)}
