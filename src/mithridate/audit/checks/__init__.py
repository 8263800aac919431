"""The twenty checks of an audit: pure functions from evidence to verdicts.

Integrity: a failure voids the audit of a model.  Strength: a failure means that the attacks are too weak to conclude
anything from a model that holds.  Sources: Carlini et al. 2019; Athalye et al. 2018; Tramer et al. 2020; Croce and
Hein 2020; Pintor et al. 2022.
"""

from __future__ import annotations

from mithridate.audit.checks.effort_checks import converged, returns_best, settled
from mithridate.audit.checks.evidence import Evidence
from mithridate.audit.checks.integrity import INTEGRITY
from mithridate.audit.checks.model_checks import MODEL_CHECKS, preprocessing_open
from mithridate.audit.checks.rival_checks import (
    draws_weaker,
    gradient_free_weaker,
    grows_with_budget,
    single_step_weaker,
    transfer_and_noise_weaker,
    worst_of_all,
)
from mithridate.audit.results import Check

CHECKS = (
    *INTEGRITY,
    *MODEL_CHECKS,
    gradient_free_weaker,
    transfer_and_noise_weaker,
    single_step_weaker,
    grows_with_budget,
    converged,
    settled,
    returns_best,
    draws_weaker,
    preprocessing_open,
    worst_of_all,
)


def run_checks(evidence: Evidence) -> tuple[Check, ...]:
    """All twenty, in order."""
    return tuple(question(evidence) for question in CHECKS)
