"""Mutation fuzzing of every parser: no crash, and no acceptance of anything that was changed."""

from __future__ import annotations

import os
import warnings

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fuzz.mutations import mutated
from fuzz.targets import TARGETS

EXAMPLES = int(os.environ.get("MITHRIDATE_FUZZ_EXAMPLES", "150"))
"""For each parser; a night's worth is `MITHRIDATE_FUZZ_EXAMPLES=1000000 pytest tests/fuzz`."""


@pytest.mark.parametrize("name", TARGETS)
def test_what_it_starts_from_is_accepted_by_the_target(name: str) -> None:
    target, originals = TARGETS[name]
    assert originals()
    assert [target(data) for data in originals()] == [True] * len(originals())


@pytest.mark.parametrize("name", TARGETS)
def test_no_changed_bytes_are_taken_for_true(name: str) -> None:
    target, originals = TARGETS[name]

    @settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck), database=None)
    @given(mutated(originals()) | st.binary(max_size=300))
    def run(data: bytes) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            target(data)

    run()
