from __future__ import annotations

import xml.etree.ElementTree as ET
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mithridate.audit.results import Results
from mithridate.report.charts import charts
from mithridate.report.figures import write_figures
from mithridate.report.study import read_study
from mithridate.report.svg import HEIGHT, LEFT, RIGHT, WIDTH, chart_svg
from report.made import condition, study, task_result
from report.runs import build

NAMES = ("figure1", "figure2", "dose-response", "appendix")


def test_each_figure_is_a_picture_and_a_drawing(run: Path) -> None:
    for name in NAMES:
        picture = np.asarray(Image.open(run / "figures" / f"{name}.png").convert("RGB"))
        assert min(picture.shape[:2]) > 400
        assert picture.std() > 10
        assert ET.parse(run / "figures" / f"{name}.svg").getroot().tag.endswith("svg")


def test_the_drawings_name_every_class_and_probability(run: Path) -> None:
    text = (run / "figures" / "figure2.svg").read_text()
    for word in ("pneumothorax", "melanoma", "nevus", "right", "wrong", "White box", "Black box"):
        assert word in text


def test_equal_runs_give_equal_figures(tmp_path: Path) -> None:
    one = read_study(build(tmp_path / "run", ["histology"], n=20, kept=1))
    first, second = write_figures(one, tmp_path / "a"), write_figures(one, tmp_path / "b")
    assert len(first) == 2 * len(NAMES)
    for before, after in zip(first, second, strict=True):
        assert before.read_bytes() == after.read_bytes()


def test_figures_that_a_run_has_no_pictures_for_do_not_stay_from_an_older_one(tmp_path: Path) -> None:
    (tmp_path / "figure1.png").write_bytes(b"old")
    bare = study(tmp_path / "run", [task_result([condition("clean", 10, 9)])])
    assert write_figures(bare, tmp_path) == []
    assert not (tmp_path / "figure1.png").exists()


@pytest.fixture
def swept(tmp_path: Path) -> Results:
    sizes = (0.001, 0.01, 0.1)
    white = [condition("white-box", 50, 40 - 10 * i, size=s, cell=f"w{s}", sweep="w") for i, s in enumerate(sizes)]
    noise = [condition("noise", 50, 45, size=s, cell=f"n{s}", sweep="n") for s in sizes[:2]]
    turned = [condition("rotation", 50, 30, size=s, cell=f"r{s}", sweep="r") for s in (10.0, 20.0)]
    alone = [condition("black-box", 50, 30, size=0.01, cell="b", sweep="b")]
    study(tmp_path, [task_result([condition("clean", 50, 45), *white, *noise, *turned, *alone])])
    return read_study(tmp_path).results


def test_curves_that_share_an_axis_share_a_chart(swept: Results, tmp_path: Path) -> None:
    pixels, degrees = charts(read_study(tmp_path))
    assert [curve.kind for curve in pixels.curves] == ["white-box", "noise"]
    assert [point.size for point in pixels.curves[0].points] == [0.0, 0.001, 0.01, 0.1]
    assert [point.value for point in pixels.curves[0].points] == [0.9, 0.8, 0.6, 0.4]
    assert [curve.kind for curve in degrees.curves] == ["rotation"]
    styles = [curve.style for curve in pixels.curves]
    assert len({(s.dash, s.marker) for s in styles}) == len(styles)


def test_the_axis_is_logarithmic_for_pixels_and_linear_for_degrees(swept: Results, tmp_path: Path) -> None:
    pixels, degrees = charts(read_study(tmp_path))
    at = [pixels.position(s) for s in (0.0, 0.001, 0.01, 0.1)]
    assert (at[0], at[3]) == (0.0, pytest.approx(1.0))
    assert at[2] - at[1] == pytest.approx(at[3] - at[2])
    assert [degrees.position(s) for s in (0.0, 10.0, 20.0)] == pytest.approx([0.0, 0.5, 1.0])


def test_the_inline_chart_draws_every_point_inside_its_frame(swept: Results, tmp_path: Path) -> None:
    (pixels, _) = charts(read_study(tmp_path))
    root = ET.fromstring(str(chart_svg(pixels, "chart")))
    lines = list(root.iter("polyline"))
    assert sorted(len(line.attrib["points"].split()) for line in lines) == [3, 4]
    for line in lines:
        for pair in line.attrib["points"].split():
            x, y = map(float, pair.split(","))
            assert LEFT <= x <= WIDTH - RIGHT + 0.1
            assert 0 < y < HEIGHT
    description = root.find("desc")
    assert description is not None
    assert "from 90.0% at dose 0 to 40.0%" in str(description.text)
