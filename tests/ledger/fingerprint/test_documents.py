"""DICOM objects without an image: nothing is claimed of pixels, and everything that they say is covered."""

from __future__ import annotations

from collections.abc import Iterator
from copy import deepcopy

import pytest
from pydicom import Dataset
from pydicom.dataelem import DataElement
from pydicom.uid import UID, ExplicitVRLittleEndian

from ledger.dicom_files import FOLDER, NATIVE, read, to_syntax, write
from mithridate.ledger.fingerprint import Judgement, Verdict, compare, fingerprint_image
from mithridate.ledger.fingerprint.dicom_schema import DOCUMENT_SCHEMA, IDENTITY
from mithridate.ledger.fingerprint.model import FingerprintError
from mithridate.ledger.gate import Gate, GateRefusal, Policy, RefusalCode
from mithridate.ledger.log import Ledger

SALT = bytes(range(32))
DOCUMENTS = ("reportsi.dcm", "rtplan.dcm", "test-SR.dcm", "waveform_ecg.dcm")
SEGMENTATION = "1.2.840.10008.5.1.4.1.1.66.4"
SURFACES = "1.2.840.10008.5.1.4.1.1.66.5"


def judged(original: bytes, candidate: bytes) -> Judgement:
    recorded = fingerprint_image(original, "original").seal(SALT)
    return compare(recorded, fingerprint_image(candidate, "candidate"), SALT)


def leaves(dataset: Dataset) -> Iterator[tuple[Dataset, DataElement]]:
    """Every element that holds a value, at any depth, with the data set that it stands in."""
    for element in dataset:
        if element.VR == "SQ":
            for item in element.value:
                yield from leaves(item)
        elif element.tag.group % 2 == 0:
            yield dataset, element


@pytest.mark.parametrize("name", DOCUMENTS)
def test_no_claim_is_made_of_pixels(name: str) -> None:
    found = fingerprint_image((FOLDER / name).read_bytes(), name)
    assert (found.schema, found.frames, found.pixels, found.fault) == (DOCUMENT_SCHEMA, 0, None, None)
    assert tuple(found.identity) == IDENTITY


@pytest.mark.parametrize("syntax", NATIVE, ids=lambda uid: uid.name)
@pytest.mark.parametrize("name", DOCUMENTS)
def test_another_encoding_is_the_same_document(name: str, syntax: UID) -> None:
    dataset = to_syntax(read(name), ExplicitVRLittleEndian)
    found = judged((FOLDER / name).read_bytes(), write(to_syntax(dataset, syntax)))
    assert found.verdict in (Verdict.TRANSCODED, Verdict.IDENTICAL), found.reason


@pytest.mark.parametrize("name", ["reportsi.dcm", "test-SR.dcm", "rtplan.dcm"])
def test_whatever_is_removed_at_any_depth_is_noticed(name: str) -> None:
    original = write(read(name))
    dataset = read(name)
    count = sum(1 for _ in leaves(dataset))
    for place in range(0, count, max(1, count // 60)):
        edited = deepcopy(dataset)
        holder, element = list(leaves(edited))[place]
        if element.keyword in ("SpecificCharacterSet", "SOPClassUID"):
            continue
        del holder[element.tag]
        found = judged(original, write(edited))
        is_identity = holder is edited and element.keyword in IDENTITY
        assert found.verdict is (Verdict.METADATA_EDITED if is_identity else Verdict.MISMATCH), element
        assert (element.keyword in found.attributes) is is_identity


def test_a_changed_word_a_moved_item_and_an_added_element_are_noticed() -> None:
    original = write(read("test-SR.dcm"))

    def change_word(dataset: Dataset) -> None:
        next(one for _, one in leaves(dataset) if one.keyword == "TextValue").value = "no finding"

    def swap_items(dataset: Dataset) -> None:
        dataset.ContentSequence[0], dataset.ContentSequence[1] = dataset.ContentSequence[1], dataset.ContentSequence[0]

    def add(dataset: Dataset) -> None:
        dataset.ContentSequence[-1].TextValue = "added"

    for edit in (change_word, swap_items, add):
        edited = read("test-SR.dcm")
        edit(edited)
        found = judged(original, write(edited))
        assert (found.verdict, found.reason) == (Verdict.MISMATCH, "the content is not what was recorded")


@pytest.mark.parametrize(
    ("sop_class", "is_taken"),
    [("1.2.840.10008.5.1.4.1.1.2", False), (SEGMENTATION, False), ("1.2.3.4", False), (SURFACES, True)],
    ids=["CT", "segmentation", "unknown", "surfaces"],
)
def test_an_image_that_lost_its_pixels_is_no_document(sop_class: str, is_taken: bool) -> None:
    dataset = read("reportsi.dcm")
    dataset.SOPClassUID = dataset.file_meta.MediaStorageSOPClassUID = sop_class
    if is_taken:
        assert fingerprint_image(write(dataset), "object").schema == DOCUMENT_SCHEMA
        return
    with pytest.raises(FingerprintError, match="object has no pixel data"):
        fingerprint_image(write(dataset), "object")


def test_an_image_stripped_of_its_pixels_is_not_its_record(sqlite_ledger: Ledger) -> None:
    station = sqlite_ledger.add_station("CT1")
    data = write(read("CT_small.dcm"))
    sqlite_ledger.capture(data, "CT", station=station)
    stripped = read("CT_small.dcm")
    del stripped.PixelData
    stripped.SOPClassUID = stripped.file_meta.MediaStorageSOPClassUID = read("reportsi.dcm").SOPClassUID
    found = sqlite_ledger.judge(write(stripped), "CT")
    assert (found.verdict, found.index) == (Verdict.MISMATCH, sqlite_ledger.size - 1)


def test_a_document_is_vouched_for_and_never_shown_to_a_model(sqlite_ledger: Ledger) -> None:
    data = (FOLDER / "reportsi.dcm").read_bytes()
    receipt = sqlite_ledger.capture(data, "report", station=sqlite_ledger.add_station("RIS"))
    assert sqlite_ledger.judge(data, "report").index == receipt.index
    assert sqlite_ledger.fsck().is_clean
    gate = Gate(Policy(log_key=str(sqlite_ledger.verifier()), identity="optional"), sqlite_ledger)
    with pytest.raises(GateRefusal, match="no pixels") as refused:
        gate.admit(data)
    assert refused.value.code is RefusalCode.UNREADABLE
