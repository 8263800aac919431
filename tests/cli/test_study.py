"""The study of real images, on a folder that has their layout: phantoms saved as files."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mithridate.audit.folder import RunFolder
from mithridate.imaging.cards import read_card
from mithridate.imaging.phantoms import chest, fundus, skin
from mithridate.seeds import generator

RECIPE = """\
architecture: resnet-small
head: linear
pretrained: none
size: 32
optimizer: adamw
learning_rate: 0.003
batch_size: 16
epochs: 2
monitor: none
"""
RENDER = {"fundus": fundus.render, "chest": chest.render, "skin": skin.render}
TABLES = {
    "fundus": ("image,patient,eye,icdr_grade", "{n}.png,p{n},L,{grade}"),
    "chest": (
        "Image Index,Finding Labels,Patient ID,Patient Age,Patient Gender,View Position",
        "{n}.png,{finding},{n},50,F,PA",
    ),
    "skin": ("isic_id,lesion_id,benign_malignant", "ISIC_{n},L_{n},{word}"),
}  # fmt: skip


def save_images(folder: Path, task: str) -> None:
    """Forty patients with one image each, half of them positive."""
    (folder / task / "images").mkdir(parents=True)
    head, line = TABLES[task]
    rows = [head]
    for n in range(40):
        positive = n % 2
        pixels = RENDER[task](64, 0.95 if positive else 0.05, generator(n, task), generator(n, task, "image"))
        name = f"ISIC_{n}.png" if task == "skin" else f"{n}.png"
        Image.fromarray((pixels.squeeze() * 255).astype(np.uint8)).save(folder / task / "images" / name)
        words = {"finding": ("No Finding", "Effusion|Pneumonia")[positive], "word": ("benign", "malignant")[positive]}
        rows.append(line.format(n=n, grade=3 * positive, **words))
    (folder / task / "labels.csv").write_text("\n".join(rows) + "\n")


def study(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "mithridate.cli.main", "study", *map(str, arguments)],
        capture_output=True, text=True, check=False, timeout=900,
    )  # fmt: skip


@pytest.mark.slow
def test_a_study_goes_from_image_files_to_report_and_page(tmp_path: Path) -> None:
    for task in RENDER:
        save_images(tmp_path / "data", task)
    (tmp_path / "recipe.yaml").write_text(RECIPE)
    out = tmp_path / "out"
    arguments = (tmp_path / "data", "--out", out, "--recipe", tmp_path / "recipe.yaml", "--page", tmp_path / "page.md")
    done = study(*arguments)
    assert done.returncode == 0, done.stderr
    results = RunFolder(out / "run").results()
    assert [task.task for task in results.tasks] == ["fundus", "chest", "skin"]
    assert not results.synthetic
    assert (out / "run" / "report.html").is_file()
    page = (tmp_path / "page.md").read_text()
    for task in results.tasks:
        victim, surrogate = (read_card(out / "models" / task.task / role) for role in ("victim", "surrogate"))
        assert victim.sha256 != surrogate.sha256
        assert task.victim["sha256"] == victim.sha256
        assert f"### {task.task}: {task.positive}" in page
        assert f"{victim.test.auc.value:.3f}" in page
    # Nothing is done twice: the same command only reads.
    before = {file: file.stat().st_mtime_ns for file in out.rglob("*.safetensors")}
    again = study(*arguments)
    assert again.returncode == 0
    assert {file: file.stat().st_mtime_ns for file in out.rglob("*.safetensors")} == before
    # Other images do not mix into the study.
    (tmp_path / "data" / "skin" / "images" / "ISIC_0.png").rename(
        tmp_path / "data" / "skin" / "images" / "ISIC_900.png"
    )
    table = tmp_path / "data" / "skin" / "labels.csv"
    table.write_text(table.read_text().replace("ISIC_0,L_0", "ISIC_900,L_900"))
    other = study(*arguments)
    assert other.returncode == 2
    assert "holds a study of other images" in " ".join(other.stderr.split())
