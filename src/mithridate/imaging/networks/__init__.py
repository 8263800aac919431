"""Image classifiers: an architecture by name, normalization inside, logits out."""

from mithridate.imaging.networks.classifier import NORMALIZATIONS, Classifier, Normalization
from mithridate.imaging.networks.factory import ARCHITECTURES, build

__all__ = ["ARCHITECTURES", "NORMALIZATIONS", "Classifier", "Normalization", "build"]
