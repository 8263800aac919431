from __future__ import annotations

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mithridate.audit.results import Estimate
from mithridate.report import words

EXAMPLES = settings(deadline=None)


@EXAMPLES
@given(st.floats(0, 1))
def test_a_percentage_is_within_its_own_rounding(value: float) -> None:
    text = words.percent(value)
    number = float(re.sub(r"[<>%]", "", text))
    assert abs(number - value * 100) <= (0.1 if text[0] in "<>" else 0.0500001)


@EXAMPLES
@given(st.floats(0, 1, exclude_min=True, exclude_max=True))
def test_nothing_short_of_all_reads_all_and_nothing_above_none_reads_none(value: float) -> None:
    assert words.percent(value) not in ("100%", "0%", "100.0%", "0.0%")
    assert words.percent(value, 0) not in ("100%", "0%")


@pytest.mark.parametrize("value", [0.005, 0.995, 0.0005, 0.9995, 5e-324, 1 - 2**-53])
def test_half_way_to_all_or_none_is_not_all_or_none(value: float) -> None:
    assert words.percent(value, 0) not in ("100%", "0%")
    assert words.percent(value) not in ("100%", "0%")


def test_all_and_none_read_plainly() -> None:
    assert (words.percent(1.0), words.percent(0.0), words.percent(None)) == ("100%", "0%", "–")


@EXAMPLES
@given(st.floats(-1, 1))
def test_points_are_the_size_of_a_difference(difference: float) -> None:
    text = words.points(difference)
    if text.startswith("less than"):
        assert 0 < abs(difference) < 0.0006
    else:
        assert abs(float(text.split()[0]) - abs(difference) * 100) <= 0.0500001


def test_one_point_is_singular() -> None:
    assert (words.points(0.01), words.points(0.02), words.points(0.0)) == ("1 point", "2 points", "0 points")


@pytest.mark.parametrize(
    ("budget", "size", "text"),
    [
        ({"kind": "linf", "epsilon": 0.01}, 0.01, "at most 2.55 of 255 gray levels at any pixel"),
        ({"kind": "linf", "epsilon": 8 / 255}, 8 / 255, "at most 8 of 255 gray levels at any pixel"),
        ({"kind": "rotation", "degrees": 30.0}, 30.0, "at most 30 degrees either way"),
        ({"kind": "l2", "epsilon": 2.0}, 2.0, "a Euclidean length of at most 2 over all pixels in [0, 1]"),
        ({"kind": "ring"}, 0.4, "ring of size 0.4"),
        ({}, 0.4, "budget of size 0.4"),
        ({"kind": "patch", "area": 0.05}, 0.05, "a patch on at most 5% of the image"),
        ({"kind": "rotation+translation", "pixels": 3}, 30.0, "at most 30 degrees and 3 pixels either way"),
    ],
)
def test_a_dose_in_words(budget: dict[str, object], size: float, text: str) -> None:
    assert words.dose(budget, size) == text


def test_an_interval_needs_both_ends() -> None:
    assert words.interval(Estimate(value=0.5, low=0.4, high=0.6, method="m")) == "40.0–60.0"
    assert words.interval(Estimate(value=0.5, low=None, high=None, method="m")) == ""
    assert words.interval(Estimate(value=None, low=0.0, high=1.0, method="m")) == ""


def test_lists_dates_and_durations() -> None:
    assert words.listed(["a", "b", "c"]) == "a, b, and c"
    assert words.listed(["a", "b"]) == "a and b"
    assert words.date("2025-11-22T01:47:05+01:00") == "22 November 2025, 00:47 UTC"
    assert words.date("yesterday") == "yesterday"
    assert words.duration(200) == "3 min 20 s"
    assert words.duration(7500) == "2 h 5 min"
