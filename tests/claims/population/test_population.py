"""The population: the same for everyone, true to its labels, and no trap for the models trained on it."""

from __future__ import annotations

from collections import Counter
from datetime import date
from functools import cache

import numpy as np
import pytest

from mithridate.claims.claim import Claim
from mithridate.claims.evaluation import evaluate
from mithridate.claims.payment import Pricer
from mithridate.claims.population import (
    CODE_IDENTITY_AUC,
    Population,
    PopulationPlan,
    draw_providers,
    generate,
    provider_claims,
)
from mithridate.claims.populations.catalog import ladder_codes
from mithridate.claims.populations.operations import operations
from mithridate.claims.rules import Rules
from mithridate.errors import UserError
from mithridate.statistics import auc

PLAN = PopulationPlan(claims=6000, seed=11, abusive_share=0.35)


@cache
def made() -> Population:
    return generate(PLAN)


def test_the_same_plan_gives_the_same_claims_in_any_order() -> None:
    providers = list(draw_providers(PLAN))[:12]
    backwards = {item.id: provider_claims(PLAN, item) for item in reversed(providers)}
    claims = [item.claim for provider in providers for item in backwards[provider.id]]
    assert claims == list(made().claims[: len(claims)])


def test_a_larger_population_begins_with_the_smaller() -> None:
    small = generate(PopulationPlan(claims=130, seed=11, abusive_share=0.35))
    assert len(small) == 130
    assert small.claims == made().claims[:130]
    assert generate(PopulationPlan(claims=130, seed=12)).claims != small.claims


def test_no_rule_that_a_payer_can_ask_tells_honest_from_abusive() -> None:
    result = evaluate(made().claims, Rules(with_record=False), Pricer())
    assert Counter(reason for broken in result.broken for reason in broken) == {}
    assert (result.amount > 0).all()


def test_the_record_supports_honest_time_and_contradicts_abuse() -> None:
    rules = Rules()
    abusive = made().abusive
    broken = np.array([bool(rules.check(claim)) for claim in made().claims])
    assert not broken[~abusive].any()
    timed = np.array([scheme == "exaggerated-time" for scheme in made().schemes])
    operation = np.array([claim.payer_model == "anesthesia" for claim in made().claims])
    assert broken[timed & operation].all()
    assert (timed & operation).sum() > 20


def test_upcoded_diagnoses_lack_support_and_honest_ones_have_it() -> None:
    supported: dict[bool, list[float]] = {True: [], False: []}
    for claim, abusive in zip(made().claims, made().abusive, strict=True):
        if claim.payer_model in ("ms-drg", "cms-hcc-v28"):
            share = np.mean([claim.documentation.supports(code) for code in claim.codes])
            supported[bool(abusive)].append(float(share))
    assert np.mean(supported[False]) > 0.95, "honest coders slip now and then"
    assert np.mean(np.array(supported[True]) < 1) > 0.9


def test_abuse_pays() -> None:
    pricer = Pricer()
    for model in ("ms-drg", "cms-hcc-v28", "physician", "anesthesia"):
        gains = [
            pricer.price(claim).amount - pricer.price(claim.with_billed(honest)).amount
            for claim, honest, abusive in zip(made().claims, made().honest_billing, made().abusive, strict=True)
            if abusive and claim.payer_model == model
        ]
        assert len(gains) > 20
        assert np.mean(gains) > 0


def test_abuse_begins_on_the_providers_first_day_and_never_at_honest_ones() -> None:
    providers = {provider.id: provider for provider in made().providers}
    for claim, abusive in zip(made().claims, made().abusive, strict=True):
        provider = providers[claim.provider]
        if abusive:
            assert provider.onset is not None
            assert claim.discharge_date >= provider.onset
    schemes = {provider.scheme for provider in made().providers}
    assert schemes == {"honest", "upcoding", "unbundling", "exaggerated-time", "spread-thin"}


def test_spreading_thin_means_fewer_claims_a_provider() -> None:
    share = {}
    for scheme in ("upcoding", "spread-thin"):
        ids = {provider.id for provider in made().providers if provider.scheme == scheme}
        share[scheme] = np.mean(
            [flag for c, flag in zip(made().claims, made().abusive, strict=True) if c.provider in ids]
        )
    assert share["spread-thin"] < share["upcoding"] / 2


# Trap 1: if honest claims never used the upcoded codes, a list of codes would catch all abuse.


def test_a_model_that_sees_only_codes_stays_under_the_stated_auc() -> None:
    from lightgbm import LGBMClassifier
    from sklearn.feature_extraction import DictVectorizer
    from sklearn.linear_model import LogisticRegression

    held_out = np.array([int(claim.provider[1:]) % 2 == 1 for claim in made().claims])
    codes = DictVectorizer().fit_transform(dict.fromkeys(_codes(claim), 1.0) for claim in made().claims)
    abusive = made().abusive
    linear = LogisticRegression(C=0.3, max_iter=300)
    trees = LGBMClassifier(n_estimators=60, num_leaves=15, random_state=0, n_jobs=1, verbose=-1)
    for model in (linear, trees):
        model.fit(codes[~held_out], abusive[~held_out])
        found = auc(abusive[held_out], model.predict_proba(codes[held_out])[:, 1])
        assert 0.5 < found < CODE_IDENTITY_AUC, type(model).__name__


# Trap 2: an attacker may only use codes that honest claims use too.


def test_honest_claims_cover_every_code_that_abuse_uses() -> None:
    everything = {code for claim in made().claims for code in _codes(claim)}
    assert everything <= made().honest_codes
    assert ladder_codes() <= made().honest_codes
    assert {item.hcpcs for item in operations()} <= made().honest_codes
    seen = Counter(
        code for c, bad in zip(made().claims, made().abusive, strict=True) if not bad for code in set(c.codes)
    )
    assert min(seen[code] for code in ladder_codes()) >= 5


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"claims": 0}, "population of 0 claims is empty"),
        ({"claims_a_provider": 0}, "0 claims a provider"),
        ({"abusive_share": 1.2}, "share of abusive providers is 1.2"),
        ({"start": date(2026, 1, 1), "end": date(2025, 1, 1)}, "swap the two"),
    ],
)
def test_impossible_plans_are_named(change: dict[str, object], says: str) -> None:
    with pytest.raises(UserError, match=says):
        PopulationPlan(**change)  # type: ignore[arg-type]


def _codes(claim: Claim) -> set[str]:
    return {*claim.codes, *(line.hcpcs for line in claim.billed.lines)}
