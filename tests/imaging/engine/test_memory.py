"""Memory that is freed and asked for again is the same memory: the system hands out no fresh pages for it."""

from __future__ import annotations

import platform
import subprocess
import sys

import pytest

PROGRAM = """
import resource, sys
import torch
from mithridate.imaging.engine.memory import keep_memory
if sys.argv[1] == "kept":
    assert keep_memory()
x = torch.rand(1 << 22)
for _ in range(3):
    y = x + 1
    del y
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(20):
    y = x + 1
    z = y + 1
    del y, z
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def faults(how: str) -> int:
    """Page faults of 40 tensors of 16 MiB, made and dropped, in a process of their own."""
    run = subprocess.run([sys.executable, "-c", PROGRAM, how], capture_output=True, text=True, check=True, timeout=300)
    return int(run.stdout)


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="needs glibc")
def test_no_page_is_asked_for_twice() -> None:
    pages = 40 * (16 << 20) // 4096
    kept, usual = faults("kept"), faults("usual")
    assert kept < pages / 8
    assert kept < usual / 2
