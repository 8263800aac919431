from __future__ import annotations

import os
import resource
import subprocess
import sys
from pathlib import Path

import pytest

from mithridate import files
from mithridate.errors import UserError
from mithridate.files import Fill, replace_file, replace_files, replace_text


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


def filled(*contents: tuple[Path, bytes]) -> list[tuple[Path, Fill]]:
    def fill(content: bytes) -> Fill:
        return lambda partial: partial.write_bytes(content)

    return [(path, fill(content)) for path, content in contents]


def test_several_files_are_made_and_replaced(tmp_path: Path) -> None:
    (tmp_path / "old").write_bytes(b"before")
    contents = [(tmp_path / "old", b"after"), (tmp_path / "a" / "b" / "new", b"\x00" * 100_000), (tmp_path / "e", b"")]
    replace_files(filled(*contents))
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == dict(contents)


def test_every_file_is_flushed_and_then_its_folder_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    steps: list[tuple[str, ...]] = []
    flush = os.fsync

    def fsync(descriptor: int) -> None:
        path = Path(f"/proc/self/fd/{descriptor}").readlink()
        steps.append(
            ("folder", path.name, *sorted(file.name for file in path.iterdir())) if path.is_dir() else ("file",)
        )
        flush(descriptor)

    monkeypatch.setattr(os, "fsync", fsync)
    replace_files(filled(*((tmp_path / folder / name, b"content") for name in ("1", "2") for folder in ("x", "y"))))
    assert steps == [("file",)] * 4 + [("folder", "x", "1", "2"), ("folder", "y", "1", "2")]


def test_a_file_that_cannot_be_written_is_named_and_leaves_nothing_half_written(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match=f"{tmp_path / 'file' / 'below'} cannot be written"):
        replace_files(
            filled((tmp_path / "first", b"1"), (tmp_path / "file" / "below", b"2"), (tmp_path / "last", b"3"))
        )
    assert {path.name for path in tmp_path.iterdir()} == {"file", "first"}


def test_a_flush_that_the_disk_refuses_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "kept").write_bytes(b"before")

    def refuse(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(files.os, "fsync", refuse)
    with pytest.raises(UserError, match="No space left"):
        replace_files(filled((tmp_path / "kept", b"after")))
    assert [(path.name, path.read_bytes()) for path in tmp_path.iterdir()] == [("kept", b"before")]
