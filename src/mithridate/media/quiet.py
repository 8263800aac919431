"""Around decoding libraries, which warn of every oddity of a file that a sentence of ours covers better, or panic."""

from __future__ import annotations

import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

_lock = threading.Lock()
_inside = 0
_filters: warnings.catch_warnings[None] | None = None


@contextmanager
def quiet() -> Iterator[None]:
    """Ignore warnings while any thread is inside.

    The filters belong to the whole process.  If each thread saved and restored them by itself, the last one to leave
    could restore another thread's silence for good; so the first one in saves and the last one out restores.
    """
    global _inside, _filters
    with _lock:
        if _inside == 0:
            _filters = warnings.catch_warnings()
            _filters.__enter__()
            warnings.simplefilter("ignore")
        _inside += 1
    try:
        yield
    finally:
        with _lock:
            _inside -= 1
            if _inside == 0 and _filters is not None:
                _filters.__exit__(None, None, None)
                _filters = None


class DecoderPanic(Exception):
    """A decoder written in Rust gave up; its own exception is no `Exception` and would pass every handler."""


@contextmanager
def decoding() -> Iterator[None]:
    """`quiet`, and every failure inside is an Exception."""
    with quiet():
        try:
            yield
        except (Exception, KeyboardInterrupt, SystemExit, GeneratorExit):
            raise
        except BaseException as panic:
            raise DecoderPanic(str(panic) or type(panic).__name__) from panic
