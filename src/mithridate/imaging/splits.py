"""Dividing groups (patients, lesions) among train, validation and test.

Groups are put in an order that depends on the seed and their own names alone, separately for groups with and without a
positive image, and cut at the fractions.  A group is assigned once, so it cannot lie in two parts.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mithridate.errors import UserError
from mithridate.imaging.tasks import Fractions


def shuffled(names: Sequence[str], seed: int, purpose: str) -> list[str]:
    """Names in an order drawn by seed and purpose, whatever order they come in."""
    prefix = f"{int(seed)}\x1f{purpose}\x1f".encode()
    return sorted(names, key=lambda name: (hashlib.sha256(prefix + name.encode()).digest(), name))


def split_groups(groups: pd.Series[str], labels: NDArray[np.int8], fractions: Fractions, seed: int) -> NDArray[np.str_]:
    """The part of each image: N texts out of "train", "validation", "test".

    groups N; labels N in {0, 1}.  Each part with a fraction above zero gets at least one group of each class.
    Raises UserError when there are too few groups for that.
    """
    codes, names = pd.factorize(groups, sort=True)
    is_positive = np.zeros(len(names), dtype=bool)
    np.logical_or.at(is_positive, codes, labels == 1)
    part_of: dict[str, str] = {}
    for positive in (False, True):
        members = [str(name) for name in names[is_positive == positive]]
        ordered = shuffled(members, seed, "split")
        test, validation = _sizes(len(ordered), fractions, positive)
        for place, name in enumerate(ordered):
            part_of[name] = "test" if place < test else "validation" if place < test + validation else "train"
    return np.array([part_of[str(name)] for name in names])[codes]


def _sizes(groups: int, fractions: Fractions, positive: bool) -> tuple[int, int]:
    """How many of so many groups go to test and to validation: rounded, and at least one where asked for."""
    test = max(1, round(fractions.test * groups)) if fractions.test > 0 else 0
    validation = max(1, round(fractions.validation * groups)) if fractions.validation > 0 else 0
    if test + validation >= groups:
        kind = "positive" if positive else "negative"
        raise UserError(
            f"only {groups} groups (patients) have {'a positive image' if positive else 'negative images alone'}, "
            f"too few for {kind} cases in every part: add images, or lower the test or validation fraction"
        )
    return test, validation
