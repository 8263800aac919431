"""No attack ever contradicts a certificate, and what is unstable comes with its counterexample."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from claims.attacks import cohort
from mithridate.claims.attacks.exact import ExactOptimum
from mithridate.claims.attacks.oracle import WhiteBox
from mithridate.claims.attacks.proposals import Proposals
from mithridate.claims.attacks.searches import Beam, Genetic, RandomEdits
from mithridate.claims.budget import HONEST, CodeEdits
from mithridate.claims.claim import Claim, Condition, Diagnosis, Documentation
from mithridate.claims.defenses.certificate import certify

K = 1


def documented(claim: Claim, codes: tuple[str, ...]) -> Claim:
    """The claim with a richer record, so that edits of class B exist."""
    record = claim.documentation
    extra = tuple(Condition(code) for code in codes if code not in record.active_codes)
    return replace(claim, documentation=replace(record, conditions=record.conditions + extra))


def chosen() -> list[Claim]:
    codes = ("E1122", "F322", "D649", "I10", "M069")
    claims = cohort.claims()[300:324]
    return [documented(claim, codes) if number % 2 else claim for number, claim in enumerate(claims)]


@pytest.mark.parametrize("kind", ["lightgbm", "logistic"])
def test_no_attack_contradicts_a_certificate(kind: str) -> None:
    detector, terms, proposals = cohort.detector(kind), cohort.shared_terms(), Proposals({})
    outcomes = []
    for claim in chosen():
        certificate = certify(claim, detector, terms, k=K, limits=ExactOptimum(seconds=600))
        outcomes.append(certificate.outcome)
        space = proposals.space(claim, CodeEdits(K, HONEST), terms)
        # Everything that the budget allows, tried one by one; what breaks a rule is denied by the rule.
        points = [space.apply(point) for point in space.every()]
        lawful = terms.lawful(claim, points)
        turned = detector.denies(points) != certificate.denied
        if certificate.outcome == "stable":
            assert not turned[lawful].any()
            for attack in (RandomEdits(50), Beam(8), Genetic(16, 3), ExactOptimum(seconds=600)):
                (after,) = attack.run(WhiteBox(detector, terms, 1), [space], np.random.default_rng(0))
                assert bool(detector.denies([after])[0]) == certificate.denied
        if certificate.outcome == "unstable":
            assert certificate.counterexample is not None
            assert bool(detector.denies([certificate.counterexample])[0]) != certificate.denied
            assert CodeEdits(K, HONEST).violation(claim, certificate.counterexample) == 0
            assert terms.lawful(claim, [certificate.counterexample])[0]
        if (turned & lawful).any():
            assert certificate.outcome != "stable"
    assert {"stable", "unstable"} <= set(outcomes)


def anything(claim: Claim, rng: np.random.Generator) -> Claim:
    """The claim billed in any way that its record supports, made without the program's own edit space."""
    billed, record = claim.billed, sorted(claim.documentation.active_codes)
    codes = [item for item in billed.diagnoses if rng.random() < 0.8] or [billed.principal]
    codes += [Diagnosis(code) for code in record if rng.random() < 0.3 and code not in [c.code for c in codes]]
    known = {item.code: item for item in billed.diagnoses}
    codes = [known.get(item.code, item) for item in codes]
    if rng.random() < 0.4:
        codes = [codes[i] for i in rng.permutation(len(codes))]
    levels = ("99212", "99213", "99214", "99215")
    lines = [replace(line, hcpcs=str(rng.choice(levels))) if rng.random() < 0.3 else line for line in billed.lines]
    return claim.with_billed(principal=codes[0], secondary=codes[1:], lines=lines)


def test_edits_made_without_the_edit_space_do_not_contradict_either() -> None:
    detector, terms, budget = cohort.detector(), cohort.shared_terms(), CodeEdits(2, HONEST)
    tried = 0
    for number, claim in enumerate(chosen()):
        certificate = certify(claim, detector, terms, k=2, limits=ExactOptimum(seconds=600))
        if certificate.outcome != "stable":
            continue
        rng = np.random.default_rng(number)
        made = list(dict.fromkeys(anything(claim, rng) for _ in range(400)))
        fine = [c for c in made if budget.violation(claim, c) == 0 and terms.lawful(claim, [c])[0]]
        assert (detector.denies(fine) == certificate.denied).all()
        tried += len(fine)
    assert tried > 40


def test_a_limit_never_certifies() -> None:
    for claim in chosen()[:6]:
        found = certify(claim, cohort.detector(), cohort.shared_terms(), k=2, limits=ExactOptimum(seconds=0.0))
        assert found.outcome == "uncertified"


def test_without_a_record_only_order_and_drops_are_left() -> None:
    claim = replace(chosen()[0], documentation=Documentation())
    space = Proposals({}).space(claim, CodeEdits(3, HONEST), cohort.shared_terms())
    assert (space.pool, space.options) == ((), ())
