"""The head's start is scikit-learn's logistic regression on standardized features."""

from __future__ import annotations

import numpy as np
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from imaging.training.blobs import RECIPE, Blobs
from mithridate.imaging.networks import build
from mithridate.imaging.training.distributed import World
from mithridate.imaging.training.evaluate import predict
from mithridate.imaging.training.head_start import start_head


def test_the_network_answers_as_the_regression_on_its_features_does() -> None:
    torch.manual_seed(0)
    network, images = build("resnet-small", channels=1, head="linear"), Blobs(40)
    recipe = RECIPE.override({"head_start": "logistic", "head_start_c": 0.05})
    start_head(network, images, recipe, 0, World())
    with torch.no_grad():
        features = network.eval().features(torch.from_numpy(images.pixels)).double().numpy()
    model = make_pipeline(StandardScaler(), LogisticRegression(C=0.05, max_iter=2000)).fit(features, images.labels)
    assert np.allclose(predict(network, images), model.predict_proba(features)[:, 1], atol=2e-3)


def test_more_views_see_augmented_images_but_weigh_no_more() -> None:
    images = Blobs(40)
    answers = []
    for changes in (
        {"head_start_views": 1},
        {"head_start_views": 3},
        {"head_start_views": 3, "augmentation": {}},
    ):
        torch.manual_seed(0)
        network = build("resnet-small", channels=1, head="linear")
        start_head(network, images, RECIPE.override({"head_start": "logistic", **changes}), 0, World())
        answers.append(predict(network, images))
    assert np.abs(answers[1] - answers[0]).max() > 0.01
    # Three equal views at a third of the weight each are one view.
    assert np.allclose(answers[2], answers[0], atol=2e-3)
