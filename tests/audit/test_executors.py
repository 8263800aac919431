from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest
import torch

from mithridate.audit.executors import run_inline, run_processes
from mithridate.errors import MithridateError


def threads(_: int) -> int:
    return torch.get_num_threads()


def square(x: int) -> int:
    return x * x


def die_once(flag: str) -> str:
    """Kills its own process the first time, as the out-of-memory killer would."""
    path = Path(flag)
    if path.suffix == ".kill" and not path.exists():
        path.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return path.name


def die(_: int) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def test_both_executors_do_every_job_on_one_kernel_thread() -> None:
    jobs = list(range(5))
    assert sorted(run_processes(square, jobs, workers=2)) == sorted(run_inline(square, jobs)) == [0, 1, 4, 9, 16]
    before = torch.get_num_threads()
    assert set(run_processes(threads, jobs, workers=2)) == set(run_inline(threads, jobs)) == {1}
    assert torch.get_num_threads() == before


def test_a_killed_workers_jobs_are_done_again_once(tmp_path: Path) -> None:
    jobs = [str(tmp_path / name) for name in ("a", "b.kill", "c", "d")]
    assert sorted(run_processes(die_once, jobs, workers=2)) == ["a", "b.kill", "c", "d"]


def test_workers_that_keep_dying_end_the_run_with_a_sentence() -> None:
    with pytest.raises(MithridateError, match="killed twice"):
        list(run_processes(die, [1, 2], workers=1))
