"""Augmentation depends on the example alone, keeps pixels in range, and does what its closed form says."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from mithridate.imaging.training.augment import COLUMNS, augment, draw, mix_with, mixup_weights, partners
from mithridate.imaging.training.recipe import Augmentation

EVERYTHING = Augmentation(
    rotation=180, flip_horizontal=True, flip_vertical=True, zoom=(0.7, 1.4), shift=0.2, shear=15, brightness=0.2,
    contrast=0.4, saturation=0.5, color=0.2, gamma=0.3, cutout=0.3, cutout_probability=0.5, noise=0.1,
)  # fmt: skip


def images(n: int, channels: int = 3, side: int = 24) -> Tensor:
    return torch.rand(n, channels, side, side, generator=torch.Generator().manual_seed(0))


def fixed(n: int = 1, **values: float) -> dict[str, Tensor]:
    """Draws that leave everything as it is (one half is the middle of every range), but for those named."""
    neutral = dict.fromkeys(COLUMNS, 0.5) | values
    return {column: torch.full((n,), value, dtype=torch.float64) for column, value in neutral.items()}


@settings(deadline=None, max_examples=25)
@given(st.lists(st.integers(0, 9), min_size=1, max_size=10, unique=True), st.integers(0, 3), st.sampled_from([1, 3]))
def test_an_example_is_changed_in_the_same_way_in_any_batch(rows: list[int], epoch: int, channels: int) -> None:
    x, ids = images(10, channels), [f"image-{index}" for index in range(10)]
    whole = augment(x, draw(3, epoch, ids), EVERYTHING)
    part = augment(x[rows], draw(3, epoch, [ids[row] for row in rows]), EVERYTHING)
    assert torch.equal(part, whole[rows])
    assert whole.min() >= 0
    assert whole.max() <= 1


def test_epoch_seed_and_example_each_change_the_draws() -> None:
    first = draw(0, 0, ["a"])["rotation"]
    for other in (draw(1, 0, ["a"]), draw(0, 1, ["a"]), draw(0, 0, ["b"])):
        assert not torch.equal(other["rotation"], first)


def test_switched_off_it_changes_nothing() -> None:
    x = images(4)
    assert torch.equal(augment(x, draw(0, 0, list("abcd")), Augmentation()), x)


def test_noise_is_uniform_within_its_own_size() -> None:
    x = torch.full((2, 3, 64, 64), 0.5)
    draws = fixed(2) | {"noise": torch.tensor([0.25, 1.0]).double(), "noise_seed": torch.tensor([0.1, 0.7]).double()}
    change = augment(x, draws, Augmentation(noise=0.04)) - x
    for image, size in zip(change, (0.01, 0.04), strict=True):
        assert 0.99 * size < image.abs().max() <= size + 1e-7
        assert image.std() == pytest.approx(size / 3**0.5, rel=0.03)
        assert abs(image.mean()) < 4 * size / 3**0.5 / image.numel() ** 0.5


def test_flips_are_exact_and_happen_half_of_the_time() -> None:
    x = images(200, 1, 4)
    draws = draw(0, 0, [str(index) for index in range(200)])
    flipped = augment(x, draws, Augmentation(flip_horizontal=True))
    changed = torch.tensor([not torch.equal(a, b) for a, b in zip(flipped, x, strict=True)])
    assert torch.equal(flipped[changed], x[changed].flip(3))
    assert 70 <= int(changed.sum()) <= 130
    vertical = augment(x, fixed(200, flip_vertical=0.2), Augmentation(flip_vertical=True))
    assert torch.equal(vertical, x.flip(2))


@pytest.mark.parametrize(("draw_value", "turns"), [(1.0, 2), (0.75, 1), (0.25, 3)])
def test_right_angles_are_those_of_rot90(draw_value: float, turns: int) -> None:
    x = images(1)
    turned = augment(x, fixed(rotation=draw_value), Augmentation(rotation=180))
    assert torch.allclose(turned, torch.rot90(x, turns, (2, 3)), atol=1e-4)


def test_a_shift_by_whole_pixels_moves_them_and_repeats_the_border() -> None:
    x = images(1, side=20)
    moved = augment(x, fixed(shift_x=1.0), Augmentation(shift=0.1))  # two pixels: the view moves to the right
    assert torch.allclose(moved[..., :-2], x[..., 2:], atol=1e-5)
    assert torch.allclose(moved[..., -2:], x[..., -1:].expand(-1, -1, -1, 2), atol=1e-5)
    black = augment(x, fixed(shift_y=0.0), Augmentation(shift=0.1, fill="zeros"))
    assert torch.allclose(black[..., 2:, :], x[..., :-2, :], atol=1e-5)
    assert float(black[..., :2, :].max()) == pytest.approx(0, abs=1e-5)


def test_zoom_magnifies_about_the_center() -> None:
    side = 64
    y, x = torch.meshgrid(torch.arange(side), torch.arange(side), indexing="ij")
    disc = (((x - 31.5) ** 2 + (y - 31.5) ** 2) < 10**2).float()[None, None]
    larger = augment(disc, fixed(zoom=1.0), Augmentation(zoom=(0.5, 2.0)))
    assert float(larger.sum() / disc.sum()) == pytest.approx(4, rel=0.05)
    assert float(larger[0, 0, 31, 31]) == pytest.approx(1)


def test_light_and_color_are_their_formulas() -> None:
    x = 0.4 + 0.2 * images(1)
    brighter = augment(x, fixed(brightness=1.0), Augmentation(brightness=0.1))
    assert torch.allclose(brighter, x + 0.1)
    steeper = augment(x, fixed(contrast=1.0), Augmentation(contrast=0.5))
    assert torch.allclose(steeper, x.mean() + 1.5 * (x - x.mean()), atol=1e-6)
    assert float(steeper.mean()) == pytest.approx(float(x.mean()), abs=1e-5)
    gray = augment(x, fixed(saturation=0.0), Augmentation(saturation=1.0))
    assert torch.allclose(gray[:, 0], gray[:, 2], atol=1e-6)
    redder = augment(x, fixed(red=1.0), Augmentation(color=0.25))
    assert torch.allclose(redder[:, 0], x[:, 0] * 1.25)
    assert torch.allclose(redder[:, 1:], x[:, 1:])
    darker = augment(x, fixed(gamma=1.0), Augmentation(gamma=0.5))
    assert torch.allclose(darker, x ** float(np.exp(0.5)))


def test_cutout_erases_one_square_of_its_size_with_the_mean() -> None:
    x = images(1, side=20)
    cut = augment(x, fixed(cutout=0.0), Augmentation(cutout=0.5))
    erased = (cut != x).all(dim=1)[0]
    assert int(erased.sum()) == 10 * 10
    assert torch.allclose(cut[0, :, erased], x.mean().expand(3, 100))
    kept = augment(x, fixed(cutout=0.9), Augmentation(cutout=0.5, cutout_probability=0.8))
    assert torch.equal(kept, x)


def test_mixup_is_a_weighted_mean_of_images_and_of_labels() -> None:
    x, other, share = images(3), images(3).flip(0), torch.tensor([0.5, 0.8, 1.0])
    mixed = mix_with(x, other, share)
    for row in range(3):
        assert torch.allclose(mixed[row], share[row] * x[row] + (1 - share[row]) * other[row])
    labels = mix_with(torch.tensor([[1.0, 0.0]]), torch.tensor([[0.0, 1.0]]), torch.tensor([0.7]))
    assert torch.allclose(labels, torch.tensor([[0.7, 0.3]]))


def test_mixup_shares_are_those_of_a_beta_distribution() -> None:
    draws = draw(0, 0, [str(index) for index in range(4000)])
    share = mixup_weights(draws, 0.2).double()
    assert float(share.min()) >= 0.5
    # The variance about one half of Beta(a, a), which folding at one half keeps: 1 / (4 (2 a + 1)).
    assert float(((share - 0.5) ** 2).mean()) == pytest.approx(1 / (4 * 1.4), rel=0.03)
    even = mixup_weights(draws, 1.0).double()  # uniform
    assert float(even.mean()) == pytest.approx(0.75, abs=0.01)


def test_partners_are_uniform_and_do_not_depend_on_the_order_of_the_rows() -> None:
    ids = np.array([f"image-{index:03d}" for index in range(50)])
    draws = draw(0, 0, [f"x{index}" for index in range(5000)])
    found = partners(draws, ids)
    counts = np.bincount(found, minlength=50)
    assert counts.min() > 60
    assert counts.max() < 140
    order = np.random.default_rng(0).permutation(50)
    assert (ids[order][partners(draws, ids[order])] == ids[found]).all()
