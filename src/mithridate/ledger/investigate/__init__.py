"""What happened to the images of a case: judged one by one, compared with what was captured, with proofs to hand on.

`investigate` gives an `Investigation`; how it is shown is others' work.
"""

from __future__ import annotations

from mithridate.ledger.investigate.case import Case
from mithridate.ledger.investigate.findings import Investigation
from mithridate.ledger.investigate.run import investigate

__all__ = ["Case", "Investigation", "investigate"]
