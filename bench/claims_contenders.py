"""ART's attacks and A2PM on a LightGBM model, run by the peers' own Python:  python claims_contenders.py FOLDER

Reads model.txt and given.npz (rows to attack, training rows, the margin from which a claim is denied, which columns are
amounts and which are codes, and the bounds of each), writes made.npz: the rows of each contender and its seconds.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np


def main(folder: Path) -> None:
    import lightgbm

    given = dict(np.load(folder / "given.npz"))
    booster = lightgbm.Booster(model_file=str(folder / "model.txt"))
    ceiling = float(given["ceiling"])

    def denied(x: np.ndarray) -> np.ndarray:
        margins = booster.predict(np.asarray(x, dtype=float), raw_score=True, num_threads=1)
        return np.asarray(margins) >= ceiling

    def scores(x: np.ndarray) -> np.ndarray:
        """Two columns as ART asks: approval and denial, equal at the ceiling."""
        margins = np.asarray(booster.predict(np.asarray(x, dtype=float), raw_score=True, num_threads=1))
        denial = 1 / (1 + np.exp(-(margins - ceiling)))
        return np.column_stack([1 - denial, denial])

    contenders: dict[str, Callable[[], np.ndarray]] = {
        "ART ZOO": lambda: zoo(given, scores),
        "ART DecisionTreeAttack": lambda: decision_tree(given, denied),
        "A2PM": lambda: a2pm(given, denied),
    }
    made: dict[str, Any] = {}
    for name, attack in contenders.items():
        np.random.seed(0)
        started = time.perf_counter()
        made[name] = attack()
        made[f"{name} seconds"] = time.perf_counter() - started
    np.savez(folder / "made.npz", **made)


def _black_box(given: dict[str, np.ndarray], scores: Callable[[np.ndarray], np.ndarray]) -> tuple[Any, np.ndarray]:
    """The model over columns scaled to [0, 1], which ART's clipping and step sizes suppose, and the rows so scaled."""
    from art.estimators.classification import BlackBoxClassifier

    low, span = _scale(given)
    model = BlackBoxClassifier(lambda z: scores(low + z * span), (len(low),), 2, clip_values=(0.0, 1.0))
    return model, ((given["x"] - low) / span).astype(np.float32)


def _scale(given: dict[str, np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    low, high = (function([given["lower"], *given["x"]], axis=0) for function in (np.min, np.max))
    high = np.maximum(high, given["upper"])
    return low, np.where(high > low, high - low, 1.0)


def _unscaled(given: dict[str, np.ndarray], z: np.ndarray) -> np.ndarray:
    """The rows that the model was asked about: ART works in float32, so untouched columns are rounded too."""
    low, span = _scale(given)
    return np.asarray(low + z.astype(float) * span)


def zoo(given: dict[str, np.ndarray], scores: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
    """Scores; differences over most of the range, since trees are flat."""
    from art.attacks.evasion import ZooAttack

    model, scaled = _black_box(given, scores)
    attack = ZooAttack(
        model, confidence=0.0, learning_rate=0.1, max_iter=30, binary_search_steps=1, initial_const=10.0,
        use_resize=False, use_importance=False, nb_parallel=10, batch_size=1, variable_h=0.8, verbose=False,
    )  # fmt: skip
    return _unscaled(given, attack.generate(scaled))


def decision_tree(given: dict[str, np.ndarray], denied: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
    """Takes a single tree of scikit-learn's only: one is fitted to the model's decisions, and its examples carried
    over."""
    from art.attacks.evasion import DecisionTreeAttack
    from art.estimators.classification.scikitlearn import ScikitlearnDecisionTreeClassifier
    from sklearn.tree import DecisionTreeClassifier

    train = given["train"]
    tree = DecisionTreeClassifier(max_leaf_nodes=128, class_weight="balanced", random_state=0)
    tree.fit(train, denied(train).astype(int))
    attack = DecisionTreeAttack(ScikitlearnDecisionTreeClassifier(tree), offset=0.5, verbose=False)
    x, found = given["x"], given["x"].copy()
    seen = tree.predict(x) == 1  # it looks for the other class of what the tree says
    if seen.any():
        found[seen] = attack.generate(x[seen])
    return found


def a2pm(given: dict[str, np.ndarray], denied: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
    """Intervals for amounts, combinations seen in training for codes; twenty rounds, as many as its papers use."""
    from a2pm import A2PMethod

    class Model:
        @staticmethod
        def predict(x: np.ndarray) -> np.ndarray:
            return denied(x).astype(int)

    numeric, combined = np.flatnonzero(given["numeric"]), np.flatnonzero(given["combined"])
    patterns = (
        {"type": "interval", "features": numeric.tolist(), "ratio": 0.1, "max_ratio": 0.3, "probability": 0.6},
        {"type": "combination", "features": combined.tolist(), "probability": 0.4},
    )
    train = given["train"]
    method = A2PMethod(patterns, seed=0)
    method.fit(train, denied(train).astype(int))
    x = given["x"]
    return np.asarray(
        method.generate(Model(), x, np.ones(len(x), dtype=int), np.zeros(len(x), dtype=int), iterations=20)
    )


if __name__ == "__main__":
    main(Path(sys.argv[1]))
