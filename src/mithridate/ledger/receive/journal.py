"""What a watched folder's files came to, kept through restarts, so that none is logged twice."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from mithridate.errors import UserError
from mithridate.files import flush_folder, replace_text


class State(Enum):
    """BEGUN is written before a file is logged and the others after it, so BEGUN alone means: ask the ledger."""

    BEGUN = "begun"
    LOGGED = "logged"
    REFUSED = "refused"


@dataclass(frozen=True)
class Version:
    """A file as it was at one moment.  Another size or time of change (in nanoseconds) makes another version."""

    path: str
    size: int
    changed: int


class Journal:
    """One line of JSON for every change of a file's state, in a file of its own.

    What ends in the middle of a line is from a crash; that line is forgotten.
    Raises UserError when the file cannot be written or holds something else.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._states: dict[str, tuple[Version, State]] = {}
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._load()
            replace_text(path, "".join(_line(version, state) for version, state in self._states.values()))
            self._stream = path.open("a", encoding="utf-8")
        except OSError as error:
            raise UserError(f"{path} cannot be written ({error.strerror or error}): name another") from error
        flush_folder(path.parent)

    def state(self, version: Version) -> State | None:
        """What became of this version of a file, None when it was never seen."""
        known = self._states.get(version.path)
        return known[1] if known is not None and known[0] == version else None

    def begin(self, versions: Iterable[Version]) -> None:
        """These versions are about to be logged; durable on return."""
        for version in versions:
            self._write(version, State.BEGUN)
        self._stream.flush()
        os.fsync(self._stream.fileno())

    def settle(self, version: Version, state: State) -> None:
        """What became of a version.  May be lost with the power, and then the ledger is asked."""
        self._write(version, state)
        self._stream.flush()

    def forget(self, paths: Iterable[str]) -> None:
        """Files that are gone, so that the journal does not grow forever; takes effect on disk at the next start."""
        for path in paths:
            self._states.pop(path, None)

    def paths(self) -> list[str]:
        """Every file that has a state."""
        return list(self._states)

    def close(self) -> None:
        """Close the file."""
        self._stream.close()

    def _write(self, version: Version, state: State) -> None:
        self._states[version.path] = (version, state)
        self._stream.write(_line(version, state))

    def _load(self) -> None:
        if not self._path.exists():
            return
        lines = self._path.read_text(encoding="utf-8").split("\n")
        for number, line in enumerate(lines[:-1], 1):  # the last is empty, or was cut off by a crash
            try:
                path, size, changed, state = json.loads(line)
                version = Version(str(path), int(size), int(changed))
                self._states[version.path] = (version, State(state))
            except (ValueError, TypeError):
                raise UserError(f"{self._path} line {number} is no line of a journal: name another file") from None


def _line(version: Version, state: State) -> str:
    return json.dumps([version.path, version.size, version.changed, state.value]) + "\n"
