from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
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


def tell_and_wait(folder: str) -> None:
    (Path(folder) / str(os.getpid())).touch()
    time.sleep(600)


def is_running(pid: str) -> bool:
    try:
        return "\nState:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    except FileNotFoundError:
        return False


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs /proc")
def test_workers_end_with_a_parent_that_was_killed(tmp_path: Path) -> None:
    program = (
        "import sys; sys.path.insert(0, sys.argv[1])\n"
        "from test_executors import tell_and_wait\n"
        "from mithridate.audit.executors import run_processes\n"
        "if __name__ == '__main__': list(run_processes(tell_and_wait, [sys.argv[2]] * 2, workers=2))\n"
    )
    script = tmp_path / "parent.py"
    script.write_text(program)
    folder = tmp_path / "workers"
    folder.mkdir()
    parent = subprocess.Popen([sys.executable, str(script), str(Path(__file__).parent), str(folder)])
    deadline = time.monotonic() + 120
    while len(list(folder.iterdir())) < 2 and time.monotonic() < deadline:
        time.sleep(0.05)
    workers = [path.name for path in folder.iterdir()]
    assert len(workers) == 2
    parent.kill()
    parent.wait()
    while any(map(is_running, workers)) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not any(map(is_running, workers))
