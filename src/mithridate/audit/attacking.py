"""One cell's attack on some examples: the oracle that it is handed, and the copy that it may walk on."""

from __future__ import annotations

from typing import Any
from weakref import WeakKeyDictionary

from torch import Tensor

from mithridate.attack import Examples
from mithridate.audit.attack_options import Sees
from mithridate.audit.jobs import Job
from mithridate.audit.seeing import Through
from mithridate.audit.subject import Subject
from mithridate.audit.training import trained
from mithridate.errors import MithridateError
from mithridate.imaging.engine.scout import fast_model, run_scouted
from mithridate.models.torch_module import TorchModel
from mithridate.models.views import FunctionModel
from mithridate.oracle import Decisions, Gradients, Scores
from mithridate.seeds import ExampleRandom

USABLE = 0.1
"""Most that a fast copy's probabilities may differ from the model's own before it is no guide."""

_copies: WeakKeyDictionary[TorchModel, TorchModel | None] = WeakKeyDictionary()


def attack_examples(job: Job, subject: Subject, examples: Examples) -> tuple[Tensor, Decisions]:
    """Candidates N x C x H x W of the job's cell, and the oracle that counted."""
    cell = job.cell
    model = subject.model if cell.surrogate is None else subject.surrogates[cell.surrogate][0]
    attack = seen_attack(job, subject)
    if attack is None:
        return examples.inputs, Decisions(model, len(examples), cell.limit)
    # The same attack with the same randomness for every attacker: a black box differs by its model alone.
    rng = ExampleRandom(job.seed, f"{subject.name}/{cell.parameters.get('attack')}", examples.ids)
    if job.precision == "bfloat16" and cell.sees == "gradients" and cell.attack and isinstance(model, TorchModel):
        copy = _fast(model, subject, job.kernel_batch)
        if copy is not None:
            return run_scouted(
                attack, model, copy, examples, cell.budget, rng, limit=cell.limit, kernel_batch=job.kernel_batch
            )
    oracle = oracle_of(model, len(examples), cell.sees, cell.limit)
    candidates: Tensor = attack.run(oracle, examples, cell.budget, rng)
    return candidates, oracle


def seen_attack(job: Job, subject: Subject) -> Any:
    """The cell's attack, trained if it needs to be, as it sees the model; None for the clean cell."""
    cell = job.cell
    attack = trained(job, subject) if cell.training is not None else cell.attack
    if attack is None or cell.sees != "gradients" or cell.training is not None:
        return attack
    return Through(attack, cell.gradient, surrogate_of(subject))


def surrogate_of(subject: Subject) -> TorchModel | None:
    """The task's first surrogate, whose gradients stand in where the plan says so."""
    first = subject.surrogates[0][0] if subject.surrogates else None
    return first if isinstance(first, TorchModel) else None


def oracle_of(
    model: TorchModel | FunctionModel, examples: int, sees: Sees = "gradients", limit: int | None = None
) -> Decisions:
    """What an attack that sees so much may ask of the model, and nothing more."""
    if sees == "decisions":
        return Decisions(model, examples, limit)
    if sees == "scores" or not isinstance(model, TorchModel):
        return Scores(model, examples, limit)
    return Gradients(model, examples, limit)


def _fast(model: TorchModel, subject: Subject, kernel_batch: int) -> TorchModel | None:
    """A fast copy of the model, or None where it cannot be copied or is no guide.  It is made on the task's first
    examples by id, whichever shard is at work, so that it is the same for all."""
    if model not in _copies:
        sample = subject.examples(0, kernel_batch)[0].inputs
        try:
            made = fast_model(model.module, sample, model.output, kernel_batch)
            far = (made.logits(sample).softmax(1) - model.logits(sample).softmax(1)).abs().max()
            copy = made if float(far) <= USABLE else None
        except (MithridateError, RuntimeError, NotImplementedError, TypeError, AttributeError):
            # A module that cannot be copied or run in half precision is attacked as it is.
            copy = None
        _copies[model] = copy
    return _copies[model]
