"""A plan that describes a model of somebody else's, and every mistake in it with its line."""

from __future__ import annotations

from pathlib import Path

import pytest

from mithridate.audit.plan import Plan, dump_plan, load_plan
from mithridate.errors import UserError
from mithridate.models.description import HttpPlan, KerasPlan, OnnxPlan

TEXT = """\
authority: {owner: Example Hospital, authorized_by: Head of Radiology, statement: May be attacked in our laboratory.}
tasks:
  - data: skin.parquet
    victim:
      format: onnx
      path: models/derm.onnx
      input:
        size: 224
        range: [0, 255]
        layout: NHWC
      head: softmax
      classes: [nevus, melanoma, keratosis]
      positive: melanoma
      predictions: derm.csv
    surrogates:
      - models/skin
      - format: keras
        path: models/other.keras
        input: {size: 224, range: [0, 255], layout: NHWC}
        head: sigmoid
        extra: {metadata: [1, 0, 0.5]}
  - name: remote
    data: skin.parquet
    victim:
      format: http
      url: https://models.example/predict
      input: {size: 224}
      head: multilabel
      classes: [a, b]
      positive: [a, b]
      queries: 5000
attacks:
  - {attack: square, budget: {linf: 0.02}}
"""


def load(folder: Path, text: str) -> Plan:
    (folder / "plan.yaml").write_text(text)
    return load_plan(folder / "plan.yaml")


def test_models_are_read_with_paths_beside_the_plan(tmp_path: Path) -> None:
    plan = load(tmp_path, TEXT)
    victim, (folder, other) = plan.tasks[0].victim, plan.tasks[0].surrogates
    assert isinstance(victim, OnnxPlan)
    assert victim.path == str(tmp_path / "models/derm.onnx")
    assert victim.predictions == str(tmp_path / "derm.csv")
    assert (victim.input.build().low, victim.input.build().high) == (0.0, 255.0)
    assert victim.answer().positive == (1,)
    assert victim.head == "probabilities"
    assert folder == str(tmp_path / "models/skin")
    assert isinstance(other, KerasPlan)
    assert other.extra == {"metadata": (1.0, 0.0, 0.5)}
    remote = plan.tasks[1].victim
    assert isinstance(remote, HttpPlan)
    assert remote.answer().positive == (0, 1)
    assert hash(plan.tasks[0]) == hash(load(tmp_path, TEXT).tasks[0])
    (tmp_path / "again").mkdir()
    assert load(tmp_path / "again", dump_plan(plan)) == plan


@pytest.mark.parametrize(
    ("old", "new", "line", "said"),
    [
        ("format: onnx", "format: tensorflow", 4, "'onnx'"),
        ("      format: onnx\n", "", 4, "no field 'format'"),
        ("        size: 224\n", "", 7, "victim.input.size: this field is missing"),
        ("        size: 224\n", "        size: 4\n", 8, "greater than or equal to 8"),
        ("range: [0, 255]\n        layout", "range: [255, 0]\n        layout", 7, "is empty"),
        ("layout: NHWC\n      head", "layout: NHCW\n      head", 10, "'NHWC'"),
        ("head: softmax", "head: softmacks", 11, "victim.head"),
        ("positive: melanoma", "positive: melanomma", 4, "'melanomma' is not one of the classes nevus, melanoma"),
        ("      positive: melanoma\n", "", 4, "say which of the classes is 'positive'"),
        ("path: models/derm.onnx", "pfad: models/derm.onnx", 6, "no such field"),
        ("        extra: {metadata: [1, 0, 0.5]}", "        extra: {metadata: [1, x, 0.5]}", 21, "valid number"),
        ("queries: 5000", "queries: many", 31, "valid integer"),
        ("url: https://models.example/predict", "url: models.example", 26, "pattern"),
        ("attack: square", "attack: cube", 33, "'square'"),
    ],
)
def test_a_mistake_is_told_with_its_line(tmp_path: Path, old: str, new: str, line: int, said: str) -> None:
    assert old in TEXT
    with pytest.raises(UserError) as caught:
        load(tmp_path, TEXT.replace(old, new))
    assert said in str(caught.value)
    assert f"plan.yaml, line {line}:" in str(caught.value)


def test_a_plan_cannot_allow_code_by_itself(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no such field"):
        load(tmp_path, TEXT + "allow_code: true\n")
