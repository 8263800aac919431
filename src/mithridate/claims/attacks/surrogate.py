"""Gradients where there are none: descend on an own network, repair what comes out, and carry it over to the model.

The idea of CAPGD (Simonetto et al., NeurIPS 2024) in the space of edits: projected gradient steps with momentum and a
halving step on relaxed edits z in [0, 1] with sum(z) <= k, then rounding to whole edits that the rules allow.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray

from mithridate.claims.attacks.oracle import Decisions
from mithridate.claims.attacks.search import Search
from mithridate.claims.attacks.space import Edits, EditSpace
from mithridate.claims.claim import Claim
from mithridate.claims.features import FeatureSpace
from mithridate.errors import UserError


@dataclass(frozen=True, eq=False)
class Surrogate:
    """The attacker's own model: a small network over the attacker's own features, fitted to labels that it has seen."""

    features: FeatureSpace
    mean: NDArray[np.float64]
    scale: NDArray[np.float64]
    network: torch.nn.Module

    @classmethod
    def fit(
        cls, claims: Sequence[Claim], denied: ArrayLike, features: FeatureSpace, *, seed: int = 0, epochs: int = 30
    ) -> Surrogate:
        """Train on N claims and whether each was denied.  Raises UserError when all were decided alike."""
        label = np.asarray(denied).astype(np.float32)
        if len(set(label.tolist())) < 2:
            raise UserError("a surrogate needs claims that were denied and claims that were not")
        x = features.transform(claims)
        mean, scale = x.mean(0), x.std(0) + 1e-6
        generator = torch.Generator().manual_seed(seed)
        network = torch.nn.Sequential(torch.nn.Linear(x.shape[1], 32), torch.nn.Softplus(), torch.nn.Linear(32, 1))
        with torch.no_grad():
            for parameter in network.parameters():
                bound = 1 / np.sqrt(parameter.shape[-1])
                parameter.copy_(torch.empty_like(parameter).uniform_(-bound, bound, generator=generator))
        inputs, targets = torch.from_numpy((x - mean) / scale).float(), torch.from_numpy(label)
        weight = torch.tensor((len(label) - label.sum()) / label.sum())
        loss = torch.nn.BCEWithLogitsLoss(pos_weight=weight)
        optimizer = torch.optim.Adam(network.parameters(), lr=3e-3, weight_decay=1e-4)
        for _ in range(epochs):
            order = torch.randperm(len(label), generator=generator)
            for at in range(0, len(label), 256):
                batch = order[at : at + 256]
                optimizer.zero_grad()
                loss(network(inputs[batch])[:, 0], targets[batch]).backward()
                optimizer.step()
        return cls(features, mean, scale, network.eval().requires_grad_(False))

    def margins(self, x: torch.Tensor) -> torch.Tensor:
        """Log-odds of a denial (N) for rows of features (N x F, float32)."""
        mean, scale = (torch.from_numpy(part).float() for part in (self.mean, self.scale))
        margins: torch.Tensor = self.network((x - mean) / scale)[:, 0]
        return margins


@dataclass(frozen=True)
class SurrogateGradient:
    """Descent on a surrogate at several prices of suspicion, from the unedited claim and then from the best one found.

    Of each descent `asked` roundings are asked about: the strongest edit alone, the two strongest and so on, since one
    edit may bring what three do with less suspicion, and then roundings by chance.
    """

    surrogate: Surrogate
    steps: int = 30
    prices: tuple[float, ...] = (0.3, 1.0, 3.0, 10.0, 30.0)
    asked: int = 8
    rounds: int = 2

    def run(
        self, oracle: Decisions, spaces: Sequence[EditSpace], rng: np.random.Generator, row: int = 0
    ) -> list[Claim]:
        """One candidate a space; space i is charged to row + i of the oracle."""
        found = []
        for number, (space, own) in enumerate(zip(spaces, rng.spawn(len(spaces)), strict=True)):
            search = Search(oracle, space, row + number)
            for _ in range(self.rounds):
                here = space.start if search.best is None else search.best.edits
                moves = space.neighbors(here)
                if moves and not search.over:
                    search.ask(self._points(search, here, moves, own))
            found.append(search.candidate())
        return found

    def _points(self, search: Search, here: Edits, moves: list[Edits], rng: np.random.Generator) -> list[Edits]:
        terms, features, space = search.terms, self.surrogate.features, search.space
        base, edited = space.apply(here), [space.apply(move) for move in moves]
        fine = terms.lawful(space.claim, edited)
        moves = [move for move, keeps in zip(moves, fine, strict=True) if keeps]
        edited = [candidate for candidate, keeps in zip(edited, fine, strict=True) if keeps]
        if not moves:
            return []
        start = features.transform([base])
        effects = torch.from_numpy(features.transform(edited) - start).float()
        gain = terms.payments(edited) - terms.payments([base])
        worth = torch.from_numpy(gain / max(1.0, float(np.abs(gain).max()))).float()
        origin = torch.from_numpy(start).float()
        left = max(1, space.budget.k - space.cost(here))
        points: list[Edits] = []
        for price in self.prices:
            noise = torch.from_numpy(rng.random(len(moves))).float()
            z = self._descend(origin, effects, worth, price, left, noise).numpy()
            for number in range(self.asked):
                chance = 0.0 if number < left else rng.gumbel(scale=0.4, size=len(moves))
                order = np.argsort(-(z + chance), kind="stable")[: 4 * left].tolist()
                most = number % left + 1
                points.append(_rounded(space, here, [moves[i] for i in order], most))
        return points

    def _descend(
        self, origin: torch.Tensor, effects: torch.Tensor, worth: torch.Tensor, price: float, k: int, z: torch.Tensor
    ) -> torch.Tensor:
        """Relaxed edits that trade money against the surrogate's suspicion."""

        def objective(point: torch.Tensor) -> torch.Tensor:
            suspicion = torch.nn.functional.softplus(self.surrogate.margins(origin + point @ effects))[0]
            return price * suspicion - (worth * point).sum()

        z = _project(z, k)
        best, lowest, previous, step, since = z, float("inf"), z, 0.5, 0
        for _ in range(self.steps):
            point = z.clone().requires_grad_(True)
            value = objective(point)
            if float(value.detach()) < lowest - 1e-6:
                best, lowest, since = z, float(value.detach()), 0
            elif (since := since + 1) >= 4:
                z, previous, step, since = best, best, step / 2, 0
                continue
            (gradient,) = torch.autograd.grad(value, point)
            moved = _project(z - step * gradient / gradient.abs().max().clamp_min(1e-9), k)
            z, previous = _project(z + 0.75 * (moved - z) + 0.25 * (z - previous), k), z
        return best


def _project(z: torch.Tensor, k: int) -> torch.Tensor:
    """The nearest point with entries in [0, 1] and a sum of at most k, by bisection on the shift."""
    if float(z.clamp(0, 1).sum()) <= k:
        return z.clamp(0, 1)
    low, high = 0.0, float(z.max())
    for _ in range(40):
        middle = (low + high) / 2
        low, high = (middle, high) if float((z - middle).clamp(0, 1).sum()) > k else (low, middle)
    return (z - high).clamp(0, 1)


def _rounded(space: EditSpace, here: Edits, moves: Sequence[Edits], most: int) -> Edits:
    """The first `most` moves from here that fit together and into the budget, taken in order."""
    base, taken = here, 0
    for move in moves:
        fields = {(option.line, option.field) for option in here.lines}
        if fields & {(option.line, option.field) for option in move.lines - base.lines}:
            continue
        merged = replace(
            here,
            dropped=here.dropped | move.dropped,
            added=here.added | move.added,
            lines=here.lines | move.lines,
            first=move.first if move.first != base.first else here.first,
        )
        merged = space.led(merged)
        if merged != here and space.holds(merged):
            here, taken = merged, taken + 1
            if taken == most:
                break
    return here
