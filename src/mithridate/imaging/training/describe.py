"""The card of a network that has just been trained: measured on what it has not seen."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np

from mithridate.imaging.cards import DataRecord, ModelCard, library_versions
from mithridate.imaging.networks import Classifier
from mithridate.imaging.training.data import Images, labels_of
from mithridate.imaging.training.distributed import World
from mithridate.imaging.training.evaluate import PAPER_THRESHOLDS, measure, operating_thresholds, predict
from mithridate.imaging.training.recipe import Recipe


@dataclass(frozen=True)
class Subject:
    """What the images show, in the words of the card, and the fingerprint of the data.

    paper: whether this is one of the paper's tasks with the paper's positives, so that its thresholds apply.
    """

    task: str
    modality: str
    positive: str
    negative: str
    channels: Literal[1, 3]
    fingerprint: str
    paper: bool = False


@dataclass(frozen=True)
class Measured:
    """Where operating thresholds come from: which images, in words and in fact, judged by which network."""

    words: str
    images: Images
    network: Classifier


def describe(
    network: Classifier,
    subject: Subject,
    recipe: Recipe,
    parts: Mapping[str, Images | None],
    measured: Measured,
    here: World,
) -> ModelCard:
    """Measure a trained network and write its card, but for what only the run knows (name, role, seed, epochs).

    parts: "train", "validation", "test" -> images, or None where there are none.
    """
    found = predict(measured.network, measured.images, here, channels_last=recipe.channels_last)
    thresholds = operating_thresholds(labels_of(measured.images), found)
    if subject.paper and subject.task in PAPER_THRESHOLDS:
        thresholds["paper"] = PAPER_THRESHOLDS[subject.task]
    test = parts["test"]
    tested = None if test is None else predict(network, test, here, channels_last=recipe.channels_last)
    return ModelCard(
        name=subject.task,
        architecture=recipe.architecture,
        head=recipe.head,
        levels=recipe.levels,
        grid=recipe.grid,
        task=subject.task,
        modality=subject.modality,
        positive=subject.positive,
        negative=subject.negative,
        channels=subject.channels,
        size=recipe.size,
        inner_size=recipe.inner_size,
        mean=network.normalization.mean,
        std=network.normalization.std,
        preprocessing=_preprocessing(subject.channels, recipe.size),
        data=_data(subject, parts),
        recipe=recipe.model_dump(mode="json"),
        seed=0,
        epochs=0,
        validation=measure(measured.images, found) if measured.images is parts["validation"] else None,
        test=None if test is None or tested is None else measure(test, tested),
        thresholds=thresholds,
        thresholds_from=measured.words,
        versions=library_versions(),
    )


def _data(subject: Subject, parts: Mapping[str, Images | None]) -> DataRecord:
    images: dict[str, dict[str, int]] = {}
    groups: dict[str, int] = {}
    for name, part in parts.items():
        if part is not None:
            ill = int(labels_of(part).sum())
            images[name] = {subject.positive: ill, subject.negative: len(part) - ill}
            groups[name] = len(set(np.asarray(part.groups, dtype=str).tolist()))
    return DataRecord(fingerprint=subject.fingerprint, images=images, groups=groups)


def _preprocessing(channels: int, size: int) -> str:
    kind = "one gray channel, repeated to three inside the network" if channels == 1 else "red, green and blue"
    return (
        f"Shorter side resized to {size} pixels with antialiasing, center square cut out, {kind}, scaled to [0, 1]; "
        "mean and standard deviation are applied inside the network."
    )
