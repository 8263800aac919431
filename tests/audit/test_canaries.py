"""The canaries sing when the engine works, and end the audit when it does not."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from mithridate.audit import canaries
from mithridate.audit.canaries import DISTANCE, SONGS, Linear, examples_at, run_canaries
from mithridate.errors import MithridateError
from mithridate.imaging.attacks import PGD


def test_every_canary_gets_its_verdict() -> None:
    found = run_canaries()
    assert [c.found for c in found] == ["robust", "not robust", "inconclusive", "inconclusive", "inconclusive"]
    assert run_canaries() == found


def test_canary_examples_lie_at_the_known_distance() -> None:
    weight = torch.randn(64, generator=torch.Generator().manual_seed(1))
    examples = examples_at(weight)
    logits = Linear(weight)(examples.inputs)
    assert torch.equal(logits.argmax(1), examples.labels)
    distance = (logits[:, 1] - logits[:, 0]).abs() / weight.abs().sum()
    assert distance == pytest.approx(DISTANCE, rel=1e-4)


def idle(self: PGD, oracle: Any, examples: Any, budget: Any, rng: Any) -> Tensor:
    """An attack that does nothing, as one whose gradients were lost on the way."""
    result: Tensor = examples.inputs.clone()
    return result


def overshooting(self: PGD, oracle: Any, examples: Any, budget: Any, rng: Any) -> Tensor:
    """An attack that leaves its budget."""
    _, _, gradient = oracle.loss_and_gradient(
        examples.inputs, examples.labels, torch.arange(len(examples)), lambda z, y: z[:, 1] * (1 - 2 * y)
    )
    result: Tensor = (examples.inputs + 2 * budget.epsilon * gradient.sign()).clamp(0, 1)
    return result


@pytest.mark.parametrize("broken", [idle, overshooting])
def test_a_broken_attack_voids_the_audit(monkeypatch: pytest.MonkeyPatch, broken: Any) -> None:
    monkeypatch.setattr(PGD, "run", broken)
    with pytest.raises(MithridateError, match="the audit is void: the canary model 'linear"):
        run_canaries()


@pytest.mark.parametrize(("check", "song"), [("gradients_there", 2), ("preprocessing_open", 3), ("not_random", 4)])
def test_a_check_that_went_blind_voids_the_audit(monkeypatch: pytest.MonkeyPatch, check: str, song: int) -> None:
    """The canary of a masked gradient must be caught by the very check that is there for it."""

    def blind(evidence: Any) -> tuple[Any, ...]:
        from mithridate.audit.checks import CHECKS

        found = [question(evidence) for question in CHECKS]
        number = {"gradients_there": 9, "preprocessing_open": 19, "not_random": 7}[check]
        return tuple(c.model_copy(update={"verdict": "pass"}) if c.number == number else c for c in found)

    monkeypatch.setattr(canaries, "run_checks", blind)
    with pytest.raises(MithridateError, match=SONGS[song].name):
        run_canaries(SONGS[song : song + 1])
