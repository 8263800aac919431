"""Attacks on image classifiers: each is parameters plus `run(oracle, examples, budget, rng) -> candidates`."""

from mithridate.imaging.attacks.apgd import APGD, TargetedAPGD
from mithridate.imaging.attacks.backward import StraightThrough, SurrogateBackward
from mithridate.imaging.attacks.borderline import Borderline
from mithridate.imaging.attacks.boundary import Boundary
from mithridate.imaging.attacks.carlini_wagner import CarliniWagner
from mithridate.imaging.attacks.deepfool import DeepFool
from mithridate.imaging.attacks.ensembles import CheapToDear, Ensemble, StandardEnsemble
from mithridate.imaging.attacks.fab import FAB
from mithridate.imaging.attacks.finite_differences import FiniteDifferences
from mithridate.imaging.attacks.hopskipjump import HopSkipJump
from mithridate.imaging.attacks.minimum_norm import MinimumNorm
from mithridate.imaging.attacks.motion import MotionGrid, WorstMotion
from mithridate.imaging.attacks.noise import RandomNoise
from mithridate.imaging.attacks.patch import AdversarialPatch, PatchTraining
from mithridate.imaging.attacks.per_target import PerTarget
from mithridate.imaging.attacks.pgd import FGSM, PGD
from mithridate.imaging.attacks.rotation import WorstRotation
from mithridate.imaging.attacks.square import Square
from mithridate.imaging.attacks.transfer import TransferMatrix, transfer_matrix
from mithridate.imaging.attacks.universal import UniversalPerturbation, UniversalTraining
from mithridate.imaging.attacks.views import AnyFinding, BackwardPass, Diverse, Expectation, InputDiversity

__all__ = [
    "APGD",
    "FAB",
    "FGSM",
    "PGD",
    "AdversarialPatch",
    "AnyFinding",
    "BackwardPass",
    "Borderline",
    "Boundary",
    "CarliniWagner",
    "CheapToDear",
    "DeepFool",
    "Diverse",
    "Ensemble",
    "Expectation",
    "FiniteDifferences",
    "HopSkipJump",
    "InputDiversity",
    "MinimumNorm",
    "MotionGrid",
    "PatchTraining",
    "PerTarget",
    "RandomNoise",
    "Square",
    "StandardEnsemble",
    "StraightThrough",
    "SurrogateBackward",
    "TargetedAPGD",
    "TransferMatrix",
    "UniversalPerturbation",
    "UniversalTraining",
    "WorstMotion",
    "WorstRotation",
    "transfer_matrix",
]
