"""A payment is the same to the last bit in every process, however Python's sets are ordered there."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

PROGRAM = """
from datetime import date
from mithridate.claims.claim import Billed, Claim, Diagnosis
from mithridate.claims.payment import Pricer

codes = ("E1122", "N184", "I130", "I5022", "F322", "E6601", "M069", "J449")
for many in range(1, len(codes) + 1):
    for age in (66, 72, 85):
        first, *rest = (Diagnosis(code) for code in codes[:many])
        claim = Claim("", "", age, "F", "cms-hcc-v28", date(2026, 1, 1), Billed(first, tuple(rest)))
        price = Pricer().price(claim)
        print(price.units.hex(), price.amount.hex())
"""


def payments(hash_seed: int) -> list[str]:
    environment = os.environ | {"PYTHONHASHSEED": str(hash_seed), "PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-c", PROGRAM]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, cwd=Path(__file__).parent)
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


def test_risk_scores_do_not_depend_on_the_order_of_sets() -> None:
    first, *others = (payments(seed) for seed in range(4))
    assert len(set(first)) > 10
    assert all(other == first for other in others)
