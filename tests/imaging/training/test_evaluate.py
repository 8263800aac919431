"""Probabilities, metrics and operating thresholds against brute force and scikit-learn."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import log_loss, recall_score, roc_auc_score

from imaging.training.blobs import Blobs
from mithridate.errors import MithridateError
from mithridate.imaging.networks import build
from mithridate.imaging.training.evaluate import measure, operating_thresholds, predict

# Few distinct values, so that ties are common.
Cases = st.lists(st.tuples(st.integers(0, 1), st.integers(0, 12)), min_size=2, max_size=40)


@settings(deadline=None)
@given(Cases)
def test_thresholds_are_the_best_of_all_possible_ones(cases: list[tuple[int, int]]) -> None:
    labels = np.array([label for label, _ in cases])
    scores = np.array([score for _, score in cases]) / 12
    found = operating_thresholds(labels, scores)
    if len(set(labels.tolist())) < 2:
        assert found == {"default": 0.5}
        return

    # Every way to divide the images: thresholds at and between all possible scores.
    every = np.arange(-1, 26) / 24
    called = scores >= every[:, None]
    sensitivity = called[:, labels == 1].mean(axis=1)
    specificity = 1 - called[:, labels == 0].mean(axis=1)

    def rates(threshold: float) -> tuple[float, float]:
        return (scores >= threshold)[labels == 1].mean(), (scores < threshold)[labels == 0].mean()

    assert sum(rates(found["youden"])) == pytest.approx((sensitivity + specificity).max())
    own, spared = rates(found["sensitivity_90"])
    assert own >= 0.9
    assert spared == pytest.approx(specificity[sensitivity >= 0.9].max())
    for name in ("youden", "sensitivity_90"):
        assert np.abs(scores - found[name]).min() > 0.01 or found[name] in (0, 1)  # not on an image's own score


@settings(deadline=None, max_examples=30)
@given(st.lists(st.tuples(st.integers(0, 1), st.floats(0.01, 0.99)), min_size=8, max_size=30))
def test_metrics_agree_with_scikit_learn(cases: list[tuple[int, float]]) -> None:
    images = Blobs(len(cases))
    images.labels = np.array([label for label, _ in cases])
    images.labels[:2] = 0, 1
    scores = np.array([score for _, score in cases])
    found, answers = measure(images, scores), scores >= 0.5
    assert found.accuracy.value == pytest.approx((answers == images.labels).mean())
    assert found.sensitivity.value == pytest.approx(recall_score(images.labels, answers))
    assert found.specificity.value == pytest.approx(recall_score(images.labels, answers, pos_label=0))
    assert found.auc.value == pytest.approx(roc_auc_score(images.labels, scores))
    assert found.loss == pytest.approx(log_loss(images.labels, scores))
    assert found.majority_accuracy == max(images.labels.mean(), 1 - images.labels.mean())
    for estimate in (found.accuracy, found.sensitivity, found.specificity, found.auc):
        assert estimate.value is not None
        assert estimate.low <= estimate.value <= estimate.high


def test_predicting_is_a_softmax_in_evaluation_mode_and_leaves_the_mode_alone() -> None:
    torch.manual_seed(0)
    network, images = build("resnet-small", channels=1, dropout=0.5), Blobs(70)
    network.train()
    network.backbone.bn1.eval()
    found = predict(network, images)
    assert network.training
    assert not network.backbone.bn1.training
    with torch.no_grad():
        logits = network.eval()(torch.from_numpy(images.pixels)).double()
    assert np.allclose(found, 1 / (1 + np.exp((logits[:, 0] - logits[:, 1]).numpy())), atol=1e-6)


def test_an_answer_that_is_not_a_number_is_an_error() -> None:
    network = build("resnet-small", channels=1)
    with torch.no_grad():
        network.head[2].bias.fill_(torch.nan)
    with pytest.raises(MithridateError, match="not a number for 4 of 4 images"):
        predict(network, Blobs(4))
