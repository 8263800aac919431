from __future__ import annotations

import io
import os
import subprocess
import sys
import textwrap
import threading
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from mithridate.errors import UserError
from mithridate.imaging.catalog import Catalog
from mithridate.imaging.image_cache import ImageCache
from mithridate.imaging.images import ImageStore, read_catalog_path, square
from mithridate.imaging.tasks import TASKS


def catalog_of(root: Path, names: list[str], task: str = "skin") -> Catalog:
    n = len(names)
    table = pd.DataFrame(
        {
            "id": [f"i{i:04d}" for i in range(n)],
            "path": names,
            "label": [i % 2 for i in range(n)],
            "group": [f"g{i}" for i in range(n)],
            "split": ["train"] * n,
        }
    )
    return Catalog(table, TASKS[task], root, "test", "r", 0)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Twelve color images of several sizes and shapes."""
    rng = np.random.default_rng(0)
    for i in range(12):
        shape = (40 + 7 * i, 90 - 4 * i, 3)
        Image.fromarray(rng.integers(0, 256, shape, dtype=np.uint8)).save(tmp_path / f"{i:02d}.png")
    return tmp_path


def names(n: int = 12) -> list[str]:
    return [f"{i:02d}.png" for i in range(n)]


def test_an_image_of_the_right_size_comes_back_exactly(tmp_path: Path) -> None:
    values = np.random.default_rng(1).integers(0, 256, (32, 32, 3), dtype=np.uint8)
    Image.fromarray(values).save(tmp_path / "a.png")
    images = ImageStore(catalog_of(tmp_path, ["a.png"]), 32).load()
    assert images.shape == (1, 3, 32, 32)
    assert images.dtype == np.float32
    np.testing.assert_array_equal(np.rint(images[0].transpose(1, 2, 0) * 255), values)
    np.testing.assert_allclose(images[0].transpose(1, 2, 0) * 255, values, atol=1e-4)


def test_the_center_is_kept_and_the_sides_are_cut() -> None:
    wide = np.zeros((32, 96, 1), dtype=np.float32)
    wide[:, 32:64] = 1  # the central square
    for image in (wide, wide.transpose(1, 0, 2).copy()):
        kept = square(image, 16, 1)[0] / 65535
        assert kept[1:-1, 1:-1].min() == 1
        assert kept.min() > 0.8  # the filter reaches a little over the cut, as when scaling comes before cutting


def test_scaling_down_averages_and_does_not_alias() -> None:
    checker = (np.indices((256, 256)).sum(axis=0) % 2).astype(np.float32)[:, :, None]
    small = square(checker, 32, 1) / 65535
    np.testing.assert_allclose(small[0, 2:-2, 2:-2], 0.5, atol=0.01)


def test_scaling_keeps_a_linear_ramp() -> None:
    ramp = np.broadcast_to((np.arange(64) + 0.5) / 64, (64, 64)).astype(np.float32)[:, :, None].copy()
    small = square(ramp, 16, 1)[0] / 65535
    np.testing.assert_allclose(
        small[:, 2:-2], np.broadcast_to((np.arange(16) + 0.5) / 16, (16, 16))[:, 2:-2], atol=1e-3
    )


def test_color_becomes_luminance_and_gray_is_repeated() -> None:
    red = np.zeros((16, 16, 3), dtype=np.float32)
    red[:, :, 0] = 1
    np.testing.assert_allclose(square(red, 16, 1) / 65535, 0.299, atol=1e-4)
    gray = np.full((16, 16, 1), 0.4, dtype=np.float32)
    assert square(gray, 16, 3).shape == (3, 16, 16)
    np.testing.assert_allclose(square(gray, 16, 3) / 65535, 0.4, atol=1e-4)


def test_rows_may_come_in_any_order_and_number_of_workers(folder: Path) -> None:
    catalog = catalog_of(folder, names())
    whole = ImageStore(catalog, 24, workers=1).load()
    for workers in (1, 3):
        store = ImageStore(catalog, 24, workers=workers)
        np.testing.assert_array_equal(store.load([7, 0, 7, -1]), whole[[7, 0, 7, 11]])
        np.testing.assert_array_equal(store.load(slice(2, 9, 3)), whole[2:9:3])
        np.testing.assert_array_equal(store.load(np.array([3])), whole[[3]])
        np.testing.assert_array_equal(store.load(), whole)
        assert store.load([]).shape == (0, 3, 24, 24)


def test_store_describes_its_rows(folder: Path) -> None:
    catalog = catalog_of(folder, names())
    store = ImageStore(catalog, 24)
    assert len(store) == 12
    assert store.ids.tolist() == catalog.table["id"].tolist()
    assert store.groups.tolist() == catalog.table["group"].tolist()
    assert store.labels.tolist() == catalog.table["label"].tolist()


def test_building_the_store_reads_nothing(tmp_path: Path) -> None:
    assert len(ImageStore(catalog_of(tmp_path, ["gone.png"]), 24)) == 1


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("gone.png", None, r"gone\.png"),
        ("text.png", b"hello", r"text\.png is not an image"),
        ("cut.png", b"\x89PNG\r\n\x1a\n\x00\x00", r"cut\.png"),
    ],
)
@pytest.mark.parametrize("cached", [False, True])
def test_a_bad_file_is_named_with_its_row(
    folder: Path, tmp_path_factory: pytest.TempPathFactory, name: str, content: bytes | None, words: str, cached: bool
) -> None:
    if content is not None:
        (folder / name).write_bytes(content)
    cache = tmp_path_factory.mktemp("cache") if cached else None
    store = ImageStore(catalog_of(folder, [*names(5), name]), 24, cache=cache)
    with pytest.raises(UserError, match=words + r".*\(row 5 of the catalog, id i0005\)"):
        store.load()
    assert len(store.load(slice(0, 5))) == 5  # the rest is still served


def test_tiny_images_are_refused_unless_allowed(tmp_path: Path) -> None:
    Image.new("RGB", (1, 1), (255, 0, 0)).save(tmp_path / "dot.png")
    catalog = catalog_of(tmp_path, ["dot.png"])
    with pytest.raises(UserError, match=r"dot\.png is 1 x 1 pixels, below the 16 that a study needs"):
        ImageStore(catalog, 24).load()
    np.testing.assert_allclose(ImageStore(catalog, 24, minimum_side=1).load()[0, :, 5, 5], [1, 0, 0], atol=1e-4)


@pytest.mark.parametrize(("size", "channels"), [(4, 3), (32, 2)])
def test_senseless_sizes_and_channels_are_refused(tmp_path: Path, size: int, channels: int) -> None:
    with pytest.raises(UserError, match="cannot be loaded"):
        ImageStore(catalog_of(tmp_path, ["a.png"]), size, channels)


def test_frames_and_archives_are_reached_by_number(tmp_path: Path) -> None:
    frames = [Image.new("L", (20, 20), level) for level in (0, 51, 255)]
    frames[0].save(tmp_path / "a.tif", save_all=True, append_images=frames[1:])
    assert read_catalog_path(tmp_path, "a.tif#1").mean() == pytest.approx(0.2)
    images = np.stack([np.full((28, 28), level, np.uint8) for level in (0, 102)])
    np.savez(tmp_path / "a.npz", train_images=images, train_labels=np.zeros((2, 1), np.uint8))
    assert read_catalog_path(tmp_path, "a.npz#1").mean() == pytest.approx(0.4)
    Image.new("L", (20, 20), 255).save(tmp_path / "odd#7.png")
    Image.new("L", (20, 20), 51).save(tmp_path / "odd#7", "PNG")
    assert read_catalog_path(tmp_path, "odd#7").mean() == pytest.approx(0.2)  # a file of that very name comes first


# --- the cache on disk


def test_the_cache_gives_the_same_pixels_and_survives_the_files(folder: Path, tmp_path: Path) -> None:
    catalog, cache = catalog_of(folder, names()), tmp_path / "cache"
    plain = ImageStore(catalog, 24).load()
    np.testing.assert_array_equal(ImageStore(catalog, 24, cache=cache).load(), plain)
    for name in names():  # same size and times, no content: only the cache can answer now
        status = (folder / name).stat()
        assert status.st_size > 0
    files = [path for path in cache.rglob("*") if path.is_file()]
    assert len(files) == 12
    np.testing.assert_array_equal(ImageStore(catalog, 24, cache=cache).load(), plain)
    assert ImageStore(catalog, 32, cache=cache).load().shape[2] == 32  # another size is another entry


def test_an_edited_file_is_decoded_again_even_with_its_old_time(folder: Path, tmp_path: Path) -> None:
    catalog, path = catalog_of(folder, names()), folder / "00.png"
    Image.new("RGB", (30, 30), (0, 0, 0)).save(path, "BMP")
    before = path.stat()
    assert ImageStore(catalog, 24, cache=tmp_path / "cache").load([0]).max() == 0
    time.sleep(0.02)
    Image.new("RGB", (30, 30), (255, 255, 255)).save(path, "BMP")
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert path.stat().st_size == before.st_size
    assert ImageStore(catalog, 24, cache=tmp_path / "cache").load([0]).min() == 1


@pytest.mark.parametrize("damage", ["cut", "flip", "empty"])
def test_damaged_cache_files_are_decoded_again(folder: Path, tmp_path: Path, damage: str) -> None:
    catalog, cache = catalog_of(folder, names()), tmp_path / "cache"
    plain = ImageStore(catalog, 24, cache=cache).load()
    for path in [path for path in cache.rglob("*") if path.is_file()]:
        data = bytearray(path.read_bytes())
        if damage == "flip":
            data[100] ^= 255
        path.write_bytes(b"" if damage == "empty" else data[: len(data) // 2] if damage == "cut" else data)
    np.testing.assert_array_equal(ImageStore(catalog, 24, cache=cache).load(), plain)
    np.testing.assert_array_equal(ImageStore(catalog, 24, cache=cache).load(), plain)


def test_a_cache_that_cannot_be_written_is_no_failure(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    catalog = catalog_of(folder, names())
    plain = ImageStore(catalog, 24).load()
    store = ImageStore(catalog, 24, cache=tmp_path / "cache")

    def full(self: Path, data: bytes) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    np.testing.assert_array_equal(store.load(), plain)
    assert not [path for path in (tmp_path / "cache").rglob("*") if path.is_file()]


def test_a_cache_path_taken_by_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("")
    with pytest.raises(UserError, match="is not a folder"):
        ImageCache(tmp_path / "cache")


def test_the_cache_keeps_to_its_limit(folder: Path, tmp_path: Path) -> None:
    catalog, cache = catalog_of(folder, names()), tmp_path / "cache"
    one = 3 * 24 * 24 * 2 + 4
    ImageStore(catalog, 24, cache=cache, cache_bytes=5 * one).load()
    assert len([path for path in cache.rglob("*") if path.is_file()]) == 5
    for age, path in enumerate(sorted(path for path in cache.rglob("*") if path.is_file())):
        os.utime(path, (1000 + age, 1000 + age))
    oldest = min((path for path in cache.rglob("*") if path.is_file()), key=lambda path: path.stat().st_mtime)
    ImageCache(cache, 4 * one)  # opening trims to 80%, oldest first
    left = [path for path in cache.rglob("*") if path.is_file()]
    assert len(left) == 3
    assert oldest not in left


def test_leftovers_of_killed_writers_are_removed(tmp_path: Path) -> None:
    (tmp_path / "ab").mkdir()
    stale, fresh = tmp_path / "ab" / ".x.1.2.part", tmp_path / "ab" / ".y.1.2.part"
    stale.write_bytes(b"half")
    fresh.write_bytes(b"half")
    os.utime(stale, (0, 0))
    ImageCache(tmp_path)
    assert not stale.exists()
    assert fresh.exists()  # another process may be writing it now


def test_many_threads_and_stores_share_one_cache(folder: Path, tmp_path: Path) -> None:
    catalog = catalog_of(folder, names())
    plain = ImageStore(catalog, 24).load()
    results: list[np.ndarray] = []

    def work() -> None:
        results.append(ImageStore(catalog, 24, cache=tmp_path / "cache", workers=4).load())

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(results) == 4
    for result in results:
        np.testing.assert_array_equal(result, plain)


def test_a_process_killed_while_caching_leaves_a_sound_cache(tmp_path: Path) -> None:
    rng = np.random.default_rng(3)
    for i in range(60):
        Image.fromarray(rng.integers(0, 256, (200, 200, 3), dtype=np.uint8)).save(tmp_path / f"{i:02d}.png")
    catalog, cache = catalog_of(tmp_path, names(60)), tmp_path / "cache"
    catalog.save(tmp_path / "c.parquet")
    script = textwrap.dedent(
        """
        import sys
        from pathlib import Path
        from mithridate.imaging.catalog import Catalog
        from mithridate.imaging.images import ImageStore
        store = ImageStore(Catalog.load(Path(sys.argv[1])), 160, cache=Path(sys.argv[2]), workers=2)
        print("ready", flush=True)
        store.load()
        """
    )
    process = subprocess.Popen(
        [sys.executable, "-c", script, str(tmp_path / "c.parquet"), str(cache)], stdout=subprocess.PIPE
    )
    assert process.stdout is not None
    assert process.stdout.readline() == b"ready\n"
    while process.poll() is None and len(list(cache.glob("??/*"))) < 5:
        time.sleep(0.005)
    process.kill()
    process.wait()
    assert len(list(cache.glob("??/*"))) > 0
    np.testing.assert_array_equal(ImageStore(catalog, 160, cache=cache).load(), ImageStore(catalog, 160).load())


def test_memory_is_bounded_and_pixels_do_not_depend_on_it(folder: Path) -> None:
    catalog = catalog_of(folder, names())
    one = 3 * 24 * 24 * 2
    store = ImageStore(catalog, 24, memory_bytes=4 * one)
    np.testing.assert_array_equal(store.load(), ImageStore(catalog, 24).load())
    assert len(store._memory) == 4


def test_progress_is_reported_to_the_end(folder: Path) -> None:
    steps: list[tuple[int, int]] = []
    ImageStore(catalog_of(folder, names()), 24).load(
        [1, 1, 2], progress=lambda what, done, total: steps.append((done, total))
    )
    assert steps == [(1, 2), (2, 2)]


def test_jpeg_and_png_of_one_image_agree(tmp_path: Path) -> None:
    x, y = np.meshgrid(np.linspace(0, 255, 64), np.linspace(0, 255, 64))
    smooth = np.stack([x, y, (x + y) / 2], axis=-1).astype(np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(smooth).save(buffer, "JPEG", quality=95)
    (tmp_path / "a.jpg").write_bytes(buffer.getvalue())
    Image.fromarray(smooth).save(tmp_path / "b.png")
    a, b = ImageStore(catalog_of(tmp_path, ["a.jpg", "b.png"]), 32).load()
    np.testing.assert_allclose(a, b, atol=0.03)
