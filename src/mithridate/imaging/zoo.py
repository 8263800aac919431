"""Models by reference: the small ones that ship with the program, and folders of the user's."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import torch

from mithridate.errors import UserError
from mithridate.imaging.cards import CARD, ModelCard, load_model
from mithridate.imaging.networks import Classifier

PREFIX: Final = "builtin:"
FOLDER: Final = Path(__file__).parent / "weights"
TASKS: Final = ("fundus", "chest", "skin")
ROLES: Final = ("victim", "surrogate")


def available() -> list[str]:
    """References of the models that ship with this installation, such as "builtin:fundus/victim"."""
    return [f"{PREFIX}{task}/{role}" for task in TASKS for role in ROLES if (FOLDER / task / role / CARD).is_file()]


def builtin(task: str, role: str = "victim") -> tuple[Classifier, ModelCard]:
    """A shipped phantom classifier, in evaluation mode, with its card.

    The surrogate of a task was trained independently of its victim: another seed, another cohort of phantoms.
    Raises UserError when there is no such model.
    """
    if task not in TASKS or role not in ROLES or not (FOLDER / task / role / CARD).is_file():
        known = ", ".join(available()) or "none (run `python -m mithridate.imaging.zoo_build`)"
        raise UserError(f"there is no model {PREFIX}{task}/{role}: available are {known}")
    return load_model(FOLDER / task / role)


def resolve(reference: str) -> tuple[Classifier, ModelCard]:
    """The model behind "builtin:TASK/ROLE" or behind the path of a folder that `mithridate train` wrote.

    Its kernels are laid out channels-last, in which a gradient takes a fifth to a third less time on a CPU.
    Raises UserError when it does not exist or does not load.
    """
    network, card = _resolve(reference)
    network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    return network, card


def _resolve(reference: str) -> tuple[Classifier, ModelCard]:
    if reference.startswith(PREFIX):
        task, _, role = reference.removeprefix(PREFIX).partition("/")
        return builtin(task, role or "victim")
    folder = Path(reference)
    if not folder.is_dir():
        raise UserError(f"there is no model folder {reference}: give a folder with {CARD}, or {PREFIX}TASK/ROLE")
    return load_model(folder)
