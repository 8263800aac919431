"""Recipes: the paper's numbers, overrides and mistakes."""

from __future__ import annotations

import pytest

from mithridate.errors import UserError
from mithridate.imaging.training.recipe import PRESETS, Recipe, field_names, parse, preset


def test_the_default_is_the_papers_training() -> None:
    for task in ("fundus", "chest", "skin"):
        recipe = preset("paper", task)
        assert (recipe.architecture, recipe.pretrained, recipe.head, recipe.size) == (
            "resnet50",
            "imagenet",
            "paper",
            224,
        )
        assert (recipe.optimizer, recipe.learning_rate, recipe.momentum, recipe.batch_size) == ("sgd", 1e-3, 0.9, 32)
        assert (recipe.dropout, recipe.weight_decay, recipe.schedule, recipe.frozen_blocks) == (0.2, 0, "constant", 0)
        augmentation = recipe.augmentation
        assert augmentation.flip_horizontal
        assert (augmentation.rotation, augmentation.flip_vertical, augmentation.mixup) == (
            (45, False, 0) if task == "chest" else (180, True, 0.2)
        )


@pytest.mark.parametrize("name", PRESETS)
@pytest.mark.parametrize("task", ["fundus", "chest", "skin"])
def test_presets_survive_json_and_never_turn_a_chest_upside_down(name: str, task: str) -> None:
    recipe = preset(name, task)
    assert Recipe.model_validate_json(recipe.model_dump_json()) == recipe
    if task == "chest":
        assert not recipe.augmentation.flip_vertical
        assert recipe.augmentation.rotation <= 45


def test_overrides_reach_into_the_augmentation() -> None:
    recipe = Recipe().override({"epochs": 3, "augmentation.rotation": 20})
    assert (recipe.epochs, recipe.augmentation.rotation) == (3, 20)
    assert "augmentation.mixup" in field_names()


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"epoch": 3}, "no field 'epoch': known are"),
        ({"epochs.more": 3}, r"no field 'epochs\.more'"),
        ({"augmentation.spin": 3}, r"no field 'augmentation\.spin'"),
        ({"epochs": 0}, "field epochs: Input should be greater than or equal to 1"),
        ({"optimizer": "adam"}, "field optimizer: Input should be 'sgd' or 'adamw'"),
        ({"augmentation.zoom": [2, 1]}, "zoom must be two positive numbers"),
        ({"head_start": "logistic"}, "needs head 'linear'"),
        ({"refit": "only"}, "set monitor to 'none'"),
        ({"levels": [3]}, "are for architecture 'efficientnet-lite0'"),
        ({"grid": 3}, "are for architecture 'efficientnet-lite0'"),
    ],
)
def test_mistakes_are_named(changes: dict[str, object], words: str) -> None:
    with pytest.raises(UserError, match=words):
        Recipe().override(changes)


def test_something_that_is_no_recipe_is_refused() -> None:
    with pytest.raises(UserError, match="recipe: Input should be a valid dictionary"):
        parse([1, 2])
    with pytest.raises(UserError, match="recipe 'papper' is not known: choose one of paper"):
        preset("papper", "chest")
