"""The training loop.

Everything random is a function of (seed, stage, epoch, step, example), so a loop that is killed anywhere and started
again from its last checkpoint ends with the same weights, bit for bit, as one that was left alone.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional

from mithridate.errors import MithridateError
from mithridate.imaging.networks import Classifier
from mithridate.imaging.training import checkpoint
from mithridate.imaging.training.data import Images, labels_of
from mithridate.imaging.training.distributed import World, share_batch_norm, wrap
from mithridate.imaging.training.evaluate import cross_entropy, predict
from mithridate.imaging.training.feed import Feed
from mithridate.imaging.training.logs import Row
from mithridate.imaging.training.optimize import (
    WeightAverage,
    class_weights,
    learning_rate,
    make_optimizer,
    set_learning_rate,
    set_training_mode,
)
from mithridate.imaging.training.recipe import Recipe
from mithridate.seeds import derive
from mithridate.statistics import auc


class TrainingDiverged(MithridateError):
    """The loss or a gradient is not a finite number."""


class TrainingInterrupted(MithridateError):
    """Training was asked to stop; a checkpoint holds everything so far."""


@dataclass(frozen=True)
class Event:
    """One step forward, for whoever shows progress.  Steps count from the start of the stage."""

    stage: str
    epoch: int
    epochs: int
    step: int
    steps: int
    loss: float
    validation_auc: float | None = None


Progress = Callable[[Event], None]


@dataclass
class Position:
    """Where the loop stands and what it has seen; all of it goes into the checkpoint."""

    epoch: int = 0
    step: int = 0
    loss_sum: float = 0.0
    best_score: float = -math.inf
    best_epoch: int = 0
    done: bool = False
    history: list[Row] = field(default_factory=list)


@dataclass(frozen=True)
class Setting:
    """What a loop runs with besides network, data and recipe.

    epochs: stop after so many, the schedule still being that of the whole recipe.  earlier: rows of the log before this
    stage.  stop: asked after each step.
    """

    seed: int
    stage: str
    folder: Path
    here: World = field(default_factory=World)
    epochs: int | None = None
    stop: Callable[[], bool] = lambda: False
    progress: Progress = lambda event: None
    log: Callable[[Sequence[Row]], None] = lambda rows: None
    earlier: tuple[Row, ...] = ()

    @property
    def checkpoint(self) -> Path:
        return self.folder / f"checkpoint-{self.stage}.pt"


class Trainer:
    """One fit of one network: `run()` returns when the epochs are over or validation has stopped improving."""

    def __init__(
        self, network: Classifier, recipe: Recipe, train: Images, validation: Images | None, setting: Setting
    ) -> None:
        self.recipe, self.setting, self.here = recipe, setting, setting.here
        self.train, self.validation = train, validation
        seed = derive(setting.seed, setting.stage)
        self.feed = Feed(train, recipe, seed, setting.here)
        if self.here.size > 1:
            share_batch_norm(network)
        self.network = network.to(self.here.device, memory_format=self.feed.layout)  # type: ignore[call-overload]
        self.average = WeightAverage(self.network, recipe.ema_decay) if recipe.ema_decay else None
        self.optimizer = make_optimizer(self.network, recipe)
        weights = class_weights(torch.from_numpy(labels_of(train)), recipe.class_weights)
        self.class_weights = None if weights is None else weights.to(self.here.device)
        self.position = Position()
        self.best: dict[str, Tensor] | None = None
        self.steps = len(self.feed.batches(0))
        self._model: torch.nn.Module | None = None
        self.epochs = setting.epochs or recipe.head_epochs + recipe.epochs
        self._restore()

    @property
    def judged(self) -> Classifier:
        """The network that is validated and kept: the average of the weights if there is one."""
        return self.average.network if self.average else self.network

    def run(self) -> Classifier:
        """Train to the end; returns the chosen network, in evaluation mode.  `position.best_epoch` says from when.

        Raises TrainingDiverged, and TrainingInterrupted after writing a checkpoint.
        """
        devices = [self.here.device] if self.here.device.type == "cuda" else []
        with torch.random.fork_rng(devices), _reproducible_kernels():
            while not self.position.done:
                self._epoch()
                self._finish_epoch()
        chosen = self.judged
        if self.best is not None:
            chosen.load_state_dict(self.best)
        return chosen.eval()

    def _epoch(self) -> None:
        position, epoch = self.position, self.position.epoch
        head_only = epoch < self.recipe.head_epochs
        set_training_mode(self.network, self.recipe, head_only=head_only)
        if self._model is None or epoch == self.recipe.head_epochs:  # what needs gradients has changed
            self._model = wrap(self.network, self.here)
        todo = self.feed.batches(epoch)[position.step :]
        saved = time.monotonic()
        for batch, (x, target) in zip(todo, self.feed.load(todo, epoch), strict=True):
            loss, asked_to_stop = self._step(self._model, x, target, len(batch))
            position.loss_sum += loss * len(batch)
            position.step += 1
            if asked_to_stop or time.monotonic() - saved >= self.recipe.checkpoint_seconds:
                self._save()
                saved = time.monotonic()
            if asked_to_stop:
                raise TrainingInterrupted(f"training stopped in epoch {epoch + 1} of {self.epochs}")
            self._report(loss)

    def _step(self, model: torch.nn.Module, x: Tensor, target: Tensor, batch_size: int) -> tuple[float, bool]:
        """One update; returns the mean loss over all processes, and whether one of them was asked to stop."""
        position, recipe = self.position, self.recipe
        names = (self.setting.stage, "dropout", position.epoch, position.step, self.here.rank)
        torch.manual_seed(derive(self.setting.seed, *names))
        rate = learning_rate(recipe, position.epoch + (position.step + 0.5) / self.steps)
        set_learning_rate(self.optimizer, rate)
        with torch.autocast(self.here.device.type, torch.bfloat16, enabled=recipe.precision == "bfloat16"):
            logits = model(x).float()
        total = functional.cross_entropy(
            logits, target, self.class_weights, reduction="sum", label_smoothing=recipe.label_smoothing
        )
        self.optimizer.zero_grad(set_to_none=True)
        # Processes average their gradients: scaled so, the average is the gradient of the mean over the whole batch.
        (total * (self.here.size / batch_size)).backward()  # type: ignore[no-untyped-call]
        norm = torch.nn.utils.clip_grad_norm_(self.network.parameters(), recipe.clip_norm or math.inf)
        loss, asked_to_stop = self._agree(total.detach(), batch_size, norm)
        self.optimizer.step()
        if self.average:
            self.average.update(self.network)
        return loss, asked_to_stop

    def _agree(self, total: Tensor, batch_size: int, norm: Tensor) -> tuple[float, bool]:
        """Mean loss over all processes, and the same decision in all of them on whether to go on."""
        stop = torch.full_like(total, float(self.setting.stop()))
        loss, gradient, asked = (float(value) for value in self.here.total(torch.stack([total, norm, stop])))
        loss /= batch_size
        epoch, step = self.position.epoch + 1, self.position.step + 1
        if not (math.isfinite(loss) and math.isfinite(gradient)):
            raise TrainingDiverged(
                f"training diverged: the loss is {loss} and its gradient's norm {gradient} in epoch {epoch}, "
                f"step {step}; lower the learning rate (now {self.recipe.learning_rate:g}) or set clip_norm"
            )
        return loss, bool(asked)

    def _finish_epoch(self) -> None:
        position, recipe = self.position, self.recipe
        mean_loss = position.loss_sum / len(self.train)
        scores = self._validate()
        position.epoch, position.step, position.loss_sum = position.epoch + 1, 0, 0.0
        row: dict[str, str | int | float | None] = {
            "stage": self.setting.stage,
            "epoch": position.epoch,
            "learning_rate": learning_rate(recipe, position.epoch - 0.5 / self.steps),
            "train_loss": mean_loss,
            **scores,
        }
        position.history.append(row)
        self._choose(scores)
        late = recipe.patience is not None and position.epoch - position.best_epoch >= recipe.patience
        position.done = position.epoch >= self.epochs or (late and self._watches and position.best_epoch > 0)
        if self.here.leads:
            self.setting.log([*self.setting.earlier, *position.history])
        self._save()
        self._report(mean_loss, scores["validation_auc"])

    @property
    def _watches(self) -> bool:
        return self.recipe.monitor != "none" and self.validation is not None

    def _validate(self) -> dict[str, float | None]:
        if self.validation is None or len(self.validation) == 0:
            return dict.fromkeys(("validation_loss", "validation_auc", "validation_accuracy"))
        labels = labels_of(self.validation)
        found = predict(self.judged, self.validation, self.here, channels_last=self.recipe.channels_last)
        area = auc(labels, found)
        return {
            "validation_loss": cross_entropy(labels, found),
            "validation_auc": None if math.isnan(area) else area,
            "validation_accuracy": float(((found >= 0.5) == labels).mean()),
        }

    def _choose(self, scores: dict[str, float | None]) -> None:
        """Keep the weights of the best epoch by the monitor; of the last one without a monitor."""
        position = self.position
        if not self._watches:
            position.best_epoch = position.epoch
            return
        value = scores["validation_auc"] if self.recipe.monitor == "auc" else scores["validation_loss"]
        assert value is not None  # run.py refuses a monitor that the validation part cannot serve
        score = value if self.recipe.monitor == "auc" else -value
        if score > position.best_score:
            position.best_score, position.best_epoch = score, position.epoch
            self.best = {key: tensor.clone() for key, tensor in self.judged.state_dict().items()}

    def _report(self, loss: float, validation_auc: float | None = None) -> None:
        if self.here.leads:
            done = self.position.epoch * self.steps + self.position.step
            epoch = min(self.position.epoch + 1, self.epochs)
            total = self.epochs * self.steps
            self.setting.progress(Event(self.setting.stage, epoch, self.epochs, done, total, loss, validation_auc))

    def _save(self) -> None:
        if not self.here.leads:
            return
        state = {
            "position": vars(self.position),
            "network": self.network.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "average": self.average.state() if self.average else None,
            "best": self.best,
        }
        checkpoint.save(self.setting.checkpoint, state)

    def _restore(self) -> None:
        self.here.wait()
        state = checkpoint.read(self.setting.checkpoint, self.here.device)
        if state is None:
            return
        self.position = Position(**state["position"])
        self.network.load_state_dict(state["network"])
        self.optimizer.load_state_dict(state["optimizer"])
        if self.average:
            self.average.restore(state["average"])
        self.best = state["best"]


@contextmanager
def _reproducible_kernels() -> Iterator[None]:
    """cuDNN's deterministic kernels: a resumed run must add the same numbers in the same order."""
    before = torch.backends.cudnn.deterministic, torch.backends.cudnn.benchmark
    torch.backends.cudnn.deterministic, torch.backends.cudnn.benchmark = True, False
    try:
        yield
    finally:
        torch.backends.cudnn.deterministic, torch.backends.cudnn.benchmark = before
