"""Checks of a catalog before anything is trained on it: is there a shortcut, a leak, an imbalance, a part too small?

Each check ends in pass, warn or fail, with the numbers behind it and what to do.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from mithridate.imaging.catalog import Catalog
from mithridate.imaging.duplicates import LIMIT, describe, pairs_across
from mithridate.imaging.images import ImageStore
from mithridate.imaging.splits import shuffled
from mithridate.imaging.tasks import SPLITS
from mithridate.statistics import Interval, auc_interval

Status = Literal["pass", "warn", "fail"]
Progress = Callable[[str, int, int], None]

SHORTCUT_WARN, SHORTCUT_FAIL = 0.70, 0.95
FEW_GROUPS = 30
SIDE = 64  # images are looked at in this size
_CHUNK = 256


@dataclass(frozen=True)
class Check:
    """One result.  `evidence` and `advice` are sentences for people, `numbers` the same for programs."""

    name: str
    status: Status
    evidence: str
    advice: str
    numbers: dict[str, Any]

    def to_dict(self) -> dict[str, Any]:
        """A JSON-ready form."""
        return asdict(self)


def check_catalog(
    catalog: Catalog,
    *,
    cache: Path | None = None,
    sample: int = 3000,
    seed: int = 0,
    progress: Progress | None = None,
) -> list[Check]:
    """All checks, in the order in which they should be read.

    `sample` limits the images for the shortcut checks, stratified; near-duplicates are looked for among all images.
    Raises UserError when an image cannot be read.
    """
    thumbnails, histograms, descriptors = _features(catalog, cache, progress)
    ids = set(catalog.take(sample, seed).table["id"])
    rows = np.flatnonzero(catalog.table["id"].isin(ids).to_numpy())
    labels, groups = catalog.labels[rows], catalog.table["group"].to_numpy(dtype=str)[rows]
    return [
        check_balance(catalog),
        check_groups(catalog),
        check_shortcut("thumbnail shortcut", "an 8 x 8 thumbnail", thumbnails[rows], labels, groups, seed),
        check_shortcut("histogram shortcut", "a color histogram", histograms[rows], labels, groups, seed),
        check_duplicates(catalog, descriptors, progress),
    ]


def check_balance(catalog: Catalog) -> Check:
    """The share of positives; a class of few percent makes accuracy meaningless."""
    positives, n = int(catalog.labels.sum()), len(catalog)
    share = positives / n
    majority = max(share, 1 - share)
    status: Status = "fail" if positives in (0, n) else "warn" if majority > 0.90 else "pass"
    return Check(
        "class balance",
        status,
        f"{positives:,} of {n:,} images are positive ({share:.1%}); always answering the larger class is right "
        f"{majority:.1%} of the time.",
        {
            "pass": "Print the majority-class accuracy beside every accuracy.",
            "warn": "Judge by AUC, not accuracy, and consider class weights in training.",
            "fail": "Check the label rule: a study needs both classes.",
        }[status],
        {"images": n, "positives": positives, "prevalence": share, "majority_accuracy": majority},
    )


def check_groups(catalog: Catalog) -> Check:
    """Groups (patients) of each class in each part; an interval can be no better than the number of patients."""
    counts = catalog.counts()
    present = [split for split in SPLITS if counts[split]["all"]["images"]]
    cells = {(split, kind): counts[split][kind]["groups"] for split in present for kind in ("positive", "negative")}
    (split, kind), fewest = min(cells.items(), key=lambda item: item[1])
    largest = int(catalog.table.groupby("group").size().max())
    status: Status = "fail" if fewest == 0 else "warn" if fewest < FEW_GROUPS else "pass"
    return Check(
        "groups in each part",
        status,
        f"the {split} part has {fewest:,} groups with {kind} images, the fewest of all; the largest group has "
        f"{largest:,} images, and no group lies in two parts.",
        {
            "pass": "Nothing to do.",
            "warn": f"Expect wide intervals: fewer than {FEW_GROUPS} groups of a class; enlarge that part.",
            "fail": "Enlarge that part: nothing can be measured without both classes.",
        }[status],
        {"groups": {f"{part}/{name}": number for (part, name), number in cells.items()}, "largest_group": largest},
    )


def check_shortcut(
    name: str,
    what: str,
    features: NDArray[np.float32],
    labels: NDArray[np.int8],
    groups: NDArray[np.str_],
    seed: int = 0,
) -> Check:
    """How well a logistic regression on crude features tells the classes apart on groups it has not seen.

    features N x D; labels N in {0, 1}; groups N.  The AUC is cross-validated by group, its interval widened for groups.
    """
    auc = shortcut_auc(features, labels, groups, seed)
    if auc is None:
        return Check(name, "warn", f"too few groups to test whether {what} gives the label away.", "Add patients.", {})
    status: Status = "fail" if auc.value >= SHORTCUT_FAIL else "warn" if auc.value >= SHORTCUT_WARN else "pass"
    return Check(
        name,
        status,
        f"a logistic regression on {what} reaches an AUC of {auc.value:.3f} ({auc.low:.3f} to {auc.high:.3f}, "
        f"{len(labels):,} images).",
        {
            "pass": f"Nothing to do: below {SHORTCUT_WARN:.2f}.",
            "warn": "Part of the label shows in brightness, color or framing: say so beside every result, and look at "
            "where positives and negatives come from.",
            "fail": "The label can be read without looking at the disease: the classes differ in device, framing or "
            "processing; a study on this catalog would measure that.",
        }[status],
        {"auc": auc.value, "low": auc.low, "high": auc.high, "interval": auc.method, "images": len(labels)},
    )


def shortcut_auc(
    features: NDArray[np.float32], labels: NDArray[np.int8], groups: NDArray[np.str_], seed: int = 0
) -> Interval | None:
    """Cross-validated AUC with its interval, folds by group; None when a class has fewer than two groups."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import StratifiedGroupKFold
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    fewest = min(len(np.unique(groups[labels == label])) for label in (0, 1))
    if fewest < 2:
        return None
    # Folds are filled in the order of the rows: put the rows in one that only ids of groups decide.
    order = {group: place for place, group in enumerate(shuffled(np.unique(groups).tolist(), seed, "folds"))}
    rows = np.argsort([order[group] for group in groups.tolist()], kind="stable")
    features, labels, groups = features[rows], labels[rows], groups[rows]
    scores = np.zeros(len(labels))
    for train, test in StratifiedGroupKFold(min(5, fewest)).split(features, labels, groups):
        if len(np.unique(labels[train])) < 2:
            return None
        model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=2000)).fit(features[train], labels[train])
        scores[test] = model.decision_function(features[test])
    return auc_interval(labels, scores, groups)


def check_duplicates(catalog: Catalog, descriptors: NDArray[np.float32], progress: Progress | None = None) -> Check:
    """The same photograph under two names in two parts: the test would then ask what training has shown."""
    splits = catalog.table["split"].to_numpy(dtype=str)
    pairs = pairs_across(descriptors, splits, progress=progress)
    paths = catalog.table["path"].tolist()
    shown = [{"first": paths[a], "second": paths[b], "correlation": round(c, 4)} for a, b, c in pairs[:20]]
    examples = "; ".join(f"{paths[a]} and {paths[b]} ({c:.2f})" for a, b, c in pairs[:3])
    numbers = {"pairs": len(pairs), "limit": LIMIT, "examples": shown}
    if not pairs:
        evidence = f"no image of one part resembles one of another part (correlation of fine structure below {LIMIT})."
        return Check("near-duplicates across parts", "pass", evidence, "Nothing to do.", numbers)
    return Check(
        "near-duplicates across parts",
        "fail",
        f"{len(pairs):,} pairs of near-identical images lie in different parts: {examples}.",
        "Look at them; remove one of each pair, or give both the same patient, and build the catalog again.",
        numbers,
    )


def _features(
    catalog: Catalog, cache: Path | None, progress: Progress | None
) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]:
    """Thumbnails N x 64C, histograms N x 16C and descriptors of all images, a chunk at a time to bound memory."""
    store = ImageStore(catalog, SIDE, cache=cache, memory_bytes=0)
    parts: list[tuple[NDArray[np.float32], ...]] = []
    for start in range(0, len(store), _CHUNK):
        images = store.load(slice(start, start + _CHUNK))
        parts.append((thumbnails(images), histograms(images), describe(images)))
        if progress is not None:
            progress("looking at the images", min(start + _CHUNK, len(store)), len(store))
    first, second, third = (np.concatenate(column) for column in zip(*parts, strict=True))
    return first, second, third


def thumbnails(images: NDArray[np.float32]) -> NDArray[np.float32]:
    """Mean of each cell of an 8 x 8 grid: N x C x S x S to N x 64C; S divisible by 8."""
    n, channels, side, _ = images.shape
    cells = images.reshape(n, channels, 8, side // 8, 8, side // 8)
    return np.asarray(cells.mean(axis=(3, 5)).reshape(n, -1), dtype=np.float32)


def histograms(images: NDArray[np.float32], bins: int = 16) -> NDArray[np.float32]:
    """Share of pixels in each of 16 equal bins of each channel: N x C x S x S to N x 16C."""
    n, channels, side, _ = images.shape
    level = np.minimum((images * bins).astype(np.int64), bins - 1).reshape(n * channels, -1)
    offset = np.arange(n * channels)[:, None] * bins
    counts = np.bincount((level + offset).ravel(), minlength=n * channels * bins)
    return np.asarray(counts.reshape(n, channels * bins) / (side * side), dtype=np.float32)
