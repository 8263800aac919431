"""Where attacks on labels alone begin: an image that is classified wrongly, however far away."""

from __future__ import annotations

import torch
import torch.nn.functional as F  # noqa: N812 - the field's own alias
from torch import Tensor

from mithridate.attack import Examples
from mithridate.imaging.engine.oracles import DecisionOracle, affords, score_cost
from mithridate.seeds import ExampleRandom

COARSENESS = (0, 1, 2, 4, 8)
"""Grids of noise that are tried in turn: 0 is a value for every pixel, 1 one color for the whole image."""


def wrong_starts(oracle: DecisionOracle, examples: Examples, rng: ExampleRandom, tries: int) -> tuple[Tensor, Tensor]:
    """Starts N x C x H x W and whether each is classified as anything but its label (bool N).

    Fine noise alone looks like one class to many models; noise of several grains finds more of them.
    """
    starts, found = examples.inputs.clone(), torch.zeros(len(examples), dtype=torch.bool)
    shape = examples.inputs.shape[1:]
    for number in range(tries):
        rows = torch.arange(len(examples))[~found]
        rows = rows[affords(oracle, rows, score_cost(oracle))]
        if len(rows) == 0:
            break
        grain = COARSENESS[number % len(COARSENESS)]
        drawn = rng.uniform(rows, (shape[0], grain, grain) if grain else shape)
        noise = F.interpolate(drawn, shape[1:]) if grain else drawn
        wrong = oracle.decide(noise, rows) != examples.labels[rows]
        starts[rows[wrong]], found[rows[wrong]] = noise[wrong], True
    return starts, found
