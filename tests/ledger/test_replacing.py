"""Many files put in place together: each whole, all on disk, no folder flushed more than once."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from mithridate.errors import UserError
from mithridate.ledger import replacing
from mithridate.ledger.replacing import replace_files


def test_files_are_made_and_replaced(tmp_path: Path) -> None:
    (tmp_path / "old").write_bytes(b"before")
    contents = [(tmp_path / "old", b"after"), (tmp_path / "a" / "b" / "new", b"\x00" * 100_000), (tmp_path / "e", b"")]
    replace_files(contents)
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
    replace_files([(tmp_path / folder / name, b"content") for name in ("1", "2") for folder in ("x", "y")])
    assert steps == [("file",)] * 4 + [("folder", "x", "1", "2"), ("folder", "y", "1", "2")]


def test_a_file_that_cannot_be_written_is_named_and_leaves_nothing_half_written(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match=f"{tmp_path / 'file' / 'below'} cannot be written"):
        replace_files([(tmp_path / "first", b"1"), (tmp_path / "file" / "below", b"2"), (tmp_path / "last", b"3")])
    assert {path.name for path in tmp_path.iterdir()} == {"file", "first"}


def test_a_full_disk_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "kept").write_bytes(b"before")

    def refuse(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(replacing.os, "fsync", refuse)
    with pytest.raises(UserError, match="No space left"):
        replace_files([(tmp_path / "kept", b"after")])
    assert [(path.name, path.read_bytes()) for path in tmp_path.iterdir()] == [("kept", b"before")]
