from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from pydicom import dcmread
from pydicom.data import get_testdata_file

from imaging.sources.tables import write
from mithridate.errors import UserError
from mithridate.imaging.images import ImageStore
from mithridate.imaging.labels import LabelRule
from mithridate.imaging.sources import Request, build_catalog
from mithridate.imaging.sources.dicom_folder import pseudonym


def shipped(name: str) -> Path:
    found = get_testdata_file(name, download=False)
    assert isinstance(found, str)
    return Path(found)


@pytest.fixture
def study(tmp_path: Path) -> Path:
    """24 images of 12 patients (the second of each is brighter), a clip, a report, and a text file."""
    source = dcmread(shipped("MR_small.dcm"))
    for i in range(24):
        source.SOPInstanceUID = source.file_meta.MediaStorageSOPInstanceUID = f"1.2.3.{i}"
        source.PatientID = f"PAT-{i // 2}"
        folder = tmp_path / f"study{i // 2}"
        folder.mkdir(exist_ok=True)
        source.save_as(folder / f"im{i}", enforce_file_format=True)  # no suffix, as scanners write them
    shutil.copy(shipped("test-SR.dcm"), tmp_path / "report.dcm")
    shutil.copy(shipped("examples_ybr_color.dcm"), tmp_path / "clip.dcm")
    (tmp_path / "README.txt").write_text("not an image")
    return tmp_path


RULE = LabelRule.parse("label=1")


def build(root: Path, *lines: str, **changes: object):  # type: ignore[no-untyped-def]
    write(root / "labels.csv", *lines)
    return build_catalog("dicom-folder", Request(root=root, positive=RULE, **changes))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("column", "key"),
    [("SOPInstanceUID", "1.2.3.{i}"), ("file", "im{i}"), ("filename", "study{p}/im{i}")],
)
def test_labels_are_matched_by_instance_or_file(study: Path, column: str, key: str) -> None:
    lines = [f"{key.format(i=i, p=i // 2)},{i // 2 % 2}" for i in range(24)]
    catalog = build(study, f"{column},label", *lines)
    table = catalog.table.set_index("id")
    assert {i: int(table.loc[f"1.2.3.{i}", "label"]) for i in range(24)} == {i: i // 2 % 2 for i in range(24)}
    assert table.loc["1.2.3.4", "group"] == table.loc["1.2.3.5", "group"] == pseudonym("PAT-2")
    assert any("1 images have no line" in note for note in catalog.notes)  # the clip
    assert any("1 DICOM files without an image" in note for note in catalog.notes)  # the report


def test_labels_by_patient_reach_all_images_and_hide_the_patient_id(study: Path) -> None:
    catalog = build(study, "PatientID,label", *(f"PAT-{p},{p % 2}" for p in range(12)))
    assert len(catalog) == 24
    assert int(catalog.labels.sum()) == 12
    assert "PAT-" not in catalog.table.to_csv()


def test_a_clip_enters_with_the_frame_that_was_asked_for(study: Path) -> None:
    lines = [*(f"im{i},{i // 2 % 2}" for i in range(24)), "clip.dcm,1"]
    catalog = build(study, "file,label", *lines, frame=7)
    path = catalog.table.loc[catalog.table["path"].str.startswith("clip"), "path"].iloc[0]
    assert path == "clip.dcm#7"
    row = int(np.flatnonzero(catalog.table["path"] == path)[0])
    assert ImageStore(catalog, 64).load([row]).shape == (1, 3, 64, 64)
    with pytest.raises(UserError, match=r"clip\.dcm has no frame 30"):
        build(study, "file,label", *lines, frame=30)


def test_a_table_that_names_missing_images_says_how_many(study: Path) -> None:
    lines = [*(f"im{i},{i // 2 % 2}" for i in range(24)), "gone1,1", "gone2,0"]
    with pytest.raises(UserError, match="names 2 of 26 file values that no image has"):
        build(study, "file,label", *lines)
    assert len(build(study, "file,label", *lines, missing="drop")) == 24


def test_a_table_without_a_key_and_a_folder_without_images_are_named(study: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no column SOPInstanceUID, PatientID or file"):
        build(study, "name,label", "a,1")
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match="holds no DICOM file"):
        build(tmp_path / "empty", "file,label", "a,1", "b,0")


def test_the_same_instance_twice_is_refused(study: Path) -> None:
    shutil.copy(study / "study0" / "im0", study / "copy")
    with pytest.raises(UserError, match="are the same SOP instance"):
        build(study, "file,label", *(f"im{i},{i // 2 % 2}" for i in range(24)))
