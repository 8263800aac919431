"""What Finlayson et al. (arXiv:1804.05296; Science 2019;363:1287) published and may be quoted beside a run.

Only values that are readable today: their Table 1, and for skin the clean figures that follow from the prediction
files that the authors made public.  The cells of their Table 2 are not quoted.
"""

from __future__ import annotations

from dataclasses import dataclass

SOURCE = "Finlayson et al., arXiv:1804.05296"


@dataclass(frozen=True)
class PublishedClean:
    """One row of their Table 1.  Fractions in [0, 1]; n and majority accuracy follow from their prediction files."""

    question: str
    n: int
    positives: int
    accuracy: float
    auc: float
    sensitivity: float
    specificity: float
    threshold: float

    @property
    def majority_accuracy(self) -> float:
        return max(self.positives, self.n - self.positives) / self.n


TABLE_1 = {
    "fundus": PublishedClean("referable diabetic retinopathy, Kaggle", 10644, 1929, 0.91, 0.91, 0.85, 0.80, 0.14),
    "chest": PublishedClean("pneumothorax, ChestX-ray14", 8383, 699, 0.95, 0.94, 0.90, 0.82, 0.025),
    "skin": PublishedClean("melanoma, ISIC", 533, 135, 0.88, 0.86, 0.80, 0.73, 0.02),
}


@dataclass(frozen=True)
class PublishedPredictions:
    """Clean figures computed from published predictions, fractions in [0, 1]."""

    n: int
    accuracy: float
    auc: float
    confidence: float


CLEAN_PREDICTIONS = {"skin": PublishedPredictions(533, 0.876, 0.858, 0.941)}
