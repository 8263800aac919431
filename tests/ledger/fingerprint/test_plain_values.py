"""The quick readers of elements and values give what pydicom's own give, or leave the element to those."""

from __future__ import annotations

import io

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom import dcmread
from pydicom.charset import convert_encodings
from pydicom.dataelem import RawDataElement, empty_value_for_VR
from pydicom.dataset import Dataset
from pydicom.filereader import data_element_generator
from pydicom.tag import BaseTag

from ledger.dicom_files import FOLDER
from mithridate.ledger.fingerprint.dicom import open_dicom
from mithridate.ledger.fingerprint.dicom_elements import deferred_value, read_elements
from mithridate.ledger.fingerprint.dicom_file import _read_header
from mithridate.ledger.fingerprint.dicom_plain import plain_integer, plain_value
from mithridate.ledger.fingerprint.dicom_values import _element, canonical_value
from mithridate.media.quiet import quiet

_TAGS = {
    "LO": 0x00100020,
    "SH": 0x00080050,
    "PN": 0x00100010,
    "AS": 0x00101010,
    "CS": 0x00080060,
    "DA": 0x00080020,
    "DT": 0x0008002A,
    "TM": 0x00080030,
    "UI": 0x00080018,
    "DS": 0x00281053,
    "IS": 0x00200013,
    "US": 0x00280010,
    "SS": 0x00280106,
    "UL": 0x00080001,
    "SL": 0x00186020,
    "OW": 0x00281201,
}
_CHARSETS = ("", "ISO_IR 100", "ISO_IR 192", "ISO_IR 13", "ISO 2022 IR 87", "ISO 2022 IR 149", "GB18030")
_LETTERS = st.sampled_from([b"\\", b"~", b" ", b"\x00", b"\x1b$B", b"=", b"^", b"-", b"+", b".", b"e", b"\xe9", b"\t"])
_TEXTS = st.lists(_LETTERS | st.integers(0x20, 0x7E).map(lambda code: bytes([code])), max_size=12).map(b"".join)
_NUMBERS = st.lists(
    st.sampled_from([b"1", b"-2.5", b"+0.00", b"1e3", b" 7 ", b"", b"1_0", b"nan", b"2147483648", b".5", b"5."]),
    max_size=4,
).map(b"\\".join)


@settings(max_examples=600, deadline=None)
@given(
    st.sampled_from(sorted(_TAGS)),
    st.binary(max_size=9) | _TEXTS | _NUMBERS,
    st.sampled_from(_CHARSETS),
    st.booleans(),
    st.booleans(),
)
def test_values_are_those_that_pydicom_leads_to(
    vr: str, value: bytes, charset: str, is_explicit: bool, little: bool
) -> None:
    tag = BaseTag(_TAGS[vr])
    raw = RawDataElement(tag, vr if is_explicit else None, len(value), value, 0, not is_explicit, little, True)
    quick = plain_value(raw)
    if quick is None:
        return
    dataset = Dataset({tag: raw})
    encodings = convert_encodings(charset) if charset else "iso8859"
    dataset.set_original_encoding(not is_explicit, little, encodings)
    with quiet():
        assert quick == _element(dataset[tag], little)


@pytest.mark.parametrize("vr", sorted(set(_TAGS) - {"OW"}))
def test_the_plainest_values_are_read_quickly(vr: str) -> None:
    """Otherwise the test above would compare nothing."""
    value = {"US": b"\x01\x02", "SS": b"\xff\xff", "UL": b"\x01\x02\x03\x04", "SL": b"\xff\xff\xff\xff"}.get(vr, b"12 ")
    raw = RawDataElement(BaseTag(_TAGS[vr]), vr, len(value), value, 0, False, True, True)
    assert plain_value(raw) is not None
    assert (plain_integer(raw) is not None) == (vr in ("US", "SS", "UL", "SL"))


@pytest.mark.parametrize(
    "name", ["CT_small.dcm", "MR_small_implicit.dcm", "MR_small_bigendian.dcm", "liver_1frame.dcm", "MR_small_RLE.dcm"]
)
def test_elements_are_those_that_pydicom_reads(name: str) -> None:
    data = (FOLDER / name).read_bytes()
    implicit, little = "implicit" in name, "bigendian" not in name
    _, start = _read_header(data, name)
    stream = io.BytesIO(data)
    stream.seek(start)
    ours = list(read_elements(data, start, implicit, little))
    theirs = [
        (int(element.tag), element, stream.tell()) for element in data_element_generator(stream, implicit, little)
    ]
    assert [(tag, after) for tag, _, after in ours] == [(tag, after) for tag, _, after in theirs]
    for (_, mine, _), (_, other, _) in zip(ours, theirs, strict=True):
        in_place = deferred_value(mine, data)
        assert (in_place is not None) == (mine.tag == 0x7FE00010 and "RLE" not in name)
        assert (mine if in_place is None else mine._replace(value=bytes(in_place))) == other


@pytest.mark.parametrize(
    "name", ["CT_small.dcm", "MR_small_implicit.dcm", "MR_small_bigendian.dcm", "image_dfl.dcm", "MR_small_RLE.dcm"]
)
def test_the_data_set_has_the_pixel_data_that_were_not_copied(name: str) -> None:
    data = (FOLDER / name).read_bytes()
    assert open_dicom(data, name).file.dataset.PixelData == dcmread(FOLDER / name).PixelData


@pytest.mark.parametrize("is_explicit", [True, False])
@pytest.mark.parametrize("vr", sorted(_TAGS))
def test_an_absent_element_has_no_value_and_an_empty_one_has(vr: str, is_explicit: bool) -> None:
    tag = BaseTag(_TAGS[vr])
    stated = vr if is_explicit else None
    raw = RawDataElement(tag, stated, 0, empty_value_for_VR(stated, raw=True), 0, not is_explicit, True, True)
    assert canonical_value(Dataset(), tag, True) is None
    assert canonical_value(Dataset({tag: raw}), tag, True) == ("empty",) == _element(Dataset({tag: raw})[tag], True)
