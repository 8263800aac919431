"""`write_investigation`: what became of the images of a case, on one self-contained page, with the proofs beside it.

Beside the page: findings.json (everything but the pictures), proofs/ (one bundle a record), log.key (to check them).
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from mithridate import __version__
from mithridate.files import replace_file, replace_text
from mithridate.ledger.investigate.blocks import block_means
from mithridate.ledger.investigate.findings import ImageFinding, Investigation
from mithridate.report import investigation_words as words
from mithridate.report.changes import Marker, change_picture, marker, nice_scale
from mithridate.report.page import asset, environment, smallest_fitting
from mithridate.report.pictures import Encoding, data_uri

LARGEST = 15_000_000
"""Bytes that a page aims to stay below: what a mail server takes."""


@dataclass(frozen=True)
class Generosity:
    """How well pictures are shown: their longest side in pixels, their encoding, and of how many images."""

    side: int
    encoding: Encoding
    images: int


LEVELS = (
    Generosity(800, "lossless", 200),
    Generosity(800, "display", 200),
    Generosity(400, "display", 200),
    Generosity(400, "display", 40),
    Generosity(200, "display", 20),
)
"""From the most generous: the first whose page is small enough is written, else the last."""


@dataclass(frozen=True)
class Plate:
    """The pictures of one image, as data URIs with their sizes in pixels: captured, found and, where they can be
    compared, the change with the value that its full color stands for, and a frame around what differs."""

    captured: str
    found: str
    change: str | None
    width: int
    height: int
    found_width: int
    found_height: int
    scale: str
    marker: Marker | None


def write_investigation(found: Investigation, out: Path) -> Path:
    """Write report.html, findings.json, log.key and proofs/ into a folder, and return the page's path.

    Raises UserError when the folder cannot be written.
    """
    html = render(found)
    replace_text(out / "findings.json", json.dumps(found.to_json(), indent=2) + "\n")
    replace_text(out / "log.key", found.log.key + "\n")
    for index, bundle in found.proofs.items():
        replace_file(out / "proofs" / words.proof_name(index), partial(_write_bytes, bundle))
    replace_text(out / "report.html", html)
    return out / "report.html"


def render(found: Investigation) -> str:
    """The page as text: its pictures as good as its size allows."""
    return smallest_fitting(LEVELS, partial(_render, found), LARGEST)


def _render(found: Investigation, generosity: Generosity) -> str:
    concerns = [image for image in found.images if not image.is_accepted or image.twins]
    shown = [image for image in concerns if image.comparison is not None][: generosity.images]
    plates = {id(image): _plate(image, generosity) for image in shown}
    return environment(moment=words.moment).get_template("investigation.html.j2").render(
        found=found,
        concerns=concerns,
        sound=[image for image in found.images if image.is_accepted and not image.twins],
        plate=lambda image: plates.get(id(image)),
        hidden=sum(image.comparison is not None for image in concerns) - len(shown),
        words=words,
        proof=_proof_link(found),
        version=__version__,
        style=asset("style.css") + "\n" + asset("investigation.css"),
    )  # fmt: skip


def _plate(image: ImageFinding, generosity: Generosity) -> Plate | None:
    comparison = image.comparison
    if comparison is None:
        return None
    captured, found = (block_means(picture, generosity.side) for picture in (comparison.captured, comparison.found))
    difference, change, scale = comparison.difference, None, 1.0
    if difference is not None and difference.change is not None:
        scale = nice_scale(difference.largest)
        change = data_uri(change_picture(difference.change, scale, generosity.side).transpose(2, 0, 1), "lossless")
    return Plate(
        captured=data_uri(captured.transpose(2, 0, 1), generosity.encoding),
        found=data_uri(found.transpose(2, 0, 1), generosity.encoding),
        change=change,
        width=captured.shape[1],
        height=captured.shape[0],
        found_width=found.shape[1],
        found_height=found.shape[0],
        scale=f"{scale:,.10g}",
        marker=marker(comparison),
    )


def _proof_link(found: Investigation) -> Callable[[int], str]:
    def link(index: int) -> str:
        return "data:application/octet-stream;base64," + base64.b64encode(found.proofs[index]).decode()

    return link


def _write_bytes(content: bytes, path: Path) -> None:
    path.write_bytes(content)
