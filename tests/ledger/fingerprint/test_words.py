"""Samples are hashed as the schema says, by arithmetic on single numbers, whatever stands beside them in a word."""

from __future__ import annotations

import hashlib
from unittest.mock import patch

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from numpy.typing import NDArray

from mithridate.ledger.fingerprint import dicom_words
from mithridate.ledger.fingerprint.dicom_pixels import PixelLayout
from mithridate.ledger.fingerprint.dicom_stream import NativeStream
from mithridate.ledger.fingerprint.dicom_words import word_digests
from mithridate.ledger.gate.pixels import _samples


@st.composite
def frames(draw: st.DrawFn) -> tuple[NDArray[np.unsignedinteger], int, bool]:
    """Words of a frame, the bits of a sample, and whether it has a sign; the other bits are often as they should be."""
    size, is_signed = draw(st.sampled_from([1, 2, 4])), draw(st.booleans())
    bits = draw(st.integers(1, 8 * size))
    shape = draw(st.tuples(st.integers(1, 3), st.integers(1, 4), st.sampled_from([1, 3])))
    low, high = (-(1 << bits - 1), (1 << bits - 1) - 1) if is_signed else (0, (1 << bits) - 1)
    edges = st.sampled_from(
        [low, -1 if is_signed else 0, 0, high, *([low - 1, high + 1] if draw(st.booleans()) else [])]
    )
    values = st.lists(edges | st.integers(low, high), min_size=(count := int(np.prod(shape))), max_size=count)
    words = np.array([value % (1 << 8 * size) for value in draw(values)], f"<u{size}").reshape(shape)
    if draw(st.booleans()):
        words = words ^ draw(arrays.arrays(words.dtype, shape))
    return words, bits, is_signed


def _numbers(words: NDArray[np.unsignedinteger], bits: int, *, is_signed: bool) -> list[int]:
    """What the samples are worth."""
    samples = [int(word) % (1 << bits) for word in words.reshape(-1)]
    return [sample - (1 << bits) if is_signed and sample >> bits - 1 else sample for sample in samples]


def _sha256(domain: str, numbers: list[int], size: int) -> bytes:
    content = b"".join(number.to_bytes(size, "little") for number in numbers)
    return hashlib.sha256(f"mithridate/{domain}/1\x00".encode() + content).digest()


@given(frames(), st.booleans(), st.integers(1, 9))
def test_samples_and_other_bits_are_hashed_as_defined(
    frame: tuple[NDArray[np.unsignedinteger], int, bool], is_planar: bool, chunk: int
) -> None:
    words, bits, is_signed = frame
    size = words.dtype.itemsize
    data = (words.transpose(2, 0, 1) if is_planar else words).tobytes()
    stored = np.frombuffer(data, words.dtype)
    rows, columns, samples = words.shape
    stored = stored.reshape(samples, rows, columns).transpose(1, 2, 0) if is_planar else stored.reshape(words.shape)
    with patch.object(dicom_words, "_CHUNK", chunk):
        digest, residue = word_digests(
            stored, bits, is_signed=is_signed, is_float=False, stream=NativeStream("PixelData", data)
        )
    numbers, modulus = _numbers(words, bits, is_signed=is_signed), 1 << 8 * size
    smallest = next(one for one in (1, 2, 4) if bits <= 8 * one)
    assert digest == _sha256("samples", [number % (1 << bits) for number in numbers], smallest)
    given_words = [int(word) for word in words.reshape(-1)]
    if [number % modulus for number in numbers] == given_words:
        assert residue == b""
    else:
        assert residue == _sha256("unused-bits", [word >> bits for word in given_words], size)


@given(frames())
def test_the_gate_gives_the_numbers_that_the_samples_are_worth(
    frame: tuple[NDArray[np.unsignedinteger], int, bool],
) -> None:
    words, bits, is_signed = frame
    rows, columns, samples = words.shape
    allocated = 8 * words.dtype.itemsize
    layout = PixelLayout(1, rows, columns, samples, allocated, bits, is_signed, False, False, "MONOCHROME2")
    assert _samples(words, layout).reshape(-1).tolist() == _numbers(words, bits, is_signed=is_signed)
