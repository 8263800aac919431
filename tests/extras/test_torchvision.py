"""Published architectures as their own libraries build them, against this program's networks and adapters.

These run in the environment of `make test-extras`; elsewhere they are skipped.
"""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import pytest
import torch

torchvision = pytest.importorskip("torchvision", exc_type=ImportError, reason="make test-extras brings torchvision")
timm = pytest.importorskip("timm", exc_type=ImportError, reason="make test-extras brings timm")

from pydantic import TypeAdapter  # noqa: E402

from mithridate.imaging.networks import build  # noqa: E402
from mithridate.imaging.networks.pretrained import convert  # noqa: E402
from mithridate.models.description import ModelPlan  # noqa: E402
from mithridate.models.opening import open_model  # noqa: E402

SIDE = 64


def photographs(count: int = 4) -> torch.Tensor:
    """Smooth images in [0, 1], so that no network answers from noise alone."""
    coarse = torch.rand(count, 3, 8, 8, generator=torch.Generator().manual_seed(1))
    return torch.nn.functional.interpolate(coarse, SIDE, mode="bicubic").clamp(0, 1)


def lively(module: torch.nn.Module) -> torch.nn.Module:
    """Random weights and batch statistics that are no identity, from a fixed seed."""
    generator = torch.Generator().manual_seed(2)
    for layer in module.modules():
        if isinstance(layer, torch.nn.BatchNorm2d):
            assert layer.running_mean is not None
            assert layer.running_var is not None
            layer.running_mean.copy_(torch.rand(layer.num_features, generator=generator) * 0.1)
            layer.running_var.copy_(torch.rand(layer.num_features, generator=generator) + 0.5)
    return module.eval()


@pytest.mark.parametrize("architecture", ["resnet18", "resnet50", "densenet121"])
def test_a_published_state_dict_gives_torchvisions_own_answers(architecture: str) -> None:
    torch.manual_seed(0)
    theirs = lively(getattr(torchvision.models, architecture)(weights=None))
    ours = build(architecture, channels=3, head="linear", classes=1000).eval()
    ours.backbone.load_state_dict(convert(theirs.state_dict(), architecture))
    last = theirs.classifier if architecture == "densenet121" else theirs.fc
    linear = [layer for layer in ours.head.modules() if isinstance(layer, torch.nn.Linear)]
    assert len(linear) == 1
    linear[0].load_state_dict(last.state_dict())
    x = photographs()
    mean, std = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
    with torch.no_grad():
        expected = theirs((x - mean.view(3, 1, 1)) / std.view(3, 1, 1))
        found = ours(x)
    assert expected.std() > 1e-3
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4 * float(expected.abs().max()))


def exported(module: torch.nn.Module, path: Path) -> Path:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the TorchScript exporter announces its successor
        torch.onnx.export(
            module, (photographs(1),), str(path), input_names=["x"], output_names=["y"], dynamo=False, opset_version=17,
            dynamic_axes={"x": {0: "n"}, "y": {0: "n"}},
        )  # fmt: skip
    return path


def white_box(module: torch.nn.Module, path: Path) -> torch.nn.Module:
    """The exported network as an audit opens it."""
    plan: Any = TypeAdapter(ModelPlan).validate_python(
        {
            "format": "onnx",
            "path": str(exported(module, path)),
            "input": {"size": SIDE},
            "head": "logits",
            "classes": ["no", "yes"],
        }
    )
    opened = open_model(plan, kernel_batch=4)
    assert opened.module is not None, opened.reason
    return opened.module


def slopes(module: torch.nn.Module) -> torch.Tensor:
    x = photographs().requires_grad_()
    (found,) = torch.autograd.grad(module(x)[:, 1].sum(), x)
    return found


NETWORKS = ("resnet18", "mobilenetv3_small_050", "efficientnet_lite0", "convnext_atto", "vit_tiny_patch16_224")
CONVERTED = ("vit_tiny_patch16_224", "efficientnet_lite0")
"""What onnx2torch converts too; it stops at the shared constants of the others."""


@pytest.mark.parametrize("name", NETWORKS)
def test_exported_networks_become_white_boxes_with_their_own_gradients(name: str, tmp_path: Path) -> None:
    torch.manual_seed(0)
    options: dict[str, Any] = {"img_size": SIDE} if name.startswith("vit") else {}
    theirs = lively(timm.create_model(name, pretrained=False, num_classes=2, **options))
    ours, own = slopes(white_box(theirs, tmp_path / "model.onnx")), slopes(theirs)
    size = float(own.abs().max())
    assert size > 0
    torch.testing.assert_close(ours, own, rtol=1e-3, atol=1e-4 * size)
    if name in CONVERTED:
        onnx2torch = pytest.importorskip("onnx2torch", reason="make test-extras brings onnx2torch")
        peers = slopes(onnx2torch.convert(str(tmp_path / "model.onnx")).eval())
        torch.testing.assert_close(ours, peers, rtol=1e-3, atol=1e-4 * size)
