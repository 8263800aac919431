"""The page of an investigation: it says what was found, shows it where it is, holds the proofs, and needs nothing."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterator
from html import unescape
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ledger.dicom_files import FOLDER
from ledger.investigate.scene import Scene, build, changed, with_pixels
from mithridate.ledger.bundle import ProofBundle, judge_offline
from mithridate.ledger.fingerprint import Verdict
from mithridate.ledger.investigate import Case, Investigation, investigate
from mithridate.ledger.investigate.findings import Box, Difference
from mithridate.report.changes import FALLEN, RISEN, SAME, change_picture, nice_scale
from mithridate.report.investigation import LARGEST, write_investigation
from mithridate.report.investigation_words import where

CT = (FOLDER / "CT_small.dcm").read_bytes()


def burned() -> bytes:
    def burn(pixels: np.ndarray) -> None:
        pixels[20:30, 40:45] += 7
        pixels[29, 44] -= 57

    return with_pixels("CT_small.dcm", burn)


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    made = build(tmp_path_factory.mktemp("scene"))
    made.capture("ct.dcm", CT)
    made.capture("mr.dcm", (FOLDER / "MR_small.dcm").read_bytes())
    yield made
    made.ledger.close()


@pytest.fixture(scope="module")
def found(scene: Scene) -> Investigation:
    scene.find("a burned.dcm", burned())
    scene.find("b <script>alert(1)<script>.dcm", changed("CT_small.dcm", _rename))
    scene.find("c same.dcm", CT)
    scene.find("d stranger.dcm", b"no image")
    return investigate(scene.ledger, Case(), [scene.found], originals=[scene.archive], stated={"CT1": 5})


def _rename(dataset: object) -> None:
    dataset.PatientID = "<b>x</b>"  # type: ignore[attr-defined]


@pytest.fixture(scope="module")
def folder(found: Investigation, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("report") / "case"
    assert write_investigation(found, out) == out / "report.html"
    return out


@pytest.fixture(scope="module")
def page(folder: Path) -> str:
    return (folder / "report.html").read_text()


def test_the_answer_comes_first_and_counts(page: str) -> None:
    lead = re.search(r'<p class="lead">(.*?)</p>', page)
    assert lead is not None
    assert lead.group(1) == (
        "2 of 4 images were altered after capture. The log holds no record of 1 image. "
        "3 records that devices numbered never reached the log."
    )
    tiles = {label.strip(): int(count) for count, label in re.findall(r"<b>([\d,]+)</b> ([^<]+)</li>", page)}
    assert tiles["as captured"] == 1
    assert tiles["altered after capture"] == 2
    assert tiles["numbered, never logged"] == 3


def test_the_change_is_painted_where_it_is(page: str) -> None:
    pictures = re.findall(r'src="data:image/webp;base64,([^"]+)"[^>]*alt="([^"]*)"', page)
    (painted,) = [data for data, alt in pictures if alt.startswith("Where a burned.dcm differs")]
    pixels = np.asarray(Image.open(BytesIO(base64.b64decode(painted))).convert("RGB")).astype(float) / 255
    assert pixels.shape == (128, 128, 3)
    different = np.abs(pixels - SAME).max(axis=2) > 0.02
    assert (np.flatnonzero(different.any(1))[[0, -1]].tolist(), np.flatnonzero(different.any(0))[[0, -1]].tolist()) == (
        [20, 29],
        [40, 44],
    )
    assert np.abs(pixels[29, 44] - FALLEN).max() < 0.02  # the strongest change has full color
    assert pixels[20, 40, 0] > pixels[20, 40, 2]  # what rose is red
    marks = re.findall(r"left:([\d.]+)%;top:([\d.]+)%;width:([\d.]+)%;height:([\d.]+)%", page)
    assert set(marks) == {("31.25", "15.625", "3.906", "7.812")}


def test_the_page_needs_nothing_and_runs_nothing(page: str) -> None:
    assert "default-src 'none'" in page
    assert "<script" not in page
    assert not re.findall(r'(?:src|href)="(?!data:|#)', page)
    assert "&lt;script&gt;alert(1)&lt;script&gt;.dcm" in page
    assert len(page.encode()) < LARGEST


def test_identities_are_withheld(page: str, folder: Path) -> None:
    assert "withheld" in page
    for text in (page, (folder / "findings.json").read_text()):
        assert "1CT1" not in text
        assert "&lt;b&gt;x" not in text


def test_proofs_on_the_page_and_beside_it_are_the_same_and_hold(page: str, folder: Path, scene: Scene) -> None:
    links = dict(re.findall(r'href="data:application/octet-stream;base64,([^"]+)" download="([^"]+)"', page))
    named = {name: base64.b64decode(unescape(data)) for data, name in links.items()}
    beside = {path.name: path.read_bytes() for path in (folder / "proofs").iterdir()}
    assert named == beside
    (proof,) = beside.values()
    judgement = judge_offline(ProofBundle.decode(proof), scene.ledger.verifier(), burned(), "image")
    assert judgement.verdict is Verdict.MISMATCH
    assert (folder / "log.key").read_text().strip() == str(scene.ledger.verifier())
    assert len(json.loads((folder / "findings.json").read_text())["images"]) == 4


def test_scales_are_round_and_never_too_small() -> None:
    for largest, scale in ((0, 1), (1, 1), (1.5, 2), (2, 2), (3, 5), (7, 10), (50, 50), (900, 1000), (0.03, 0.05)):
        assert nice_scale(largest) == pytest.approx(scale)


def test_the_smallest_change_still_shows() -> None:
    change = np.zeros((2, 2), np.float32)
    change[0] = -100, 0.001
    picture = change_picture(change, 100, 800)
    assert np.allclose(picture[0, 0], FALLEN)
    assert np.allclose(picture[1], SAME)
    assert 0.01 < np.abs(picture[0, 1] - SAME).max() < np.abs(RISEN - SAME).max()


def test_where_is_said_in_numbers() -> None:
    spot = Difference(2, (2, 5), 7, 128, 128, 50, 50.0, 0.02, Box(20, 40, 30, 45), None)
    assert where(spot) == (
        "50 of 16,384 pixels (0.3%) differ, by at most 50 stored values. They lie within rows 21 to 30 and columns 41 "
        "to 45, counted from 1. 2 of 7 frames differ; frame 3 is shown."
    )
    everywhere = Difference(0, (0,), 1, 4, 4, 16, 1.0, 1.0, Box(0, 0, 4, 4), None)
    assert where(everywhere) == "16 of 16 pixels (100%) differ, by at most 1 stored value."
    pixel = Difference(0, (0,), 1, 1000, 1000, 1, 1.0, 1e-6, Box(3, 4, 4, 5), None)
    assert where(pixel).endswith(
        "(<0.1%) differ, by at most 1 stored value. They lie within row 4 and column 5, counted from 1."
    )
