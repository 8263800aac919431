"""Evidence that does not hold: each error is one sentence that says what was wrong with it."""

from __future__ import annotations

from mithridate.errors import UserError


class EvidenceError(UserError):
    """Something that claims to be evidence was refused; nothing in it may be used."""


class ProofError(EvidenceError):
    """A Merkle proof does not lead to the root that it should."""


class NoteError(EvidenceError):
    """A signed note or checkpoint is malformed, or no trusted key signed it."""


class TileError(EvidenceError):
    """A tile or entry bundle is absent, has the wrong length, or holds other hashes than the tree."""


class RecordError(EvidenceError):
    """A record is not in its one canonical form, or its device did not sign it."""
