"""Walk on a fast copy, verify on the caller's own model.

Half precision finds nearly every adversarial example that float32 finds, for a fraction of the time; what it only
seems to find is found out here.  No success leaves this module that the caller's own model has not confirmed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from mithridate.attack import Examples
from mithridate.imaging.engine.fast import Precision, fast_copy
from mithridate.imaging.engine.graphs import graphed
from mithridate.imaging.engine.loop import Goal
from mithridate.imaging.engine.memory import keep_memory
from mithridate.imaging.engine.oracles import LANES, attack_some, each_attack
from mithridate.models.heads import Output
from mithridate.models.torch_module import TorchModel
from mithridate.oracle import DifferentiableModel, Gradients, Loss
from mithridate.seeds import ExampleRandom

DOUBTFUL = 1
"""Doubtful examples that are attacked again at a time."""


class Scout(Gradients):
    """A white box whose logits and gradients come from a fast copy, and whose decisions come from the model itself.

    Attacks read success from the copy's logits while they walk, and have it verified by `decide` before they stop.
    """

    scouting = True

    def __init__(
        self,
        model: DifferentiableModel,
        copy: DifferentiableModel,
        examples: int,
        limit: int | None = None,
        kernel_batch: int = LANES,
    ) -> None:
        super().__init__(model, examples, limit)
        self._copy = copy
        self._kernel_batch = kernel_batch
        self.denied = torch.zeros(examples, dtype=torch.bool)
        self._asked: dict[int, tuple[Tensor, Tensor]] = {}

    @property
    def kernel_batch(self) -> int:
        return self._kernel_batch

    def deny(self, rows: Tensor) -> None:
        """Hear that the copy claimed a success of these examples that the model itself does not confirm."""
        self.denied[rows] = True

    def decide(self, inputs: Tensor, rows: Tensor) -> Tensor:
        decisions = super().decide(inputs, rows)
        self._asked |= {row: (inputs[lane], decisions[lane]) for lane, row in enumerate(rows.tolist())}
        return decisions

    def doubtful(self, candidates: Tensor, rows: Tensor, goal: Goal) -> Tensor:
        """Which examples hold out although the copy claimed a success of theirs since this was last asked, bool M.

        candidates: M x C x H x W, what an attack on the examples `rows` (M) ended with.  goal: of those M.
        """
        places = torch.arange(len(rows))
        known = self._known(candidates, rows)
        holds_out = (known < 0) | ~goal.reached(known, places)  # what the model has confirmed needs no second look
        claimed = self.denied[rows]
        self.denied[rows] = False
        unsure = places[holds_out & ~claimed]
        claimed[unsure] = goal.reached(self._copy.logits(candidates[unsure]), unsure)
        doubtful = places[holds_out & claimed]
        asked = doubtful[known[doubtful] < 0]
        holds_out[asked] = ~goal.reached(self._model.logits(candidates[asked]), asked)
        return holds_out & claimed

    def exact(self) -> Gradients:
        """The model itself, in its own precision; what is asked of it counts here."""
        # The doubtful are few: at the full batch most of every evaluation would be padding.
        model = self._differentiable
        small = model.with_batch(DOUBTFUL) if isinstance(model, TorchModel) else model
        exact = Gradients(small, len(self.queries), self.limit)
        exact.queries, exact.gradients = self.queries, self.gradients
        return exact

    def _known(self, candidates: Tensor, rows: Tensor) -> Tensor:
        """The model's own decision on each candidate where it was the last that `decide` was asked about, else -1."""
        known = torch.full((len(candidates),), -1)
        for place, row in enumerate(rows.tolist()):
            asked = self._asked.get(row)
            if asked is not None and torch.equal(asked[0], candidates[place]):
                known[place] = asked[1]
        return known

    def scores(self, inputs: Tensor, rows: Tensor) -> Tensor:
        self._charge(rows)
        return self._copy.logits(inputs)

    def loss_and_gradient(
        self, inputs: Tensor, labels: Tensor, rows: Tensor, loss: Loss
    ) -> tuple[Tensor, Tensor, Tensor]:
        self._charge(rows)
        self.gradients += torch.bincount(rows, minlength=len(self.gradients))
        return self._copy.logits_and_gradient(inputs, labels, loss)


def fast_model(
    module: nn.Module,
    sample: Tensor,
    output: Output = "logits",
    kernel_batch: int = LANES,
    precision: Precision = "bfloat16",
) -> TorchModel:
    """The adapter of a fast copy of `module`; arguments as in TorchModel.  sample: real inputs, at least one."""
    keep_memory()
    prepared: nn.Module = fast_copy(module, sample[:kernel_batch], precision)
    if len(sample):
        batch = sample[torch.arange(kernel_batch) % len(sample)]
        prepared = graphed(prepared, batch)
    return TorchModel(prepared, output, kernel_batch, "the fast copy")


@dataclass(frozen=True)
class Settled:
    """`attack`, and then once more on the model itself for the examples about which the copy gave a false hope."""

    attack: Any

    def run(self, oracle: Any, examples: Examples, budget: Any, rng: ExampleRandom) -> Tensor:
        """Candidates N x C x H x W; `oracle` is a scout, or some rows of one."""
        candidates: Tensor = self.attack.run(oracle, examples, budget, rng)
        targeted = bool(getattr(self.attack, "targeted", False)) and examples.targets is not None
        goal = Goal(examples.targets if targeted and examples.targets is not None else examples.labels, targeted)
        rows = torch.arange(len(examples))
        doubtful = rows[oracle.doubtful(candidates, rows, goal)]
        if len(doubtful):
            candidates[doubtful] = attack_some(self.attack, oracle.exact(), examples, budget, rng, doubtful)
        return candidates


def run_scouted(
    attack: Any,
    model: DifferentiableModel,
    copy: DifferentiableModel,
    examples: Examples,
    budget: Any,
    rng: ExampleRandom,
    limit: int | None = None,
    kernel_batch: int = LANES,
) -> tuple[Tensor, Scout]:
    """`attack` walked on `copy`; candidates N x C x H x W and the oracle that counted.

    Examples that hold out although the copy claimed a success are attacked again, in float32 on the model itself: of
    an attack that runs several in order (it has `each`), by the one that was given a false hope.
    """
    scout = Scout(model, copy, len(examples), limit, kernel_batch)
    candidates: Tensor = each_attack(attack, Settled).run(scout, examples, budget, rng)
    return candidates, scout
