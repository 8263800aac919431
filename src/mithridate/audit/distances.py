"""How different two images look: SSIM and PSNR."""

from __future__ import annotations

import torch
from torch import Tensor


def structural_similarity(x: Tensor, y: Tensor) -> Tensor:
    """Mean SSIM of each pair (Wang et al. 2004: Gaussian window 11, sigma 1.5), float64 N.

    Inputs N x C x H x W in [0, 1].
    Images smaller than the window use the largest odd window that fits.
    """
    from monai.metrics.regression import compute_ssim_and_cs  # MONAI takes seconds to import

    if len(x) == 0:
        return torch.zeros(0, dtype=torch.float64)
    side = min(x.shape[2:])
    window = min(11, side if side % 2 else side - 1)
    values = []
    for first in range(0, len(x), 16):
        a, b = x[first : first + 16], y[first : first + 16]
        ssim, _ = compute_ssim_and_cs(
            a.double(), b.double(), spatial_dims=2, data_range=1.0, kernel_type="gaussian",
            kernel_size=(window, window), kernel_sigma=(1.5, 1.5),
        )  # fmt: skip
        values.append(ssim.flatten(1).mean(1))
    return torch.cat(values)


def peak_signal_to_noise(x: Tensor, y: Tensor) -> Tensor:
    """PSNR in decibels of each pair, peak 1, float64 N; infinite for identical images."""
    error = (x.double() - y.double()).square().flatten(1).mean(1)
    return -10 * torch.log10(error)
