from __future__ import annotations

import base64
import io

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from mithridate.report.pictures import amplified, data_uri, factor_for, to_bytes


def decode(uri: str) -> np.ndarray:
    head, _, body = uri.partition(",")
    assert head in ("data:image/png;base64", "data:image/webp;base64")
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(body))))


@pytest.mark.parametrize("encoding", ["png", "lossless"])
def test_still_pictures_keep_every_pixel(encoding: str) -> None:
    image = np.random.default_rng(0).uniform(0, 1, (3, 17, 23)).astype(np.float32)
    assert np.array_equal(decode(data_uri(image, encoding)), to_bytes(image))  # type: ignore[arg-type]


def test_gray_pictures_of_one_channel_and_of_two() -> None:
    gray = np.linspace(0, 1, 64, dtype=np.float32).reshape(1, 8, 8)
    assert decode(data_uri(gray, "png")).shape == (8, 8)
    assert np.array_equal(to_bytes(np.concatenate([gray, gray])), to_bytes(gray))


def test_display_pictures_look_the_same() -> None:
    ramp = np.tile(np.linspace(0, 1, 64, dtype=np.float32), (3, 64, 1))
    shown = decode(data_uri(ramp, "display")).astype(float)
    assert np.abs(shown - to_bytes(ramp)).mean() < 2


@settings(deadline=None)
@given(st.floats(1e-4, 1))
def test_the_factor_cuts_nothing_off_and_is_the_greatest_that_does_not(largest: float) -> None:
    factor = factor_for(largest)
    assert factor * largest <= 0.5005 or factor == 1
    greater = [f for f in (1, 2, 5, 10, 20, 25, 50, 100, 200, 500, 1000) if f > factor]
    assert not greater or greater[0] * largest > 0.5


def test_the_paper_epsilon_is_amplified_fifty_times() -> None:
    clean = np.full((1, 4, 4), 0.9, dtype=np.float32)
    assert factor_for(float(np.abs(clean + np.float32(0.01) - clean).max())) == 50


def test_no_change_is_middle_gray_and_more_is_brighter() -> None:
    clean = np.full((1, 2, 2), 0.5, dtype=np.float32)
    changed = clean.copy()
    changed[0, 0] = (0.51, 0.49)
    shown = amplified(clean, changed, 20)
    assert shown[0, 1] == pytest.approx([0.5, 0.5])
    assert shown[0, 0] == pytest.approx([0.7, 0.3], abs=1e-5)
    assert amplified(clean, changed, 1000).max() == 1
