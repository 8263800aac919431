"""The changes that the square attack tries: Andriushchenko et al. 2020, algorithms 2 (maximum norm) and 3 (Euclidean).

Starts and Euclidean moves take changes N x C x H x W and return new ones.  The moves take each example's own uniform
draws, N x draws_of(C): two places, a flip and a sign for each channel.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import torch
from torch import Tensor

from mithridate.budget import PixelBudget
from mithridate.imaging.engine.norms import each, length
from mithridate.seeds import ExampleRandom


def stripes(change: Tensor, rows: Tensor, rng: ExampleRandom, epsilon: float) -> Tensor:
    """Vertical stripes one pixel wide, each channel and column at plus or minus epsilon."""
    _, channels, height, width = change.shape
    signs = _signs(rng.uniform(rows, (channels, 1, width)))
    return epsilon * signs.expand(-1, channels, height, width)


def draws_of(channels: int) -> int:
    """Random numbers that one move of one example takes."""
    return 5 + channels


@dataclass(frozen=True)
class Squares:
    """One square of each of M images set to plus or minus the budget in each channel, not made yet.

    Only the windows are touched, which soon are a hundredth of the image.  before, after: M x S x S x C, where S is the
    side of the largest square; the smaller ones are surrounded by what does not change.
    """

    lanes: Tensor
    down: Tensor
    across: Tensor
    before: Tensor
    after: Tensor

    @classmethod
    def draw(
        cls, x: Tensor, lanes: Tensor, inputs: Tensor, rows: Tensor, areas: Tensor, drawn: Tensor, budget: PixelBudget
    ) -> Squares:
        """Squares, `areas` (M) of the image large, of the images x[lanes], whose originals are inputs[rows]."""
        channels, height, width = x.shape[1:]
        top, left, side = _windows(height, width, areas, drawn[:, :2], least=1).unbind(1)
        most = int(side.max())
        down, inside_down = _span(top, side, most, height)
        across, inside_across = _span(left, side, most, width)
        before, origin = x[_places(lanes, down, across)], inputs[_places(rows, down, across)]
        signs = _signs(drawn[:, None, None, 5 : 5 + channels])
        inside = inside_down[:, :, None, None] & inside_across[:, None, :, None]
        after = torch.where(inside, budget.project(origin + budget.size * signs, origin), before)
        return cls(lanes, down, across, before, after)

    def make(self, x: Tensor) -> None:
        """Make the change, in place."""
        x[_places(self.lanes, self.down, self.across)] = self.after

    def undo(self, x: Tensor, where: Tensor) -> None:
        """Take it back, in place, in the images of a bool mask M."""
        x[_places(self.lanes[where], self.down[where], self.across[where])] = self.before[where]


def _span(start: Tensor, side: Tensor, most: int, size: int) -> tuple[Tensor, Tensor]:
    """`most` coordinates that hold each square's, M x most, and which of them are its own."""
    places = start.clamp_max(size - most)[:, None] + torch.arange(most)
    return places, (places >= start[:, None]) & (places < (start + side)[:, None])


def _places(images: Tensor, down: Tensor, across: Tensor) -> tuple[Tensor, slice, Tensor, Tensor]:
    return images[:, None, None], slice(None), down[:, :, None], across[:, None, :]


def tiles(change: Tensor, rows: Tensor, rng: ExampleRandom, epsilon: float) -> Tensor:
    """About five by five bumps, each channel's with its own sign, of Euclidean length epsilon together."""
    _, channels, height, width = change.shape
    side = max(1, min(height, width) // 5)
    down, across = height // side, width // side
    signs = _signs(rng.uniform(rows, (channels, down, 1, across, 1)))
    flips = rng.uniform(rows, (1,))[:, 0] < 0.5
    shapes = torch.stack([bump(side).T if flip else bump(side) for flip in flips])
    tiled = signs * shapes[:, None, None, :, None, :]
    started = torch.zeros_like(change)
    block = tiled.reshape(len(change), channels, down * side, across * side)
    top, left = (height - down * side) // 2, (width - across * side) // 2
    started[:, :, top : top + down * side, left : left + across * side] = block
    return _of_length(started, epsilon)


def move_mass(change: Tensor, areas: Tensor, drawn: Tensor, epsilon: float) -> Tensor:
    """Take the change out of one window and put it, with what the budget has left, into another as a bump."""
    channels, height, width = change.shape[1:]
    moved, signs = change.clone(), _signs(drawn[:, 5 : 5 + channels])
    to = _windows(height, width, areas, drawn[:, :2], least=3).tolist()
    away = _windows(height, width, areas, drawn[:, 2:4], least=3).tolist()
    free = (epsilon**2 - length(change, "l2").square()).clamp_min(0)
    for lane, ((top, left, side), (top_2, left_2, _)) in enumerate(zip(to, away, strict=True)):
        here = (slice(None), slice(top, top + side), slice(left, left + side))
        there = (slice(None), slice(top_2, top_2 + side), slice(left_2, left_2 + side))
        one = moved[lane]
        old = one[here].clone()
        either = torch.zeros(one.shape[1:], dtype=torch.bool)
        either[here[1:]] = either[there[1:]] = True
        mass = (one * either).square().sum((1, 2))
        shape = bump(side).T if float(drawn[lane, 4]) < 0.5 else bump(side)
        fresh = shape * signs[lane, :, None, None]
        new = fresh + old / old.square().sum((1, 2), keepdim=True).sqrt().clamp_min(1e-12)
        size = new.square().sum((1, 2), keepdim=True).sqrt()
        # Where the new bump is the old one upside down, their sum is nothing.
        new = torch.where(size > 1e-6, new / size.clamp_min(1e-12), fresh)
        one[there] = 0
        one[here] = new * (float(free[lane]) / channels + mass).sqrt()[:, None, None]
    return _of_length(moved, epsilon)


@lru_cache(maxsize=256)
def bump(side: int) -> Tensor:
    """Two pyramids of opposite sign, one above the other, side x side, of Euclidean length 1 (the paper's eta)."""
    upper = side // 2
    shape = torch.cat([_pyramid(upper, side), -_pyramid(side - upper, side)])
    unit: Tensor = shape / shape.norm().clamp_min(1e-12)
    return unit


def _pyramid(height: int, width: int) -> Tensor:
    """Rectangles one in the other around the middle, each ring k from the middle adding 1 / (k + 1)^2."""
    if height == 0:
        return torch.zeros(0, width)
    y, x = (torch.arange(n).float() - n // 2 for n in (height, width))
    ring = torch.maximum(y.abs()[:, None], x.abs()[None, :])
    rings = torch.arange(int(ring.max()) + 1)
    height_of: Tensor = ((rings[:, None, None] >= ring) / (rings[:, None, None] + 1.0).square()).sum(0)
    return height_of


def _windows(height: int, width: int, areas: Tensor, drawn: Tensor, least: int) -> Tensor:
    """(top, left, side) of each image's window, int64 N x 3, from uniform draws N x 2; odd sides where `least` is."""
    most = min(height, width)
    side = (areas * height * width).sqrt().round().long().clamp(min(least, most), most)
    if least > 1:
        side = torch.where(side % 2 == 0, torch.where(side < most, side + 1, side - 1), side).clamp_min(1)
    room = torch.tensor([height, width]) - side[:, None] + 1
    corner = torch.minimum((drawn * room).long(), room - 1)
    return torch.cat([corner, side[:, None]], 1)


def _signs(drawn: Tensor) -> Tensor:
    return torch.where(drawn < 0.5, -1.0, 1.0)


def _of_length(change: Tensor, epsilon: float) -> Tensor:
    return change * each((epsilon / length(change, "l2").clamp_min(1e-12)).to(change.dtype))
