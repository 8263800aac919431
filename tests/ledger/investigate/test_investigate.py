"""An investigation finds what was done to each image, where, and what is missing; and its proofs stand alone."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from pydicom import Dataset

from ledger.dicom_files import FOLDER, read, to_native, write
from ledger.investigate.scene import Scene, build, changed, png, transcoded, with_pixels
from mithridate.errors import UserError
from mithridate.ledger.bundle import ProofBundle, judge_offline
from mithridate.ledger.entry import read_entry
from mithridate.ledger.fingerprint import Verdict
from mithridate.ledger.investigate import Case, investigate
from mithridate.ledger.investigate.case import expand
from mithridate.ledger.investigate.findings import Box, ImageFinding
from mithridate.ledger.investigate.pixels import LONGEST_SIDE, compare_images

CT = (FOLDER / "CT_small.dcm").read_bytes()
MR = (FOLDER / "MR_small.dcm").read_bytes()
FRAMES = (FOLDER / "SC_rgb_rle_2frame.dcm").read_bytes()


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    """CT1 captured three images."""
    made = build(tmp_path_factory.mktemp("scene"))
    made.capture("ct.dcm", CT)
    made.capture("mr.dcm", MR)
    made.capture("frames.dcm", FRAMES, channel="stow")
    yield made
    made.ledger.close()


@pytest.fixture(scope="module")
def rng() -> np.random.Generator:
    return np.random.default_rng(0)


def finding(scene: Scene, data: bytes, name: str = "image.dcm", **options: object) -> ImageFinding:
    (image,) = investigate(
        scene.ledger,
        Case(),
        [scene.find(name, data)],
        originals=[scene.archive],
        **options,  # type: ignore[arg-type]
    ).images
    return image


def test_an_untouched_image_is_the_one_captured(scene: Scene) -> None:
    for data, verdict in ((CT, Verdict.IDENTICAL), (transcoded("CT_small.dcm"), Verdict.TRANSCODED)):
        image = finding(scene, data)
        assert (image.verdict, image.comparison, image.attributes) == (verdict, None, ())
        assert image.route is not None
        assert (image.route.device, image.route.sequence, image.route.channel) == ("CT1", 0, "dimse")
        assert image.route.make == "Maker Scan 64, serial number 0042, software 2.1"


def test_changed_pixels_are_shown_where_they_are_and_by_how_much(scene: Scene) -> None:
    def burn(pixels: np.ndarray) -> None:
        pixels[20:30, 40:45] += 7
        pixels[29, 44] -= 57

    image = finding(scene, with_pixels("CT_small.dcm", burn))
    assert image.verdict is Verdict.MISMATCH
    assert image.comparison is not None
    difference = image.comparison.difference
    assert difference is not None
    assert (difference.changed, difference.pixels, difference.largest) == (50, 128 * 128, 50.0)
    assert difference.box == Box(20, 40, 30, 45)
    assert difference.mean == pytest.approx((49 * 7 + 50) / 128**2)
    assert difference.change is not None
    assert difference.change[20, 40] == 7
    assert difference.change[29, 44] == -50
    assert difference.change[0, 0] == 0
    assert image.comparison.captured.shape == image.comparison.found.shape == (128, 128, 1)


def test_a_change_too_small_to_see_is_found_all_the_same(scene: Scene, rng: np.random.Generator) -> None:
    noise = rng.integers(-1, 2, (128, 128)).astype(np.int16)
    image = finding(scene, with_pixels("CT_small.dcm", lambda pixels: np.add(pixels, noise, out=pixels)))
    assert image.comparison is not None
    assert image.comparison.difference is not None
    assert image.comparison.difference.largest == 1.0
    assert image.comparison.difference.changed == np.count_nonzero(noise)


def test_of_several_frames_the_changed_one_is_named(scene: Scene) -> None:
    def brighten(pixels: np.ndarray) -> None:
        pixels[1, 3:5, 6:9, 2] ^= 8

    image = finding(scene, native_frames(brighten))
    assert image.comparison is not None
    difference = image.comparison.difference
    assert difference is not None
    assert (difference.frames, difference.frame, difference.total) == ((1,), 1, 2)
    assert (difference.box, difference.largest, difference.changed) == (Box(3, 6, 5, 9), 8.0, 6)


def test_edited_attributes_are_named_with_their_values(scene: Scene) -> None:
    def edit(dataset: Dataset) -> None:
        dataset.RescaleIntercept = "0"
        dataset.WindowCenter, dataset.WindowWidth = "40", "400"

    image = finding(scene, changed("CT_small.dcm", edit))
    assert image.verdict is Verdict.METADATA_EDITED
    values = {change.name: (change.recorded, change.found) for change in image.attributes}
    assert values == {
        "RescaleIntercept": ("-1024", "0"),
        "WindowCenter": ("absent", "40"),
        "WindowWidth": ("absent", "400"),
    }
    assert image.comparison is not None
    assert image.comparison.difference is not None
    assert image.comparison.difference.changed == 0
    assert not np.array_equal(image.comparison.captured, image.comparison.found)  # the same values, shown otherwise


def test_identities_are_shown_only_when_asked_for(scene: Scene) -> None:
    data = changed("CT_small.dcm", lambda dataset: setattr(dataset, "PatientID", "someone else"))
    (hidden,) = finding(scene, data).attributes
    (shown,) = finding(scene, data, with_identity=True).attributes
    assert (hidden.name, hidden.recorded, hidden.found, hidden.is_identity) == ("PatientID", None, None, True)
    assert (shown.recorded, shown.found) == ("1CT1", "someone else")


def test_an_image_that_nobody_captured_is_unknown(scene: Scene) -> None:
    for data in ((FOLDER / "JPEG2000.dcm").read_bytes(), b"no image at all", CT[:5000]):
        image = finding(scene, data)
        assert (image.verdict, image.route, image.comparison) == (Verdict.UNKNOWN, None, None)
        assert image.reason


def test_another_size_is_no_difference_but_said(scene: Scene) -> None:
    def halve(dataset: Dataset) -> None:
        pixels = dataset.pixel_array[::2, ::2]
        dataset.PixelData = pixels.tobytes()
        dataset.Rows, dataset.Columns = pixels.shape

    image = finding(scene, changed("CT_small.dcm", halve))
    assert image.comparison is not None
    assert image.comparison.difference is None
    assert image.comparison.reason == "128 x 128 samples were captured, here are 64 x 64"


def test_without_the_captured_image_the_report_says_so(scene: Scene) -> None:
    data = with_pixels("CT_small.dcm", lambda pixels: pixels.__isub__(1))
    (image,) = investigate(scene.ledger, Case(), [scene.find("image.dcm", data)]).images
    assert image.verdict is Verdict.MISMATCH
    assert image.comparison is None
    assert image.note is not None
    assert "captured image is not among" in image.note


def test_what_calls_itself_an_original_is_not_believed(scene: Scene, tmp_path: Path) -> None:
    data = with_pixels("CT_small.dcm", lambda pixels: pixels.__isub__(1))
    (tmp_path / "original.dcm").write_bytes(with_pixels("CT_small.dcm", lambda pixels: pixels.__isub__(2)))
    (image,) = investigate(scene.ledger, Case(), [scene.find("image.dcm", data)], originals=[tmp_path]).images
    assert image.comparison is None


def test_a_case_takes_its_own_files_and_misses_its_own_records(scene: Scene, tmp_path: Path) -> None:
    (tmp_path / "ct.dcm").write_bytes(with_pixels("CT_small.dcm", lambda pixels: pixels.__iadd__(1)))
    (tmp_path / "mr.dcm").write_bytes(MR)
    found = investigate(scene.ledger, Case(patient="1CT1"), [tmp_path])
    assert [image.name for image in found.images] == ["ct.dcm"]
    assert (found.outside, found.absent) == (1, ())
    moved = changed("CT_small.dcm", lambda dataset: setattr(dataset, "PatientID", "someone else"))
    (tmp_path / "ct.dcm").write_bytes(moved)  # it says that it is another's, and the log knows better
    assert [image.name for image in investigate(scene.ledger, Case(patient="1CT1"), [tmp_path]).images] == ["ct.dcm"]
    (tmp_path / "ct.dcm").unlink()
    gone = investigate(scene.ledger, Case(patient="1CT1"), [tmp_path])
    assert (gone.images, [route.index for route in gone.absent]) == ((), [scene.ledger.find("PatientID", "1CT1")[0]])


def test_a_case_is_whatever_all_its_conditions_hold_for(scene: Scene) -> None:
    ct = scene.ledger.find("PatientID", "1CT1")
    uid = "1.3.6.1.4.1.5962.1.1.1.1.1.20040119072730.12322"
    assert Case(patient="1CT1").records(scene.ledger) == set(ct)
    assert Case(sop_instance_uid=uid).records(scene.ledger) == set(ct)
    assert Case(patient="1CT1", accession="none").records(scene.ledger) == set()
    record, _ = read_entry(scene.ledger.reader().entry(ct[0]))
    assert Case(begin=record.time, end=record.time + 1).records(scene.ledger) == set(ct)
    assert Case(patient="1CT1", end=record.time).records(scene.ledger) == set()
    assert Case(begin=record.time + 1).records(scene.ledger) >= set(scene.ledger.find("PatientID", "4MR1"))
    with pytest.raises(UserError, match="ends before"):
        Case(begin=2, end=1)


def test_nothing_asked_nothing_answered(scene: Scene, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="nothing to investigate"):
        investigate(scene.ledger, Case())
    with pytest.raises(UserError, match="absent is not there"):
        investigate(scene.ledger, Case(), [tmp_path / "absent"])
    with pytest.raises(UserError, match="no device 'CT9'"):
        investigate(scene.ledger, Case(patient="1CT1"), stated={"CT9": 5})


def test_records_alone_can_be_investigated(scene: Scene) -> None:
    found = investigate(scene.ledger, Case(patient="1CT1"))
    assert (found.images, found.absent) == ((), ())
    assert list(found.proofs) == list(scene.ledger.find("PatientID", "1CT1"))


def test_every_proof_stands_alone(scene: Scene) -> None:
    burned = with_pixels("CT_small.dcm", lambda pixels: pixels.__iadd__(1))
    found = investigate(scene.ledger, Case(), [scene.find("a.dcm", burned), scene.find("b.dcm", MR)])
    key = scene.ledger.verifier()
    for image, data in zip(found.images, (burned, MR), strict=True):
        assert image.route is not None
        bundle = ProofBundle.decode(found.proofs[image.route.index])
        judgement = judge_offline(bundle, key, data, image.name)
        assert (judgement.verdict, judgement.index) == (image.verdict, image.route.index)


def test_one_image_under_two_identities_is_noticed(tmp_path: Path) -> None:
    scene = build(tmp_path)
    scene.capture("ct.dcm", CT)
    moved = changed("CT_small.dcm", lambda dataset: setattr(dataset, "PatientID", "someone else"))
    other = scene.capture("moved.dcm", moved, scene.ledger.add_station("CT2"))
    image = finding(scene, CT)
    assert image.is_accepted
    assert [(twin.index, twin.device) for twin in image.twins] == [(other, "CT2")]
    assert "PatientID" in image.twins[0].attributes
    scene.ledger.close()


def test_a_revoked_record_counts_no_more(tmp_path: Path) -> None:
    scene = build(tmp_path)
    scene.capture("ct.dcm", CT)
    scene.ledger.revoke("record", scene.ledger.reader().leaf(2), "wrong patient")
    image = finding(scene, CT)
    assert image.verdict is Verdict.REVOKED
    assert image.route is not None
    assert image.route.revoked == 3
    scene.ledger.close()


def test_an_altered_raster_is_compared_by_its_name(tmp_path: Path) -> None:
    scene = build(tmp_path)
    pixels = np.arange(64 * 48 * 3, dtype=np.uint8).reshape(64, 48, 3)
    index = scene.capture("photo.png", png(pixels, tmp_path / "photo.png"), channel="file")
    pixels[10:12, 5:9, 1] ^= 0x10
    image = finding(scene, png(pixels, tmp_path / "photo.png"), "photo.png")
    assert image.verdict is Verdict.MISMATCH
    assert image.route is not None
    assert image.route.index == index
    assert "file of this name" in image.reason
    assert image.comparison is not None
    assert image.comparison.difference is not None
    assert image.comparison.difference.box == Box(10, 5, 12, 9)
    assert image.comparison.difference.largest == 16
    scene.ledger.close()


def test_a_picture_too_large_is_reduced_without_losing_a_change() -> None:
    before = np.zeros((2001, 1500), np.uint16)
    after = before.copy()
    after[2000, 1499], after[700, 3] = 1, 5
    images = [FakeImage(before), FakeImage(after)]
    comparison = compare_images(*images)  # type: ignore[arg-type]
    assert comparison.difference is not None
    assert comparison.difference.changed == 2
    change = comparison.difference.change
    assert change is not None
    assert max(change.shape) <= LONGEST_SIDE
    assert sorted(change[change != 0].tolist()) == [1.0, 5.0]
    assert comparison.found.shape[:2] == change.shape


class FakeImage:
    """An image in memory, of one frame."""

    frames = 1

    def __init__(self, pixels: np.ndarray) -> None:
        self._pixels = pixels

    def stored(self, frame: int) -> np.ndarray:
        return self._pixels

    def shown(self, frame: int) -> np.ndarray:
        return (self._pixels / 65535).astype(np.float32)[:, :, None]


def test_the_log_and_the_json_say_what_was_found(scene: Scene) -> None:
    burned = with_pixels("CT_small.dcm", lambda pixels: pixels.__iadd__(1))
    paths = [scene.find("a.dcm", burned), scene.find("b.dcm", MR), scene.find("c.dcm", b"junk")]
    found = investigate(scene.ledger, Case(), paths, originals=[scene.archive])
    assert ([i.name for i in found.altered], [i.name for i in found.unknown]) == (["a.dcm"], ["c.dcm"])
    assert found.log.checkpoint.encode() == scene.ledger.checkpoint()
    told = json.loads(json.dumps(found.to_json()))
    assert [image["verdict"] for image in told["images"]] == ["MISMATCH", "IDENTICAL", "UNKNOWN"]
    assert told["images"][0]["comparison"]["difference"]["changed"] == 128 * 128
    assert "proofs" not in told


def test_hidden_files_and_repeats_are_left_out(tmp_path: Path) -> None:
    for name in ("a.dcm", "b/c.dcm", ".hidden", "b/.git/d"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"")
    assert expand([tmp_path, tmp_path / "a.dcm"]) == [tmp_path / "a.dcm", tmp_path / "b" / "c.dcm"]


def native_frames(change: Callable[[np.ndarray], object]) -> bytes:
    """The two colour frames, uncompressed, with something changed in them."""
    dataset = to_native(read("SC_rgb_rle_2frame.dcm"))
    pixels = np.frombuffer(dataset.PixelData, np.uint8).reshape(2, dataset.Rows, dataset.Columns, 3).copy()
    change(pixels)
    dataset.PixelData = pixels.tobytes()
    return write(dataset)
