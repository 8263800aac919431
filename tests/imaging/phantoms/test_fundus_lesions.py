"""Onsets of the signs of retinopathy: none in health, nested along the dose, the late ones late."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from mithridate.imaging.phantoms.fundus_anatomy import draw_eye, draw_person
from mithridate.imaging.phantoms.fundus_lesions import Kind, Lesions, draw_lesions


def carried(case: int) -> dict[Kind, Lesions]:
    rng = np.random.default_rng(case)
    return {lesions.kind: lesions for lesions in draw_lesions(draw_eye(draw_person(rng), rng))}


@settings(max_examples=60, deadline=None)
@given(case=st.integers(0, 10**6), severities=st.tuples(st.floats(0, 1), st.floats(0, 1)))
def test_a_higher_severity_shows_all_that_a_lower_one_shows(case: int, severities: tuple[float, float]) -> None:
    low, high = sorted(severities)
    for lesions in carried(case).values():
        fainter, stronger = lesions.opacity(low), lesions.opacity(high)
        assert (fainter <= stronger).all()
        assert (fainter >= 0).all()
        assert (stronger <= 1).all()


@settings(max_examples=60, deadline=None)
@given(case=st.integers(0, 10**6))
def test_signs_come_in_the_order_of_the_classification(case: int) -> None:
    signs = carried(case)
    assert set(signs) == set(Kind)
    assert signs[Kind.MICROANEURYSM].onset.min() >= 0.30
    referable = min(signs[Kind.HEMORRHAGE].onset.min(), signs[Kind.EXUDATE].onset.min())
    assert 0.44 <= referable <= 0.63
    assert signs[Kind.COTTON_WOOL].onset.min() >= 0.60
    assert signs[Kind.NEW_VESSEL].onset.min() >= 0.80


@settings(max_examples=60, deadline=None)
@given(case=st.integers(0, 10**6))
def test_lesions_lie_on_the_retina_near_the_posterior_pole(case: int) -> None:
    for lesions in carried(case).values():
        centers = lesions.outlines.mean(axis=1)
        assert np.isfinite(lesions.outlines).all()
        assert np.median(np.linalg.norm(centers, axis=1)) < 0.6
