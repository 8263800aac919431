from __future__ import annotations

import pytest
import torch

from mithridate.errors import UserError
from mithridate.models.image_input import ImageInput

X = torch.rand(2, 3, 8, 8, generator=torch.Generator().manual_seed(0))


def test_the_default_changes_nothing() -> None:
    assert torch.equal(ImageInput(8).apply(X), X)


def test_range_then_mean_and_std_in_the_models_own_units() -> None:
    spec = ImageInput(8, low=0, high=255, mean=(103.0, 116.0, 123.0), std=(57.0, 57.0, 58.0), order="BGR")
    expected = (X.flip(1) * 255 - torch.tensor(spec.mean).view(1, 3, 1, 1)) / torch.tensor(spec.std).view(1, 3, 1, 1)
    assert torch.allclose(spec.apply(X), expected, atol=1e-5)
    assert torch.equal(ImageInput(8, low=-1, high=1).apply(X), X * 2 - 1)
    assert torch.equal(ImageInput(8, layout="NHWC").apply(X), X.permute(0, 2, 3, 1))


def test_what_makes_no_sense_is_refused() -> None:
    with pytest.raises(UserError, match="8 x 8 and was given 1 x 8 x 8"):
        ImageInput(8).apply(X[:, :1])
    with pytest.raises(UserError, match="3 x 16 x 16"):
        ImageInput(16).apply(X)
    with pytest.raises(UserError, match="range"):
        ImageInput(8, low=1, high=0)
    with pytest.raises(UserError, match="mean has 2 numbers for 3 channels"):
        ImageInput(8, mean=(0.1, 0.2))
    with pytest.raises(UserError, match="above 0"):
        ImageInput(8, std=(0.0,))


def test_other_readings_are_really_other() -> None:
    spec = ImageInput(8, low=0, high=255)
    readings = [other for _, other in spec.alternatives()]
    assert spec not in readings
    assert len({str(r) for r in readings}) == len(readings) >= 4
