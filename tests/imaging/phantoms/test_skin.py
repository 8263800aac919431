"""The dermoscopy phantom: a dose axis from nevus to melanoma, without a shortcut in color or brightness."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.ndimage import label
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import StratifiedKFold, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from mithridate.imaging.phantoms import skin
from mithridate.imaging.phantoms.skin_frames import view_frame
from mithridate.imaging.phantoms.skin_lesion import REACH, Lesion, draw_lesion, equal_area, harmonics
from mithridate.imaging.phantoms.skin_paint import Layers, paint
from mithridate.imaging.phantoms.skin_signs import ONSET, SIGNS, Signs, draw_signs

Image = NDArray[np.float32]


def render(size: int, severity: float, patient: int, shot: int = 0) -> Image:
    return skin.render(size, severity, np.random.default_rng([patient, 1]), np.random.default_rng([patient, 2, shot]))


@settings(max_examples=20, deadline=None)
@given(size=st.integers(16, 140), severity=st.floats(0, 1), seed=st.integers(0, 2**32))
def test_any_size_severity_and_seed_gives_a_finite_rgb_image_and_the_same_bytes_again(
    size: int, severity: float, seed: int
) -> None:
    image = render(size, severity, seed)
    assert image.shape == (size, size, 3)
    assert image.dtype == np.float32
    assert np.isfinite(image).all()
    assert image.min() >= 0
    assert image.max() <= 1
    assert image.std() > 0.005
    assert image.tobytes() == render(size, severity, seed).tobytes()


def test_large_image() -> None:
    assert render(512, 1.0, 3).shape == (512, 512, 3)


@pytest.mark.parametrize("severity", [-0.01, 1.01, float("nan")])
def test_severity_outside_the_axis_is_refused(severity: float) -> None:
    with pytest.raises(ValueError, match="severity"):
        render(32, severity, 0)


def test_image_too_small_is_refused() -> None:
    with pytest.raises(ValueError, match="size"):
        render(15, 0.5, 0)


def test_a_shot_is_drawn_apart_from_the_patient() -> None:
    first, second, stranger = render(64, 0.8, 1, shot=0), render(64, 0.8, 1, shot=1), render(64, 0.8, 2, shot=0)
    assert not np.array_equal(first, second)
    assert not np.array_equal(first, stranger)


def test_shots_of_one_patient_resemble_each_other_more_than_shots_of_strangers() -> None:
    shots = np.array([[render(32, 0.8, patient, shot) for shot in (0, 1)] for patient in range(12)])
    distance = np.abs(shots[:, None, 0] - shots[None, :, 1]).mean(axis=(2, 3, 4))
    assert np.mean(distance.argmin(axis=1) == np.arange(12)) > 0.6  # 1 / 12 by chance


def test_size_changes_the_sampling_and_not_the_picture() -> None:
    for patient in range(6):
        small = render(64, 0.9, patient)
        large = render(256, 0.9, patient).reshape(64, 4, 64, 4, 3).mean(axis=(1, 3))
        assert np.corrcoef(small.ravel(), large.ravel())[0, 1] > 0.93


def test_severity_changes_nothing_up_to_the_onset_and_then_more_and_more() -> None:
    doses = np.array([0.4, 0.55, 0.7, 1.0])
    changes = np.zeros((12, len(doses)))
    for patient in range(12):
        healthy = render(64, 0.0, patient)
        assert np.array_equal(healthy, render(64, ONSET, patient))
        changes[patient] = [np.abs(render(64, dose, patient) - healthy).mean() for dose in doses]
    assert (np.diff(changes.mean(axis=0)) > 0).all()
    assert (changes[:, -1] > 1.5 * changes[:, 0]).all()


def test_severity_changes_nothing_outside_the_lesion() -> None:
    size, margin = 96, 3
    for patient in range(12):
        lesion = skin.draw_case(np.random.default_rng([patient, 1])).lesion
        of_view = np.random.default_rng(int(np.random.default_rng([patient, 2, 0]).integers(0, 2**63, 5)[0]))
        stretch = np.sqrt(lesion.elongation)
        axes = lesion.radius * stretch, lesion.radius / stretch
        u, v = skin.draw_view(size, of_view).local(lesion.center, axes, lesion.angle).coordinates()
        pixel = 1 / (size * min(axes))
        outside = np.hypot(u, v) > REACH + margin * pixel
        change = np.abs(render(size, 1.0, patient) - render(size, 0.0, patient)).max(axis=2)
        assert change[outside].max(initial=0) < 1e-6
        assert change[~outside].max() > 0.05


# --- each sign, by what a clinician would measure ------------------------------------------------------------------


def only(sign: str, signs: Signs) -> Signs:
    return replace(signs, weights={name: float(name == sign) for name in SIGNS})


def plain(lesion: Lesion) -> Lesion:
    """The same outline in the middle of the picture, without the confounders that resemble a sign."""
    return replace(
        lesion, center=(0.0, 0.0), radius=0.22, elongation=1.0, softness=0.15, mottling=0.1, network=0.3, globules=0.0,
        haze=0.0, veil=0.0, pale=0.0, lamella=0.0, core=0.0, blood=0.0, density=1.0, mesh=0.03,
    )  # fmt: skip


def layers_of(lesion: Lesion, signs: Signs, severity: float, size: int = 160) -> Layers:
    """Layers over the whole rectangle of the lesion, its center in the middle."""
    _, layers = paint(
        lesion, signs, severity, view_frame(size, 0.0, 1.0, (0.0, 0.0)), np.zeros((size, size), np.float32)
    )
    return layers


def body(layers: Layers) -> NDArray[np.bool_]:
    return layers.melanin > 0.25


def asymmetry(layers: Layers) -> float:
    shape = body(layers)
    return 1 - float((shape & shape[::-1, ::-1]).sum() / (shape | shape[::-1, ::-1]).sum())


def raggedness(layers: Layers) -> float:
    shape = body(layers)
    edges = (shape[1:] != shape[:-1]).sum() + (shape[:, 1:] != shape[:, :-1]).sum()
    return float(edges / np.sqrt(shape.sum()))


def variegation(layers: Layers) -> float:
    inside = body(layers)
    return float(layers.melanin[inside].std() / layers.melanin[inside].mean() + layers.blood[inside].mean())


def texture(layers: Layers) -> float:
    """Contrast between neighbors two pixels apart, relative to the mean pigment: the meshes of the network."""
    inside = body(layers)[:-2, :-2]
    return float(np.abs(layers.melanin[2:, 2:] - layers.melanin[:-2, :-2])[inside].mean())


def dark_dots(layers: Layers) -> float:
    return float(label(layers.melanin > 1.7)[1])


def off_center(opacity: NDArray[np.float32]) -> float:
    """Amount times distance of its centroid from the middle: zero for anything absent or concentric."""
    rows, columns = np.indices(opacity.shape) - (np.array(opacity.shape)[:, None, None] - 1) / 2
    return float(np.hypot((opacity * rows).sum(), (opacity * columns).sum()) / opacity.size)


MEASURES = {
    "asymmetry": (asymmetry, 1.5),
    "border": (raggedness, 1.08),
    "variegation": (variegation, 1.5),
    "network": (texture, 1.4),
    "dots": (dark_dots, 3.0),
    "streaks": (raggedness, 1.05),
    "blotch": (lambda layers: off_center(layers.black), 100.0),
    "regression": (lambda layers: off_center(layers.scar), 100.0),
    "veil": (lambda layers: off_center(layers.veil), 100.0),
}


@pytest.mark.parametrize("sign", SIGNS)
def test_sign_rises_with_severity(sign: str) -> None:
    measure, factor = MEASURES[sign]
    found = np.zeros(3)
    for seed in range(12):
        lesion, signs = plain(draw_lesion(np.random.default_rng(seed))), draw_signs(np.random.default_rng([seed, 1]))
        found += [measure(layers_of(lesion, only(sign, signs), severity)) for severity in (0.0, 0.5, 1.0)]
    healthy, borderline, full = found + 1e-6
    assert healthy < borderline < full
    assert full > factor * healthy


def test_every_case_shows_at_least_six_signs_in_full_and_none_at_the_onset() -> None:
    for seed in range(40):
        signs = draw_signs(np.random.default_rng(seed))
        assert sum(dose >= 0.7 for dose in signs.doses(1.0).values()) >= 6
        assert set(signs.doses(ONSET).values()) == {0.0}


@given(seed=st.integers(0, 2**32), amplitude=st.floats(0, 2))
def test_no_outline_makes_a_lesion_larger(seed: int, amplitude: float) -> None:
    radii = equal_area(harmonics(np.random.default_rng(seed), amplitude, 1, 20, 0.8))
    assert np.mean(radii**2) == pytest.approx(1, rel=1e-4)  # area of r(angle) is the mean square times pi
    assert radii.min() > 0.2


# --- no shortcut ---------------------------------------------------------------------------------------------------


def logistic_auc(features: NDArray[np.float64], positive: NDArray[np.int_]) -> float:
    model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=2000))
    folds = StratifiedKFold(5, shuffle=True, random_state=0)
    return float(
        roc_auc_score(positive, cross_val_predict(model, features, positive, cv=folds, method="decision_function"))
    )


def test_neither_thumbnail_nor_color_histogram_gives_the_disease_away() -> None:
    positive = np.arange(600) % 2
    severities = np.random.default_rng(0).uniform(0, 1, 600)
    severities = np.where(positive, 0.55 + 0.45 * severities, 0.42 * severities)
    images = np.array([render(64, float(s), 1000 + i) for i, s in enumerate(severities)])
    thumbnails = images.reshape(600, 8, 8, 8, 8, 3).mean(axis=(2, 4)).reshape(600, -1)
    bins = [[np.histogram(image[..., c], 16, (0, 1))[0] for c in range(3)] for image in images]
    assert logistic_auc(thumbnails, positive) < 0.70
    assert logistic_auc(np.array(bins, dtype=float).reshape(600, -1), positive) < 0.70
