"""Received objects on disk: whole and flushed before their sender is told Success, until a PACS has them.

    incoming/   being logged; after a crash, what the ledger knows goes on, and what nobody was told of goes away
    pending/    logged, to be forwarded
    kept/       logged and, where a PACS is named, forwarded
    failed/     logged and never to be forwarded, with the reason in a text beside each

Files are named by their own SHA-256 (F0), so the same object never waits twice.
"""

from __future__ import annotations

import hashlib
import os
import secrets
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from mithridate.errors import UserError
from mithridate.files import flush_folder, replace_text

_SUFFIX = ".dcm"


class Spool:
    """The folders of one receiver.

    With `forward`, logged objects wait in pending/; with `keep`, they stay in kept/ afterwards (or at once).
    Raises UserError when the folders cannot be made.
    """

    def __init__(self, folder: Path, *, forward: bool, keep: bool) -> None:
        self.folder = folder
        self.incoming = folder / "incoming"
        self.pending = folder / "pending"
        self.kept = folder / "kept"
        self.failed = folder / "failed"
        self._keep = keep
        self._target = self.pending if forward else self.kept
        try:
            for part in (self.incoming, self.pending, self.kept, self.failed):
                part.mkdir(parents=True, exist_ok=True)
            flush_folder(folder)
        except OSError as error:
            raise UserError(f"{folder} cannot be used as a spool ({error.strerror or error}): name another") from error

    def write(self, data: bytes, digest: bytes) -> Path:
        """Put an object on disk; what it is called becomes durable only with `accept`.  Raises OSError."""
        path = self.incoming / f"{digest.hex()}.{secrets.token_hex(4)}"
        try:
            with path.open("xb") as stream:
                stream.write(data)
                stream.flush()
                os.fsync(stream.fileno())
        except OSError:
            self.discard(path)
            raise
        return path

    def accept(self, path: Path) -> None:
        """The object is logged: keep it, durably, and let it be forwarded.  Raises OSError."""
        path.replace(self._target / f"{path.name.partition('.')[0]}{_SUFFIX}")
        flush_folder(self._target)

    def discard(self, path: Path) -> None:
        """The object is not logged: nobody was told that it was received."""
        with suppress(FileNotFoundError):
            path.unlink()

    def recover(self, is_logged: Callable[[bytes], bool]) -> int:
        """Settle what a crash left in incoming/; returns how many objects go on.

        An object that is whole and in the ledger goes on as if the crash had come a moment later.  The sender of any
        other was never told Success and sends it again.
        """
        found = 0
        for path in sorted(self.incoming.iterdir()):
            data = path.read_bytes()
            if hashlib.sha256(data).hexdigest() == path.name.partition(".")[0] and is_logged(data):
                self.accept(path)
                found += 1
            else:
                self.discard(path)
        return found

    def waiting(self) -> list[Path]:
        """Files to forward, the longest waiting first."""
        found = []
        for path in self.pending.glob(f"*{_SUFFIX}"):
            with suppress(FileNotFoundError):  # forwarded between the two calls
                found.append((path.stat().st_mtime_ns, path))
        return [path for _, path in sorted(found)]

    def forwarded(self, path: Path) -> None:
        """The PACS has the object."""
        if self._keep:
            path.replace(self.kept / path.name)
        else:
            path.unlink(missing_ok=True)

    def give_up(self, path: Path, reason: str) -> Path:
        """The PACS will never take the object: set it aside with the reason beside it; returns its new place."""
        target = self.failed / path.name
        replace_text(target.with_suffix(".txt"), reason + "\n")
        path.replace(target)
        flush_folder(self.failed)
        return target
