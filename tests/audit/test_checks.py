"""Each check on evidence made for it: it passes on sound evidence and says what is wrong with unsound one."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest

from mithridate.audit.checks import CHECKS, run_checks
from mithridate.audit.checks.conclusion import conclude
from mithridate.audit.checks.evidence import CellEvidence, Evidence, ModelProbe, SurvivorProbe
from mithridate.audit.results import Check, Kind
from mithridate.audit.survivors import late_change
from mithridate.models.acceptance import Reproduced
from report.made import condition

N = 20


def findings(fooled: set[int], stored: set[int] | None = None, **columns: Any) -> pd.DataFrame:
    """N examples, all right when clean; those in `fooled` are wrong after."""
    label = np.arange(N) % 2
    wrong = np.isin(np.arange(N), list(fooled))
    kept = wrong if stored is None else np.isin(np.arange(N), list(stored))
    return pd.DataFrame(
        {
            "example": [f"e{i}" for i in range(N)],
            "label": label,
            "clean_prediction": label,
            "prediction": np.where(wrong, 1 - label, label),
            "stored_prediction": np.where(kept, 1 - label, label),
            "violation": 0.0,
            "verified": True,
            **columns,
        }
    )


def cell(kind: Kind, fooled: set[int], size: float = 0.01, attack: str = "pgd", **more: Any) -> CellEvidence:
    values: dict[str, Any] = {
        "key": f"{kind}/{attack}/{size:g}", "kind": kind, "attack": attack,
        "parameters": {"attack": attack, "loss": "margin"}, "budget": {"kind": "linf", "epsilon": size}, "size": size,
        "main": True, "sweep": None, "findings": findings(fooled, more.pop("stored", None)),
    }  # fmt: skip
    return CellEvidence(**(values | more))


CLEAN = cell("clean", set(), 0.0, "none")
PROBE = ModelProbe(
    examples=8, white_box=True, access="a torch module, differentiated", classes=2, native_difference=0.0,
    state_kept=True, training_parts=0, batch_tested=2, batch_difference=0.0, batch_decisions=0, passes=5, spread=0.0,
    flips=0, output="logits", mislabeled=None, zero=(), broken=(), starved=(), slope_error=0.02, stored={"12": (4, 4)},
)  # fmt: skip
HELD = SurvivorProbe(
    cell="w", budget={"kind": "linf", "epsilon": 0.01}, size=0.01, right=N, survivors=N, probed=8, queries=100,
    draws=100, half_range=8,
)  # fmt: skip


def evidence(*attacked: CellEvidence, robust: float = 1.0, **more: Any) -> Evidence:
    """A model that held out, unless told otherwise."""
    cells = attacked or (cell("white-box", set()), cell("noise", set(), attack="noise"))
    values: dict[str, Any] = {
        "cells": (CLEAN, *cells), "model": PROBE, "survivors": (HELD,), "reproduced": Reproduced(N, 0.001, 0),
        "confirmed": "nobody", "robust_accuracy": robust, "canaries": 5,
    }  # fmt: skip
    return Evidence(**(values | more))


def verdict(number: int, e: Evidence) -> Check:
    return run_checks(e)[number - 1]


def test_there_are_twenty_and_sound_evidence_passes_them_all() -> None:
    found = run_checks(evidence())
    assert [c.number for c in found] == list(range(1, 21))
    assert len({c.title for c in found}) == len(CHECKS) == 20
    # Nothing was fooled, so nothing can be lost in storage.
    assert {c.number: c.verdict for c in found if c.verdict != "pass"} == {5: "not applicable"}
    assert all(c.evidence.endswith(".") and len(c.evidence) > 20 for c in found)


def probe(**changes: Any) -> dict[str, Any]:
    return {"model": replace(PROBE, **changes)}


def seen(**options: Any) -> CellEvidence:
    """A white-box attack with these options for its gradient, that fooled nothing."""
    return cell("white-box", set(), parameters={"attack": "pgd", "loss": "margin", "gradient": options})


def survivors(**changes: Any) -> dict[str, Any]:
    return {"survivors": (replace(HELD, **changes),)}


def violated(value: float) -> CellEvidence:
    return cell("white-box", set(), findings=findings(set(), violation=value))


@pytest.mark.parametrize(
    ("number", "made"),
    [
        (1, evidence(violated(1e-3))),
        (1, evidence(cell("white-box", set(), findings=findings(set(), verified=False)))),
        (2, evidence(**probe(native_difference=0.1))),
        (3, evidence(**probe(state_kept=False))),
        (3, evidence(**probe(training_parts=2))),
        (4, evidence(**probe(batch_difference=0.1))),
        (4, evidence(**probe(batch_decisions=1))),
        (6, evidence(canaries=0)),
        (7, evidence(**probe(spread=0.01))),
        (8, evidence(**probe(mislabeled="every row adds up to 1"))),
        # One budget is attacked through the randomness, the other is not.
        (7, evidence(seen(samples=20), cell("white-box", set(), 0.02), **probe(spread=0.01))),
        (7, evidence(seen(backward="straight-through"), **probe(spread=0.01))),
        (9, evidence(**probe(zero=("e3",)))),
        (9, evidence(seen(samples=20), **probe(zero=("e3",)))),
        (19, evidence(seen(samples=20), **probe(slope_error=0.9))),
        (9, evidence(**probe(broken=("e3",)))),
        (11, evidence(**survivors(gradient_free=1))),
        (11, evidence(cell("white-box", {1}), cell("other", {1, 2}, attack="square"))),
        (11, evidence(cell("white-box", {1}), cell("other", {1, 2}, attack="finite-differences"))),
        (11, evidence(cell("white-box", {1}), cell("other", {1, 2}, attack="boundary"))),
        (12, evidence(cell("white-box", {1, 2}), cell("black-box", {2, 3}))),
        (12, evidence(cell("white-box", {1, 2}), cell("noise", {4}, 0.005, "noise"))),
        (13, evidence(**survivors(single_step=1))),
        (13, evidence(cell("white-box", {1}), cell("white-box", {1, 2}, attack="fgsm"))),
        (14, evidence(**survivors(half_range=2))),
        (14, evidence(cell("white-box", {1, 2}, 0.005, sweep="s", main=False), cell("white-box", {1}, sweep="s"))),
        (15, evidence(**survivors(doubled=1))),
        (16, evidence(**survivors(unfinished=1, change=0.2))),
        (17, evidence(**survivors(lost=1))),
        (18, evidence(**survivors(noise=1))),
        (18, evidence(cell("white-box", {1}), cell("noise", {2}, attack="noise"))),
        (19, evidence(**probe(slope_error=0.9))),
        (20, evidence(cell("white-box", {1, 2}), cell("black-box", {3}), robust=0.9)),
    ],
)  # fmt: skip
def test_unsound_evidence_fails(number: int, made: Evidence) -> None:
    assert verdict(number, made).verdict == "fail"


@pytest.mark.parametrize(
    ("number", "made", "expected"),
    [
        (2, evidence(reproduced=None), "warn"),
        (2, evidence(reproduced=None, confirmed="card"), "pass"),
        (2, evidence(**probe(native_difference=0.1, spread=0.2)), "pass"),  # a random model: check 7 is for it
        (4, evidence(**probe(batch_difference=0.1, spread=0.2)), "not applicable"),
        (5, evidence(cell("white-box", {1, 2, 3}, stored={1})), "warn"),
        (5, evidence(cell("white-box", {1, 2, 3}, stored={1, 2, 3})), "pass"),
        (8, evidence(**probe(mislabeled="every value lies in [0, 1]", output="logit")), "warn"),
        (9, evidence(cell("white-box", {3}), **probe(zero=("e3",))), "warn"),  # fooled all the same
        (9, evidence(**probe(starved=("e3",))), "warn"),
        (9, evidence(**probe(white_box=False, zero=None, broken=None, starved=None)), "not applicable"),
        (7, evidence(seen(samples=20), **probe(spread=0.01)), "warn"),
        (9, evidence(seen(backward="straight-through"), **probe(zero=("e3",))), "warn"),
        (19, evidence(seen(backward="surrogate"), **probe(slope_error=0.9)), "warn"),
        (10, evidence(cell("white-box", set(), parameters={"loss": "dlr"})), "warn"),
        (12, evidence(cell("white-box", {1, 2}), cell("noise", {4}, 0.5, "noise")), "not applicable"),
        (13, evidence(cell("white-box", set(), attack="fgsm")), "warn"),
        (15, evidence(survivors=(replace(HELD, survivors=0, probed=0),)), "pass"),
        (18, evidence(cell("white-box", {1, 2}), cell("noise", {2}, attack="noise")), "pass"),
        (19, evidence(**probe(slope_error=None)), "not applicable"),
        (20, evidence(cell("white-box", {1, 2}), cell("black-box", {2, 3}), robust=0.85), "pass"),
    ],
)  # fmt: skip
def test_what_is_no_failure(number: int, made: Evidence, expected: str) -> None:
    assert verdict(number, made).verdict == expected


def test_points_scale_from_the_probed_to_the_whole_task() -> None:
    # 1 of 8 probed, standing for 40 of 200: 2.5 points; 1 of 8 standing for 8 of 1000: 0.1 points.
    assert replace(HELD, right=200, survivors=40).points(1) == pytest.approx(2.5)
    few = evidence(**survivors(right=1000, survivors=8, doubled=1, gradient_free=1))
    assert verdict(15, few).verdict == "pass"
    assert verdict(11, few).verdict == "pass"


def test_the_late_rise_of_a_loss() -> None:
    assert late_change([0.0] * 5 + [1.0] * 20) == 0.0
    assert late_change(list(range(20))) == pytest.approx(10 / 19)
    assert late_change([3.0, 2.0, 1.0] * 6) == 0.0
    assert late_change([0.0, 1.0]) == 0.0  # no last ten steps


def outcome(checks: tuple[Check, ...], *, fooled: int = 0, kind: Kind = "white-box", **more: Any) -> str:
    conditions = (condition("clean", 20, 20), condition(kind, 20, 20 - fooled, was_right=20, fooled=fooled))
    return conclude(conditions, checks, **more).outcome


def failing(number: int) -> tuple[Check, ...]:
    return tuple(c.model_copy(update={"verdict": "fail"}) if c.number == number else c for c in run_checks(evidence()))


def test_what_may_be_concluded() -> None:
    sound = run_checks(evidence())
    assert outcome(sound) == "robust"
    assert outcome(sound, fooled=15) == "not robust"
    assert outcome(sound, kind="black-box") == "inconclusive"
    assert outcome(sound, refused="its AUC is chance") == "not attacked"
    assert outcome(sound, stopped="the budget is spent") == "inconclusive"
    for number in range(1, 7):
        assert outcome(failing(number)) == outcome(failing(number), fooled=15) == "void"
    for number in range(7, 21):
        assert outcome(failing(number)) == "inconclusive"
        # An attack that works needs no strength.
        assert outcome(failing(number), fooled=15) == "not robust"
