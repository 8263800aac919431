from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mithridate.imaging.catalog import Catalog
from mithridate.imaging.labels import LabelRule
from mithridate.imaging.linked import link_duplicates
from mithridate.imaging.phantoms import fundus
from mithridate.imaging.sources import Request, build_catalog
from mithridate.seeds import generator


def picture(number: int) -> Image.Image:
    pixels = fundus.render(96, 0.2, generator(number, "patient"), generator(number, "image"))
    return Image.fromarray((pixels * 255).astype(np.uint8))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Thirty patients with a picture each; the pictures of p3 and p20 are those of p11, one of them brightened."""
    place = tmp_path_factory.mktemp("images")
    rows = ["image,grade,patient"]
    for number in range(30):
        image = picture(11 if number in (3, 20) else number)
        if number == 20:
            image = image.point(lambda v: min(255, int(v * 1.15)))
        image.save(place / f"{number}.png")
        rows.append(f"{number}.png,{number % 2},p{number}")
    (place / "labels.csv").write_text("\n".join(rows) + "\n")
    return place


def build(folder: Path, seed: int) -> Catalog:
    request = Request(root=folder, positive=LabelRule.parse("grade>=1"), group_column="patient", seed=seed)
    return build_catalog("folder-csv", request)


def test_patients_who_share_a_picture_are_one_group_in_one_part(folder: Path) -> None:
    for seed in range(4):
        linked = link_duplicates(build(folder, seed))
        rows = linked.table.set_index("id")
        copies = rows[rows["path"].isin(["3.png", "11.png", "20.png"])]
        assert copies["group"].nunique() == copies["split"].nunique() == 1
        assert rows["group"].nunique() == 28
        assert "p20" in linked.notes[-1] or "p3" in linked.notes[-1]


def test_a_clean_catalog_is_left_as_it_is(folder: Path) -> None:
    catalog = build(folder, 0)
    keep = ~catalog.table["path"].isin(["3.png", "20.png"])
    clean = Catalog(catalog.table[keep], catalog.task, catalog.root, catalog.source, catalog.rule, catalog.seed)
    assert link_duplicates(clean) is clean
