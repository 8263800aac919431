"""Tree ensembles and linear models of any library in one neutral form, so that exact methods need to know only that.

Every reader reproduces its model's own margin, also for values that lie exactly on a threshold: the tests compare them.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import logit

from mithridate.errors import UserError

LEAF = -1


@dataclass(frozen=True, eq=False)
class Tree:
    """A binary tree in arrays over its nodes, the root first.

    An inner node sends x[feature] <= threshold to `left`, the rest to `right`; a leaf has feature LEAF and a `value`.
    """

    feature: NDArray[np.int32]
    threshold: NDArray[np.float64]
    left: NDArray[np.int32]
    right: NDArray[np.int32]
    value: NDArray[np.float64]

    @property
    def leaves(self) -> int:
        return int((self.feature == LEAF).sum())


@dataclass(frozen=True, eq=False)
class Ensemble:
    """margin(x) = base + the sum of one leaf of each tree.

    `float32` says that the library rounds its input to float32 before it compares; `logistic` that the model's
    probability is the logistic function of the margin (else the margin is the probability itself).
    """

    trees: tuple[Tree, ...]
    base: float
    features: int
    float32: bool = False
    logistic: bool = True

    def margin(self, x: ArrayLike) -> NDArray[np.float64]:
        """Margins (N) of rows (N x features)."""
        rows = self.rounded(x)
        total = np.full(len(rows), self.base)
        for tree in self.trees:
            node = np.zeros(len(rows), dtype=np.int64)
            inner = tree.feature[node] != LEAF
            while inner.any():
                at = node[inner]
                goes_left = rows[inner, tree.feature[at]] <= tree.threshold[at]
                node[inner] = np.where(goes_left, tree.left[at], tree.right[at])
                inner = tree.feature[node] != LEAF
            total += tree.value[node]
        return total

    def rounded(self, x: ArrayLike) -> NDArray[np.float64]:
        """Rows as the library compares them."""
        rows = np.atleast_2d(np.asarray(x, dtype=np.float64))
        return rows.astype(np.float32).astype(np.float64) if self.float32 else rows

    def margin_at(self, probability: float) -> float:
        """The margin at which the model gives this probability."""
        return float(logit(probability)) if self.logistic else float(probability)


@dataclass(frozen=True, eq=False)
class Linear:
    """margin(x) = weights . x + bias, its logistic function being the probability: a (scaled) logistic regression."""

    weights: NDArray[np.float64]
    bias: float

    @property
    def features(self) -> int:
        return len(self.weights)

    def margin(self, x: ArrayLike) -> NDArray[np.float64]:
        """Margins (N) of rows (N x features)."""
        margins: NDArray[np.float64] = np.atleast_2d(np.asarray(x, dtype=np.float64)) @ self.weights + self.bias
        return margins

    def rounded(self, x: ArrayLike) -> NDArray[np.float64]:
        return np.atleast_2d(np.asarray(x, dtype=np.float64))

    def margin_at(self, probability: float) -> float:
        """The margin at which the model gives this probability."""
        return float(logit(probability))


Exact = Ensemble | Linear
"""The models that exact methods can treat."""


def read_model(model: Any) -> Exact:
    """The neutral form of a fitted binary model.

    Takes LightGBM boosters and classifiers, XGBoost boosters and classifiers, scikit-learn's decision tree, random
    forest, extra trees, gradient boosting and histogram gradient boosting, logistic regression, and a pipeline of
    scalers in front of a logistic regression.  Raises UserError for anything else, and for splits on categories.
    """
    library, name = type(model).__module__.split(".")[0], type(model).__name__
    if library == "lightgbm":
        return read_lightgbm(getattr(model, "booster_", model))
    if library == "xgboost":
        return read_xgboost(model.get_booster() if hasattr(model, "get_booster") else model)
    if library == "sklearn":
        if name == "Pipeline":
            return _read_pipeline(model)
        if hasattr(model, "coef_") and hasattr(model, "predict_proba"):
            return Linear(np.asarray(model.coef_, dtype=float).ravel(), float(np.ravel(model.intercept_)[0]))
        return _read_sklearn(model, name)
    raise UserError(
        f"{library}.{name} has no exact form here: exact attacks and certificates need trees or a linear model"
    )


def read_lightgbm(booster: Any) -> Ensemble:
    """A binary LightGBM booster.  A missing value is taken as 0 by LightGBM where it says so; claims have none."""
    dump = booster.dump_model()
    if dump.get("num_tree_per_iteration", 1) != 1:
        raise UserError("the LightGBM model has several classes: exact methods need a binary model")
    parts = [_Growing() for _ in dump["tree_info"]]
    for growing, info in zip(parts, dump["tree_info"], strict=True):
        _lightgbm_node(info["tree_structure"], growing)
    trees = [growing.tree() for growing in parts]
    if dump.get("average_output"):
        trees = [_scaled(tree, 1 / len(trees)) for tree in trees]
    logistic = str(dump.get("objective", "binary")).startswith(("binary", "cross_entropy"))
    return Ensemble(tuple(trees), 0.0, int(dump["max_feature_idx"]) + 1, logistic=logistic)


def read_xgboost(booster: Any) -> Ensemble:
    """A binary XGBoost booster of trees: it compares x < threshold in float32, which is x <= the float32 below it."""
    raw = json.loads(bytes(booster.save_raw("json")))["learner"]
    if raw["gradient_booster"]["name"] != "gbtree":
        raise UserError(f"XGBoost's booster '{raw['gradient_booster']['name']}' is not made of plain trees: use gbtree")
    trees = []
    for item in raw["gradient_booster"]["model"]["trees"]:
        if any(item.get("split_type", [])):
            raise UserError("the XGBoost model splits on categories: give it numeric features for exact methods")
        left = np.asarray(item["left_children"], dtype=np.int32)
        leaf = left == -1
        condition = np.asarray(item["split_conditions"], dtype=np.float32)
        trees.append(
            Tree(
                feature=np.where(leaf, LEAF, np.asarray(item["split_indices"], dtype=np.int32)).astype(np.int32),
                threshold=np.nextafter(condition, np.float32(-np.inf)).astype(np.float64),
                left=left,
                right=np.asarray(item["right_children"], dtype=np.int32),
                value=np.where(leaf, condition, 0).astype(np.float64),
            )
        )
    probability = float(np.ravel(json.loads(str(raw["learner_model_param"]["base_score"])))[0])
    return Ensemble(tuple(trees), float(logit(probability)), int(raw["learner_model_param"]["num_feature"]), True)


def _read_sklearn(model: Any, name: str) -> Ensemble:
    width = int(getattr(model, "n_features_in_", 0))
    if name == "DecisionTreeClassifier":
        return Ensemble((_sklearn_tree(model.tree_, None),), 0.0, width, True, False)
    if name in ("RandomForestClassifier", "ExtraTreesClassifier"):
        parts = [_scaled(_sklearn_tree(item.tree_, None), 1 / len(model.estimators_)) for item in model.estimators_]
        return Ensemble(tuple(parts), 0.0, width, True, False)
    if name == "GradientBoostingClassifier":
        boosted = tuple(_sklearn_tree(item.tree_, float(model.learning_rate)) for item in model.estimators_[:, 0])
        base = float(model._raw_predict_init(np.zeros((1, width), dtype=np.float32))[0, 0])
        return Ensemble(boosted, base, width, True)
    if name == "HistGradientBoostingClassifier":
        found = [_histogram_tree(stage[0].nodes) for stage in model._predictors]
        return Ensemble(tuple(found), float(np.ravel(model._baseline_prediction)[0]), width)
    raise UserError(f"scikit-learn's {name} has no exact form here: use trees or a logistic regression")


def _read_pipeline(model: Any) -> Exact:
    """Scalers in front of a logistic regression fold into its weights: a + b x becomes part of the linear form."""
    *scalers, last = [step for _, step in model.steps if step != "passthrough"]
    inner = read_model(last)
    if not scalers:
        return inner
    width = int(model.n_features_in_)
    if not isinstance(inner, Linear) or any(
        type(step).__name__ not in ("StandardScaler", "MinMaxScaler", "MaxAbsScaler", "RobustScaler")
        for step in scalers
    ):
        raise UserError("only a pipeline of scalers and a logistic regression has an exact form here")
    probe = np.vstack([np.zeros(width), np.eye(width)])
    for step in scalers:
        if getattr(step, "clip", False):
            raise UserError("a scaler with clip=True is not linear, so the pipeline has no exact form here")
        probe = step.transform(probe)
    margins = inner.margin(probe)
    return Linear(margins[1:] - margins[0], float(margins[0]))


class _Growing:
    """A tree while its nodes are still being read."""

    def __init__(self) -> None:
        self.rows: list[list[float]] = []

    def add(self) -> int:
        self.rows.append([LEAF, 0.0, LEAF, LEAF, 0.0])
        return len(self.rows) - 1

    def tree(self) -> Tree:
        feature, threshold, left, right, value = np.array(self.rows, dtype=np.float64).T
        as_int = [column.astype(np.int32) for column in (feature, left, right)]
        return Tree(as_int[0], threshold, as_int[1], as_int[2], value)


def _lightgbm_node(node: dict[str, Any], growing: _Growing) -> int:
    index = growing.add()
    if "leaf_value" in node:
        growing.rows[index][4] = float(node["leaf_value"])
        return index
    if node["decision_type"] != "<=":
        raise UserError("the LightGBM model splits on categories: give it numeric features for exact methods")
    growing.rows[index][:2] = [int(node["split_feature"]), float(node["threshold"])]
    growing.rows[index][2] = _lightgbm_node(node["left_child"], growing)
    growing.rows[index][3] = _lightgbm_node(node["right_child"], growing)
    return index


def _sklearn_tree(raw: Any, rate: float | None) -> Tree:
    """`rate` None: the leaf value is the share of the positive class; else rate times the regression value."""
    leaf = raw.children_left == -1
    if rate is None:
        counts = raw.value[:, 0, :]
        value = counts[:, 1] / counts.sum(1)
    else:
        value = raw.value[:, 0, 0] * rate
    return Tree(
        feature=np.where(leaf, LEAF, raw.feature).astype(np.int32),
        threshold=raw.threshold.astype(np.float64),
        left=raw.children_left.astype(np.int32),
        right=raw.children_right.astype(np.int32),
        value=np.where(leaf, value, 0.0),
    )


def _histogram_tree(nodes: NDArray[Any]) -> Tree:
    leaf = nodes["is_leaf"].astype(bool)
    if bool((nodes["is_categorical"].astype(bool) & ~leaf).any()):
        raise UserError("the model splits on categories: give it numeric features for exact methods")
    return Tree(
        feature=np.where(leaf, LEAF, nodes["feature_idx"]).astype(np.int32),
        threshold=nodes["num_threshold"].astype(np.float64),
        left=np.where(leaf, LEAF, nodes["left"].astype(np.int64)).astype(np.int32),
        right=np.where(leaf, LEAF, nodes["right"].astype(np.int64)).astype(np.int32),
        value=np.where(leaf, nodes["value"], 0.0).astype(np.float64),
    )


def _scaled(tree: Tree, factor: float) -> Tree:
    return Tree(tree.feature, tree.threshold, tree.left, tree.right, tree.value * factor)
