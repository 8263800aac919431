"""Claims from files: CSV, JSON, X12 837 and FHIR; what cannot be read is named, the rest is kept."""

from mithridate.claims.input.parsed import Parsed, Problem
from mithridate.claims.input.read import FORMATS, ReadOptions, read_claims
from mithridate.claims.input.write import claim_record, write_claims

__all__ = ["FORMATS", "Parsed", "Problem", "ReadOptions", "claim_record", "read_claims", "write_claims"]
