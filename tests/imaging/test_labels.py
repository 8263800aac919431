from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mithridate.errors import UserError
from mithridate.imaging.labels import LabelRule


def table(**columns: list[str]) -> pd.DataFrame:
    frame = pd.DataFrame(columns)
    frame.index = pd.Index(range(2, len(frame) + 2))
    return frame


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Pneumonia", LabelRule("=", ("Pneumonia",))),
        ("grade>=2", LabelRule(">=", ("2",), "grade")),
        (" grade < 2.5 ", LabelRule("<", ("2.5",), "grade")),
        ("dx=mel|bcc", LabelRule("=", ("mel", "bcc"), "dx")),
        ("dx == mel", LabelRule("=", ("mel",), "dx")),
        ("dx!=nv", LabelRule("!=", ("nv",), "dx")),
        ("No Finding", LabelRule("=", ("No Finding",))),
    ],
)
def test_rules_are_parsed(text: str, expected: LabelRule) -> None:
    assert LabelRule.parse(text) == expected
    assert LabelRule.parse(str(expected)) == expected


@pytest.mark.parametrize("text", ["", " | ", "grade>=two", "grade>=1|2", "grade>=", ">=2", "a=b=c", "grade>=nan"])
def test_what_is_no_rule_is_refused(text: str) -> None:
    with pytest.raises(UserError, match="is not understood"):
        LabelRule.parse(text)


@settings(max_examples=40)
@given(st.lists(st.integers(-5, 5), min_size=1), st.integers(-5, 5), st.sampled_from([">=", "<=", ">", "<"]))
def test_comparisons_are_those_of_numbers(values: list[int], limit: int, sign: str) -> None:
    found = LabelRule.parse(f"x{sign}{limit}").matches(table(x=[str(v) for v in values]), "", "t")
    assert found.tolist() == [eval(f"{v} {sign} {limit}") for v in values]


def test_values_are_compared_without_case_and_numbers_by_value() -> None:
    rows = table(label=["MEL", "nv", " mel "], grade=["1", "1.0", "2"])
    assert LabelRule.parse("mel").matches(rows, "label", "t").tolist() == [True, False, True]
    assert LabelRule.parse("grade=1").matches(rows, "label", "t").tolist() == [True, True, False]
    assert LabelRule.parse("label!=nv").matches(rows, "label", "t").tolist() == [True, False, True]


def test_a_list_cell_matches_by_member_not_by_substring() -> None:
    rows = table(f=["Mass|Nodule", "Mass", "Pleural_Mass"])
    assert LabelRule.parse("Mass").matches(rows, "f", "t", separator="|").tolist() == [True, True, False]
    np.testing.assert_array_equal(LabelRule.parse("Mass|Pleural_Mass").matches(rows, "f", "t", separator="|"), True)


def test_mistakes_are_named_by_file_line_and_column() -> None:
    rows = table(grade=["0", "high"], label=["a", ""])
    with pytest.raises(UserError, match=r"t\.csv has 'high' in column 'grade' on line 3, which is not a number"):
        LabelRule.parse("grade>=2").matches(rows, "", "t.csv")
    with pytest.raises(UserError, match=r"t\.csv has no value in column 'label' on line 3"):
        LabelRule.parse("a").matches(rows, "label", "t.csv")
    with pytest.raises(UserError, match=r"t\.csv has no column 'dx' .* its columns are grade, label"):
        LabelRule.parse("dx=mel").matches(rows, "", "t.csv")
    with pytest.raises(UserError, match=r"t\.csv has no 'low' in column 'grade': its values are 0, high"):
        LabelRule.parse("grade=low").matches(rows, "", "t.csv")
