"""What a network answers on a set of images, and how good the answers are."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray

from mithridate.errors import MithridateError
from mithridate.imaging.cards import Estimate, PartMetrics
from mithridate.imaging.networks import Classifier
from mithridate.imaging.training.data import Images, labels_of, prefetch
from mithridate.imaging.training.distributed import World
from mithridate.statistics import auc_interval, proportion

BATCH: Final = 64
Array = NDArray[np.float64]

# Where the paper read sensitivity and specificity (Finlayson et al., Table 1), by task.
PAPER_THRESHOLDS: Final = {"fundus": 0.14, "chest": 0.025, "skin": 0.02}


@torch.inference_mode()
def predict(network: Classifier, images: Images, here: World | None = None, *, channels_last: bool = False) -> Array:
    """Probability of class 1, float64 N, in float32 arithmetic and evaluation mode; the network's mode is kept.

    The processes of `here` share the work and all get the whole answer.  Raises MithridateError when an output is not
    a finite number.
    """
    here = here or World()
    rows = here.share(np.arange(len(images)))
    batches = [rows[start : start + BATCH] for start in range(0, len(rows), BATCH)]
    training = {module: module.training for module in network.modules()}
    network.eval()
    layout = torch.channels_last if channels_last else torch.contiguous_format
    found: list[Array] = []
    for pixels in prefetch(_loads(images, batches)):
        x = torch.from_numpy(pixels).to(here.device, memory_format=layout)
        found.append(network(x).double().softmax(1)[:, 1].cpu().numpy())
    for module, mode in training.items():
        module.training = mode
    mine = np.concatenate(found) if found else np.empty(0)
    probabilities = np.empty(len(images))
    for rank, part in enumerate(here.gather(mine)):
        probabilities[rank :: here.size] = part
    if not np.isfinite(probabilities).all():
        bad = int((~np.isfinite(probabilities)).sum())
        raise MithridateError(f"the network's answer is not a number for {bad} of {len(images)} images")
    return probabilities


def _loads(images: Images, batches: Iterable[NDArray[np.int64]]) -> Iterable[Any]:
    return (partial(images.load, batch.tolist()) for batch in batches)


def cross_entropy(labels: ArrayLike, probabilities: ArrayLike) -> float:
    """Mean negative log-likelihood in nats; labels N in {0, 1}, probabilities N of class 1."""
    y, p = np.asarray(labels), np.asarray(probabilities, dtype=float)
    likelihood = np.where(y == 1, p, 1 - p)
    return float(-np.log(np.clip(likelihood, 1e-12, 1.0)).mean())


def measure(images: Images, probabilities: Array, threshold: float = 0.5) -> PartMetrics:
    """Accuracy, AUC, sensitivity, specificity with 95% intervals that allow for images of one group being alike."""
    y, groups = labels_of(images), np.asarray(images.groups, dtype=str)
    answers = (probabilities >= threshold).astype(int)
    right, ill = answers == y, y == 1
    return PartMetrics(
        images=len(y),
        groups=len(set(groups.tolist())),
        positives=int(ill.sum()),
        accuracy=Estimate.of(proportion(right, groups)),
        majority_accuracy=float(max(ill.mean(), 1 - ill.mean())),
        auc=Estimate.of(auc_interval(y, probabilities, groups)),
        sensitivity=Estimate.of(proportion(right[ill], groups[ill])),
        specificity=Estimate.of(proportion(right[~ill], groups[~ill])),
        loss=cross_entropy(y, probabilities),
    )


def operating_thresholds(labels: ArrayLike, probabilities: ArrayLike) -> dict[str, float]:
    """Thresholds at which to call an image positive (probability >= threshold).

    `default` 0.5; `youden` maximizes sensitivity + specificity - 1 (Youden 1950); `sensitivity_90` is the highest that
    finds at least 90% of the positives.  Both lie half-way between neighboring probabilities, so that rounding does not
    flip an image.  With one class only, `default` alone.
    """
    y, p = np.asarray(labels).astype(bool), np.asarray(probabilities, dtype=float)
    thresholds = {"default": 0.5}
    if y.all() or not y.any():
        return thresholds
    values = np.unique(p)
    candidates = np.concatenate([[values[0] / 2], (values[:-1] + values[1:]) / 2, [(values[-1] + 1) / 2]])
    sick, well = np.sort(p[y]), np.sort(p[~y])
    sensitivity = 1 - np.searchsorted(sick, candidates, side="left") / len(sick)
    specificity = np.searchsorted(well, candidates, side="left") / len(well)
    youden = sensitivity + specificity
    best = candidates[np.isclose(youden, youden.max(), rtol=0, atol=1e-12)]
    thresholds["youden"] = float(best[np.argmin(np.abs(best - 0.5))])
    thresholds["sensitivity_90"] = float(candidates[sensitivity >= 0.9 - 1e-12].max())
    return thresholds
