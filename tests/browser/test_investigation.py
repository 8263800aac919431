"""The investigation page in a real browser, opened as a file: without a network, by keyboard, at every width."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from browser.layout import stays_within
from ledger.investigate.scene import build_case
from mithridate.ledger.bundle import ProofBundle, judge_offline
from mithridate.ledger.fingerprint import Verdict
from mithridate.ledger.investigate import Case, investigate
from mithridate.ledger.note_keys import VerifierKey
from mithridate.report.investigation import write_investigation


@pytest.fixture(scope="module")
def case(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a case in which everything has happened; `ct.dcm` as found lies beside the page."""
    folder = tmp_path_factory.mktemp("case")
    scene = build_case(folder)
    found = investigate(scene.ledger, Case(), [scene.found], originals=[scene.archive], stated={"CT1": 9})
    write_investigation(found, folder / "out")
    shutil.copy(scene.found / "ct.dcm", folder / "out")
    scene.ledger.close()
    return folder / "out"


@pytest.fixture
def address(case: Path) -> str:
    return (case / "report.html").as_uri()


def test_every_altered_image_stands_beside_the_captured_one(page: Any) -> None:
    for name, frames in (("ct.dcm", 2), ("fundus.png", 2), ("color.dcm", 0)):
        article = page.locator("article", has=page.get_by_role("heading", name=name, exact=True))
        assert article.locator(".views img").count() == 3
        assert article.locator(".frame-mark:visible").count() == frames
    assert page.evaluate(
        "Promise.all([...document.images].map(i => i.decode())).then(() => "
        "[...document.images].every(i => i.naturalWidth > 0))"
    )


def test_the_frame_stands_where_the_pixels_differ(page: Any) -> None:
    """The circle that was pasted into 128 x 128 pixels lies in rows 51 to 69 and columns 81 to 99."""
    article = page.locator("article", has=page.get_by_role("heading", name="ct.dcm", exact=True))
    picture = article.locator(".picture").nth(1)
    outer, inner = picture.bounding_box(), picture.locator(".frame-mark").bounding_box()
    middle = [(inner[at] + inner[size] / 2 - outer[at]) / outer[size] for at, size in (("x", "width"), ("y", "height"))]
    assert middle == pytest.approx([(80 + 9.5) / 128, (50 + 9.5) / 128], abs=0.01)
    assert inner["width"] / outer["width"] > 19 / 128


def test_a_downloaded_proof_convicts_the_altered_file(page: Any, case: Path, tmp_path: Path) -> None:
    article = page.locator("article", has=page.get_by_role("heading", name="ct.dcm", exact=True))
    with page.expect_download() as download:
        article.get_by_role("link", name="Download the proof").click()
    proof = tmp_path / "proof"
    download.value.save_as(proof)
    key = VerifierKey.parse((case / "log.key").read_text().strip())
    data = (case / "ct.dcm").read_bytes()
    assert judge_offline(ProofBundle.decode(proof.read_bytes()), key, data, "ct.dcm").verdict is Verdict.MISMATCH


@pytest.mark.parametrize("width", [400, 800, 1400])
def test_the_page_never_scrolls_sideways(page: Any, width: int) -> None:
    stays_within(page, width)
    table = page.locator(".scroll", has=page.locator("#overview"))
    assert table.evaluate("e => e.scrollWidth <= e.clientWidth"), "on a phone its rows are stacked"


def test_the_keyboard_reaches_every_proof(page: Any) -> None:
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "Skip to the answer"
    wanted = page.locator("article a[download]").count()
    reached = set()
    for _ in range(80):
        page.keyboard.press("Tab")
        reached.add(page.evaluate("document.activeElement.getAttribute('download')"))
    assert wanted >= 6
    assert len(reached - {None}) >= 6


def test_it_prints(page: Any) -> None:
    page.emulate_media(media="print")
    assert page.pdf(prefer_css_page_size=True).startswith(b"%PDF")
    assert page.locator("article").first.is_visible()
