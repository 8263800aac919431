from __future__ import annotations

import gzip
import os
from pathlib import Path

import pytest

from imaging.sources.tables import images, write
from mithridate.errors import UserError
from mithridate.imaging.labels import LabelRule
from mithridate.imaging.sources import Request, build_catalog
from mithridate.imaging.tasks import Fractions

HEADER_2020 = (
    "Image Index,Finding Labels,Follow-up #,Patient ID,Patient Age,Patient Gender,View Position,"
    "OriginalImage[Width,Height],OriginalImagePixelSpacing[x,y]"
)
HEADER_PLAIN = (
    "Image Index,Finding Labels,Follow-up #,Patient ID,Patient Age,Patient Sex,View Position,"
    "OriginalImageWidth,OriginalImageHeight,OriginalImagePixelSpacing_x,OriginalImagePixelSpacing_y"
)

# Patient 1 has a pneumothorax, one more with effusion, and a clear image: the clear one is no control.
# Patient 2 is clear twice; patient 3 has another finding (no part) and a clear image (a control).
ROWS = [
    ("00000001_000.png", "Pneumothorax", "1"),
    ("00000001_001.png", "Effusion|Pneumothorax", "1"),
    ("00000001_002.png", "No Finding", "1"),
    ("00000002_000.png", "No Finding", "2"),
    ("00000002_001.png", "No Finding", "2"),
    ("00000003_000.png", "Mass", "3"),
    ("00000003_001.png", "No Finding", "3"),
] + [
    (f"{i:08d}_000.png", finding, str(i))
    for start, finding in ((10, "Pneumothorax"), (20, "No Finding"))
    for i in range(start, start + 6)
]
POSITIVES = {"00000001_000.png", "00000001_001.png"} | {f"{i:08d}_000.png" for i in range(10, 16)}
CONTROLS = {"00000002_000.png", "00000002_001.png", "00000003_001.png"} | {f"{i:08d}_000.png" for i in range(20, 26)}


def lines(trailing: str = "") -> list[str]:
    return [f"{name},{finding},0,{patient},50,M,PA,2500,2048,0.168,0.168{trailing}" for name, finding, patient in ROWS]


@pytest.mark.parametrize("header", [HEADER_2020, HEADER_PLAIN])
@pytest.mark.parametrize(("in_header", "in_rows"), [("", ""), (",", ","), ("", ","), (",", "")])
def test_the_rule_is_exact_in_every_edition(tmp_path: Path, header: str, in_header: str, in_rows: str) -> None:
    table = write(tmp_path / "t.csv", header + in_header, *lines(in_rows))
    catalog = build_catalog("chestxray14", Request(metadata=(table,)))
    assert set(catalog.table["id"][catalog.table["label"] == 1]) == POSITIVES
    assert set(catalog.table["id"][catalog.table["label"] == 0]) == CONTROLS
    assert catalog.table.set_index("id").loc["00000002_001.png", "group"] == "2"
    assert set(catalog.table["sex"]) == {"M"}


def test_compressed_tables_and_byte_order_marks_are_read(tmp_path: Path) -> None:
    with gzip.open(tmp_path / "t.csv.gz", "wt", encoding="utf-8-sig") as file:
        file.write("\n".join([HEADER_2020, *lines()]))
    assert len(build_catalog("chestxray14", Request(metadata=(tmp_path / "t.csv.gz",)))) == 17


def test_another_finding_is_one_option(tmp_path: Path) -> None:
    rows = [line.replace("Pneumothorax", "Pneumonia") for line in lines()]
    table = write(tmp_path / "t.csv", HEADER_2020, *rows)
    catalog = build_catalog("chestxray14", Request(metadata=(table,), positive=LabelRule.parse("pneumonia")))
    assert set(catalog.table["id"][catalog.table["label"] == 1]) == POSITIVES
    assert catalog.task.positive == "pneumonia"


def test_patients_written_with_zeros_are_the_same_patients(tmp_path: Path) -> None:
    rows = lines()
    rows[2] = rows[2].replace(",0,1,50", ",0,00000001,50")
    catalog = build_catalog("chestxray14", Request(metadata=(write(tmp_path / "t.csv", HEADER_2020, *rows),)))
    assert "00000001_002.png" not in set(catalog.table["id"])


@pytest.mark.parametrize("layout", ["images", "images_{n:03d}/images", "."])
def test_images_are_found_in_every_layout(tmp_path: Path, layout: str) -> None:
    write(tmp_path / "Data_Entry_2017_v2020.csv", HEADER_2020, *lines())
    images(tmp_path, [f"{layout.format(n=i % 3 + 1)}/{name}" for i, (name, _, _) in enumerate(ROWS)])
    catalog = build_catalog("chestxray14", Request(root=tmp_path))
    assert set(catalog.table["id"]) == POSITIVES | CONTROLS
    assert all((tmp_path / path).is_file() for path in catalog.table["path"])
    assert not any("\\" in path or path.startswith("/") for path in catalog.table["path"])


def test_missing_images_are_counted_and_named_or_dropped(tmp_path: Path) -> None:
    write(tmp_path / "labels.csv", HEADER_2020, *lines())
    gone = sorted(CONTROLS)[:4]
    images(tmp_path, (POSITIVES | CONTROLS) - set(gone))
    with pytest.raises(UserError, match=rf"names 4 of 17 images .*{gone[0]}, {gone[1]}, {gone[2]}, \.\.\."):
        build_catalog("chestxray14", Request(root=tmp_path))
    catalog = build_catalog("chestxray14", Request(root=tmp_path, missing="drop"))
    assert len(catalog) == 13
    assert any("names 4 of 17 images" in note for note in catalog.notes)


def test_mistakes_are_named(tmp_path: Path) -> None:
    def fails(words: str, *content: str, positive: str = "Pneumothorax") -> None:
        table = write(tmp_path / "t.csv", *content)
        with pytest.raises(UserError, match=words):
            build_catalog("chestxray14", Request(metadata=(table,), positive=LabelRule.parse(positive)))

    fails(r"t\.csv has no columns Finding Labels, Patient ID: its columns are Image Index, x", "Image Index,x", "a,b")
    fails(r"names 00000001_000\.png on lines 2 and 21", HEADER_2020, *lines(), lines()[0])
    fails(r"no value in column 'Patient ID' on line 2", HEADER_2020, lines()[0].replace(",0,1,50", ",0,,50"))
    fails(
        r"has no 'Cardiomegaly' in column 'Finding Labels': its values are Effusion, Mass",
        HEADER_2020,
        *lines(),
        positive="Cardiomegaly",
    )
    fails(r"no image with the finding 'No Finding'", HEADER_2020, *lines()[:2])
    fails(r"t\.csv has no image of the class 'no finding'", HEADER_2020, *lines()[:3])
    fails(r"t\.csv has a header and no rows", HEADER_2020)
    with pytest.raises(UserError, match=r"no label table at .*none\.csv"):
        build_catalog("chestxray14", Request(metadata=(tmp_path / "none.csv",)))


def test_a_split_with_small_fractions_still_has_both_classes_everywhere(tmp_path: Path) -> None:
    table = write(tmp_path / "t.csv", HEADER_2020, *lines())
    counts = build_catalog("chestxray14", Request(metadata=(table,), fractions=Fractions(0.01, 0.01))).counts()
    for split in ("train", "validation", "test"):
        assert counts[split]["positive"]["images"] > 0
        assert counts[split]["negative"]["images"] > 0


def test_the_published_table_gives_the_published_cohort() -> None:
    """The counts of the paper's rule on all 112,120 rows; MITHRIDATE_NIH_TABLE names Data_Entry_2017_v2020.csv[.gz]."""
    table = os.environ.get("MITHRIDATE_NIH_TABLE")
    if not table:
        pytest.skip("MITHRIDATE_NIH_TABLE does not name the NIH metadata table")
    total = build_catalog("chestxray14", Request(metadata=(Path(table),))).counts()["total"]
    assert total["positive"] == {"images": 5302, "groups": 1487}
    assert total["negative"] == {"images": 52179, "groups": 23609}
