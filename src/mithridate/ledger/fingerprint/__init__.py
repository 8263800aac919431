"""What an image is, in five hashes: file, stream, pixels, model-visible attributes, identity (F0 to F4).

`fingerprint_image` takes one of a file's bytes, `compare` judges another file against what was recorded.
"""

from __future__ import annotations

from mithridate.ledger.fingerprint.image import fingerprint_image
from mithridate.ledger.fingerprint.model import Fingerprint
from mithridate.ledger.fingerprint.verdict import Judgement, Verdict, compare

__all__ = ["Fingerprint", "Judgement", "Verdict", "compare", "fingerprint_image"]
