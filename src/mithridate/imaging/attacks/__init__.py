"""Attacks on image classifiers: each is parameters plus `run(oracle, examples, budget, rng) -> candidates`."""

from mithridate.imaging.attacks.noise import RandomNoise
from mithridate.imaging.attacks.pgd import FGSM, PGD
from mithridate.imaging.attacks.rotation import WorstRotation

__all__ = ["FGSM", "PGD", "RandomNoise", "WorstRotation"]
