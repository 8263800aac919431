"""Every edit, deletion and insertion of an attribute that a model may see is found, and named."""

from __future__ import annotations

from collections.abc import Iterator
from copy import deepcopy
from typing import Any

import pytest
from pydicom import Dataset
from pydicom.datadict import dictionary_VR, tag_for_keyword
from pydicom.uid import JPEG2000Lossless

from ledger.dicom_files import FOLDER, read, write
from mithridate.ledger.fingerprint import Verdict, compare, fingerprint_image
from mithridate.ledger.fingerprint.dicom_schema import (
    ATTRIBUTES,
    CODING,
    IDENTITY,
    MACROS,
    OTHER_OVERLAY,
    OVERLAY_ELEMENTS,
    SCHEMA,
    SCOPES,
    TOP_LEVEL,
)
from mithridate.ledger.fingerprint.verdict import Judgement
from mithridate.ledger.sealed import SealedFingerprint

SALT = bytes(range(32))
BASES = ("CT_small.dcm", "examples_palette.dcm", "MR_small_RLE.dcm", "JPEG2000.dcm")
SAMPLES: dict[str, Any] = {
    **dict.fromkeys(("CS", "LO", "SH", "ST", "LT", "AE"), "ADDED"),
    **dict.fromkeys(("DS", "IS", "US", "UL", "SS", "SL", "US or SS"), 3),
    **dict.fromkeys(("FL", "FD"), 0.5),
    **dict.fromkeys(("OB", "OW", "US or OW"), b"\x01\x02"),
    "PN": "Doe^Jane",
    "UI": "1.2.3",
    "DA": "20200101",
    "TM": "120000",
    "DT": "20200101120000",
    "AT": 0x00181063,
}


def changes(dataset: Dataset, keyword: str) -> Iterator[tuple[str, Dataset]]:
    """The data set with one attribute inserted where it is absent, else changed, emptied and deleted."""
    if keyword not in dataset:
        inserted = deepcopy(dataset)
        setattr(inserted, keyword, _sample(keyword))
        yield "inserted", inserted
        return
    for kind, value in (("changed", _changed(dataset[keyword].value, keyword)), ("emptied", None)):
        edited = deepcopy(dataset)
        edited[keyword].value = value
        if kind == "changed" or not dataset[keyword].is_empty:
            yield kind, edited
    deleted = deepcopy(dataset)
    del deleted[keyword]
    yield "deleted", deleted


def judge(recorded: SealedFingerprint, dataset: Dataset) -> Judgement:
    return compare(recorded, fingerprint_image(write(dataset), "edited"), SALT)


def seal(dataset: Dataset) -> SealedFingerprint:
    return fingerprint_image(write(dataset), "recorded").seal(SALT)


@pytest.mark.parametrize("base", BASES)
def test_every_edit_of_an_attribute_is_named(base: str) -> None:
    dataset = read(base)
    recorded = fingerprint_image((FOLDER / base).read_bytes(), base).seal(SALT)
    for keyword in (*TOP_LEVEL, *IDENTITY, "PlanarConfiguration"):
        for kind, edited in changes(dataset, keyword):
            judgement = judge(recorded, edited)
            found = (keyword, kind, judgement.verdict, judgement.attributes)
            assert found == (keyword, kind, Verdict.METADATA_EDITED, (keyword,))


def test_an_edit_is_named_after_transcoding_too() -> None:
    dataset = read("CT_small.dcm")
    recorded = seal(dataset)
    dataset.compress(JPEG2000Lossless, generate_instance_uid=False)
    for keyword in ("RescaleSlope", "WindowCenter", "ImageOrientationPatient", "PatientID", "SOPInstanceUID"):
        for _, edited in changes(dataset, keyword):
            judgement = judge(recorded, edited)
            assert (judgement.verdict, judgement.attributes) == (Verdict.METADATA_EDITED, (keyword,))


@pytest.mark.parametrize("macro", MACROS)
@pytest.mark.parametrize("scope", SCOPES)
def test_every_edit_in_a_functional_group_is_named(scope: str, macro: str) -> None:
    for keyword in (*MACROS[macro], "InstanceCreationDate"):
        without = _enhanced(scope, macro)
        dataset = deepcopy(without)
        getattr(dataset, scope)[-1][macro].value[0].add_new(*_element(keyword))
        name = f"{scope}.{macro}.{keyword if keyword in MACROS[macro] else '(other)'}"
        inserted = judge(seal(without), dataset)
        assert (inserted.verdict, inserted.attributes) == (Verdict.METADATA_EDITED, (name,))
        recorded = seal(dataset)
        assert judge(recorded, without).attributes == (name,)
        item = getattr(dataset, scope)[-1][macro].value[0]
        item[keyword].value = _changed(item[keyword].value, keyword)
        assert judge(recorded, dataset).attributes == (name,)


def test_exchanged_frame_groups_are_named() -> None:
    dataset = _enhanced("PerFrameFunctionalGroupsSequence", "PlanePositionSequence")
    groups = dataset.PerFrameFunctionalGroupsSequence
    for place, group in enumerate(groups):
        group.PlanePositionSequence[0].ImagePositionPatient = [0, 0, place]
    recorded = seal(dataset)
    dataset.PerFrameFunctionalGroupsSequence = [groups[1], groups[0]]
    found = judge(recorded, dataset).attributes
    assert found == ("PerFrameFunctionalGroupsSequence.PlanePositionSequence.ImagePositionPatient",)
    dataset.PerFrameFunctionalGroupsSequence = [groups[0]]
    assert "PerFrameFunctionalGroupsSequence.items" in judge(recorded, dataset).attributes


@pytest.mark.parametrize("group", [0x6000, 0x6002, 0x60FE])
def test_every_edit_of_an_overlay_is_named(group: int) -> None:
    dataset = read("examples_overlay.dcm")
    recorded = seal(dataset)
    names = {**OVERLAY_ELEMENTS, 0x0022: OTHER_OVERLAY}
    for element, name in names.items():
        edited = deepcopy(dataset)
        tag = group << 16 | element
        if tag in edited:
            del edited[tag]
        else:
            edited.add_new(tag, *(("OW", b"\x01\x00") if name == "OverlayData" else ("LO", "G")))
        judgement = judge(recorded, edited)
        assert (judgement.verdict, judgement.attributes) == (Verdict.METADATA_EDITED, (name,))


def test_an_edit_deep_inside_a_look_up_table_is_named() -> None:
    dataset = read("CT_small.dcm")
    table = Dataset()
    table.LUTDescriptor, table.ModalityLUTType = [256, 0, 16], "US"
    table.add_new("LUTData", "OW", bytes(range(256)) * 2)
    dataset.ModalityLUTSequence = [table]
    recorded = seal(dataset)
    table.LUTData = bytes(range(256)) + bytes(range(255)) + b"\x00"
    judgement = judge(recorded, dataset)
    assert (judgement.verdict, judgement.attributes) == (Verdict.METADATA_EDITED, ("ModalityLUTSequence",))


def test_the_spelling_of_a_number_is_no_edit_and_a_small_difference_is() -> None:
    dataset = read("CT_small.dcm")
    dataset.RescaleSlope = "1"
    recorded = seal(dataset)
    for spelling in ("1.0", "01", "+1", "1E0", "10e-1", " 1 "):
        dataset.RescaleSlope = spelling
        assert judge(recorded, dataset).verdict in (Verdict.TRANSCODED, Verdict.IDENTICAL)
    for other in ("1.000000000001", "-1", "10", ""):
        dataset.RescaleSlope = other
        assert judge(recorded, dataset).attributes == ("RescaleSlope",)


def test_another_vr_under_the_same_bytes_is_an_edit() -> None:
    dataset = read("CT_small.dcm")
    dataset.PixelPaddingValue = -2000
    recorded = seal(dataset)
    dataset["PixelPaddingValue"].VR = "US"
    dataset["PixelPaddingValue"].value = 65536 - 2000  # the same two bytes, read as another number
    judgement = judge(recorded, dataset)
    assert (judgement.verdict, judgement.attributes) == (Verdict.METADATA_EDITED, ("PixelPaddingValue",))


def test_a_number_that_only_some_readers_understand_is_an_edit() -> None:
    data = write(read("CT_small.dcm"))
    before = data.index(b"DS", data.index(bytes.fromhex("2800521044530600"))) + 4
    assert data[before : before + 6] == b"-1024 "
    recorded = fingerprint_image(data, "recorded").seal(SALT)
    for spelling, edited in ((b"-01024", ()), (b"-1_024", ("RescaleIntercept",)), (b"-1024x", ("RescaleIntercept",))):
        changed = fingerprint_image(data[:before] + spelling + data[before + 6 :], "edited")
        assert compare(recorded, changed, SALT).attributes == edited


def test_what_no_model_reads_is_no_edit() -> None:
    dataset = read("CT_small.dcm")
    recorded = seal(dataset)
    dataset.InstanceCreatorUID = "1.2.3"
    dataset.add_new(0x00091001, "LO", "private")
    dataset.file_meta.ImplementationVersionName = "OTHER"
    dataset.preamble = b"II*\x00" + bytes(124)
    assert judge(recorded, dataset).verdict is Verdict.TRANSCODED


def test_several_edits_are_all_named() -> None:
    dataset = read("CT_small.dcm")
    recorded = seal(dataset)
    dataset.PatientID, dataset.WindowWidth, dataset.BitsStored = "other", 7, 12
    assert set(judge(recorded, dataset).attributes) == {"PatientID", "WindowWidth", "BitsStored"}
    pixels = bytearray(dataset.PixelData)
    pixels[100] ^= 1
    dataset.PixelData = bytes(pixels)
    judgement = judge(recorded, dataset)
    assert judgement.verdict is Verdict.MISMATCH
    assert "PatientID" in judgement.attributes


def test_another_image_of_another_patient_is_a_mismatch() -> None:
    recorded = seal(read("CT_small.dcm"))
    judgement = judge(recorded, read("MR_small.dcm"))
    assert judgement.verdict is Verdict.MISMATCH
    assert {"PatientID", "Rows", "Modality"} <= set(judgement.attributes)
    assert not judgement.verdict.is_accepted


def test_a_wrong_salt_never_makes_an_image_acceptable() -> None:
    data = write(read("MR_small.dcm"))
    recorded = fingerprint_image(data, "recorded").seal(SALT)
    candidate = fingerprint_image((FOLDER / "MR_small_implicit.dcm").read_bytes(), "candidate")
    assert compare(recorded, candidate, SALT).verdict is Verdict.TRANSCODED
    assert compare(recorded, candidate, bytes(32)).verdict is Verdict.METADATA_EDITED


def test_the_schema_lists_each_name_once_and_only_known_ones() -> None:
    for names in (ATTRIBUTES, IDENTITY, CODING):
        assert len(set(names)) == len(names)
    for keyword in (*TOP_LEVEL, *IDENTITY, *MACROS, *SCOPES, *(k for keys in MACROS.values() for k in keys)):
        assert tag_for_keyword(keyword) is not None
    assert (SCHEMA, len(CODING), len(ATTRIBUTES), len(IDENTITY)) == ("dicom/1", 3, 231, 32)  # records hold positions


def _sample(keyword: str) -> Any:
    vr = dictionary_VR(keyword)
    if vr != "SQ":
        return SAMPLES[vr]
    item = Dataset()
    item.CodeValue = "ADDED"
    return [item]


def _element(keyword: str) -> tuple[int, str, Any]:
    vr = dictionary_VR(keyword)
    tag = tag_for_keyword(keyword)
    assert tag is not None
    return tag, {"US or SS": "US", "US or OW": "OW"}.get(vr, vr), _sample(keyword)


def _changed(value: Any, keyword: str) -> Any:
    vr = dictionary_VR(keyword)
    if vr == "SQ":
        copy = deepcopy(list(value))
        return [*copy, *_sample(keyword)]
    if isinstance(value, bytes):
        return bytes([value[0] ^ 1]) + value[1:] if value else b"\x01\x00"
    several = list(value) if not isinstance(value, str | int | float) and hasattr(value, "__len__") else [value]
    first = several[0] if several else None
    if vr in ("DS", "IS", "US", "UL", "SS", "SL", "FL", "FD", "US or SS", "US or OW"):
        new: Any = (first or 0) + 1
    else:
        new = {"DA": "19990909", "TM": "010203", "UI": "1.2.9", "AT": 0x00181065}.get(vr, "CHANGED")
    return [new, *several[1:]] if len(several) > 1 else new


def _enhanced(scope: str, macro: str) -> Dataset:
    """A two-frame image with an empty item of one macro in each item of a functional group."""
    dataset = read("MR_small.dcm")
    dataset.NumberOfFrames = 2
    dataset.PixelData = dataset.PixelData * 2
    groups = []
    for _ in range(1 if scope.startswith("Shared") else 2):
        group, item = Dataset(), Dataset()
        item.LossyImageCompression = "00"
        setattr(group, macro, [item])
        groups.append(group)
    setattr(dataset, scope, groups)
    return dataset
