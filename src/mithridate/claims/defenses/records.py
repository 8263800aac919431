"""Documentation retrieval: for claims that look a little suspicious, ask for the record before paying."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from mithridate.claims.attacks.terms import Terms
from mithridate.claims.claim import Claim
from mithridate.claims.detector import Detector
from mithridate.claims.rules import Rules
from mithridate.claims.rules.reasons import RECORD_REASONS


@dataclass(frozen=True, eq=False)
class RecordRetrieval:
    """Denies what the detector denies, and what the record does not bear out among claims at or above `asked_at`.

    `asked_at` is a margin below the detector's ceiling.  A record bears a claim out when an active condition supports
    each diagnosis and no rule about recorded time is broken.
    """

    detector: Detector
    asked_at: float
    rules: Rules

    @classmethod
    def build(cls, detector: Detector, terms: Terms, honest: Sequence[Claim], rate: float) -> RecordRetrieval:
        """Ask for the records of about this share of honest claims (the calibration part's, say)."""
        margins = np.sort(detector.margins(honest))
        asked_at = float(margins[max(0, len(margins) - 1 - int(rate * len(margins)))]) if len(margins) else 0.0
        rules = Rules(terms.rules.pairs, terms.rules.units, with_record=True)
        return cls(detector, min(asked_at, detector.ceiling), rules)

    @property
    def threshold(self) -> float:
        return self.detector.threshold

    def borne_out(self, claim: Claim) -> bool:
        """Whether the record supports everything that is billed."""
        if not all(claim.documentation.supports(code) for code in claim.codes):
            return False
        return RECORD_REASONS.isdisjoint(item.reason for item in self.rules.check(claim))

    def asked(self, claims: Sequence[Claim]) -> NDArray[np.bool_]:
        """Whose record is asked for (N): the work that this defense makes."""
        return np.asarray(self.detector.margins(claims) >= self.asked_at)

    def denies(self, claims: Sequence[Claim]) -> NDArray[np.bool_]:
        return self.score(claims) >= self.threshold

    def score(self, claims: Sequence[Claim]) -> NDArray[np.float64]:
        """The detector's score, raised for unsupported claims so that they reach the threshold where records are
        asked for.  An attacker knows its own records, and so sees all of this."""
        margin, ceiling = self.detector.margins(claims), self.detector.ceiling
        unsupported = np.array([not self.borne_out(claim) for claim in claims], dtype=np.bool_)
        raised = np.where(unsupported, margin + (ceiling - self.asked_at), margin)
        # Rounding must not lift a claim that is just not asked for over the threshold, nor the other way.
        raised = np.where(unsupported & (margin >= self.asked_at), np.maximum(raised, ceiling), raised)
        scores: NDArray[np.float64] = expit(self.detector.slope * raised + self.detector.offset)
        return scores
