"""Memory that was used once is kept for the next step.

An attack makes and drops the same large tensors thousands of times.  By default the C library gives each back to the
system and asks for it anew, and most of an elementwise operation's time is then the system's clearing of pages.
"""

from __future__ import annotations

import ctypes
import sys
from functools import cache

_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3
"""Parameters of glibc's mallopt(3)."""

KEPT = 1 << 30
"""Bytes: blocks up to this size come from the heap, and so much of it may lie free."""


@cache
def keep_memory() -> bool:
    """Ask the C library, once for this process, to keep what is freed; whether it could be asked (glibc can)."""
    if not sys.platform.startswith("linux"):
        return False
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):  # another C library
        return False
    return all(bool(mallopt(parameter, KEPT)) for parameter in (_MMAP_THRESHOLD, _TRIM_THRESHOLD))
