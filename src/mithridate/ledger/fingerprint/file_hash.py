"""F0, the SHA-256 of a file, beside everything else that is done with the file.

A native image's bytes are hashed twice, as a file (F0) and as samples (F1 and F2), and for a large one that is nearly
all there is to do.  The two hashes begin differently, so neither can be had from the other; but hashlib lets go of the
interpreter, so a second processor can make one of them.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from threading import Thread

_LARGE = 2 << 20
"""Bytes from which on a thread is worth starting: hashing them takes about a millisecond, starting it a tenth."""


def begin_file_hash(data: bytes) -> Callable[[], bytes]:
    """Begin to hash a file; what is returned gives the digest, and waits for it if it must."""
    if len(data) >= _LARGE and (os.cpu_count() or 1) > 1:
        found: Future[bytes] = Future()
        with suppress(RuntimeError):  # the system has no thread to give
            Thread(target=_settle, args=(found, data), daemon=True).start()
            return found.result
    digest = hashlib.sha256(data).digest()
    return lambda: digest


def _settle(found: Future[bytes], data: bytes) -> None:
    try:
        found.set_result(hashlib.sha256(data).digest())
    except BaseException as error:  # or whoever waits would wait for ever
        found.set_exception(error)
