"""Faults at system calls: strace attached to a process, failing or killing it at the n-th call of a kind."""

from __future__ import annotations

import multiprocessing
import os
import re
import shutil
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from multiprocessing import forkserver
from multiprocessing.context import ForkServerContext
from pathlib import Path
from typing import Any

PATIENCE = 60.0
CALLS = ("openat", "write", "pwrite64", "fsync", "fdatasync", "rename", "link", "mkdir", "close", "unlink", "ftruncate")


def has_strace() -> bool:
    return shutil.which("strace") is not None


@dataclass
class Outcome:
    """The receipts that the process told of, whether it came to its end, and how often it made each call."""

    receipts: list[tuple[int, bytes, bytes]] = field(default_factory=list)
    ended: bool = False
    calls: Counter[str] = field(default_factory=Counter)


def server() -> ForkServerContext:
    """Forks processes that have imported everything, so that starting one costs little and meets no fault."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["faults.client"])
    former = os.environ.get("PYTHONPATH")
    os.environ["PYTHONPATH"] = os.pathsep.join(path for path in sys.path if path)  # it imports before it is told these
    try:
        forkserver.ensure_running()
    finally:
        if former is None:
            del os.environ["PYTHONPATH"]
        else:
            os.environ["PYTHONPATH"] = former
    return context


def run(
    context: ForkServerContext, work: Callable[..., None], arguments: tuple[Any, ...], log: Path, inject: str = ""
) -> Outcome:
    """Run the work in a process under strace; `inject` is a fault in strace's words."""
    here, there = context.Pipe()
    process = context.Process(target=work, args=(*arguments, there))
    process.start()
    there.close()
    assert here.poll(PATIENCE), "the process did not start"
    here.recv()
    options = ["-f", "-qq", "-o", str(log), "-e", f"trace={','.join(CALLS)}", *(["-e", inject] if inject else [])]
    tracer = subprocess.Popen(["strace", *options, "-p", str(process.pid)], stderr=subprocess.PIPE, text=True)
    _wait_until_traced(process.pid or 0)
    here.send("go")
    outcome = Outcome()
    try:
        while here.poll(PATIENCE):
            message = here.recv()
            if message == "end":
                outcome.ended = True
                break
            outcome.receipts.append(message)
        else:
            raise AssertionError("the process hangs")
    except (EOFError, ConnectionResetError):
        pass
    process.join(PATIENCE)
    assert not process.is_alive(), "the process does not end"
    tracer.wait(PATIENCE)
    outcome.calls = Counter(re.findall(r"^\d+ +(\w+)\(", log.read_text(errors="replace"), re.MULTILINE))
    return outcome


def _wait_until_traced(process: int) -> None:
    """Until strace holds every thread of the process."""
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        states = [(task / "status").read_text() for task in Path(f"/proc/{process}/task").iterdir()]
        if all("TracerPid:\t0" not in state for state in states):
            return
        time.sleep(0.005)
    raise AssertionError("strace cannot attach: it needs the right to trace (SYS_PTRACE)")
