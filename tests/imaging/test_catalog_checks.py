from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray
from PIL import Image

from mithridate.imaging.catalog import Catalog
from mithridate.imaging.catalog_checks import (
    check_balance,
    check_catalog,
    check_groups,
    check_shortcut,
    histograms,
    thumbnails,
)
from mithridate.imaging.duplicates import LIMIT, describe, pairs_across
from mithridate.imaging.sources.real import real_catalogs
from mithridate.imaging.tasks import TASKS


def textures(n: int, seed: int = 0) -> NDArray[np.uint8]:
    """Smooth random color images, n x 96 x 96 x 3, none like another."""
    rng = np.random.default_rng(seed)
    coarse = rng.integers(0, 256, (n, 24, 24, 3), dtype=np.uint8)
    return np.stack([np.asarray(Image.fromarray(c).resize((96, 96), Image.Resampling.BICUBIC)) for c in coarse])


def catalog_of(root: Path, images: NDArray[np.uint8], labels: list[int], splits: list[str]) -> Catalog:
    for i, image in enumerate(images):
        Image.fromarray(image).save(root / f"{i:03d}.png")
    n = len(images)
    table = pd.DataFrame({"id": [f"{i:03d}" for i in range(n)], "path": [f"{i:03d}.png" for i in range(n)]})
    table = table.assign(label=labels, group=[f"g{i}" for i in range(n)], split=splits)
    return Catalog(table, TASKS["skin"], root, "test", "r", 0)


def status(catalog: Catalog) -> dict[str, str]:
    return {check.name: check.status for check in check_catalog(catalog)}


N = 120
SPLITS = ["train"] * 80 + ["test"] * 40
LABELS = [i % 2 for i in range(N)]


def test_a_sound_catalog_passes(tmp_path: Path) -> None:
    found = status(catalog_of(tmp_path, textures(N), LABELS, SPLITS))
    assert found.pop("groups in each part") == "warn"  # 20 groups of a class in the test part
    assert set(found.values()) == {"pass"}


def test_a_label_written_into_the_brightness_fails_both_shortcut_checks(tmp_path: Path) -> None:
    images = textures(N) // 2
    images[np.array(LABELS) == 1] += 60
    found = status(catalog_of(tmp_path, images, LABELS, SPLITS))
    assert found["thumbnail shortcut"] == found["histogram shortcut"] == "fail"


def test_a_corner_mark_is_a_thumbnail_shortcut(tmp_path: Path) -> None:
    images = textures(N)
    images[np.array(LABELS) == 1, :12, :12] = 255
    found = status(catalog_of(tmp_path, images, LABELS, SPLITS))
    assert found["thumbnail shortcut"] == "fail"


def test_the_shortcut_auc_is_about_a_half_when_the_group_alone_tells() -> None:
    """Features that name the group and nothing else help only a validation that lets groups leak."""
    group = np.repeat(np.arange(40), 10)
    labels = (np.arange(40) % 2)[group].astype(np.int8)
    by_group, leaking = [], []
    for seed in range(6):
        rng = np.random.default_rng(seed)
        signature = rng.normal(size=(40, 64)).astype(np.float32)
        features = signature[group] + rng.normal(scale=0.05, size=(400, 64)).astype(np.float32)
        by_group.append(check_shortcut("x", "x", features, labels, group.astype(str)).numbers["auc"])
        leaking.append(check_shortcut("x", "x", features, labels, np.arange(400).astype(str)).numbers["auc"])
    assert 0.35 < np.mean(by_group) < 0.65
    assert min(leaking) > 0.95


def test_the_shortcut_auc_does_not_depend_on_row_order() -> None:
    rng = np.random.default_rng(1)
    features = rng.normal(size=(200, 8)).astype(np.float32)
    labels = (features[:, 0] + rng.normal(size=200) > 0).astype(np.int8)
    groups = np.array([f"g{i // 2}" for i in range(200)])
    order = np.argsort(rng.permutation(100).repeat(2) * 2 + np.tile([0, 1], 100), kind="stable")
    one = check_shortcut("x", "x", features, labels, groups)
    two = check_shortcut("x", "x", features[order], labels[order], groups[order])
    assert one.numbers["auc"] == pytest.approx(two.numbers["auc"], abs=1e-6)
    assert one.status == "warn"


@pytest.mark.parametrize("change", ["same", "jpeg", "darker", "contrast"])
def test_copies_across_parts_are_found_whatever_was_done_to_them(tmp_path: Path, change: str) -> None:
    images = textures(N)
    for original, copy in ((0, 100), (1, 101)):
        image = Image.fromarray(images[original])
        if change == "jpeg":
            image.save(tmp_path / "x.jpg", quality=50)
            image = Image.open(tmp_path / "x.jpg")
        if change == "darker":
            image = image.point(lambda v: v * 0.6)
        if change == "contrast":
            image = image.point(lambda v: 255 * (v / 255) ** 0.6)
        images[copy] = np.asarray(image)
    catalog = catalog_of(tmp_path, images, LABELS, SPLITS)
    check = check_catalog(catalog)[-1]
    assert check.status == "fail"
    assert {(pair["first"], pair["second"]) for pair in check.numbers["examples"]} == {
        ("000.png", "100.png"),
        ("001.png", "101.png"),
    }
    assert "000.png and 100.png" in check.evidence


def test_copies_within_a_part_are_no_leak(tmp_path: Path) -> None:
    images = textures(N)
    images[1] = images[0]
    assert status(catalog_of(tmp_path, images, LABELS, SPLITS))["near-duplicates across parts"] == "pass"


def test_pairs_are_exactly_those_of_all_against_all() -> None:
    rng = np.random.default_rng(5)
    x = rng.normal(size=(90, 3)).astype(np.float32)
    x /= np.linalg.norm(x, axis=1, keepdims=True)
    splits = rng.choice(["train", "validation", "test"], 90)
    expected = {
        (i, j) for i in range(90) for j in range(i + 1, 90) if splits[i] != splits[j] and float(x[i] @ x[j]) >= LIMIT
    }
    assert expected
    assert {(i, j) for i, j, _ in pairs_across(x, splits)} == expected


def test_blank_images_resemble_nothing() -> None:
    assert not describe(np.full((2, 3, 64, 64), 0.5, np.float32)).any()


def test_thumbnails_and_histograms_are_what_they_say() -> None:
    images = np.zeros((1, 1, 64, 64), dtype=np.float32)
    images[0, 0, :8, 8:16] = 1.0
    thumbnail = thumbnails(images)[0]
    assert thumbnail.tolist() == [0, 1] + [0] * 62
    histogram = histograms(images)[0]
    assert histogram[0] == pytest.approx(63 / 64)
    assert histogram[15] == pytest.approx(1 / 64)
    color = np.zeros((1, 3, 64, 64), dtype=np.float32)
    color[0, 1] = 0.5
    assert np.flatnonzero(histograms(color)[0]).tolist() == [0, 16 + 8, 32]


@pytest.mark.parametrize(("positives", "expected"), [(60, "pass"), (6, "warn"), (0, "fail")])
def test_balance(tmp_path: Path, positives: int, expected: str) -> None:
    catalog = catalog_of(tmp_path, textures(1), [0], ["train"])
    rows = [f"{i:03d}" for i in range(N)]
    table = pd.DataFrame({"id": rows, "path": rows, "group": rows, "split": SPLITS})
    check = check_balance(replace(catalog, table=table.assign(label=[int(i < positives) for i in range(N)])))
    assert check.status == expected
    assert check.numbers["majority_accuracy"] == pytest.approx(max(positives, N - positives) / N)


def test_a_part_without_a_class_fails(tmp_path: Path) -> None:
    catalog = catalog_of(tmp_path, textures(1), [0], ["train"])
    rows = [f"{i:03d}" for i in range(N)]
    table = pd.DataFrame(
        {"id": rows, "path": rows, "group": rows, "split": SPLITS, "label": [int(i < 40) for i in range(N)]}
    )
    assert check_groups(replace(catalog, table=table)).status == "fail"


def test_the_real_fundus_set_holds_one_patient_under_two_names(shared_data: Path) -> None:
    """Patients 299 and 300 have the same photographs: whether the check fails depends on where the split puts them."""
    catalog = real_catalogs(shared_data / "real")["fundus"]
    chosen = catalog.table[catalog.table["group"].isin(["Patient299", "Patient300", "Patient004", "Patient005"])]
    part = {"Patient299": "train", "Patient300": "test", "Patient004": "train", "Patient005": "test"}
    small = replace(catalog, table=chosen.assign(split=chosen["group"].map(part)))
    check = check_catalog(small)[-1]
    assert check.status == "fail"
    assert {pair["first"] for pair in check.numbers["examples"]} == {
        "images/Patient299_L.jpg",
        "images/Patient299_R.jpg",
    }
