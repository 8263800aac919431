from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from pydicom.data import get_testdata_file

from mithridate.errors import UserError
from mithridate.media.decoders import decoders, order_plugins, sniff, transfer_syntaxes
from mithridate.media.npz import read_labels, read_npz_image


def test_files_are_told_apart_by_content_not_name(tmp_path: Path) -> None:
    Image.new("L", (4, 4)).save(tmp_path / "really.dcm", "PNG")
    assert sniff(tmp_path / "really.dcm") == "raster"
    found = get_testdata_file("CT_small.dcm", download=False)
    assert isinstance(found, str)
    (tmp_path / "really.png").write_bytes(Path(found).read_bytes())
    assert sniff(tmp_path / "really.png") == "dicom"
    (tmp_path / "notes.txt").write_text("hello")
    assert sniff(tmp_path / "notes.txt") is None


def test_the_order_of_decoders_is_fixed_not_what_is_installed() -> None:
    assert order_plugins(("pillow", "gdcm", "pylibjpeg")) == ("pylibjpeg", "gdcm", "pillow")
    assert order_plugins(("zzz", "pillow")) == ("pillow", "zzz")


def test_common_compressed_transfer_syntaxes_can_be_decoded_here() -> None:
    available = {syntax.uid: syntax.available for syntax in transfer_syntaxes()}
    for uid in ("1.2.840.10008.1.2.4.50", "1.2.840.10008.1.2.4.70", "1.2.840.10008.1.2.4.80"):
        assert available[uid], uid  # JPEG baseline, JPEG lossless, JPEG-LS
    for uid in ("1.2.840.10008.1.2.4.90", "1.2.840.10008.1.2.5", "1.2.840.10008.1.2.1.99"):
        assert available[uid], uid  # JPEG 2000, RLE, deflate


def test_installed_versions_are_listed() -> None:
    versions = {decoder.library: decoder.version for decoder in decoders()}
    assert versions["pydicom"] is not None
    assert versions["pydicom"].startswith("3.")


def archive(path: Path, **changes: np.ndarray) -> Path:
    rng = np.random.default_rng(0)
    parts = {"train": 4, "val": 2, "test": 3}
    arrays = {f"{k}_images": rng.integers(0, 256, (n, 28, 28), dtype=np.uint8) for k, n in parts.items()}
    arrays |= {f"{k}_labels": rng.integers(0, 2, (n, 1), dtype=np.uint8) for k, n in parts.items()}
    np.savez_compressed(path, **(arrays | changes))
    return path


def test_archive_images_are_numbered_through_train_validation_test(tmp_path: Path) -> None:
    path = archive(tmp_path / "a.npz")
    with np.load(path) as raw:
        np.testing.assert_allclose(read_npz_image(path, 0)[:, :, 0], raw["train_images"][0] / 255, atol=1e-7)
        np.testing.assert_allclose(read_npz_image(path, 5)[:, :, 0], raw["val_images"][1] / 255, atol=1e-7)
        np.testing.assert_allclose(read_npz_image(path, 8)[:, :, 0], raw["test_images"][2] / 255, atol=1e-7)
    with pytest.raises(UserError, match="no image with the number"):
        read_npz_image(path, 9)
    assert {name: len(values) for name, values in read_labels(path).items()} == {"train": 4, "validation": 2, "test": 3}


def test_a_replaced_archive_is_read_again(tmp_path: Path) -> None:
    path = archive(tmp_path / "a.npz")
    read_npz_image(path, 0)
    archive(path, train_images=np.full((4, 28, 28), 51, dtype=np.uint8))
    assert read_npz_image(path, 0).mean() == pytest.approx(0.2)


def test_other_archives_are_refused(tmp_path: Path) -> None:
    np.savez(tmp_path / "other.npz", x=np.zeros(3))
    with pytest.raises(UserError, match=r"other\.npz holds x, not the train_images"):
        read_labels(tmp_path / "other.npz")
    np.savez(tmp_path / "pickled.npz", train_images=np.array([{}], dtype=object), train_labels=np.array([{}], object))
    with pytest.raises(UserError, match=r"pickled\.npz"):
        read_labels(tmp_path / "pickled.npz")
    data = archive(tmp_path / "cut.npz").read_bytes()
    (tmp_path / "cut.npz").write_bytes(data[: len(data) // 2])
    with pytest.raises(UserError, match=r"cut\.npz cannot be read"):
        read_labels(tmp_path / "cut.npz")
