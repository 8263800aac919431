"""Convolutional backbones: MONAI's ResNets and DenseNet in two dimensions, and our EfficientNet-Lite0.

Each takes normalized images N x 3 x S x S and returns pooled features N x F.  MONAI is imported on first use: it takes
seconds to load and `--help` needs none of it.
"""

from __future__ import annotations

from torch import nn


def _resnet(block: str, layers: list[int], planes: list[int], stem: int = 7) -> nn.Module:
    from monai.networks.nets.resnet import ResNet

    # Shortcut "A" (MONAI's default for ResNet-18) detaches its input: it would train with wrong gradients, and hand a
    # white-box attacker wrong ones.  Shortcut "B" without bias is also torchvision's layout, key for key.
    return ResNet(
        block=block,
        layers=layers,
        block_inplanes=planes,
        spatial_dims=2,
        n_input_channels=3,
        conv1_t_size=stem,
        conv1_t_stride=2,
        shortcut_type="B",
        bias_downsample=False,
        feed_forward=False,
    )


def resnet50() -> tuple[nn.Module, int]:
    """ResNet-50 (He et al. 2016; stride on the 3x3 convolution, as torchvision has it): 23.5 M parameters."""
    return _resnet("bottleneck", [3, 4, 6, 3], [64, 128, 256, 512]), 2048


def resnet18() -> tuple[nn.Module, int]:
    """ResNet-18 (He et al. 2016): 11.2 M parameters."""
    return _resnet("basic", [2, 2, 2, 2], [64, 128, 256, 512]), 512


def resnet_small() -> tuple[nn.Module, int]:
    """A quarter-width ResNet-18 with a 5x5 stem, for the shipped phantom models at 128 px: 0.7 M parameters."""
    return _resnet("basic", [2, 2, 2, 2], [16, 32, 64, 128], stem=5), 128


def densenet121() -> tuple[nn.Module, int]:
    """DenseNet-121 (Huang et al. 2017): 7.0 M parameters."""
    from monai.networks.nets.densenet import DenseNet121

    network = DenseNet121(spatial_dims=2, in_channels=3, out_channels=1)
    del network.class_layers.out
    return network, 1024


def efficientnet_lite0(drop_path: float = 0.0, levels: tuple[int, ...] = (), grid: int = 1) -> tuple[nn.Module, int]:
    """EfficientNet-Lite0: 3.4 M parameters."""
    from mithridate.imaging.networks.efficientnet import EfficientNetLite0

    network = EfficientNetLite0(drop_path, levels, grid)
    return network, network.width
