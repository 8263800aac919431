"""An object while it streams in: counted, kept within its limit, and moved from memory to disk when it grows."""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from io import BytesIO
from pathlib import Path
from threading import Condition, Lock
from typing import IO, Any

_IN_MEMORY = 16 << 20


class Body(BytesIO):
    """Collects the bytes of one object.

    It is a BytesIO because pynetdicom writes what it receives into one.  Once there are more than `limit` bytes, or
    the disk is full, everything is dropped and `fault` says why, so that the sender can still be answered.
    Large objects lie in an unnamed file in `folder`, of which nothing remains when the process dies.
    """

    def __init__(self, limit: int, folder: Path | None = None, *, in_memory: int = _IN_MEMORY) -> None:
        super().__init__()
        self.size = 0
        self.fault: str | None = None
        self._limit = limit
        self._folder = folder
        self._in_memory = in_memory
        self._chunks: list[bytes] = []
        self._file: IO[bytes] | None = None
        self._header = b""
        self._hash: Any = None

    def begin(self, header: bytes) -> None:
        """Hash the object while it comes, behind the header that `take` is going to be given."""
        self._header, self._hash = header, hashlib.sha256(header)

    def write(self, data: Any) -> int:
        """Add bytes; returns how many were given."""
        self.size += len(data)
        if self.fault is not None:
            return len(data)
        if self.size > self._limit:
            self._drop(f"it has more than the {self._limit:,} bytes that an object may have here")
            return len(data)
        try:
            if self._file is None and self.size > self._in_memory:
                self._file = tempfile.TemporaryFile(dir=self._folder)  # noqa: SIM115 - lives as long as the body
                self._file.writelines(self._chunks)
                self._chunks.clear()
                self._hash = None  # what is read back from a disk is hashed as it was read
            if self._file is None:
                self._chunks.append(bytes(data))
                if self._hash is not None:
                    self._hash.update(data)
            else:
                self._file.write(data)
        except OSError as error:
            self._drop(f"it cannot be kept while it arrives ({error.strerror or error})")
        return len(data)

    def digest(self, header: bytes) -> bytes | None:
        """SHA-256 of what `take` is going to give for the same header, None where it was not made meanwhile."""
        is_made = self._hash is not None and self.fault is None and self._header == header
        return bytes(self._hash.digest()) if is_made else None

    def take(self, header: bytes = b"") -> bytes:
        """The header and all bytes after it; the body is empty from then on."""
        chunks, self._chunks = self._chunks, []
        if self._file is not None:
            self._file.seek(0)
            chunks = [self._file.read()]
        self._close_file()
        return b"".join((header, *chunks))

    def close(self) -> None:
        """Let go of everything collected."""
        self._chunks.clear()
        self._close_file()
        super().close()

    def _drop(self, why: str) -> None:
        self.fault = why
        self._chunks.clear()
        self._close_file()

    def _close_file(self) -> None:
        if self._file is not None:
            with suppress(OSError):  # an unnamed file on a full disk, given up anyway
                self._file.close()
            self._file = None


class Room:
    """Lets only so many bytes be worked on at the same time; whoever comes next waits, in the order of arrival."""

    def __init__(self, capacity: int) -> None:
        self._capacity = capacity
        self._used = 0
        self._freed = Condition()
        self._turn = Lock()

    @contextmanager
    def hold(self, size: int) -> Iterator[None]:
        """Wait until `size` bytes are free, and use them; an object larger than the whole room gets all of it."""
        size = min(size, self._capacity)
        with self._turn, self._freed:
            self._freed.wait_for(lambda: self._used + size <= self._capacity)
            self._used += size
        try:
            yield
        finally:
            with self._freed:
                self._used -= size
                self._freed.notify_all()
