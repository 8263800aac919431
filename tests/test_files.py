from __future__ import annotations

import os
import resource
import subprocess
import sys
from pathlib import Path

import pytest

from mithridate.errors import UserError
from mithridate.files import replace_file, replace_text


def test_a_file_is_replaced_whole(tmp_path: Path) -> None:
    path = tmp_path / "new" / "a.txt"
    replace_text(path, "first")
    replace_text(path, "second")
    assert path.read_text() == "second"
    assert [p.name for p in path.parent.iterdir()] == ["a.txt"]


def test_a_writer_that_fails_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    replace_text(path, "old")

    def fail(partial: Path) -> None:
        partial.write_text("half")
        raise RuntimeError("stop")

    with pytest.raises(RuntimeError):
        replace_file(path, fail)
    assert path.read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["a.txt"]


def test_a_full_disk_is_one_sentence_and_nothing_half_written(tmp_path: Path) -> None:
    """A real write that the operating system refuses: the process may not write files above 1,000 bytes."""
    path = tmp_path / "a.txt"
    path.write_text("old")
    script = f"""
import pathlib, resource, signal
from mithridate.errors import UserError
from mithridate.files import replace_text
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
try:
    replace_text(pathlib.Path({str(path)!r}), "x" * 5000)
except UserError as error:
    print(error)
"""
    assert resource.getrlimit(resource.RLIMIT_FSIZE)[0] == resource.RLIM_INFINITY
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert "a.txt cannot be written" in done.stdout
    assert path.read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["a.txt"]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_without_permission_is_named(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(UserError, match="cannot be written"):
        replace_text(tmp_path / "a.txt", "x")
    tmp_path.chmod(0o700)
