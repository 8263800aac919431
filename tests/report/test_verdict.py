"""The words of the verdict follow the numbers, whatever the numbers are."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mithridate.audit.results import Condition, Kind
from mithridate.report.advice import limits, meaning, next_steps, summary
from mithridate.report.study import Task
from mithridate.report.verdict import Verdict, judge_task, level_of
from report.made import condition, study, task, task_result

EXAMPLES = settings(max_examples=60, deadline=None)


@st.composite
def audited(draw: st.DrawFn) -> Task:
    """A task whose counts could come from a real run: fooled and rescued examples add up."""
    n = draw(st.integers(10, 400))
    right = draw(st.integers(0, n))
    conditions = [condition("clean", n, right)]
    kinds: tuple[Kind, ...] = ("noise", "white-box", "black-box", "rotation")
    for kind in draw(st.sets(st.sampled_from(kinds))):
        fooled = draw(st.integers(0, right))
        rescued = draw(st.integers(0, n - right))
        conditions.append(condition(kind, n, right - fooled + rescued, was_right=right, fooled=fooled))
    return task(conditions)


def words(verdict: Verdict) -> str:
    return " ".join([verdict.headline, *(s.text for s in verdict.statements)])


def said(verdict: Verdict, kind: str) -> str:
    return next((s.text for s in verdict.statements if s.kind == kind), "")


def accuracy(subject: Task, kind: Kind) -> float | None:
    found: Condition | None = next((c for c in subject.main if c.kind == kind), None)
    return None if found is None else found.accuracy.value


@EXAMPLES
@given(audited())
def test_noise_that_costs_more_than_two_points_is_never_called_harmless(subject: Task) -> None:
    clean, noise = accuracy(subject, "clean"), accuracy(subject, "noise")
    verdict = judge_task(subject)
    if noise is None or clean is None:
        assert "noise" not in said(verdict, "noise").lower()
        return
    harmless = "harmless" in said(verdict, "noise")
    assert harmless == (clean - noise <= 0.02) == verdict.noise_harmless
    assert ("fragile" in said(verdict, "noise")) != harmless


@EXAMPLES
@given(audited())
def test_a_model_that_keeps_its_accuracy_is_never_called_fooled(subject: Task) -> None:
    clean = accuracy(subject, "clean") or 0.0
    verdict = judge_task(subject)
    for kind in ("white-box", "black-box", "rotation"):
        after = accuracy(subject, kind)
        if after is not None and clean - after <= 0.02:
            assert verdict.levels[kind] in ("held", "weakened")
    if not any(level == "fooled" for level in verdict.levels.values()):
        assert "fooled" not in verdict.headline.lower()
        assert verdict.level != "fooled"


@EXAMPLES
@given(audited())
def test_a_model_that_loses_half_of_its_right_answers_is_called_fooled(subject: Task) -> None:
    verdict = judge_task(subject)
    for c in subject.main:
        rate, clean = c.attack_success_rate.value, accuracy(subject, "clean")
        if c.kind in ("clean", "noise") or rate is None or clean is None or c.accuracy.value is None:
            continue
        if rate >= 0.5 and clean - c.accuracy.value > 0.02:
            assert verdict.level == "fooled"
            assert verdict.headline.startswith("Fooled")
            assert any("Do not let the answer" in text for text in next_steps([verdict]))


@EXAMPLES
@given(audited())
def test_every_percentage_in_the_verdict_is_a_figure_of_the_run(subject: Task) -> None:
    figures = {round(subject.result.majority_accuracy * 100, 1)}
    for c in subject.main:
        for e in (c.accuracy, c.attack_success_rate):
            figures |= {round(v * 100, 1) for v in (e.value, e.low, e.high) if v is not None}
    for number in re.findall(r"(\d+(?:\.\d+)?)%(?! interval)", words(judge_task(subject))):
        assert any(abs(float(number) - figure) <= 0.1001 for figure in figures), number


@EXAMPLES
@given(audited())
def test_whoever_held_is_told_that_this_is_no_proof(subject: Task) -> None:
    verdict = judge_task(subject)
    for kind, level in verdict.levels.items():
        assert ("no proof" in said(verdict, kind)) == (level == "held")
    if verdict.level == "held":
        assert any("held" in text for text in meaning([verdict]))
        assert any("stronger" in text for text in next_steps([verdict]))


@EXAMPLES
@given(audited())
def test_accuracy_moves_in_the_direction_that_it_moved(subject: Task) -> None:
    clean = accuracy(subject, "clean") or 0.0
    for kind in ("white-box", "black-box", "rotation"):
        after, text = accuracy(subject, kind), said(judge_task(subject), kind)
        if after is not None and "falls from" in text:
            assert after < clean
        if after is not None and "rises from" in text:
            assert after > clean


def test_a_refused_model_has_no_figures_but_its_reason() -> None:
    refused = "not attacked: its clean AUC is 0.500 and the 95% interval 0.400 to 0.600 includes 0.5"
    verdict = judge_task(task([condition("clean", 100, 90)], refused=refused))
    assert verdict.level == "not attacked"
    assert "90" not in words(verdict)
    assert "includes 0.5" in words(verdict)
    assert words(verdict).count("ot attacked") == 2
    assert any("refused model" in text for text in next_steps([verdict]))


def test_a_void_attack_is_not_believed() -> None:
    clean, void = condition("clean", 100, 90), condition("white-box", 100, 0, was_right=90, fooled=90, violation=0.5)
    verdict = judge_task(task([clean, void]))
    assert verdict.level == "not measured"
    assert "void" in said(verdict, "white-box")
    assert "falls" not in said(verdict, "white-box")


def test_the_strongest_of_several_attacks_speaks() -> None:
    weak = condition("white-box", 100, 80, was_right=90, fooled=10, label="FGSM")
    strong = condition("white-box", 100, 1, was_right=90, fooled=89, cell="task/white-box/pgd")
    verdict = judge_task(task([condition("clean", 100, 90), weak, strong]))
    assert "from 90.0% to 1.0%" in said(verdict, "white-box")


def test_noise_of_another_size_is_not_said_to_be_of_the_same_size() -> None:
    clean, white = condition("clean", 100, 90), condition("white-box", 100, 0, was_right=90, fooled=90)
    for size, same in ((0.01, True), (0.02, False)):
        noise = condition("noise", 100, 90, was_right=90, fooled=0, size=size)
        assert ("of the same size" in said(judge_task(task([clean, white, noise])), "noise")) == same


@pytest.mark.parametrize(("size", "ssim", "hard"), [(0.01, 0.95, True), (0.01, 0.5, False), (0.1, 0.95, False)])
def test_only_small_changes_are_called_hard_to_see(size: float, ssim: float, hard: bool) -> None:
    alike = {"value": ssim, "low": ssim, "high": ssim, "method": "t"}
    white = condition("white-box", 100, 0, was_right=90, fooled=90, size=size, ssim=alike)
    text = said(judge_task(task([condition("clean", 100, 90), white])), "white-box")
    assert ("hard to see" in text) == hard


def test_a_blind_guess_is_called_one() -> None:
    verdict = judge_task(task([condition("clean", 100, 90)], majority_accuracy=0.92))
    assert "no better than a blind guess" in said(verdict, "clean")


def test_a_level_needs_a_clean_condition() -> None:
    assert level_of(None, condition("white-box", 10, 0)) == "not measured"
    # Without a success rate, the accuracy lost decides.
    assert level_of(condition("clean", 100, 90), condition("white-box", 100, 20)) == "fooled"
    assert level_of(condition("clean", 100, 90), condition("white-box", 100, 90)) == "held"


def test_the_summary_counts_every_model_once() -> None:
    clean = condition("clean", 100, 90)
    fooled = task([clean, condition("white-box", 100, 0, was_right=90, fooled=90)], task="one")
    held = task([clean, condition("white-box", 100, 90, was_right=90, fooled=0)], task="two")
    refused = task([clean], task="three", refused="not attacked: chance")
    unmeasured = task([clean], task="four")
    text = summary([judge_task(t) for t in (fooled, held, refused, unmeasured)])
    for name, word in (("one", "fooled"), ("two", "held"), ("three", "not attacked"), ("four", "not measured")):
        part = next(p for p in text.split(". ") if f"({name})" in p)
        assert word in part
        assert part.startswith("1 of 4")


@pytest.mark.parametrize(("n", "fooled", "stated"), [(20, 2, False), (400, 40, True)])
def test_what_it_means_waits_for_enough_images(n: int, fooled: int, stated: bool) -> None:
    black = condition("black-box", n, n - fooled, was_right=n, fooled=fooled)
    verdict = judge_task(task([condition("clean", n, n), black]))
    assert verdict.level == "weakened"
    assert any("secret is not enough" in text for text in meaning([verdict])) == stated


def test_phantoms_are_named_a_limit(tmp_path: Path) -> None:
    clean = task_result([condition("clean", 100, 90)])
    assert any("phantom" in text for text in limits(study(tmp_path / "a", [clean], synthetic=True)))
    assert not any("phantom" in text for text in limits(study(tmp_path / "b", [clean], synthetic=False)))
