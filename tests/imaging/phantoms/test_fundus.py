"""The fundus phantom shows retinopathy where it says, and in nothing else."""

from __future__ import annotations

from functools import cache
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter, label
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import StratifiedKFold, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from mithridate.imaging.phantoms import fundus
from mithridate.imaging.phantoms.fundus import draw_scene, render
from mithridate.imaging.phantoms.fundus_lesions import Kind, draw_lesions

Picture = NDArray[np.float32]


def generators(case: int) -> tuple[np.random.Generator, np.random.Generator]:
    return np.random.default_rng([case, 1]), np.random.default_rng([case, 2])


def photograph(case: int, severity: float, size: int = 96) -> Picture:
    return render(size, severity, *generators(case))


@cache
def healthy(case: int, size: int) -> Picture:
    return photograph(case, 0.0, size)


def changed(case: int, severity: float, size: int = 128) -> Picture:
    """What severity adds to the healthy picture, in the green channel."""
    return (photograph(case, severity, size) - healthy(case, size))[..., 1]


def spots(difference: Picture) -> int:
    return int(label(difference > 0.02)[1])


@settings(max_examples=20, deadline=None)
@given(size=st.integers(16, 140), severity=st.floats(0, 1), case=st.integers(0, 10**6))
def test_pictures_are_float32_rgb_in_unit_range(size: int, severity: float, case: int) -> None:
    picture = photograph(case, severity, size)
    assert picture.shape == (size, size, 3)
    assert picture.dtype == np.float32
    assert picture.flags.c_contiguous
    assert 0.0 <= float(picture.min()) < float(picture.max()) <= 1.0  # NaN fails both comparisons


def test_large_pictures_render() -> None:
    assert photograph(1, 0.9, 512).shape == (512, 512, 3)


@pytest.mark.parametrize("severity", [-0.01, 1.01, float("nan")])
def test_severity_outside_the_unit_interval_is_refused(severity: float) -> None:
    with pytest.raises(ValueError, match="severity"):
        photograph(0, severity)


def test_a_size_below_sixteen_is_refused() -> None:
    with pytest.raises(ValueError, match="size"):
        photograph(0, 0.5, 15)


def test_same_generators_give_identical_bytes_in_any_order() -> None:
    forward = [photograph(case, 0.7).tobytes() for case in range(4)]
    backward = [photograph(case, 0.7).tobytes() for case in reversed(range(4))]
    assert forward == backward[::-1]
    assert len(set(forward)) == 4


def test_a_patient_has_two_eyes_that_keep_their_anatomy_between_shots() -> None:
    shots = [draw_scene(np.random.default_rng(5), np.random.default_rng([5, shot])) for shot in range(12)]
    sides = {scene.view.mirror: scene for scene in shots}
    assert set(sides) == {1.0, -1.0}
    assert len({scene.view.scale for scene in shots}) == 12
    for scene in shots:
        same_side = sides[scene.view.mirror]
        assert np.array_equal(scene.eye.veins.trunks[0], same_side.eye.veins.trunks[0])
        assert scene.eye.disease_seed == same_side.eye.disease_seed
        assert np.array_equal(scene.person.color, shots[0].person.color)
    assert not np.array_equal(sides[1.0].eye.veins.trunks[0], sides[-1.0].eye.veins.trunks[0])


@pytest.mark.parametrize("case", range(4))
def test_anatomy_does_not_depend_on_the_size(case: int) -> None:
    small = photograph(case, 0.8, 64)
    large = photograph(case, 0.8, 256).reshape(64, 4, 64, 4, 3).mean(axis=(1, 3))
    detail = [picture - gaussian_filter(picture, (4, 4, 0)) for picture in (small, large)]
    assert np.corrcoef(detail[0].ravel(), detail[1].ravel())[0, 1] > 0.94  # another eye gives at most 0.75


@pytest.mark.parametrize("case", range(6))
def test_severity_is_a_dose(case: int) -> None:
    healthy = photograph(case, 0.0)
    assert photograph(case, 0.3).tobytes() == healthy.tobytes()
    doses = [float(np.abs(photograph(case, s) - healthy).mean()) for s in (0.35, 0.5, 0.65, 0.8, 1.0)]
    assert all(later >= earlier for earlier, later in pairwise(doses))
    assert doses[2] > 0.0
    assert doses[-1] > doses[2]


@pytest.mark.parametrize("case", range(6))
@pytest.mark.parametrize("severity", [0.6, 1.0])
def test_nothing_changes_away_from_the_open_lesions(case: int, severity: float) -> None:
    size = 128
    scene = draw_scene(*generators(case))
    y, x = (np.mgrid[:size, :size] + 0.5) / size
    near = np.zeros((size, size), dtype=bool)
    margin = 0.075  # three deviations of the softest outline and of the widest focus blur
    for lesions in draw_lesions(scene.eye):
        for outline in scene.view.to_image(lesions.outlines[lesions.opacity(severity) > 0]):
            (left, top), (right, bottom) = outline.min(axis=0) - margin, outline.max(axis=0) + margin
            near |= (x > left) & (x < right) & (y > top) & (y < bottom)
    same = (photograph(case, severity, size) == photograph(case, 0.0, size)).all(axis=-1)
    assert same[~near].all()
    assert (~near).mean() > 0.1
    assert not same.all()


@pytest.mark.parametrize("kind", list(Kind))
def test_each_sign_shows_in_its_own_color(kind: Kind, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fundus, "draw_lesions", lambda eye: tuple(x for x in draw_lesions(eye) if x.kind is kind))
    healthy = np.stack([photograph(case, 0.0) for case in range(12)])
    diseased = np.stack([photograph(case, 1.0) for case in range(12)])
    red, green, blue = diseased.mean(axis=(0, 1, 2)) - healthy.mean(axis=(0, 1, 2))
    if kind in (Kind.EXUDATE, Kind.COTTON_WOOL):
        assert green > 0
        assert red > 0
        if kind is Kind.EXUDATE:  # lipid is yellow
            assert green > 2 * blue
    else:  # blood takes most from the green
        assert green < 0
        assert green / healthy[..., 1].mean() < 2 * red / healthy[..., 0].mean()


def test_dark_and_bright_spots_multiply_with_severity() -> None:
    cases = range(14)
    dark = [sum(spots(-changed(case, s)) for case in cases) for s in (0.42, 0.6, 0.8, 1.0)]
    bright = [sum(spots(changed(case, s)) for case in cases) for s in (0.42, 0.6, 0.8, 1.0)]
    assert dark[0] <= 3 * len(cases)  # at most a hint in a negative case
    assert bright[0] == 0
    assert dark[0] < dark[1] < dark[2] < dark[3]
    assert bright[1] < bright[2] < bright[3]
    assert dark[3] > 10 * len(cases)


def test_every_referable_eye_shows_a_sign() -> None:
    for case in range(30):
        assert np.abs(changed(case, 0.66)).max() > 0.02, f"case {case} shows nothing at severity 0.66"


def test_disc_is_the_bright_spot_and_fovea_a_dark_one() -> None:
    brighter, darker = [], []
    y, x = (np.mgrid[:128, :128] + 0.5) / 128
    for case in range(24):
        scene = draw_scene(*generators(case))
        green = gaussian_filter(photograph(case, 0.0, 128)[..., 1], 1.5)
        disc, fovea = (scene.view.to_image(point[None])[0] for point in (scene.eye.disc, scene.eye.fovea))
        from_disc, from_fovea = (np.hypot(x - point[0], y - point[1]) for point in (disc, fovea))
        inside = green > 0.04
        brighter.append(np.median(green[from_disc < 0.04]) > np.median(green[inside]))
        ring = (from_fovea > 0.10) & (from_fovea < 0.14)
        darker.append(np.median(green[from_fovea < 0.02]) < np.median(green[ring & inside]))
    assert np.mean(brighter) == 1.0
    assert np.mean(darker) > 0.8  # a reflex or a shadow may hide the fovea


def test_arteries_are_thinner_and_paler_than_veins() -> None:
    for case in range(10):
        scene = draw_scene(*generators(case))
        ratio = scene.eye.arteries.trunks[1].mean() / scene.eye.veins.trunks[1].mean()
        assert 0.5 < ratio < 0.85  # about two to three in a normal eye


def test_vessels_leave_the_center_of_the_macula_free() -> None:
    for case in range(10):
        eye = draw_scene(*generators(case)).eye
        for vessels in (eye.arteries, eye.veins):
            for curves, widths in vessels.generations:
                central = np.linalg.norm(curves - eye.fovea, axis=-1) < 0.03
                assert (widths[central] == 0).all()


@pytest.fixture(scope="module")
def cohort() -> tuple[Picture, NDArray[np.int64]]:
    count = 440
    positive = np.arange(count) % 2
    rng = np.random.default_rng(20)
    severity = np.where(positive == 1, rng.uniform(0.55, 1.0, count), rng.uniform(0.0, 0.42, count))
    pictures = [photograph(1000 + case, float(s), 64) for case, s in enumerate(severity)]
    return np.stack(pictures), positive


def auc(features: NDArray[np.floating], positive: NDArray[np.int64]) -> float:
    model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=2000))
    folds = StratifiedKFold(5, shuffle=True, random_state=0)
    scores = cross_val_predict(model, features, positive, cv=folds, method="predict_proba")[:, 1]
    return float(roc_auc_score(positive, scores))


def test_a_thumbnail_does_not_give_the_disease_away(cohort: tuple[Picture, NDArray[np.int64]]) -> None:
    pictures, positive = cohort
    thumbnails = pictures.reshape(-1, 8, 8, 8, 8, 3).mean(axis=(2, 4)).reshape(len(pictures), -1)
    assert auc(thumbnails, positive) < 0.70


def test_a_color_histogram_does_not_give_the_disease_away(cohort: tuple[Picture, NDArray[np.int64]]) -> None:
    pictures, positive = cohort
    histograms = [np.histogram(picture[..., c], 16, (0, 1))[0] for picture in pictures for c in range(3)]
    assert auc(np.array(histograms, dtype=float).reshape(len(pictures), -1), positive) < 0.70
