"""The chest phantom: reproducible, graded by severity, free of shortcuts, and true to the signs of pneumothorax."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.ndimage import binary_dilation, binary_erosion, gaussian_filter
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import StratifiedKFold, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from mithridate.imaging.phantoms import chest, chest_lung
from mithridate.imaging.phantoms.chest import lesion_mask, render

Image = NDArray[np.float32]
LARGE = 0.9


def generators(patient: int, image: int = 0) -> tuple[np.random.Generator, np.random.Generator]:
    return np.random.default_rng([1, patient]), np.random.default_rng([2, patient, image])


def film(patient: int, severity: float, size: int = 128, image: int = 0) -> Image:
    return render(size, severity, *generators(patient, image))[..., 0]


def truth(patient: int, severity: float, size: int = 128, image: int = 0) -> Image:
    return lesion_mask(size, severity, *generators(patient, image))[..., 0]


def detail(image: Image) -> Image:
    """What is left of an image without its slow shading."""
    return image - gaussian_filter(image, 3.0)


def test_equal_generators_give_identical_bytes_and_others_do_not() -> None:
    assert film(3, 0.7).tobytes() == film(3, 0.7).tobytes()
    assert film(3, 0.7).tobytes() != film(4, 0.7).tobytes()
    assert film(3, 0.7).tobytes() != film(3, 0.7, image=1).tobytes()


@settings(max_examples=40, deadline=None)
@given(size=st.integers(16, 200), severity=st.floats(0.0, 1.0), seed=st.integers(0, 2**32 - 1))
def test_every_film_is_a_finite_gray_image_in_the_unit_range(size: int, severity: float, seed: int) -> None:
    image = render(size, severity, np.random.default_rng(seed), np.random.default_rng([seed, 1]))
    assert image.shape == (size, size, 1)
    assert image.dtype == np.float32
    assert image.min() >= 0.0  # false for NaN
    assert image.max() <= 1.0
    assert image.std() > 0.03


def test_large_films_are_drawn() -> None:
    assert film(0, 1.0, size=512).shape == (512, 512)


@pytest.mark.parametrize(("size", "severity"), [(15, 0.5), (64, -0.01), (64, 1.01), (64, float("nan"))])
@pytest.mark.parametrize("function", [render, lesion_mask])
def test_impossible_requests_are_refused(size: int, severity: float, function: object) -> None:
    assert callable(function)
    with pytest.raises(ValueError, match=r"size|severity"):
        function(size, severity, *generators(0))


@pytest.mark.parametrize("patient", range(4))
def test_a_film_shows_the_same_chest_at_every_resolution(patient: int) -> None:
    large, small = film(patient, LARGE, size=192), film(patient, LARGE, size=96)
    reduced = large.reshape(96, 2, 96, 2).mean((1, 3))
    agreement = np.corrcoef(gaussian_filter(reduced, 1.5).ravel(), gaussian_filter(small, 1.5).ravel())[0, 1]
    assert agreement > 0.98


def test_below_the_onset_severity_changes_nothing() -> None:
    assert film(5, 0.0).tobytes() == film(5, 0.3).tobytes()


def test_the_disease_grows_with_severity() -> None:
    doses = (0.3, 0.4, 0.5, 0.6, 0.8, 1.0)
    changes = np.array([[np.abs(film(p, s) - film(p, 0.0)).mean() for s in doses] for p in range(12)])
    areas = np.array([[truth(p, s).mean() for s in doses] for p in range(12)])
    assert np.all(changes[:, 0] == 0.0)
    assert np.all(areas[:, 0] == 0.0)
    assert np.all(np.diff(areas, axis=1) > 0.0)
    assert np.all(np.diff(changes.mean(axis=0)) > 0.0)


@pytest.mark.parametrize("patient", range(8))
def test_severity_leaves_the_other_side_and_the_surroundings_alone(patient: int) -> None:
    change = np.abs(film(patient, LARGE) - film(patient, 0.0))
    ill = truth(patient, LARGE) > 0.5
    columns = np.flatnonzero(ill.any(axis=0))
    other_side = np.zeros_like(ill)
    if columns.mean() < 64:
        other_side[:, 96:] = True
    else:
        other_side[:, :32] = True
    abdomen = np.zeros_like(ill)
    abdomen[118:] = True
    elsewhere = (other_side | abdomen) & ~binary_dilation(ill, iterations=12)
    assert change[ill].mean() > 0.01
    assert change[elsewhere].mean() < 0.06 * change[ill].mean()


def test_a_patient_keeps_anatomy_and_side_from_film_to_film() -> None:
    sides = []
    for patient in range(24):
        centers = [np.average(np.arange(96), weights=truth(patient, LARGE, 96, k).sum(0)) for k in range(3)]
        assert len({center < 48 for center in centers}) == 1
        sides.append(centers[0] < 48)
    assert 5 <= sum(sides) <= 19


def vessels(patient: int) -> Image:
    """The patient's vascular markings where the film of `film(patient, ...)` has them."""
    scene, _, _ = chest._plan(128, 0.0, *generators(patient))
    return detail(chest_lung.markings(scene, np.random.default_rng(0)))


def test_no_lung_markings_beyond_the_pleural_line() -> None:
    healthy, empty, darker = [], [], []
    for patient in range(16):
        ill, well, expected = film(patient, LARGE), film(patient, 0.0), vessels(patient)
        space = binary_erosion(truth(patient, LARGE) > 0.9, iterations=2)
        healthy.append(np.corrcoef(detail(well)[space], expected[space])[0, 1])
        empty.append(np.corrcoef(detail(ill)[space], expected[space])[0, 1])
        darker.append((well - ill)[space].mean())
    assert np.mean(healthy) > 0.15
    assert abs(np.mean(empty)) < 0.08
    assert np.min(darker) > 0.0


def test_the_pleural_line_is_bright_between_two_darker_sides() -> None:
    contrast = []
    for patient in range(16):
        change = film(patient, LARGE, 192) - film(patient, 0.0, 192)
        space = truth(patient, LARGE, 192) > 0.5
        lung_side = binary_dilation(space, iterations=2) & ~binary_dilation(space, iterations=1)
        bright = np.sort(change[binary_dilation(space, iterations=2)])[-space.shape[0] // 4 :].mean()
        contrast.append(bright - max(change[space].mean(), np.median(change[lung_side])))
    assert np.min(contrast) > 0.02


def test_no_shortcut_in_thumbnail_or_histogram() -> None:
    count, size = 440, 64
    severity = np.random.default_rng(7)
    labels = np.arange(count) % 2
    films = np.stack(
        [
            film(1000 + i, severity.uniform(0.55, 1.0) if y else severity.uniform(0.0, 0.42), size)
            for i, y in enumerate(labels)
        ]
    )
    thumbnails = films.reshape(count, 8, size // 8, 8, size // 8).mean((2, 4)).reshape(count, -1)
    histograms = np.stack([np.histogram(image, 16, (0.0, 1.0))[0] for image in films])
    for features in (thumbnails, histograms):
        model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=2000))
        folds = StratifiedKFold(5, shuffle=True, random_state=0)
        scores = cross_val_predict(model, features, labels, cv=folds, method="predict_proba")[:, 1]
        assert roc_auc_score(labels, scores) < 0.70
