"""Areas, lengths and statistics of the fundus drawing surface against their closed forms."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mithridate.imaging.phantoms.fundus_canvas import Canvas, blobs, field


@pytest.mark.parametrize("size", [48, 100, 256])
def test_a_disk_covers_its_area(size: int) -> None:
    canvas = Canvas(size)
    disk = blobs(np.array([[0.5, 0.5]]), np.array([0.2]), np.random.default_rng(0), roughness=0.0, points=90)
    canvas.polygons(disk, np.array([1.0]))
    assert canvas.mask().mean() == pytest.approx(np.pi * 0.04, rel=0.03)


@pytest.mark.parametrize("width", [0.0005, 0.001, 0.03])
def test_a_ribbon_keeps_its_integrated_darkness_however_thin(width: float) -> None:
    canvas = Canvas(128)
    curve = np.stack([np.linspace(0.1, 0.9, 20), np.full(20, 0.5)], axis=-1)[None]
    canvas.ribbons(curve, np.full((1, 20), width), 1.0)
    # a filled outline reaches up to one canvas pixel beyond its edges
    assert 0.8 * width * 0.8 < canvas.mask().mean() < 0.8 * (width + 1.5 / 384 * min(1.0, width * 384)) * 1.1


@pytest.mark.parametrize("slope", [0.0, 1.2, 2.0])
def test_field_has_zero_mean_and_unit_variance(slope: float) -> None:
    fields = np.stack([field(96, np.random.default_rng(seed), slope) for seed in range(40)])
    assert np.abs(fields.mean(axis=(1, 2))).max() < 1e-4
    assert fields.var() == pytest.approx(1.0, rel=0.15)


@settings(max_examples=20, deadline=None)
@given(right=st.integers(-40, 40), down=st.integers(-40, 40))
def test_shifting_a_field_rolls_it(right: int, down: int) -> None:
    still = field(80, np.random.default_rng(3), 1.0)
    moved = field(80, np.random.default_rng(3), 1.0, shift=(right / 80, down / 80))
    assert np.allclose(moved, np.roll(still, (down, right), axis=(0, 1)), atol=1e-4)


def test_a_field_is_the_same_pattern_at_every_size() -> None:
    coarse = field(64, np.random.default_rng(4), 1.0, band=32)
    fine = field(256, np.random.default_rng(4), 1.0, band=32)
    assert np.allclose(coarse, fine[::4, ::4], atol=1e-4)
