"""What stands between an attack and the model that it works on: the options of a plan's `gradient`, as views."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from torch import Tensor

from mithridate.attack import Examples
from mithridate.audit.attack_options import GradientOptions
from mithridate.imaging.attacks.backward import StraightThrough, SurrogateBackward
from mithridate.imaging.attacks.views import Expectation, InputDiversity, noisy
from mithridate.oracle import DifferentiableModel
from mithridate.seeds import ExampleRandom


def through(options: GradientOptions, oracle: Any, rng: ExampleRandom, surrogate: DifferentiableModel | None) -> Any:
    """The oracle as the attack sees it.  surrogate: whose gradients `backward: surrogate` takes."""
    if options.backward == "straight-through":
        oracle = StraightThrough(oracle)
    elif options.backward == "surrogate" and surrogate is not None:
        oracle = SurrogateBackward(oracle, surrogate)
    if options.averages:
        oracle = Expectation(oracle, options.samples, noisy(rng, options.noise) if options.noise else None)
    return InputDiversity(oracle, rng, options.diversity) if options.diversity else oracle


@dataclass(frozen=True)
class Through:
    """An attack that sees its oracle through a plan's options."""

    attack: Any
    options: GradientOptions
    surrogate: DifferentiableModel | None

    @property
    def targeted(self) -> bool:
        return bool(getattr(self.attack, "targeted", False))

    def run(self, oracle: Any, examples: Examples, budget: Any, rng: ExampleRandom) -> Tensor:
        """Candidates N x C x H x W."""
        seen = through(self.options, oracle, rng, self.surrogate)
        candidates: Tensor = self.attack.run(seen, examples, budget, rng)
        return candidates
