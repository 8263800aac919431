"""The folder door: logs the images that are put into a folder, once each, when they are complete.

A file is complete when its size and time stay the same for a while, as this process sees it: clocks of other machines
play no part.  A writer that pauses longer than that should write under a name that is ignored (`.name`, `name.part`,
`name.tmp`) and rename the file when it is whole.
"""

from __future__ import annotations

import errno
import logging
import os
import shutil
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from mithridate.errors import MithridateError, UserError
from mithridate.files import replace_file
from mithridate.ledger.receive.intake import Arrival, Intake
from mithridate.ledger.receive.journal import Journal, State, Version
from mithridate.ledger.receive.refusal import Kind, Refused

_log = logging.getLogger("mithridate.ledger.receive")

_UNFINISHED = (".part", ".partial", ".tmp", ".temp", ".filepart", ".crdownload", "~")
_WORKERS = 4
_CHUNK = 64


@dataclass(frozen=True)
class Look:
    """What one look at the folder came to: files logged, refused, to be tried again, and still being written."""

    logged: int = 0
    refused: int = 0
    postponed: int = 0
    unfinished: int = 0


class Watcher:
    """Looks at a folder and everything under it, every `interval` seconds; symbolic links are not followed.

    Args: intake, folder, journal (the file that remembers what is done), move_to (where logged files go, keeping their
    place under the folder; None leaves them), settle_seconds (how long a file must have stayed the same).
    Files that cannot be logged stay where they are and are named in the log; they are tried again when they change.
    Raises UserError when the folder is none, or when the journal or moved files would lie in it.
    """

    def __init__(
        self,
        intake: Intake,
        folder: Path,
        journal: Path,
        *,
        move_to: Path | None = None,
        interval: float = 2.0,
        settle_seconds: float = 2.0,
    ) -> None:
        if not folder.is_dir():
            raise UserError(f"{folder} is no folder: name the one that images are put into")
        for other in (journal, *([move_to] if move_to is not None else [])):
            if other.resolve().is_relative_to(folder.resolve()):
                raise UserError(f"{other} is inside {folder}, which is watched: name another place")
        self._intake = intake
        self._folder = folder
        self._move_to = move_to
        self._interval = interval
        self._settle_seconds = settle_seconds
        self._journal = Journal(journal)
        self._since: dict[Version, float] = {}
        self._is_away = False
        self._stopping = threading.Event()

    def run(self) -> None:
        """Look again and again until `stop`."""
        while not self._stopping.is_set():
            try:
                self.look()
            except OSError as error:
                _log.warning("%s cannot be looked at (%s); trying again", self._folder, error.strerror or error)
            self._stopping.wait(self._interval)
        self._journal.close()

    def stop(self) -> None:
        """Finish the files at work; `run` returns then."""
        self._stopping.set()

    def look(self) -> Look:
        """Log what is complete and not logged yet."""
        now = time.monotonic()
        versions = list(self._versions())
        self._since = {version: self._since.get(version, now) for version in versions}
        self._journal.forget(set(self._journal.paths()) - {version.path for version in versions})
        fresh = [version for version in versions if self._is_fresh(version)]
        complete = [version for version in fresh if now - self._since[version] >= self._settle_seconds]
        states = self._take_all(complete)
        return Look(
            logged=states.count(State.LOGGED),
            refused=states.count(State.REFUSED),
            postponed=len(complete) - len(states) + states.count(None),
            unfinished=len(fresh) - len(complete),
        )

    def _is_fresh(self, version: Version) -> bool:
        """Whether a file waits to be logged; one that only waits to be moved, after a crash, is."""
        state = self._journal.state(version)
        return state in (None, State.BEGUN) or (state is State.LOGGED and self._move_to is not None)

    def _take_all(self, complete: Sequence[Version]) -> list[State | None]:
        """Log files, some at a time; ends early when told to stop, or when the ledger cannot take any now."""
        states: list[State | None] = []
        self._is_away = False
        with ThreadPoolExecutor(_WORKERS) as pool:
            for first in range(0, len(complete), _CHUNK):
                if self._stopping.is_set() or self._is_away:
                    break
                chunk = complete[first : first + _CHUNK]
                before = [self._journal.state(version) for version in chunk]
                self._journal.begin(version for version, state in zip(chunk, before, strict=True) if state is None)
                for version, state in zip(chunk, pool.map(self._take, chunk, before), strict=True):
                    states.append(state)
                    if state is not None:
                        self._journal.settle(version, state)
                    if state is State.LOGGED and self._move_to is not None:
                        self._move(version, self._move_to)
        return states

    def _take(self, version: Version, before: State | None) -> State | None:
        """Log one file; None when it is to be tried again."""
        if before is State.LOGGED:
            return before
        path = self._folder / version.path
        name = str(path).encode("utf-8", "backslashreplace").decode()  # a name may be no text
        try:
            if version.size > self._intake.limits.object_bytes:
                refused = Refused(Kind.CANNOT_UNDERSTAND, f"{name} has more bytes than an object may have here")
                raise self._intake.refuse(Arrival(b"", name, "its folder", "file"), refused)
            data = path.read_bytes()
            if self._version(path.stat(follow_symlinks=False), version.path) != version:
                return None
            if before is State.BEGUN and self._intake.knows(data, name):
                return State.LOGGED
            self._intake.take(Arrival(data, name, "its folder", "file"))
        except Refused as refused:
            self._is_away |= refused.kind.may_pass_later
            return None if refused.kind.may_pass_later else State.REFUSED
        except MithridateError as error:
            _log.warning("%s cannot be logged now: %s", name, error)
            self._is_away = True
            return None
        except OSError as error:
            _log.warning("%s cannot be read (%s); trying again", name, error.strerror or error)
            return None
        return State.LOGGED

    def _versions(self) -> Iterator[Version]:
        """Every file under the folder that does not look unfinished."""
        for root, folders, names in os.walk(self._folder):
            folders[:] = sorted(name for name in folders if not name.startswith("."))
            for name in sorted(names):
                if name.startswith(".") or name.lower().endswith(_UNFINISHED):
                    continue
                path = Path(root, name)
                try:
                    found = path.stat(follow_symlinks=False)
                except FileNotFoundError:  # renamed or taken away between the two calls
                    continue
                if path.is_file() and not path.is_symlink():
                    yield self._version(found, str(path.relative_to(self._folder)))

    @staticmethod
    def _version(found: os.stat_result, path: str) -> Version:
        return Version(path, found.st_size, found.st_mtime_ns)

    def _move(self, version: Version, move_to: Path) -> None:
        """Put a logged file where it will not be looked at again; never over another file."""
        source, target = self._folder / version.path, move_to / version.path
        number = 1
        while target.exists():
            number += 1
            target = target.with_name(f"{Path(version.path).stem}-{number}{Path(version.path).suffix}")
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            try:
                source.rename(target)
            except OSError as error:
                if error.errno != errno.EXDEV:
                    raise
                replace_file(target, lambda partial: shutil.copy2(source, partial))
                source.unlink()
        except (OSError, UserError) as error:
            _log.warning("%s is logged and cannot be moved (%s); trying again", source, error)
