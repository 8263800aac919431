"""Training image classifiers: recipes, augmentation, a loop that resumes to the same result, measured cards."""

from mithridate.imaging.training.data import Images
from mithridate.imaging.training.describe import Subject
from mithridate.imaging.training.recipe import PRESETS, Augmentation, Recipe, preset
from mithridate.imaging.training.run import Request, train, train_images
from mithridate.imaging.training.trainer import Event, TrainingDiverged, TrainingInterrupted

__all__ = [
    "PRESETS",
    "Augmentation",
    "Event",
    "Images",
    "Recipe",
    "Request",
    "Subject",
    "TrainingDiverged",
    "TrainingInterrupted",
    "preset",
    "train",
    "train_images",
]
