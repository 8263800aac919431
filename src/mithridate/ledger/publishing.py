"""The tiles that follow the database: what is committed there is written here, then the checkpoint over it."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from mithridate.errors import UserError
from mithridate.ledger.checkpoint import Checkpoint, open_checkpoint
from mithridate.ledger.errors import EvidenceError, TileError
from mithridate.ledger.merkle import EMPTY_ROOT
from mithridate.ledger.note_keys import VerifierKey
from mithridate.ledger.store.rows import EntryRow, Head
from mithridate.ledger.store.store import Store
from mithridate.ledger.tile_writer import TileWriter
from mithridate.ledger.tiles import CHECKPOINT_PATH

CHUNK = 4096
"""Entries written at a time when the tiles catch up with the database."""


class RollbackError(EvidenceError):
    """The database is older than what was published or witnessed, or holds another history."""


class Publisher:
    """Writes the tiles of one folder; processes that share the folder take turns by a lock on a file."""

    def __init__(self, folder: Path, lock: Path, verifier: VerifierKey, store: Store) -> None:
        self.folder = folder
        self._lock = lock
        self._verifier = verifier
        self._store = store
        self._writer: TileWriter | None = None
        self._published = b""
        self._opened: tuple[bytes, Checkpoint | None] = (b"", None)

    def checkpoint(self) -> tuple[bytes, Checkpoint | None]:
        """The published checkpoint, with its bytes; b"" and None before the first.

        Raises NoteError when it is not signed by this log.
        """
        path = self.folder / CHECKPOINT_PATH
        try:
            with path.open("rb", buffering=0) as stream:
                data = stream.readall()
        except FileNotFoundError:
            return b"", None
        except OSError as error:
            raise UserError(f"{path} cannot be read: {error.strerror or error}") from error
        opened = self._opened
        if opened[0] != data:
            opened = self._opened = (data, open_checkpoint(data, [self._verifier], origin=self._verifier.name)[0])
        return opened

    def check_not_behind(self, head: Head) -> None:
        """Raises RollbackError when more was published than the database's `head`, under which no other may write."""
        _, stated = self.checkpoint()
        if stated and (stated.size > head.size or (stated.size == head.size and stated.root != head.root)):
            raise _put_back(head, stated)

    def publish(self, head: Head, begin: int = 0, recent: Sequence[EntryRow] = ()) -> None:
        """Bring the tiles to the head, then put its checkpoint in place; nothing to do when they are beyond it.

        `recent` are the rows of the entries from `begin` to the head, when the caller holds them.
        Raises RollbackError when the tiles do not lead to the head, UserError when the disk refuses.
        """
        with file_lock(self._lock):
            data, stated = self.checkpoint()
            size = stated.size if stated else 0
            if stated and (size > head.size or (size == head.size and stated.root != head.root)):
                if size > head.size and self._store.head().size >= size:
                    return  # another process was quicker
                raise _put_back(head, stated)
            if stated and size == head.size:
                self._published = data
                return
            writer = self._resume(data, stated)
            if writer.size == begin and recent:
                writer.append([row.entry for row in recent], [row.leaf for row in recent])
            else:
                _catch_up(writer, self._store, head.size)
            if writer.size != head.size or writer.root() != head.root:
                self._writer = None
                raise RollbackError(
                    f"the tiles in {self.folder} do not lead to the database's {head.size} entries: one of the two was "
                    f"changed; run  mithridate ledger fsck"
                )
            writer.publish(head.checkpoint)
            self._published = head.checkpoint

    def replace_checkpoint(self, checkpoint: bytes) -> None:
        """Put a cosigned note in place of the published one, if that states the same size."""
        with file_lock(self._lock):
            _, stated = self.checkpoint()
            new, _ = open_checkpoint(checkpoint, [self._verifier], origin=self._verifier.name)
            if stated == new:
                TileWriter(self.folder).publish(checkpoint)
                self._published = b""

    def _resume(self, data: bytes, stated: Checkpoint | None) -> TileWriter:
        """The writer as it stands, or a new one when another process has written since."""
        if self._writer is None or data != self._published:
            self._writer = TileWriter(self.folder, stated.size, stated.root) if stated else TileWriter(self.folder)
            self._published = data
        return self._writer


def _put_back(head: Head, stated: Checkpoint) -> RollbackError:
    return RollbackError(
        f"the database holds {head.size} entries, and {stated.size} were published or another history was: it was put "
        f"back to an earlier state; restore a newer copy of it and never publish from this one"
    )


def rebuild_tiles(folder: Path, lock: Path, store: Store, head: Head) -> None:
    """Write every tile again from the database, in place, then the head's checkpoint.

    The caller has made sure that the entries lead to the head and that nothing newer was published.
    """
    with file_lock(lock):
        writer = TileWriter(folder, 0, EMPTY_ROOT)
        _catch_up(writer, store, head.size)
        if writer.root() != head.root:
            raise TileError(f"the {head.size} entries of the database do not lead to its signed root")
        writer.publish(head.checkpoint)


@contextmanager
def file_lock(path: Path) -> Iterator[None]:
    """Keep other processes, and other holders in this one, out until the end of the block."""
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as error:
        raise UserError(f"{path} cannot be opened: {error.strerror or error}") from error
    try:
        _lock(descriptor, path)
        yield
    finally:
        os.close(descriptor)


def _lock(descriptor: int, path: Path) -> None:
    try:
        if sys.platform != "win32":
            import fcntl

            fcntl.flock(descriptor, fcntl.LOCK_EX)
        else:
            import msvcrt

            msvcrt.locking(descriptor, msvcrt.LK_LOCK, 1)
    except OSError as error:
        raise UserError(f"{path} cannot be locked: {error.strerror or error}") from error


def _catch_up(writer: TileWriter, store: Store, size: int) -> None:
    chunk: list[bytes] = []
    for row in store.entries(writer.size, size):
        chunk.append(row.entry)
        if len(chunk) == CHUNK:
            writer.append(chunk)
            chunk.clear()
    writer.append(chunk)
