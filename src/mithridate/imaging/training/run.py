"""A whole training, from a catalog to a model with its card."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import torch

from mithridate.errors import UserError
from mithridate.imaging.cards import CARD, ModelCard, read_card, round_weights, save_model
from mithridate.imaging.networks import NORMALIZATIONS, Classifier, build
from mithridate.imaging.networks.pretrained import locate, verify
from mithridate.imaging.training import checkpoint
from mithridate.imaging.training.data import Images, Joined, labels_of
from mithridate.imaging.training.describe import Measured, Subject, describe
from mithridate.imaging.training.distributed import World, world
from mithridate.imaging.training.head_start import start_head
from mithridate.imaging.training.logs import Row, TrainingLog
from mithridate.imaging.training.recipe import Recipe
from mithridate.imaging.training.trainer import Event, Position, Setting, Trainer
from mithridate.seeds import derive

if TYPE_CHECKING:
    from mithridate.imaging.catalog import Catalog

Role = Literal["victim", "surrogate"]


@dataclass(frozen=True)
class Request:
    """How a training is run, besides recipe and data; only seed, role, name and weights shape the result."""

    seed: int = 0
    role: Role = "victim"
    name: str | None = None
    weights: Path | None = None
    device: str = "auto"
    restart: bool = False
    progress: Callable[[Event], None] = lambda event: None
    stop: Callable[[], bool] = lambda: False


def train(
    catalog: Catalog,
    recipe: Recipe,
    out: Path,
    *,
    seed: int = 0,
    device: str = "auto",
    progress: Callable[[Event], None] | None = None,
    role: Role = "victim",
    name: str | None = None,
    weights: Path | None = None,
    cache: Path | None = None,
    restart: bool = False,
    stop: Callable[[], bool] | None = None,
) -> ModelCard:
    """Train a classifier on a catalog's parts and write it to `out`: model.safetensors, card.json, training.csv.

    device: "auto", "cpu", "cuda" or "cuda:N".  weights: a local file of ImageNet weights.  cache: a folder for decoded
    images.  A folder that holds an unfinished training with the same settings goes on from its last checkpoint and ends
    with the same weights; a finished one is returned as it is; `restart` starts over.  `stop` is asked after each step:
    when it says True, a checkpoint is written and TrainingInterrupted raised.

    Raises UserError for settings or data that cannot work, TrainingDiverged when the loss is not a finite number.
    """
    from mithridate.imaging.images import ImageStore

    present = set(catalog.table["split"])

    def part(split: Literal["train", "validation", "test"]) -> Images | None:
        if split not in present:
            return None
        return ImageStore(catalog.part(split), recipe.size, channels=catalog.task.channels, cache=cache)

    training = part("train")
    if training is None:
        raise UserError("the catalog has no training images: build it with test and validation fractions below 1")
    task = catalog.task
    subject = Subject(
        task.name, task.modality, task.positive, task.negative, task.channels, catalog.fingerprint, task.is_paper
    )
    request = Request(
        seed, role, name, weights, device, restart, progress or (lambda event: None), stop or (lambda: False)
    )
    return train_images(training, part("validation"), part("test"), subject, recipe, out, request)


def train_images(
    training: Images,
    validation: Images | None,
    test: Images | None,
    subject: Subject,
    recipe: Recipe,
    out: Path,
    request: Request | None = None,
) -> ModelCard:
    """`train`, for any sets of images at the recipe's size: in memory, or read in another way."""
    run = _Run(training, validation, test, subject, recipe, out, request or Request())
    with world(run.request.device) as here:
        return run.execute(here)


@dataclass(frozen=True)
class _Run:
    training: Images
    validation: Images | None
    test: Images | None
    subject: Subject
    recipe: Recipe
    out: Path
    request: Request

    def execute(self, here: World) -> ModelCard:
        self._check()
        weights, digest = self._imagenet(here)
        if here.leads:
            checkpoint.claim(self.out, self._settings(digest), restart=self.request.restart)
        here.wait()
        if (self.out / CARD).exists():
            return read_card(self.out)
        log = TrainingLog(self.out) if here.leads else None
        try:
            network, epochs, measured = self._fit_all(here, weights, log)
        finally:
            if log:
                log.close()
        card = self._describe(network, epochs, measured, digest, here)
        if here.leads:
            card = save_model(self.out, network, card, self.recipe.storage)
            checkpoint.clear(self.out)
        here.wait()
        return card

    def _check(self) -> None:
        labels = labels_of(self.training)
        words = {0: self.subject.negative, 1: self.subject.positive}
        if len(set(labels.tolist())) < 2:
            kind = f", all of them '{words[int(labels[0])]}'" if len(labels) else ""
            raise UserError(f"the training part has {len(labels)} images{kind}: training needs images of both classes")
        monitor = self.recipe.monitor
        watched = labels_of(self.validation) if self.validation is not None else np.empty(0, dtype=np.int64)
        if monitor != "none" and len(watched) == 0:
            raise UserError(
                f"the recipe watches the validation {monitor}, but the catalog has no validation images: "
                "build it with --validation-fraction, or set monitor=none"
            )
        if monitor == "auc" and len(set(watched.tolist())) < 2:
            raise UserError(
                f"the recipe watches the validation AUC, but all {len(watched)} validation images are "
                f"'{words[int(watched[0])]}': take a larger validation part, or set monitor=loss"
            )

    def _imagenet(self, here: World) -> tuple[Path | None, str | None]:
        """File and SHA-256 of the ImageNet weights; the leading process fetches, the others wait for it."""
        if self.recipe.pretrained == "none":
            if self.request.weights is not None:
                raise UserError(f"the weights file {self.request.weights} would not be used: say --pretrained imagenet")
            return None, None
        if not here.leads:
            here.wait()
        path = self.request.weights or locate(self.recipe.architecture)
        if here.leads:
            here.wait()
        return path, verify(path, self.recipe.architecture)

    def _settings(self, digest: str | None) -> dict[str, Any]:
        """Everything that determines the result; how often to write checkpoints does not."""
        return {
            "recipe": self.recipe.model_dump(mode="json", exclude={"checkpoint_seconds"}),
            "seed": self.request.seed,
            "role": self.request.role,
            "name": self._name,
            "data": self.subject.fingerprint,
            "pretrained_sha256": digest,
        }

    @property
    def _name(self) -> str:
        return self.request.name or f"{self.subject.task}-{self.request.role}"

    def _fit_all(self, here: World, weights: Path | None, log: TrainingLog | None) -> tuple[Classifier, int, Measured]:
        """The final network, its epochs, and from what and by which network its thresholds are to be read."""
        whole = Joined(self.training, self.validation) if self.validation is not None else self.training
        if self.recipe.refit == "only":
            network, position = self._fit("refit", whole, None, None, here, weights, log)
            return network, position.best_epoch, Measured("training (no part was held out for them)", whole, network)
        network, position = self._fit("select", self.training, self.validation, None, here, weights, log)
        epochs = position.best_epoch
        if self.validation is None:
            return network, epochs, Measured("training (no part was held out for them)", whole, network)
        measured = Measured("validation", self.validation, network)
        if self.recipe.refit == "afterwards":
            network, _ = self._fit("refit", whole, None, epochs, here, weights, log, position.history)
            measured = Measured("validation, by the network before the refit", self.validation, measured.network)
        return network, epochs, measured

    def _fit(
        self,
        stage: str,
        images: Images,
        watched: Images | None,
        epochs: int | None,
        here: World,
        weights: Path | None,
        log: TrainingLog | None,
        earlier: Sequence[Row] = (),
    ) -> tuple[Classifier, Position]:
        setting = Setting(
            seed=self.request.seed,
            stage=stage,
            folder=self.out,
            here=here,
            epochs=epochs,
            stop=self.request.stop,
            progress=self.request.progress,
            log=log.write if log else lambda rows: None,
            earlier=tuple(earlier),
        )
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(derive(self.request.seed, "weights"))
            network = self._network(weights)
        if self.recipe.head_start == "logistic" and not setting.checkpoint.exists():
            start_head(network, images, self.recipe, derive(self.request.seed, stage), here)
        trainer = Trainer(network, self.recipe, images, watched, setting)
        chosen = trainer.run()
        round_weights(chosen, self.recipe.storage)
        return chosen, trainer.position

    def _network(self, weights: Path | None) -> Classifier:
        recipe = self.recipe
        return build(
            recipe.architecture,
            channels=self.subject.channels,
            head=recipe.head,
            pretrained=recipe.pretrained,
            weights=weights,
            normalization=None if recipe.normalization == "auto" else NORMALIZATIONS[recipe.normalization],
            dropout=recipe.dropout,
            drop_path=recipe.drop_path,
            levels=recipe.levels,
            grid=recipe.grid,
            inner_size=recipe.inner_size,
        )

    def _describe(
        self, network: Classifier, epochs: int, measured: Measured, digest: str | None, here: World
    ) -> ModelCard:
        parts = {"train": self.training, "validation": self.validation, "test": self.test}
        card = describe(network, self.subject, self.recipe, parts, measured, here)
        return card.model_copy(
            update={
                "name": self._name,
                "role": self.request.role,
                "seed": self.request.seed,
                "epochs": epochs,
                "pretrained_sha256": digest,
            }
        )
