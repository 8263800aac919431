"""What is wrong with a model or an endpoint ends an audit with one clear sentence, and nothing that was found is
lost."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image
from torch import Tensor, nn

from audit.foreign import plan, save_catalog
from mithridate.audit.folder import RunFolder
from mithridate.audit.runner import run
from mithridate.errors import MithridateError, UserError
from mithridate.imaging.catalog import Catalog
from mithridate.imaging.tasks import TASKS
from mithridate.models import http_wire
from models.files import SIZE, endpoint, headed_onnx, linear_answers, pattern

NOISE = [{"attack": "noise", "budget": {"linf": 0.02}}]
SIDES = ["dark left", "bright left"]


@pytest.fixture(scope="module")
def catalog(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_catalog(tmp_path_factory.mktemp("sides"), 16)


@pytest.fixture(autouse=True)
def _short_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http_wire, "LONGEST_WAIT", 0.01)


class Flat(nn.Module):
    """Fits images of one size only."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(SIZE * SIZE, 2)

    def forward(self, x: Tensor) -> Tensor:
        return self.layer(x.flatten(1))


def scripted(folder: Path, module: nn.Module) -> str:
    file = folder / "m.pt"
    torch.jit.save(torch.jit.trace(module.eval(), torch.rand(2, 1, SIZE, SIZE)), file)
    return str(file)


def test_a_size_that_is_not_the_models_is_told_with_the_models_own_words(catalog: Path, tmp_path: Path) -> None:
    victim = {
        "format": "torchscript", "path": scripted(tmp_path, Flat()), "input": {"size": 2 * SIZE, "channels": 1},
        "head": "logits", "classes": SIDES,
    }  # fmt: skip
    with pytest.raises(UserError, match=r"m\.pt fails on images 1 x 32 x 32.*state the input's size and channels"):
        run(plan(catalog, victim, NOISE), tmp_path / "run")


@pytest.mark.parametrize(("channels", "said"), [(3, "m.onnx")])
def test_channels_that_are_not_the_models(catalog: Path, tmp_path: Path, channels: int, said: str) -> None:
    victim = {
        "format": "onnx", "path": str(headed_onnx(tmp_path / "m.onnx", "softmax")),
        "input": {"size": SIZE, "channels": channels}, "head": "softmax", "classes": ["a", "b", "c"], "positive": "b",
    }  # fmt: skip
    with pytest.raises(UserError, match=said):
        run(plan(catalog, victim, NOISE), tmp_path / "run")


@pytest.mark.parametrize(
    ("head", "stated", "said"),
    [
        ("logits", {"classes": SIDES}, "answers for 3 classes and 2 are named"),
        ("logits", {"head": "logit"}, r"returned shape \(\d+, 3\).*does not fit output 'logit'"),
        ("logit", {"head": "logits", "classes": SIDES}, r"returned shape \(\d+, 1\).*does not fit output 'logits'"),
    ],
)
def test_logits_of_the_wrong_width(catalog: Path, tmp_path: Path, head: str, stated: dict[str, Any], said: str) -> None:
    victim = {
        "format": "onnx", "path": str(headed_onnx(tmp_path / "m.onnx", head)), "head": head,
        "input": {"size": SIZE, "channels": 1}, **stated,
    }  # fmt: skip
    with pytest.raises(UserError, match=said):
        run(plan(catalog, victim, NOISE), tmp_path / "run")


class RedMinusBlue(nn.Module):
    """Class 1 is redder on the left."""

    def forward(self, x: Tensor) -> Tensor:
        side = torch.from_numpy(pattern()).to(x)
        z = 8 * ((x[:, 0] - x[:, 2]) * side).mean((1, 2))
        return torch.stack([-z, z], 1)


def test_a_wrong_channel_order_is_found_out_and_named(tmp_path: Path) -> None:
    rows, answers = [], {}
    for i in range(16):
        x = np.full((SIZE, SIZE, 3), 0.5)
        x[..., 0] += (0.2 if i % 2 else -0.2) * pattern()
        x = np.rint(x * 255).astype(np.uint8)
        Image.fromarray(x).save(tmp_path / f"{i}.png")
        rows.append((f"i{i}", f"{i}.png", i % 2, f"g{i}", "test"))
        z = 8 * float((((x[..., 0] - x[..., 2].astype(float)) / 255) * pattern()).mean())
        answers[f"i{i}"] = 1 / (1 + np.exp(-2 * z))
    file = tmp_path / "catalog.parquet"
    table = pd.DataFrame(rows, columns=["id", "path", "label", "group", "split"])
    Catalog(table, TASKS["skin"], tmp_path, "test", "by hand", 0).save(file)
    pd.DataFrame({"id": list(answers), "probability": list(answers.values())}).to_csv(tmp_path / "p.csv", index=False)
    torch.jit.save(torch.jit.trace(RedMinusBlue().eval(), torch.rand(2, 3, SIZE, SIZE)), tmp_path / "m.pt")
    victim = {
        "format": "torchscript", "path": str(tmp_path / "m.pt"), "input": {"size": SIZE, "order": "BGR"},
        "head": "logits", "classes": SIDES, "predictions": str(tmp_path / "p.csv"),
    }  # fmt: skip
    with pytest.raises(UserError, match=r"p\.csv is not reproduced.*with order RGB it is"):
        run(plan(file, victim, NOISE), tmp_path / "run")


def http(url: str, **more: Any) -> dict[str, Any]:
    image = {"size": SIZE, "channels": 1}
    return {"format": "http", "url": url, "input": image, "head": "probabilities", "classes": SIDES, **more}


def stalls(body: bytes) -> tuple[int, Any]:
    time.sleep(0.5)
    return 200, {"predictions": linear_answers(body)}


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        (lambda body: (500, "down"), "answered 500, 2 times in a row"),
        (lambda body: (200, '{"predictions": [[NaN, 0.5]]}'), "one row each|NaN"),
        (stalls, r"did not answer within 0\.2 s, 2 times in a row"),
        (
            lambda body: (200, {"predictions": [[0.1, 0.2, 0.7]] * len(json.loads(body)["instances"])}),
            "answers for 3 classes and 2",
        ),
    ],
    ids=["500", "NaN", "time-out", "another width"],
)
def test_an_endpoint_that_fails_half_way_keeps_what_was_found(
    catalog: Path, tmp_path: Path, fault: Any, said: str
) -> None:
    """The clean answers are there; then the endpoint breaks; then it is well again, and the run goes on."""
    broken = True

    def behave(n: int, _: str, body: bytes) -> tuple[int, Any]:
        return fault(body) if broken and n > 2 else (200, {"predictions": linear_answers(body)})

    with endpoint(behave) as (url, _):
        audit = plan(catalog, http(url, retries=1, timeout=0.2), NOISE)
        with pytest.raises((MithridateError, UserError), match=said) as caught:
            run(audit, tmp_path / "run")
        assert "\n" not in str(caught.value)
        assert len(RunFolder(tmp_path / "run").findings("sides/clean")) == 16
        broken = False
        whole = run(audit, tmp_path / "run")
    assert whole.complete
    assert [c.n for c in whole.tasks[0].conditions] == [16, 16]


def test_an_endpoint_that_changes_its_mind_is_no_ground_for_a_verdict(catalog: Path, tmp_path: Path) -> None:
    def fickle(n: int, _: str, body: bytes) -> tuple[int, Any]:
        turned = [[b, a] if n % 3 == 0 else [a, b] for a, b in linear_answers(body)]
        return 200, {"predictions": [[0.5 + (a - 0.5) * 0.9, 0.5 + (b - 0.5) * 0.9] for a, b in turned]}

    with endpoint(fickle) as (url, bodies):
        audit = plan(catalog, http(url, batch=64), NOISE, execution={"executor": "inline", "shard": 64})
        task = run(audit, tmp_path / "run").tasks[0]
    assert bodies
    assert task.conclusion is not None
    assert task.conclusion.outcome in ("inconclusive", "not robust")
    seven = next(c for c in task.checks if c.number == 7)
    assert seven.verdict == "fail"
    assert "attack the expectation over the randomness (EOT)" in seven.evidence
