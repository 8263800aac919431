from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from mithridate.errors import MithridateError, UserError
from mithridate.models.heads import Output, checked, mislabeled, softmax_logits, two_class
from mithridate.models.views import Answer

LOGITS = st.lists(st.floats(-8, 8), min_size=3, max_size=6).map(lambda row: torch.tensor([row]))


@settings(deadline=None, max_examples=50)
@given(LOGITS, st.data())
def test_two_classes_carry_the_probability_of_the_positive_ones(logits: torch.Tensor, data: st.DataObject) -> None:
    k = logits.shape[1]
    positive = tuple(sorted(data.draw(st.sets(st.integers(0, k - 1), min_size=1, max_size=k - 1))))
    expected = logits.double().softmax(1)[:, list(positive)].sum(1)
    for output, raw in (("logits", logits), ("probabilities", logits.softmax(1))):
        seen = Answer(output, positive).logits(raw, 1, "m").double().softmax(1)[:, 1]  # type: ignore[arg-type]
        assert torch.allclose(seen, expected, atol=1e-5)


def test_multilabel_classes_stand_for_themselves() -> None:
    raw = torch.tensor([[2.0, -1.0, 0.5], [-3.0, -2.0, -1.0]])
    for output, answer in (("multilabel-logits", raw), ("multilabel-probabilities", raw.sigmoid())):
        one = Answer(output, (2,)).logits(answer, 2, "m")  # type: ignore[arg-type]
        assert torch.allclose(one.softmax(1)[:, 1], raw[:, 2].sigmoid(), atol=1e-5)
        several = Answer(output, (0, 2)).logits(answer, 2, "m")  # type: ignore[arg-type]
        assert torch.allclose(several.softmax(1)[:, 1], raw[:, [0, 2]].amax(1).sigmoid(), atol=1e-5)


def test_the_view_is_differentiable() -> None:
    raw = torch.randn(3, 5, requires_grad=True)
    two_class(softmax_logits(raw, "logits"), "logits", (1, 3))[:, 1].sum().backward()
    assert raw.grad is not None
    assert (raw.grad[:, [1, 3]] != 0).all()


@pytest.mark.parametrize(
    ("output", "raw", "said"),
    [
        ("logits", [[0.2, 0.8], [0.9, 0.1]], "adds up to 1"),
        ("probabilities", [[2.0, -1.0]], "no probabilities"),
        ("probabilities", [[0.5, 0.9]], "not to 1"),
        ("logit", [[0.2], [0.9]], "lies in"),
        ("multilabel-probabilities", [[1.5, 0.2]], "no probabilities"),
    ],
)
def test_a_head_that_cannot_be_is_told(output: Output, raw: list[list[float]], said: str) -> None:
    assert said in str(mislabeled(torch.tensor(raw), output))


@pytest.mark.parametrize(
    ("output", "raw"),
    [
        ("logits", [[3.0, -2.0], [0.1, 0.2]]),
        ("probabilities", [[0.25, 0.75]]),
        ("multilabel-probabilities", [[0.9, 0.8]]),
        ("probability", [[0.3], [0.6]]),
        ("logit", [[-3.0], [2.0]]),
    ],
)
def test_a_right_head_is_not_complained_about(output: Output, raw: list[list[float]]) -> None:
    assert mislabeled(torch.tensor(raw), output) is None


def test_answers_of_the_wrong_shape_or_without_a_number_are_refused() -> None:
    with pytest.raises(UserError, match=r"shape \(2, 3\).*'probability'"):
        checked(torch.zeros(2, 3), "probability", 2, "m")
    with pytest.raises(UserError, match="for 3 images"):
        checked(torch.zeros(2, 3), "logits", 3, "m")
    with pytest.raises(MithridateError, match="NaN"):
        checked(torch.tensor([[0.0, torch.nan]]), "logits", 1, "m")
    with pytest.raises(UserError, match="answers for 3 classes and 2 are named"):
        Answer("logits", (1,), ("a", "b")).logits(torch.zeros(1, 3), 1, "m")
    with pytest.raises(UserError, match="no class number 5"):
        Answer("logits", (5,)).logits(torch.zeros(1, 3), 1, "m")
