"""The loop learns, resumes to the same bits, keeps the right epoch and refuses what cannot work."""

from __future__ import annotations

import csv
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from imaging.training.blobs import RECIPE, SUBJECT, Blobs, fit, sets
from mithridate.errors import UserError
from mithridate.imaging.cards import load_model
from mithridate.imaging.training import Request, TrainingDiverged, TrainingInterrupted, train_images
from mithridate.imaging.training.evaluate import cross_entropy, predict

RECIPES = {
    "sgd, mixup, average": RECIPE,
    "adamw, cosine, head first, refit": RECIPE.override(
        {
            "optimizer": "adamw",
            "learning_rate": 2e-3,
            "schedule": "cosine",
            "warmup_epochs": 0.5,
            "head_epochs": 1,
            "head_start": "logistic",
            "weight_decay": 0.1,
            "refit": "afterwards",
            "channels_last": True,
            "precision": "bfloat16",
            "ema_decay": None,
            "epochs": 1,
        }
    ),
}


def weights(folder: Path) -> bytes:
    return (folder / "model.safetensors").read_bytes()


class StopAfter:
    """Says stop at the n-th question."""

    def __init__(self, n: int) -> None:
        self.left = n

    def __call__(self) -> bool:
        self.left -= 1
        return self.left == 0


@pytest.mark.parametrize("name", RECIPES)
def test_stopped_after_every_few_steps_it_ends_with_the_same_weights(name: str, tmp_path: Path) -> None:
    fit(tmp_path / "whole", RECIPES[name])
    interruptions = 0
    for steps in [1, 2, 3, 1, 2, 10_000]:
        try:
            fit(tmp_path / "parts", RECIPES[name], Request(device="cpu", stop=StopAfter(steps)))
        except TrainingInterrupted:
            interruptions += 1
    assert interruptions >= 3
    assert weights(tmp_path / "parts") == weights(tmp_path / "whole")
    assert (tmp_path / "parts/training.csv").read_text() == (tmp_path / "whole/training.csv").read_text()


CHILD = """
import sys, torch
from pathlib import Path
from imaging.training.blobs import fit
from mithridate.imaging.training import Request
torch.set_num_threads(1)
def show(event):
    print(event.step, flush=True)
    if event.step >= int(sys.argv[2]):
        sys.stdin.read()  # hold still, to be killed here
fit(Path(sys.argv[1]), request=Request(device="cpu", progress=show))
"""


def test_killed_in_mid_training_it_resumes_to_identical_weights(tmp_path: Path) -> None:
    torch.set_num_threads(1)
    folder = tmp_path / "killed"
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[2]), "OMP_NUM_THREADS": "1"}
    child = subprocess.Popen(
        [sys.executable, "-c", CHILD, str(folder), "4"],
        env=environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert child.stdout is not None
    seen: list[str] = []
    for line in child.stdout:
        seen.append(line.strip())
        if line.strip() == "4":
            break
    os.kill(child.pid, signal.SIGKILL)
    assert child.wait() == -signal.SIGKILL
    assert seen[-1] == "4"  # in the second of two epochs of three steps
    assert not (folder / "card.json").exists()
    steps: list[int] = []
    fit(folder, request=Request(device="cpu", progress=lambda event: steps.append(event.step)))
    assert steps[0] == 5  # it went on, it did not begin again
    fit(tmp_path / "whole")
    assert weights(folder) == weights(tmp_path / "whole")


def test_it_learns_and_the_card_says_how_well(tmp_path: Path) -> None:
    recipe = RECIPE.override({"epochs": 6, "monitor": "auc", "augmentation.mixup": 0})
    card = fit(tmp_path, recipe, n=96)
    assert card.test is not None
    assert card.test.auc.value is not None
    assert card.test.auc.value >= 0.9
    network, loaded = load_model(tmp_path)
    assert loaded == card
    again = predict(network, sets()[2])
    assert cross_entropy(sets()[2].labels, again) == pytest.approx(card.test.loss, rel=1e-5)
    assert card.data.images["train"] == {"a disc": 48, "no disc": 48}
    assert set(card.thresholds) == {"default", "youden", "sensitivity_90"}


def test_the_model_is_that_of_the_epoch_that_validation_liked_best(tmp_path: Path) -> None:
    # Without the average of the weights the validation loss goes up and down.
    card = fit(tmp_path, RECIPE.override({"epochs": 5, "ema_decay": None}))
    with (tmp_path / "training.csv").open() as table:
        losses = [float(row["validation_loss"]) for row in csv.DictReader(table)]
    assert card.epochs == int(np.argmin(losses)) + 1
    assert card.validation is not None
    assert card.validation.loss == pytest.approx(min(losses), rel=1e-4)
    assert min(losses) < max(losses)


def test_training_stops_when_validation_has_not_improved_for_the_patience(tmp_path: Path) -> None:
    # A rate of next to nothing: the first epoch cannot be improved on by its AUC.
    recipe = RECIPE.override({"epochs": 9, "learning_rate": 1e-12, "monitor": "auc", "patience": 2, "ema_decay": None})
    recipe = recipe.override({"batch_norm": "frozen"})
    card = fit(tmp_path, recipe)
    assert card.epochs == 1
    assert len((tmp_path / "training.csv").read_text().splitlines()) == 1 + 3


def test_the_order_of_the_rows_does_not_matter(tmp_path: Path) -> None:
    training, validation, test = sets()
    order = np.random.default_rng(0).permutation(len(training))
    for folder, images in (("a", training), ("b", training.reordered(order))):
        train_images(images, validation, test, SUBJECT, RECIPE, tmp_path / folder, Request(device="cpu"))
    assert weights(tmp_path / "a") == weights(tmp_path / "b")


def test_another_seed_gives_another_network(tmp_path: Path) -> None:
    fit(tmp_path / "a")
    fit(tmp_path / "b", request=Request(device="cpu", seed=1))
    assert weights(tmp_path / "a") != weights(tmp_path / "b")


def test_refit_trains_on_the_validation_part_too_for_the_chosen_epochs(tmp_path: Path) -> None:
    plain = fit(tmp_path / "a")
    card = fit(tmp_path / "b", RECIPE.override({"refit": "afterwards"}))
    assert card.epochs == plain.epochs
    assert card.thresholds == plain.thresholds
    assert card.thresholds_from.startswith("validation, by the network before")
    assert weights(tmp_path / "a") != weights(tmp_path / "b")
    with (tmp_path / "b/training.csv").open() as table:
        assert [row["stage"] for row in csv.DictReader(table)] == ["select"] * 2 + ["refit"] * card.epochs


def test_refit_needs_no_choice_of_epochs(tmp_path: Path) -> None:
    card = fit(tmp_path, RECIPE.override({"refit": "afterwards", "monitor": "none", "patience": None}))
    assert card.epochs == RECIPE.epochs
    assert card.thresholds_from.startswith("validation, by the network before")
    with (tmp_path / "training.csv").open() as table:
        assert [row["stage"] for row in csv.DictReader(table)].count("refit") == RECIPE.epochs


def test_the_callers_random_numbers_are_left_alone(tmp_path: Path) -> None:
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    fit(tmp_path)
    assert torch.equal(torch.rand(3), expected)


def test_a_loss_that_is_not_a_number_stops_with_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(TrainingDiverged, match=r"training diverged.*lower the learning rate \(now 1e\+30\)"):
        fit(tmp_path, RECIPE.override({"learning_rate": 1e30}))
    assert not (tmp_path / "card.json").exists()


def test_a_finished_training_is_not_done_again_and_another_one_is_refused(tmp_path: Path) -> None:
    card = fit(tmp_path)
    steps: list[int] = []
    assert fit(tmp_path, request=Request(device="cpu", progress=lambda event: steps.append(event.step))) == card
    assert steps == []
    with pytest.raises(UserError, match=r"recipe\.epochs was 2, is now 1"):
        fit(tmp_path, RECIPE.override({"epochs": 1}))
    assert fit(tmp_path, RECIPE.override({"epochs": 1}), Request(device="cpu", restart=True)).epochs == 1


def test_one_class_to_train_on_is_refused(tmp_path: Path) -> None:
    training, validation, _ = sets()
    ill = training.reordered(np.flatnonzero(training.labels == 1))
    with pytest.raises(UserError, match="12 images, all of them 'a disc': training needs images of both classes"):
        train_images(ill, validation, None, SUBJECT, RECIPE, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_monitor_without_a_fitting_validation_part_is_refused(tmp_path: Path) -> None:
    training, validation, _ = sets()
    well: Blobs = validation.reordered(np.flatnonzero(validation.labels == 0))
    with pytest.raises(UserError, match="no validation images"):
        train_images(training, None, None, SUBJECT, RECIPE, tmp_path)
    with pytest.raises(UserError, match="all 4 validation images are 'no disc'"):
        train_images(training, well, None, SUBJECT, RECIPE.override({"monitor": "auc"}), tmp_path)


def test_a_damaged_checkpoint_is_named(tmp_path: Path) -> None:
    with pytest.raises(TrainingInterrupted):
        fit(tmp_path, request=Request(device="cpu", stop=StopAfter(2)))
    path = tmp_path / "checkpoint-select.pt"
    path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(UserError, match=r"checkpoint-select\.pt is damaged.*--restart"):
        fit(tmp_path)
