"""Where a training stands, on disk: enough to go on as if it had never stopped.

All random numbers are functions of (seed, epoch, step, example), so a position stands in for generator states.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any, Final

import torch

from mithridate.errors import UserError
from mithridate.files import remove_file, replace_file, replace_text

RUN: Final = "run.json"


def save(path: Path, state: dict[str, Any]) -> None:
    """Write a checkpoint in one step: whoever reads meanwhile, or after a kill, finds the old or the new one."""
    replace_file(path, lambda partial: torch.save(state, partial))


def read(path: Path, device: torch.device) -> dict[str, Any] | None:
    """The checkpoint at a path, or None when there is none; runs no code from it.

    Raises UserError when the file is damaged.
    """
    if not path.exists():
        return None
    try:
        state = torch.load(path, map_location=device, weights_only=True)
    except Exception as error:  # torch raises many kinds here, by the way in which a file is damaged
        raise UserError(f"the checkpoint {path} is damaged: delete it, or start over with --restart") from error
    if not isinstance(state, dict):
        raise UserError(f"{path} is not a checkpoint: delete it, or start over with --restart")
    return state


def claim(folder: Path, settings: dict[str, Any], *, restart: bool) -> None:
    """Make a folder this run's own, or check that it already is.

    settings is everything that determines the result.  A folder that a run with the same settings left goes on; with
    `restart` it is cleared of what training writes.  Raises UserError, naming what differs, when it belongs to another
    run.
    """
    if restart:
        clear(folder)
        for name in (RUN, "card.json", "model.safetensors"):
            remove_file(folder / name)
    path = folder / RUN
    mine = json.loads(json.dumps(settings))
    if not path.exists():
        if (folder / "card.json").exists():
            raise UserError(f"{folder} already holds a model: choose another --out, or overwrite it with --restart")
        replace_text(path, json.dumps(mine, indent=2, sort_keys=True) + "\n")
        return
    try:
        theirs = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UserError(f"{path} is damaged: choose another --out, or start over with --restart") from error
    differing = _differences(theirs, mine)
    if differing:
        raise UserError(
            f"{folder} belongs to a training with other settings ({'; '.join(differing[:3])}): "
            "choose another --out, or start over with --restart"
        )


def clear(folder: Path) -> None:
    """Remove the checkpoints, which a finished training needs no more."""
    for path in folder.glob("checkpoint-*.pt"):
        remove_file(path)


def sha256(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _differences(theirs: object, mine: object, name: str = "") -> list[str]:
    if isinstance(theirs, dict) and isinstance(mine, dict):
        return [
            difference
            for key in sorted(theirs.keys() | mine.keys())
            for difference in _differences(theirs.get(key), mine.get(key), f"{name}.{key}" if name else key)
        ]
    return [] if theirs == mine else [f"{name} was {_short(theirs)}, is now {_short(mine)}"]


def _short(value: object) -> str:
    text = json.dumps(value)
    return text if len(text) <= 24 else text[:20] + '..."' if text.startswith('"') else text[:20] + "..."
