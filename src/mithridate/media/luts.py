"""DICOM look-up tables and windows (PS3.3 C.11.1 and C.11.2) as arithmetic on arrays."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from pydicom import Dataset

Values = NDArray[np.float64]


def apply_lut(values: Values, item: Dataset, is_little_endian: bool, *, scale: bool) -> Values:
    """Map values through one item of a Modality or VOI LUT Sequence (PS3.3 C.11.1.1.1, C.11.2.1.1).

    Values below the first mapped one take the first entry, values beyond the table the last.  Returns the entries,
    divided by the largest value of the table's bit depth when `scale` is set, so that they lie in [0, 1].
    """
    entries, first, depth = (int(number) for number in item.LUTDescriptor)
    table = _lut_data(item, entries or 2**16, is_little_endian).astype(np.float64)
    index = np.clip(np.rint(values).astype(np.int64) - first, 0, len(table) - 1)
    return np.clip(table[index] / (2**depth - 1), 0, 1) if scale else table[index]


def apply_window(values: Values, center: float, width: float, function: str) -> Values:
    """Window values to [0, 1] by one of the three functions of PS3.3 C.11.2.1.2 and C.11.2.1.3.

    Raises ValueError for a width or a function that the standard does not allow.
    """
    if function == "SIGMOID" and width > 0:
        exponent = np.clip(-4 * (values - center) / width, -700, 700)  # exp overflows beyond; both ends are saturated
        return np.asarray(1 / (1 + np.exp(exponent)))
    if function == "LINEAR_EXACT" and width > 0:
        return np.clip((values - center) / width + 0.5, 0, 1)
    if function == "LINEAR" and width == 1:
        return (values > center - 0.5).astype(np.float64)
    if function == "LINEAR" and width > 1:
        return np.clip((values - (center - 0.5)) / (width - 1) + 0.5, 0, 1)
    raise ValueError(f"the window function {function} does not allow the width {width:g}")


def _lut_data(item: Dataset, entries: int, is_little_endian: bool) -> NDArray[np.generic]:
    """The table's entries: words as parsed, or raw bytes holding either words or, for 8-bit tables, single bytes."""
    data = item.LUTData
    if not isinstance(data, bytes):
        words = np.atleast_1d(np.asarray(data, dtype=np.int64))
        if len(words) * 2 in (entries, entries + 1) and int(item.LUTDescriptor[2]) == 8:  # two entries a word
            return np.frombuffer(words.astype("<u2").tobytes(), dtype=np.uint8)[:entries]
        return words
    if len(data) >= entries * 2:
        return np.frombuffer(data, dtype="<u2" if is_little_endian else ">u2")[:entries]
    return np.frombuffer(data, dtype=np.uint8)[:entries]
