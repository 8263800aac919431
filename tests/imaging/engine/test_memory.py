"""Memory that is freed and asked for again is the same memory: the system hands out no fresh pages for it."""

from __future__ import annotations

import os
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
def work():
    for _ in range(20):
        y = x + 1
        z = y + 1
        del y, z
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt
before = work()
print(work() - before)
"""


def faults(how: str) -> int:
    """Page faults of 40 tensors of 16 MiB, made and dropped, in a process of their own."""
    # glibc changes these on its own after a while, on some days sooner than on others; once they are set, it does not.
    settings = {"MALLOC_MMAP_THRESHOLD_": "131072", "MALLOC_TRIM_THRESHOLD_": "131072"}
    command = [sys.executable, "-c", PROGRAM, how]
    run = subprocess.run(
        command, capture_output=True, text=True, check=True, timeout=300, env={**os.environ, **settings}
    )
    return int(run.stdout)


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="needs glibc")
def test_no_page_is_asked_for_twice() -> None:
    pages = 40 * (16 << 20) // 4096
    assert faults("usual") > pages / 2
    assert faults("kept") < pages / 8
