"""A model as an edit space sees it: only the values that edits can reach, only the branches that those values take."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mithridate.claims.trees import LEAF, Ensemble, Tree

MOST_VALUES = 4096
"""Reachable values of one feature beyond which an edit space is refused: far more than any budget in use gives."""


@dataclass(frozen=True)
class Test:
    """The question "is x[feature] at most its reachable value number `rank`?"."""

    feature: int
    rank: int


@dataclass(frozen=True)
class Branch:
    """An inner node whose answer edits can change."""

    test: Test
    yes: Node
    no: Node


Node = Branch | float
"""A branch, or the value of a leaf."""


def reachable_values(
    start: float, singles: NDArray[np.float64], groups: list[NDArray[np.float64]], most: int
) -> NDArray[np.float64]:
    """Every value of start + at most `most` of the singles + exactly one of each group, sorted, without repeats.

    Conflicts between edits are not looked at: the true set is part of this one.
    Raises ValueError when there are more than MOST_VALUES.
    """
    layers: list[set[float]] = [{0.0}]
    for effect in singles.tolist():
        if effect == 0:
            continue
        grown = [set(layer) for layer in layers]
        for used, layer in enumerate(layers[:most]):
            if used + 1 == len(grown):
                grown.append(set())
            grown[used + 1] |= {value + effect for value in layer}
        layers = grown
        if sum(map(len, layers)) > MOST_VALUES:
            raise ValueError("an edit space changes one feature in too many ways for an exact method")
    values = set().union(*layers)
    for group in groups:
        choices = set(group.tolist())
        values = {value + choice for value in values for choice in choices}
        if len(values) > MOST_VALUES:
            raise ValueError("an edit space changes one feature in too many ways for an exact method")
    return np.array(sorted(start + value for value in values))


def reduce_trees(model: Ensemble, reach: dict[int, NDArray[np.float64]], fixed: NDArray[np.float64]) -> list[Node]:
    """Each tree with the branches that no edit can reach cut away.

    reach: the reachable values of each feature that edits touch; fixed: the row of all other features (length F).
    A tree that edits cannot change comes back as its one value.
    """
    row = model.rounded(fixed)[0]
    compared = {feature: model.rounded(values)[0] for feature, values in reach.items()}
    return [_reduced(tree, 0, row, compared, {f: (0, len(v) - 1) for f, v in compared.items()}) for tree in model.trees]


def _reduced(
    tree: Tree,
    node: int,
    row: NDArray[np.float64],
    compared: dict[int, NDArray[np.float64]],
    span: dict[int, tuple[int, int]],
) -> Node:
    feature = int(tree.feature[node])
    if feature == LEAF:
        return float(tree.value[node])
    threshold, left, right = tree.threshold[node], int(tree.left[node]), int(tree.right[node])
    if feature not in compared:
        return _reduced(tree, left if row[feature] <= threshold else right, row, compared, span)
    low, high = span[feature]
    rank = int(np.searchsorted(compared[feature], threshold, side="right")) - 1
    if rank >= high:
        return _reduced(tree, left, row, compared, span)
    if rank < low:
        return _reduced(tree, right, row, compared, span)
    yes = _reduced(tree, left, row, compared, span | {feature: (low, rank)})
    no = _reduced(tree, right, row, compared, span | {feature: (rank + 1, high)})
    return yes if yes == no and isinstance(yes, float) else Branch(Test(feature, rank), yes, no)


def least(node: Node) -> float:
    """The smallest value among a reduced tree's leaves: a bound on what any edit makes of it."""
    return node if isinstance(node, float) else min(least(node.yes), least(node.no))
