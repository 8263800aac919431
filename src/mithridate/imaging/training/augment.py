"""Augmentation of whole batches on the device, each example from its own random numbers.

The numbers come from (seed, epoch, example id) alone, so an example is changed in the same way whatever batch, process
or order it is met in, and a resumed training sees what an uninterrupted one would have seen.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import stats
from torch import Tensor
from torch.nn import functional

from mithridate.imaging.training.recipe import Augmentation
from mithridate.seeds import generator

# Append only: a column's place decides which number it gets, so a new one in the middle would change every training.
COLUMNS: Final = (
    "rotation", "flip_horizontal", "flip_vertical", "zoom", "shift_x", "shift_y", "shear", "brightness", "contrast",
    "saturation", "red", "green", "blue", "gamma", "cutout", "cutout_x", "cutout_y", "mixup", "partner",
    "noise", "noise_seed",
)  # fmt: skip
Draws = dict[str, Tensor]


def draw(seed: int, epoch: int, ids: Sequence[str] | NDArray[Any]) -> Draws:
    """Uniform numbers in [0, 1) for every column: column -> float64 N."""
    table = [generator(seed, "augment", epoch, example).random(len(COLUMNS)) for example in ids]
    values = torch.from_numpy(np.array(table).reshape(len(ids), len(COLUMNS)))
    return {name: values[:, index] for index, name in enumerate(COLUMNS)}


def augment(x: Tensor, draws: Draws, how: Augmentation) -> Tensor:
    """Change images N x C x S x S in [0, 1] as their draws say; the result has the same shape and range.

    Geometry comes first (one interpolation for rotation, shear, zoom and shift together), then light and color, noise,
    and the erased square.  Mixup is separate: see `mix_with`.
    """
    x = _flip(x, draws, how)
    x = _warp(x, draws, how)
    x = _relight(x, draws, how)
    x = _add_noise(x, draws, how)
    return _cut_out(x, draws, how)


def partners(draws: Draws, ids: Sequence[str] | NDArray[Any]) -> NDArray[np.int64]:
    """The row that each example is mixed with: uniform over the set, and independent of the order of its rows."""
    by_id = np.argsort(np.asarray(ids, dtype=str), kind="stable")
    return by_id[(draws["partner"].numpy() * len(by_id)).astype(np.int64)]


def mixup_weights(draws: Draws, alpha: float) -> Tensor:
    """Share of each example in its mixture: max(b, 1 - b) with b ~ Beta(alpha, alpha), float32 N in [0.5, 1].

    The larger share is the example's own, so that every example still counts once an epoch; over random pairs the
    mixtures are distributed as Zhang et al. (2018) have them.
    """
    beta = stats.beta.ppf(draws["mixup"].numpy(), alpha, alpha)
    return torch.from_numpy(np.maximum(beta, 1 - beta)).float()


def mix_with(x: Tensor, other: Tensor, share: Tensor) -> Tensor:
    """share * x + (1 - share) * other, with one share N per example; for images as for soft labels."""
    weight = share.to(x).view(-1, *[1] * (x.ndim - 1))
    return weight * x + (1 - weight) * other


def _signed(draws: Draws, column: str, size: float) -> Tensor:
    """Uniform in +-size, float64 N."""
    return (2 * draws[column] - 1) * size


def _spread(values: Tensor, x: Tensor) -> Tensor:
    """One value per example, ready to broadcast over N x C x S x S."""
    return values.to(x).view(-1, 1, 1, 1)


def _flip(x: Tensor, draws: Draws, how: Augmentation) -> Tensor:
    for column, wanted, axis in (
        ("flip_horizontal", how.flip_horizontal, 3),
        ("flip_vertical", how.flip_vertical, 2),
    ):
        if wanted:
            x = torch.where(_spread((draws[column] < 0.5).double(), x) > 0, x.flip(axis), x)
    return x


def _warp(x: Tensor, draws: Draws, how: Augmentation) -> Tensor:
    if not (how.rotation or how.shear or how.shift or how.zoom != (1.0, 1.0)):
        return x
    angle = torch.deg2rad(_signed(draws, "rotation", how.rotation))
    shear = torch.tan(torch.deg2rad(_signed(draws, "shear", how.shear)))
    low, high = np.log(how.zoom[0]), np.log(how.zoom[1])
    scale = torch.exp(-(low + draws["zoom"] * (high - low)))  # the map goes from output to input: magnifying shrinks it
    cos, sin = torch.cos(angle) * scale, torch.sin(angle) * scale
    # Rotation times a shear along x, on coordinates in [-1, 1]; one side is two units, hence the factor on the shift.
    rows = (
        (cos, cos * shear - sin, _signed(draws, "shift_x", 2 * how.shift)),
        (sin, sin * shear + cos, _signed(draws, "shift_y", 2 * how.shift)),
    )
    side = x.shape[-1]
    axis = (torch.arange(side, device=x.device, dtype=x.dtype) + 0.5) * (2 / side) - 1
    across, down = axis.view(1, 1, -1), axis.view(1, -1, 1)
    # Written out, not as a matrix product, whose rounding may depend on the number of images.
    a_x, b_x, c_x, a_y, b_y, c_y = (value.to(x).view(-1, 1, 1) for row in rows for value in row)
    grid = torch.stack([a_x * across + b_x * down + c_x, a_y * across + b_y * down + c_y], dim=-1)
    return functional.grid_sample(x, grid, mode="bilinear", padding_mode=how.fill, align_corners=False)


def _relight(x: Tensor, draws: Draws, how: Augmentation) -> Tensor:
    if how.gamma:
        x = x.clamp(0, 1) ** _spread(torch.exp(_signed(draws, "gamma", how.gamma)), x)
    if how.contrast:
        center = _means(x)
        x = center + (x - center) * _spread(1 + _signed(draws, "contrast", how.contrast), x)
    if how.saturation and x.shape[1] == 3:
        gray = (0.299 * x[:, 0] + 0.587 * x[:, 1] + 0.114 * x[:, 2]).unsqueeze(1)
        x = gray + (x - gray) * _spread(1 + _signed(draws, "saturation", how.saturation), x)
    if how.color and x.shape[1] == 3:
        gains = torch.stack([1 + _signed(draws, name, how.color) for name in ("red", "green", "blue")], dim=1)
        x = x * gains.to(x).view(-1, 3, 1, 1)
    if how.brightness:
        x = x + _spread(_signed(draws, "brightness", how.brightness), x)
    return x.clamp(0, 1)


def _add_noise(x: Tensor, draws: Draws, how: Augmentation) -> Tensor:
    if not how.noise:
        return x
    # One generator an image, on the CPU: the same noise in every batch and on every device.
    seeds = (draws["noise_seed"] * 2**53).long().tolist()
    fields = torch.stack([torch.rand(x.shape[1:], generator=torch.Generator().manual_seed(seed)) for seed in seeds])
    return (x + (2 * fields.to(x) - 1) * _spread(draws["noise"] * how.noise, x)).clamp(0, 1)


def _cut_out(x: Tensor, draws: Draws, how: Augmentation) -> Tensor:
    if not how.cutout:
        return x
    side = x.shape[-1]
    centers = torch.arange(side, device=x.device, dtype=torch.float64) + 0.5
    half = how.cutout * side / 2
    inside_x = (centers - draws["cutout_x"].to(x.device).view(-1, 1) * side).abs() <= half
    inside_y = (centers - draws["cutout_y"].to(x.device).view(-1, 1) * side).abs() <= half
    chosen = (draws["cutout"] < how.cutout_probability).to(x.device).view(-1, 1, 1)
    erased = inside_y.unsqueeze(2) & inside_x.unsqueeze(1) & chosen
    return torch.where(erased.unsqueeze(1), _means(x), x)


def _means(x: Tensor) -> Tensor:
    """Mean of each image, N x 1 x 1 x 1; one reduction per image, so that its rounding is that of the image alone."""
    return torch.stack([image.mean() for image in x.contiguous()]).view(-1, 1, 1, 1)
