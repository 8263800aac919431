"""F1 of a DICOM image: the stream of its pixel data, before anything decodes it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

from pydicom.dataset import Dataset
from pydicom.uid import UID

from mithridate.ledger import merkle
from mithridate.ledger.fingerprint import codestream
from mithridate.ledger.fingerprint.codestream import J2K_START, JP2_START, JPEG_START
from mithridate.ledger.fingerprint.dicom_elements import TAGS, deferred_value
from mithridate.ledger.fingerprint.dicom_file import DicomFile
from mithridate.ledger.fingerprint.dicom_values import swap_words
from mithridate.ledger.fingerprint.model import FingerprintError, digest_bytes

PIXEL_ELEMENTS = {
    "PixelData": TAGS[0x7FE00010],
    "FloatPixelData": TAGS[0x7FE00008],
    "DoubleFloatPixelData": TAGS[0x7FE00009],
}

_WORDS = {"OW": 2, "OF": 4, "OD": 8}
_RLE = "1.2.840.10008.1.2.5"
_JPEG_LOSSLESS = {"1.2.840.10008.1.2.4.57", "1.2.840.10008.1.2.4.70"}
_JPEG_LS_LOSSLESS = {"1.2.840.10008.1.2.4.80"}
_J2K_LOSSLESS = {"1.2.840.10008.1.2.4.90", "1.2.840.10008.1.2.4.201", "1.2.840.10008.1.2.4.202"}
_J2K = _J2K_LOSSLESS | {"1.2.840.10008.1.2.4.91", "1.2.840.10008.1.2.4.203"}
_JPEG = _JPEG_LOSSLESS | _JPEG_LS_LOSSLESS | {f"1.2.840.10008.1.2.4.{number}" for number in (50, 51, 81)}


@dataclass(frozen=True)
class NativeStream:
    """Uncompressed pixel data as little-endian bytes; `keyword` is the element that holds them.

    Where the file has them so, `data` are a view of the file's own bytes.
    """

    keyword: str
    data: bytes | memoryview

    @cached_property
    def samples(self) -> bytes:
        """The digest of the data as samples, which F2 shares where one frame is already in canonical form."""
        return digest_bytes("samples", self.data)

    def digest(self) -> bytes:
        """F1."""
        return digest_bytes("native-stream", self.keyword.encode(), b"\x00", self.samples)


@dataclass(frozen=True)
class CodedStream:
    """Compressed pixel data, one codestream a frame (for videos, one for all)."""

    syntax: UID
    codestreams: tuple[bytes, ...]
    is_video: bool

    def digest(self) -> bytes:
        """F1: the Merkle root over the frames' codestreams."""
        return merkle.tree_root(merkle.leaf_hash(digest_bytes("codestream", stream)) for stream in self.codestreams)

    @property
    def is_reversible(self) -> bool:
        """Whether every decoder must give the same samples, by the syntax and by what each codestream says.

        Raises DamagedStream when a codestream's headers cannot be followed.
        """
        if self.syntax == _RLE:
            return True
        if self.syntax in _JPEG_LOSSLESS:
            return all(codestream.is_reversible_jpeg(stream) for stream in self.codestreams)
        if self.syntax in _JPEG_LS_LOSSLESS:
            return all(codestream.is_reversible_jpeg_ls(stream) for stream in self.codestreams)
        if self.syntax in _J2K_LOSSLESS:
            return all(codestream.is_reversible_j2k(stream) for stream in self.codestreams)
        return False

    @property
    def is_rotated(self) -> bool:
        """Whether a decoder turns a rotated color space back into RGB by itself."""
        return self.syntax in _J2K and all(codestream.rotates_color(stream) for stream in self.codestreams)


def read_stream(file: DicomFile, name: str) -> NativeStream | CodedStream:
    """The pixel data of a parsed file.

    Raises FingerprintError when there are none or several, or their framing could be read in two ways.
    """
    dataset = file.dataset
    found = [keyword for keyword, tag in PIXEL_ELEMENTS.items() if tag in file.elements]
    if len(found) != 1:
        kind = UID(str(dataset.get("SOPClassUID", ""))).name or "an unknown kind"
        what = f"pixel data twice, as {' and '.join(found)}" if found else f"no pixel data ({kind})"
        raise FingerprintError(f"{name} has {what}: there is no image in it to fingerprint")
    tag = PIXEL_ELEMENTS[found[0]]
    in_place = deferred_value(file.elements[tag], file.data)
    if in_place is not None and file.is_little_endian and not file.syntax.is_encapsulated:
        return NativeStream(found[0], in_place)
    element = dataset[tag]
    value = bytes(element.value or b"")
    if not file.syntax.is_encapsulated:
        return NativeStream(found[0], swap_words(value, 1 if file.is_little_endian else _WORDS.get(element.VR, 1)))
    if found[0] != "PixelData":
        raise FingerprintError(f"{name} has {found[0]} in a compressed transfer syntax, which the standard rules out")
    fragments = _fragments(value, name)
    groups = _group(fragments[1:], file.syntax, name)
    if groups is not None:
        _check_offsets(dataset, fragments[0], groups, name)
        streams = tuple(_unpad(b"".join(group)) for group in groups)
        return CodedStream(file.syntax, streams, is_video=False)
    return CodedStream(file.syntax, (b"".join(fragments[1:]),), is_video=True)


def _fragments(value: bytes, name: str) -> list[bytes]:
    """The items of encapsulated pixel data, the offset table first (PS3.5 A.4)."""
    return list(_items(value, name)) or _refuse(name, "holds no fragments")


def _items(value: bytes, name: str) -> Iterator[bytes]:
    place = 0
    while place < len(value):
        tag, length = value[place : place + 4], int.from_bytes(value[place + 4 : place + 8], "little")
        if tag == b"\xfe\xff\xdd\xe0" and not value[place + 8 :].strip(b"\x00"):
            return
        item = value[place + 8 : place + 8 + length]
        if tag != b"\xfe\xff\x00\xe0" or len(item) != length:
            _refuse(name, "is not a row of whole fragments")
        yield item
        place += 8 + length


def _group(fragments: list[bytes], syntax: UID, name: str) -> list[list[bytes]] | None:
    """Fragments by frame, found by the mark with which every codestream starts; None for a video, which has no frames
    of its own."""
    if not fragments:
        _refuse(name, "holds no fragments")
    if syntax == _RLE:  # one fragment a frame by definition (PS3.5 G)
        return [[fragment] for fragment in fragments]
    start = (JPEG_START,) if syntax in _JPEG else (J2K_START, JP2_START) if syntax in _J2K else ()
    if not start:
        return None
    if not fragments[0].startswith(start):
        _refuse(name, f"does not start as {syntax.name} does")
    groups: list[list[bytes]] = []
    for fragment in fragments:
        if fragment.startswith(start):
            groups.append([])
        groups[-1].append(fragment)
    return groups


def _check_offsets(dataset: Dataset, table: bytes, groups: list[list[bytes]], name: str) -> None:
    """Offset tables must point at the frames that the codestreams make, or readers would disagree about them."""
    starts, lengths, place = [], [], 0
    for group in groups:
        starts.append(place)
        lengths.append(sum(len(fragment) for fragment in group))
        place += sum(8 + len(fragment) for fragment in group)
    stated = [int.from_bytes(table[at : at + 4], "little") for at in range(0, len(table), 4)]
    extended = _numbers(dataset.get("ExtendedOffsetTable"))
    extended_lengths = _numbers(dataset.get("ExtendedOffsetTableLengths"))
    padded = [length + length % 2 for length in lengths]
    if stated not in ([], starts) or extended not in ([], starts):
        _refuse(name, "has an offset table that does not point at its frames")
    if extended_lengths and [length + length % 2 for length in extended_lengths] != padded:
        _refuse(name, "has a table of frame lengths that are not those of its frames")


def _numbers(value: object) -> list[int]:
    data = value if isinstance(value, bytes) else b""
    return [int.from_bytes(data[at : at + 8], "little") for at in range(0, len(data), 8)]


def _unpad(stream: bytes) -> bytes:
    """Without the byte that makes a fragment's length even, which is no part of the codestream."""
    return stream[:-1] if stream.endswith(b"\xff\xd9\x00") else stream


def _refuse(name: str, what: str) -> list[bytes]:
    raise FingerprintError(f"{name} has compressed pixel data that {what}: it is damaged or was tampered with")
