"""A head that is right from the first step: logistic regression on the features of the pretrained backbone."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from torch import nn

from mithridate.imaging.networks import Classifier
from mithridate.imaging.networks.classifier import Standardize
from mithridate.imaging.training.augment import augment, draw
from mithridate.imaging.training.data import Images, labels_of
from mithridate.imaging.training.distributed import World
from mithridate.imaging.training.recipe import Recipe

BATCH = 32


def start_head(network: Classifier, images: Images, recipe: Recipe, seed: int, here: World) -> None:
    """Set a `linear` head, in place, to the L2-regularized logistic regression on standardized features of the images.

    The images count once as they are and `head_start_views - 1` times augmented; each counts as one in the penalty's
    balance, however many views there are.
    """
    standardize, dense = network.head[0], network.head[2]
    assert isinstance(standardize, Standardize)
    assert isinstance(dense, nn.Linear)
    network.to(here.device).eval()
    views = [_features(network, images, recipe, seed, here, view) for view in range(recipe.head_start_views)]
    features = torch.from_numpy(np.concatenate(views))
    labels = np.tile(labels_of(images), recipe.head_start_views)
    standardize.fit(features.to(here.device))
    balanced = "balanced" if recipe.class_weights == "balanced" else None
    model = LogisticRegression(C=recipe.head_start_c / recipe.head_start_views, class_weight=balanced, max_iter=2000)
    model.fit(standardize(features.to(here.device)).detach().cpu().double().numpy(), labels)
    weight, bias = torch.from_numpy(model.coef_[0]).float(), float(model.intercept_[0])
    with torch.no_grad():
        # Two logits whose difference is the regression's one.
        dense.weight.copy_(torch.stack([-weight / 2, weight / 2]))
        dense.bias.copy_(torch.tensor([-bias / 2, bias / 2]))


@torch.inference_mode()
def _features(
    network: Classifier, images: Images, recipe: Recipe, seed: int, here: World, view: int
) -> NDArray[np.float32]:
    ids: NDArray[Any] = np.asarray(images.ids, dtype=str)
    mine = here.share(np.arange(len(images)))
    found: list[NDArray[np.float32]] = []
    for start in range(0, len(mine), BATCH):
        rows = mine[start : start + BATCH]
        x = torch.from_numpy(images.load(rows.tolist())).to(here.device)
        if view > 0:
            # Epochs count from zero: negative ones are free for this purpose.
            x = augment(x, draw(seed, -view, ids[rows]), recipe.augmentation)
        found.append(network.features(x).cpu().numpy())
    whole = np.empty((len(images), found[0].shape[1]), dtype=np.float32)
    for rank, part in enumerate(here.gather(np.concatenate(found))):
        whole[rank :: here.size] = part
    return whole
