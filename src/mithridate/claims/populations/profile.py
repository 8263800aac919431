"""Providers: what they do, whom they see, and whether and from when on they abuse it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta

import numpy as np
from numpy.typing import NDArray

from mithridate.claims.populations.catalog import ladders
from mithridate.seeds import generator

KINDS = {"hospital": 0.3, "members": 0.25, "office": 0.3, "anesthesia": 0.15}
"""Shares of providers; each kind is paid by one payer model."""

PAYER_MODEL = {"hospital": "ms-drg", "members": "cms-hcc-v28", "office": "physician", "anesthesia": "anesthesia"}

SCHEMES = {
    "hospital": ("upcoding", "upcoding", "spread-thin"),
    "members": ("upcoding", "upcoding", "spread-thin"),
    "office": ("upcoding", "unbundling", "exaggerated-time", "spread-thin"),
    "anesthesia": ("exaggerated-time", "exaggerated-time", "spread-thin"),
}
"""What abusive providers of each kind do; a scheme named twice is twice as frequent."""

INTENSITY = {
    "upcoding": (0.4, 0.7),
    "unbundling": (0.5, 0.9),
    "exaggerated-time": (0.4, 0.8),
    "spread-thin": (0.1, 0.2),
}
"""Share of claims that an abusive provider tries to inflate, drawn uniformly between the two."""


@dataclass(frozen=True)
class Provider:
    """One provider.

    Attributes: index (counts from 0), id, kind, scheme ("honest" or one of SCHEMES), onset (first day of abuse, None
    for honest ones), intensity (share of claims tried), mix (float64, one factor a ladder: how much more often than
    elsewhere its patients have the condition).
    """

    index: int
    id: str
    kind: str
    scheme: str
    onset: date | None
    intensity: float
    mix: NDArray[np.float64]

    @property
    def honest(self) -> bool:
        return self.scheme == "honest"


def draw_provider(seed: int, index: int, abusive_share: float, start: date, end: date) -> Provider:
    """The provider of this number, from a stream of its own: the same whatever the size of the population.

    Abuse begins between the start and a third of the period, so that a time of detection can be measured.
    """
    rng = generator(seed, "provider", index)
    kind = str(rng.choice(list(KINDS), p=list(KINDS.values())))
    abusive = bool(rng.random() < abusive_share)
    scheme = str(rng.choice(SCHEMES[kind]))
    onset = start + timedelta(days=int(rng.integers(0, max(1, (end - start).days // 3))))
    low, high = INTENSITY[scheme]
    intensity = float(rng.uniform(low, high))
    mix = rng.lognormal(0.0, 0.25, len(ladders()))
    return Provider(
        index, f"P{index:05d}", kind, scheme if abusive else "honest", onset if abusive else None, intensity, mix
    )
