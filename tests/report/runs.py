"""Run folders as `mithridate audit` writes them, made in a second: real phantoms, drawn probabilities, real metrics."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from mithridate.audit.metrics import summarize
from mithridate.audit.results import Condition, Kind, Results, TaskResult
from mithridate.imaging.phantoms import chest, fundus, skin
from mithridate.imaging.rotation import rotate
from mithridate.seeds import generator

DOSES = (0.0005, 0.001, 0.002, 0.005, 0.01, 0.02)
SIZE = 128
KEPT = 3
PHANTOMS: dict[str, Callable[..., NDArray[np.float32]]] = {
    "fundus": fundus.render,
    "chest": chest.render,
    "skin": skin.render,
}
WORDS = {
    "fundus": ("fundus photograph", "referable diabetic retinopathy", "no referable retinopathy"),
    "chest": ("chest radiograph", "pneumothorax", "no finding"),
    "skin": ("dermoscopy", "melanoma", "nevus"),
}


@dataclass(frozen=True)
class Spec:
    """One condition to make: the attack moves the score of the right class by `push` logits."""

    kind: Kind
    label: str
    attack: str
    budget: dict[str, Any]
    size: float
    main: bool
    sweep: str | None
    push: float
    surrogate: str | None = None


def specs(doses: Iterable[float] = DOSES) -> list[Spec]:
    """The conditions of the imaging study."""
    found = [Spec("clean", "Clean", "none", {"kind": "none"}, 0.0, True, None, 0.0)]
    kinds: tuple[tuple[Kind, str, str, float, str | None], ...] = (
        ("noise", "Random noise", "noise(draws=1)", 3.0, None),
        ("white-box", "White box, PGD", "pgd(steps=20, relative_step=0.5, loss=margin)", 1600.0, None),
        ("black-box", "Black box, PGD", "pgd(steps=20, relative_step=0.5, loss=margin)", 330.0, "second model"),
    )
    for kind, label, attack, force, surrogate in kinds:
        for dose in doses:
            budget = {"kind": "linf", "epsilon": dose}
            found.append(Spec(kind, label, attack, budget, dose, dose == 0.01, label, dose * force, surrogate))
    budget = {"kind": "rotation", "degrees": 30.0, "fill": "reflect"}
    found.append(Spec("rotation", "Rotation", "rotation(angles=31)", budget, 30.0, True, None, 1.5))
    return found


def build(folder: Path, tasks: Iterable[str] = ("fundus", "chest", "skin"), *, n: int = 160, kept: int = KEPT) -> Path:
    """A whole run folder of these tasks; `kept` examples a class have pictures."""
    results = Results(
        mithridate="0.1.0",
        name="The imaging study on embedded phantoms",
        run="3f1c0a9b5d7e42f18899aabbccddeeff",
        created="2025-11-22T00:47:05+00:00",
        authority={
            "owner": "the mithridate project",
            "authorized_by": "the mithridate project",
            "statement": "The shipped models and phantoms were made to be attacked by anyone.",
        },
        seed=20180415,
        epsilon_reading="paper-code: 0.01 on pixels in [0, 1]",
        synthetic=True,
        seconds=142.0,
        complete=True,
        tasks=tuple(_task(folder, task, n, kept) for task in tasks),
    )
    write(folder, results)
    manifest = {"versions": {"torch": "2.13.0", "numpy": "2.0"}, "device": {"kind": "cpu"}, "tasks": []}
    (folder / "manifest.json").write_text(json.dumps(manifest))
    return folder


def write(folder: Path, results: Results) -> Path:
    """Only results.json."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "results.json").write_text(results.model_dump_json(indent=2))
    return folder


def _task(folder: Path, task: str, n: int, kept: int) -> TaskResult:
    rng = generator(1, task)
    labels = np.arange(n) % 2
    scores = rng.normal(0, 1.6, n) + np.where(labels == 1, 3.0, -3.0)
    modality, positive, negative = WORDS.get(task, ("image", "positive", "negative"))
    clean = _images(task, kept) if kept else None
    conditions = []
    for spec in specs():
        cell = f"{task}/{spec.kind}/{spec.size:g}"
        moved = scores - np.where(labels == 1, 1, -1) * spec.push * rng.uniform(0.6, 1.4, n)
        conditions.append(_condition(spec, cell, labels, scores, moved))
        if clean is not None:
            _pictures(folder / "pictures" / cell, spec, clean, labels, scores, moved)
    return TaskResult(
        task=task,
        modality=modality,
        positive=positive,
        negative=negative,
        data={"fingerprint": "5b1f" * 8, "source": "phantom", "part": "all", "n": n, "positives": n // 2, "groups": n},
        victim={"name": f"{task} victim", "architecture": "resnet18", "size": 128, "thresholds": {"youden": 0.41}},
        majority_accuracy=0.5,
        refused=None,
        conditions=tuple(conditions),
    )


def _condition(spec: Spec, cell: str, labels: NDArray[Any], scores: NDArray[Any], moved: NDArray[Any]) -> Condition:
    before, after = 1 / (1 + np.exp(-scores)), 1 / (1 + np.exp(-moved))
    clean = spec.kind == "clean"
    findings = pd.DataFrame(
        {
            "group": [f"p{i // 2}" for i in range(len(labels))],
            "label": labels,
            "clean_prediction": (before > 0.5).astype(int),
            "probability": after,
            "prediction": (after > 0.5).astype(int),
            "stored_prediction": (after > 0.5).astype(int),
            "confidence": np.maximum(after, 1 - after),
            "ssim": 1.0 if clean else 0.7 if spec.kind == "rotation" else np.linspace(0.97, 0.99, len(labels)),
            "psnr": np.inf if clean else np.linspace(40.0, 44.0, len(labels)),
            "violation": 0.0,
            "verified": True,
        }
    )
    return Condition(
        cell=cell, kind=spec.kind, label=spec.label, attack=spec.attack, budget=spec.budget, size=spec.size,
        main=spec.main, sweep=spec.sweep, surrogate=spec.surrogate, n=len(labels), threshold=0.41,
        queries_per_example=1.0 if clean else 21.0, violation=0.0, unverified=0,
        **summarize(findings, 0.41, clean=clean),
    )  # fmt: skip


@lru_cache(maxsize=8)
def _images(task: str, kept: int) -> NDArray[np.float32]:
    """The first `kept` examples of each class, 2 kept x C x SIZE x SIZE; a striped gray card for unknown tasks."""
    images = []
    for i in range(2 * kept):
        render = PHANTOMS.get(task)
        if render is None:
            images.append(np.tile(np.linspace(0, 1, SIZE, dtype=np.float32), (1, SIZE, 1)))
        else:
            drawn = render(SIZE, 0.9 if i % 2 else 0.05, generator(2, task, i), generator(3, task, i))
            images.append(np.ascontiguousarray(drawn.transpose(2, 0, 1)))
    return np.stack(images)


def _pictures(
    folder: Path,
    spec: Spec,
    clean: NDArray[np.float32],
    labels: NDArray[Any],
    scores: NDArray[Any],
    moved: NDArray[Any],
) -> None:
    rng, count = generator(4, spec.kind), len(clean)
    if spec.kind == "rotation":
        candidate = rotate(torch.from_numpy(clean), torch.full((count,), spec.size)).numpy()
    elif spec.kind == "clean":
        candidate = clean
    else:
        direction = rng.uniform(-1, 1, clean.shape)
        if spec.kind != "noise":
            direction = np.sign(direction + np.roll(direction, 1, -1) + np.roll(direction, 1, -2))
        candidate = np.clip(clean + spec.size * direction, 0, 1).astype(np.float32)
    folder.mkdir(parents=True, exist_ok=True)
    np.savez_compressed(
        folder / "shard.npz",
        ids=np.array([f"{i:04d}" for i in range(count)]),
        labels=labels[:count],
        clean=clean,
        candidate=candidate,
        clean_probability=1 / (1 + np.exp(-scores[:count])),
        probability=1 / (1 + np.exp(-moved[:count])),
    )
