"""Samples in their words: which bits are the sample's own, whether the others are as they should be, and the hash.

A word may have more bits than the sample in it.  The others are copies of the sample's sign, or zero without one
(PS3.5 8.1.1); where they are, the range of the words' values shows it, without a copy of the image.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mithridate.ledger.fingerprint.dicom_stream import NativeStream
from mithridate.ledger.fingerprint.model import digest_bytes, digest_parts

Words = NDArray[Any]

_CHUNK = 1 << 15
"""Words that are masked at a time: few enough to stay in the processor's cache until they are hashed."""


def value_range(words: Words, bits: int, *, is_signed: bool) -> tuple[bool, bool]:
    """Of integer words with samples of so many bits: whether every other bit is as it should be, and whether any sample
    is negative."""
    size = words.dtype.itemsize
    if not is_signed:
        return bits >= 8 * size or int(words.view(f"<u{size}").max()) < 1 << bits, False
    numbers = words.view(f"<i{size}")
    lowest = int(numbers.min())
    return bits >= 8 * size or (lowest >= -(1 << bits - 1) and int(numbers.max()) < 1 << bits - 1), lowest < 0


def word_digests(
    words: Words, bits: int, *, is_signed: bool, is_float: bool, stream: NativeStream | None
) -> tuple[bytes, bytes]:
    """The digest of a frame's samples in canonical form, and of the words' other bits where they are not as they should
    be, else nothing.

    `stream` is the native stream that the words may be all of: its digest is then made once for both.
    """
    width = 8 * words.dtype.itemsize
    if is_float or bits >= width:
        is_proper, is_masked = True, False
    else:
        is_proper, is_negative = value_range(words, bits, is_signed=is_signed)
        is_masked = is_negative or not is_proper
    size = words.dtype.itemsize if is_float else next(size for size in (1, 2, 4, 8) if bits <= 8 * size)
    if is_masked or 8 * size != width:
        digest = digest_parts("samples", _canonical(words, min(bits, width), size))
    elif stream is not None and _is_all(words, stream):
        digest = stream.samples
    else:
        digest = digest_bytes("samples", np.ascontiguousarray(words).reshape(-1).view(np.uint8).data)
    return digest, b"" if is_proper else _residue(words, bits)


def _is_all(words: Words, stream: NativeStream) -> bool:
    """Whether words are the stream's own bytes, all of them."""
    return words.base is not None and words.flags.c_contiguous and words.nbytes == len(stream.data)


def _canonical(words: Words, bits: int, size: int) -> Iterator[memoryview]:
    """The samples alone, in so many bytes each, a part at a time."""
    unsigned = words.view(f"<u{words.dtype.itemsize}")
    flat, mask = np.ascontiguousarray(unsigned).reshape(-1), unsigned.dtype.type((1 << bits) - 1)
    for start in range(0, flat.size, _CHUNK):
        yield (flat[start : start + _CHUNK] & mask).astype(f"<u{size}", copy=False).data


def _residue(words: Words, bits: int) -> bytes:
    size = words.dtype.itemsize
    spare = np.ascontiguousarray(words.view(f"<u{size}") >> bits)
    return digest_bytes("unused-bits", spare.astype(f"<u{size}", copy=False).tobytes())
