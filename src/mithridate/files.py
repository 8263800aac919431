"""Files that are whole or absent: written beside their place, flushed to disk, then renamed over it."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

from mithridate.errors import UserError

Fill = Callable[[Path], object]
"""Writes the file at the path that it is given."""


def replace_file(path: Path, write: Fill) -> None:
    """Let `write` fill a temporary file next to `path`, then put it in place in one step.

    A reader sees the old file or the new one, also when the process or the machine dies half-way.  The folder is made
    when absent.  Raises UserError, with nothing left behind, when the disk is full or the folder cannot be written.
    """
    replace_files([(path, write)])


def replace_files(fills: Sequence[tuple[Path, Fill]]) -> None:
    """`replace_file` of one after another, with one flush for each folder instead of one for each file in it.

    When this returns, all of them are on disk; after a crash or an error in between, any may be as it was before.
    """
    for path, write in fills:
        partial = path.with_name(f".{path.name}.{os.getpid()}.part")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            write(partial)
            with partial.open("rb+") as stream:
                os.fsync(stream.fileno())
            partial.replace(path)
        except OSError as error:
            raise _refused(path, error) from error
        finally:
            with suppress(OSError):  # gone already, or its folder was never there
                partial.unlink()
    for folder, path in {path.parent: path for path, _ in fills}.items():
        try:
            flush_folder(folder)
        except OSError as error:
            raise _refused(path, error) from error


def _refused(path: Path, error: OSError) -> UserError:
    return UserError(f"{path} cannot be written: {error.strerror or error}")


def replace_text(path: Path, text: str) -> None:
    """`replace_file` with UTF-8 text."""
    replace_file(path, lambda partial: partial.write_text(text, encoding="utf-8"))


def remove_file(path: Path) -> None:
    """Remove a file that may be absent; raises UserError when it cannot be removed."""
    try:
        if path.exists():
            path.unlink()
    except OSError as error:
        raise UserError(f"{path} cannot be removed: {error.strerror or error}") from error


def flush_folder(folder: Path) -> None:
    """Make a rename durable; a folder cannot be opened for this on Windows, where the rename is durable by itself."""
    if os.name != "posix":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
