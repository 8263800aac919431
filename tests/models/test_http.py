"""A real server that answers, fails, stalls, and changes its mind."""

from __future__ import annotations

import base64
import io
import json
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from mithridate.errors import MithridateError, QueryLimitReached, UserError
from mithridate.models import http_wire
from mithridate.models.acceptance import repeats
from mithridate.models.opened import Opened
from mithridate.models.opening import open_model
from models.files import SIZE, described, endpoint, linear_answers, pattern

X = torch.rand(7, 1, SIZE, SIZE, generator=torch.Generator().manual_seed(0))
CLASSES = {"head": "probabilities", "classes": ["dark left", "bright left"]}


@pytest.fixture(autouse=True)
def _short_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http_wire, "LONGEST_WAIT", 0.01)


def opened(url: str, folder: Path, **more: Any) -> Opened:
    plan = {"format": "http", "url": url, "input": {"size": SIZE, "channels": 1}, **CLASSES, **more}
    return open_model(described(**plan), store=folder / "answers.sqlite")


def right(_: int, __: str, body: bytes) -> tuple[int, Any]:
    return 200, {"predictions": linear_answers(body)}


def expected(x: torch.Tensor) -> torch.Tensor:
    return (16 * (x * torch.from_numpy(pattern())).mean((1, 2, 3))).sigmoid()


def test_answers_are_asked_for_in_batches_and_once(tmp_path: Path) -> None:
    with endpoint(right) as (url, bodies):
        model = opened(url, tmp_path, batch=3).model
        first = model.logits(torch.cat([X, X[:2]]))
        assert torch.allclose(first.softmax(1)[:7, 1], expected(X), atol=1e-5)
        assert torch.equal(first[7:], first[:2])
        asked = [len(json.loads(body)["instances"]) for body in bodies]
        assert sum(asked) == 7
        assert max(asked) == 3
        # Another process, a later run: the kept answers serve.
        assert torch.equal(opened(url, tmp_path, batch=3).model.logits(X), first[:7])
        assert len(bodies) == len(asked)


@pytest.mark.parametrize("how", ["multipart", "json"])
def test_images_travel_as_png(tmp_path: Path, how: str) -> None:
    seen: list[np.ndarray[Any, Any]] = []

    def answer(_: int, kind: str, body: bytes) -> tuple[int, Any]:
        if how == "multipart":
            assert kind.startswith("multipart/form-data")
            boundary = kind.split("boundary=")[1].encode()
            parts = [part.split(b"\r\n\r\n", 1)[1].rstrip(b"\r\n-") for part in body.split(boundary)[1:-1]]
        else:
            parts = [base64.b64decode(text) for text in json.loads(body)["files"]]
        images = [np.asarray(Image.open(io.BytesIO(part))) for part in parts]
        seen.extend(images)
        return 200, {"out": {"scores": [[0.4, 0.6]] * len(images)}}

    more = {"encoding": how, "image_as": "png", "field": "files", "answers": "out.scores"}
    with endpoint(answer) as (url, _):
        opened(url, tmp_path, **more).model.logits(X[:2])
    assert len(seen) == 2
    assert np.array_equal(seen[0], (X[0, 0] * 255).round().numpy().astype(np.uint8))


def test_faults_that_pass_are_waited_out_and_those_that_stay_end_the_run(tmp_path: Path) -> None:
    with endpoint(lambda n, k, b: (503, "busy") if n % 3 else right(n, k, b)) as (url, bodies):
        found = opened(url, tmp_path).model.logits(X)
        assert torch.allclose(found.softmax(1)[:, 1], expected(X), atol=1e-5)
        assert len(bodies) == 3
    with endpoint(lambda *_: (500, "broken")) as (url, bodies):
        with pytest.raises(MithridateError, match="answered 500, 3 times"):
            opened(url, tmp_path, retries=2).model.logits(X)
        assert len(bodies) == 3
    with endpoint(lambda *_: (403, "who are you")) as (url, bodies):
        with pytest.raises(UserError, match=r"answered 403.*headers_from"):
            opened(url, tmp_path).model.logits(X)
        assert len(bodies) == 1  # asking again would not help
    with pytest.raises(MithridateError, match="cannot be reached"):
        opened(url, tmp_path, retries=0).model.logits(X)


def test_an_endpoint_that_stalls_is_given_up(tmp_path: Path) -> None:
    def slow(_: int, __: str, body: bytes) -> tuple[int, Any]:
        time.sleep(0.6)
        return 200, {"predictions": linear_answers(body)}

    with endpoint(slow) as (url, _), pytest.raises(MithridateError, match=r"did not answer within 0\.2 s, 2 times"):
        opened(url, tmp_path, timeout=0.2, retries=1).model.logits(X[:1])


@pytest.mark.parametrize(
    ("answer", "error", "said"),
    [
        ("<html>", UserError, "did not answer with JSON"),
        ({"scores": [[0.5, 0.5]]}, UserError, r"no 'predictions' \(it holds scores\)"),
        ({"predictions": "high"}, UserError, "no table of numbers"),
        ({"predictions": [[0.5, 0.5]] * 3}, UserError, r"shape \(3, 2\) for 2 images"),
        ({"predictions": [[0.2, 0.3, 0.5]] * 2}, UserError, "answers for 3 classes and 2 are named"),
        ('{"predictions": [[NaN, 0.5], [0.5, 0.5]]}', MithridateError, "NaN"),
        ({"predictions": [[None, 0.5], [0.5, 0.5]]}, MithridateError, "NaN"),
    ],
)
def test_answers_that_are_none(tmp_path: Path, answer: Any, error: type[Exception], said: str) -> None:
    with endpoint(lambda *_: (200, answer)) as (url, _), pytest.raises(error, match=said):
        opened(url, tmp_path).model.logits(X[:2])


def test_an_endpoint_that_changes_its_mind_shows(tmp_path: Path) -> None:
    def fickle(n: int, _: str, body: bytes) -> tuple[int, Any]:
        return 200, {"predictions": [[0.4, 0.6] if n % 2 else [0.6, 0.4]] * len(json.loads(body)["instances"])}

    with endpoint(fickle) as (url, _):
        model = opened(url, tmp_path)
        # The audit itself sees one answer, the kept one; fresh questions see both.
        assert torch.equal(model.model.logits(X[:2]), model.model.logits(X[:2]))
        spread = repeats(model, X[:2], 4)
        assert (spread.amax(0) - spread.amin(0)).max() == pytest.approx(0.2, abs=1e-6)


def test_a_query_budget_holds_across_instances_and_charges_nothing_beyond(tmp_path: Path) -> None:
    with endpoint(right) as (url, bodies):
        opened(url, tmp_path, queries=5, batch=2).model.logits(X[:4])
        with pytest.raises(QueryLimitReached, match="budget of 5 images is spent"):
            opened(url, tmp_path, queries=5, batch=2).model.logits(X)
        assert sum(len(json.loads(body)["instances"]) for body in bodies) <= 5
        # A larger budget goes on from there.
        assert len(opened(url, tmp_path, queries=7, batch=2).model.logits(X)) == 7
        assert sum(len(json.loads(body)["instances"]) for body in bodies) == 7


def test_a_secret_comes_from_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plan = {"headers_from": {"Authorization": "MADE_UP_TOKEN"}}
    monkeypatch.delenv("MADE_UP_TOKEN", raising=False)
    with endpoint(right) as (url, _):
        with pytest.raises(UserError, match=r"MADE_UP_TOKEN.*is not set"):
            opened(url, tmp_path, **plan).model.logits(X[:1])
        monkeypatch.setenv("MADE_UP_TOKEN", "x")
        assert len(opened(url, tmp_path, **plan).model.logits(X[:1])) == 1
