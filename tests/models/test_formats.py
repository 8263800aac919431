"""Keras, torch files and scikit-learn as models under test; nothing of theirs runs unless it is allowed."""

from __future__ import annotations

import os
import pickle
import zipfile
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression
from torch import nn

from mithridate.errors import UserError
from mithridate.imaging.attacks.losses import margin
from mithridate.models.acceptance import agrees_with_native
from mithridate.models.opening import open_model
from models.files import described

os.environ.setdefault("KERAS_BACKEND", "torch")
X = torch.rand(5, 3, 8, 8, generator=torch.Generator().manual_seed(0))
LABELS = torch.tensor([0, 1, 0, 1, 0])
TWO = {"input": {"size": 8}, "head": "logits", "classes": ["no", "yes"]}


def network() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 2)
    ).eval()


def made_here() -> nn.Module:
    return network()


def exported(path: Path, batch: int | None = None) -> Path:
    shapes = None if batch else ({0: torch.export.Dim("n", min=1, max=512)},)
    torch.export.save(torch.export.export(network(), (X[: batch or 2],), dynamic_shapes=shapes), path)
    return path


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("torch")
    torch.jit.save(torch.jit.trace(network(), X), folder / "m.pt")
    exported(folder / "m.pt2")
    exported(folder / "fixed.pt2", batch=4)
    torch.save(network(), folder / "pickled.pt")
    return folder


@pytest.mark.parametrize(
    ("kind", "name"), [("torchscript", "m.pt"), ("torch-export", "m.pt2"), ("torch-export", "fixed.pt2")]
)
def test_torch_files_are_white_boxes_with_the_modules_own_numbers(files: Path, kind: str, name: str) -> None:
    opened = open_model(described(format=kind, path=str(files / name), **TWO))
    with torch.no_grad():
        assert torch.allclose(opened.model.logits(X), network()(X), atol=1e-6)
    x = X.clone().requires_grad_(True)
    (expected,) = torch.autograd.grad(margin(network()(x), LABELS).sum(), x)
    gradient = opened.model.logits_and_gradient(X, LABELS, margin)[2]  # type: ignore[union-attr]
    assert torch.allclose(gradient, expected, atol=1e-6)
    assert opened.white_box
    assert agrees_with_native(opened, X) < 1e-6


def test_a_factory_runs_only_when_it_is_allowed() -> None:
    plan = described(format="torch", factory="models.test_formats:made_here", **TWO)
    with pytest.raises(UserError, match="--allow-code"):
        open_model(plan)
    with torch.no_grad():
        assert torch.allclose(open_model(plan, allow_code=True).model.logits(X), network()(X), atol=1e-6)
    for factory, said in (
        ("models.test_formats:X", "failed"),
        ("models.test_formats:described", "failed"),
        ("no.such:f", "No module"),
    ):
        with pytest.raises(UserError, match=said):
            open_model(plan.model_copy(update={"factory": factory}), allow_code=True)


def test_a_pickled_module_is_refused_unless_allowed(files: Path) -> None:
    plan = described(format="torchscript", path=str(files / "pickled.pt"), **TWO)
    with pytest.raises(UserError, match=r"no TorchScript archive.*--allow-code"):
        open_model(plan)
    with torch.no_grad():
        assert torch.allclose(open_model(plan, allow_code=True).model.logits(X), network()(X), atol=1e-6)


class Payload:
    """Touches a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return (Path.touch, (self.path,))


def rewritten(source: Path, target: Path, change: Any) -> Path:
    """A copy of an archive with its members changed."""
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(target, "w", zipfile.ZIP_STORED) as new:
        for name in old.namelist():
            new.writestr(name, change(name, old.read(name)))
    return target


def test_an_archive_with_code_in_it_is_refused_before_it_runs(files: Path, tmp_path: Path) -> None:
    flag = tmp_path / "ran"

    def plant(name: str, content: bytes) -> bytes:
        if "sample_inputs" not in name:
            return content
        torch.save(Payload(flag), tmp_path / "evil.pt")
        return (tmp_path / "evil.pt").read_bytes()

    changes = {
        "a pickle that is no tensor": plant,
        "pickled weights": lambda n, c: c.replace(b'"use_pickle": false', b'"use_pickle": true', 1),
        "the operator torch.os.system": lambda n, c: c.replace(b"torch.ops.aten.relu.default", b"torch.os.system"),
        "the expression": lambda n, c: c.replace(b"Symbol('s", b"__import__('s"),
    }
    for said, change in changes.items():
        bad = rewritten(files / "m.pt2", tmp_path / "bad.pt2", change)
        with pytest.raises(UserError, match=said):
            open_model(described(format="torch-export", path=str(bad), **TWO))
    assert not flag.exists()


def test_a_keras_model_with_a_second_input_held_fixed(tmp_path: Path) -> None:
    import keras

    keras.utils.set_random_seed(0)
    image, meta = keras.Input((8, 8, 3), name="image"), keras.Input((4,), name="meta")
    y = keras.layers.Conv2D(4, 3, activation="relu")(keras.layers.Rescaling(1 / 255)(image))
    y = keras.layers.GlobalAveragePooling2D()(keras.layers.BatchNormalization()(y))
    y = keras.layers.Dropout(0.5)(keras.layers.Concatenate()([y, keras.layers.Dense(4)(meta)]))
    model = keras.Model([image, meta], keras.layers.Dense(1, activation="sigmoid")(y))
    file = tmp_path / "m.keras"
    model.save(file)
    values = [1.0, -2.0, 0.5, 3.0]
    stated = {"size": 8, "range": [0, 255], "layout": "NHWC"}
    plan = described(format="keras", path=str(file), input=stated, head="sigmoid", extra={"meta": values})
    opened = open_model(plan)
    pixels = (X * 255).permute(0, 2, 3, 1).numpy()
    expected = model.predict([pixels, np.tile(np.float32(values), (5, 1))], verbose=0)[:, 0]
    assert opened.model.logits(X).softmax(1)[:, 1].numpy() == pytest.approx(expected, abs=1e-5)
    assert agrees_with_native(opened, X) < 1e-5
    x = X[:1].clone()
    _, _, gradient = opened.model.logits_and_gradient(x, torch.tensor([0]), margin)  # type: ignore[union-attr]
    step = 1e-2 * gradient / gradient.norm()
    ends = [margin(opened.model.logits(x + s * step), torch.tensor([0])).item() for s in (1, -1)]
    assert (ends[0] - ends[1]) / 2 == pytest.approx(1e-2 * gradient.norm().item(), rel=0.05)
    for wrong, said in (
        ({"extra": {}}, "'meta'"),
        ({"extra": {"meta": (1.0,)}}, "takes"),
        ({"image": "picture"}, "no input 'picture'"),
    ):
        with pytest.raises(UserError, match=said):
            open_model(plan.model_copy(update=wrong))
    with pytest.raises(UserError, match="mend the input's size"):
        open_model(described(format="keras", path=str(file), input={"size": 8}, head="sigmoid", extra={"meta": values}))


def test_a_keras_lambda_is_code_and_refused(tmp_path: Path) -> None:
    import keras

    image = keras.Input((8, 8, 3))
    y = keras.layers.Dense(1)(keras.layers.Flatten()(keras.layers.Lambda(lambda v: v * 2)(image)))
    keras.Model(image, y).save(tmp_path / "m.keras")
    stated = {"size": 8, "layout": "NHWC"}
    with pytest.raises(UserError, match="without running code"):
        open_model(described(format="keras", path=str(tmp_path / "m.keras"), input=stated, head="logit"))


def test_an_estimator_is_a_pickle_and_a_black_box(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    estimator = LogisticRegression().fit(rng.random((40, 192)), np.arange(40) % 2)
    joblib.dump(estimator, tmp_path / "m.joblib")
    flat = X.reshape(5, -1).numpy()
    for head, classes in (("probabilities", ["no", "yes"]), ("probability", []), ("logit", [])):
        plan = described(
            format="scikit-learn", path=str(tmp_path / "m.joblib"), input={"size": 8}, head=head, classes=classes
        )
        opened = open_model(plan, allow_code=True)
        found = opened.model.logits(X).softmax(1)[:, 1].numpy()
        assert found == pytest.approx(estimator.predict_proba(flat)[:, 1], abs=1e-5)
        assert not opened.white_box
    with pytest.raises(UserError, match=r"192 features.*3 x 16 x 16"):
        open_model(plan.model_copy(update={"input": plan.input.model_copy(update={"size": 16})}), allow_code=True)
    (tmp_path / "evil.pkl").write_bytes(pickle.dumps(Payload(tmp_path / "ran")))
    with pytest.raises(UserError, match="--allow-code"):
        open_model(plan.model_copy(update={"path": str(tmp_path / "evil.pkl")}))
    assert not (tmp_path / "ran").exists()
