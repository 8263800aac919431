"""Rules that a claim keeps or breaks, each with a reason code: CMS's hard edits and the coding conventions."""

from mithridate.claims.rules.check import Rules
from mithridate.claims.rules.cms_files import MedicallyUnlikely, ProcedurePairs
from mithridate.claims.rules.reasons import REASONS, Broken, Reason
from mithridate.claims.rules.repeats import repeated_claims

__all__ = ["REASONS", "Broken", "MedicallyUnlikely", "ProcedurePairs", "Reason", "Rules", "repeated_claims"]
