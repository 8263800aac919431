"""ICD-10-CM codes: valid on the day, against the packages the table was made from."""

from __future__ import annotations

from datetime import date, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mithridate.claims.codes import (
    Status,
    Window,
    below,
    category,
    dotted,
    is_valid,
    map_icd9,
    siblings,
    status,
    windows,
)
from mithridate.claims.tables.build import spans
from mithridate.claims.tables.build import windows as windows_of

TODAY = date(2026, 2, 1)


@pytest.mark.parametrize(
    ("code", "day", "expected"),
    [
        ("I110", TODAY, Status.VALID),
        ("I11", TODAY, Status.INCOMPLETE),
        ("E8881", date(2023, 9, 30), Status.VALID),
        ("E8881", date(2023, 10, 1), Status.RETIRED),
        ("E88810", date(2023, 9, 30), Status.FUTURE),
        ("E88810", date(2023, 10, 1), Status.VALID),
        ("U071", date(2019, 9, 30), Status.FUTURE),
        ("2777", TODAY, Status.ICD9),
        ("27777", TODAY, Status.UNKNOWN),  # the paper's code, which ICD-9 never had
        ("W100XXA", TODAY, Status.VALID),
        ("QQQ", TODAY, Status.UNKNOWN),
    ],
)
def test_status_on_the_day(code: str, day: date, expected: Status) -> None:
    assert status(code, day) is expected
    assert is_valid(code, day) == (expected is Status.VALID)


@pytest.mark.parametrize("version", ["v36", "v43.1"])
def test_each_code_of_a_grouper_version_is_valid_on_its_first_day(version: str) -> None:
    from drgpy._runtime_data import load_runtime_data
    from drgpy._versions import get_version

    day = get_version(version).effective_date
    listed = load_runtime_data(version).dxmap
    assert len(listed) > 60_000
    assert [code for code in listed if not is_valid(code, day)] == []
    others = [code for code in windows() if code not in listed and code[0] not in "VWXY"]
    assert others, "codes were added or retired since"
    assert [code for code in others if is_valid(code, day)] == []


@settings(deadline=None)
@given(st.lists(st.frozensets(st.sampled_from("abc")), min_size=2, max_size=5))
def test_a_window_holds_on_the_days_of_the_lists(lists: list[frozenset[str]]) -> None:
    snapshots = [(date(2020 + place, 1, 1), codes) for place, codes in enumerate(lists)]
    found = windows_of(snapshots)
    for code, (start, end) in found.items():
        held = [day for day, codes in snapshots if code in codes]
        window = Window(start, end)
        assert window.holds(held[0])
        assert window.holds(held[-1])
        assert start is None or not window.holds(held[0] - timedelta(days=1))
        assert end is None or (end > held[-1] and not window.holds(end))


def test_codes_that_an_icd9_code_became() -> None:
    assert map_icd9("401.9", TODAY).code == "I10"
    assert map_icd9("401.9", TODAY).approximate
    split = map_icd9("277.7", TODAY)
    assert split.code is None
    assert set(split.candidates) == {"E88810", "E88811", "E88818", "E88819"}
    assert map_icd9("277.7", date(2020, 1, 1)).code == "E8881"
    together = map_icd9("0730", TODAY)  # ornithosis with pneumonia needs two codes at once
    assert together.code is None
    assert together.candidates == ("A70", "J17")


def test_families() -> None:
    assert category("I110") == "I11"
    assert siblings("I110", TODAY) == ("I119",)
    assert "E8881" not in below("E88", TODAY)
    assert "E88810" in below("E88", TODAY)
    assert dotted("I110") == "I11.0"
    assert dotted("I10") == "I10"


def test_codes_in_notes_are_read_with_their_ranges() -> None:
    note = "pneumonia (J70.2-J70.4) or flu (J09.X1, J10.0-, O10-O11), neonatal (P24.-), not J99"
    assert spans(note) == ["J702-J704", "J09X1", "J100", "O10-O11", "P24"]
