"""Many files that are whole or absent, with one flush for each folder instead of one for each file in it."""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from mithridate.errors import UserError
from mithridate.files import flush_folder


def replace_files(contents: Sequence[tuple[Path, bytes]]) -> None:
    """Put files in place one after another, each in one step; when this returns, all of them are on disk.

    After a crash in between, any of them may be as it was before.  Folders are made when absent.  Raises UserError,
    with nothing half-written left behind, when the disk is full or a folder cannot be written.
    """
    for path, content in contents:
        partial = path.with_name(f".{path.name}.{os.getpid()}.part")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with partial.open("wb") as stream:
                stream.write(content)
                stream.flush()
                os.fsync(stream.fileno())
            partial.replace(path)
        except OSError as error:
            with suppress(OSError):
                partial.unlink()
            raise _refused(path, error) from error
    for folder in dict.fromkeys(path.parent for path, _ in contents):
        try:
            flush_folder(folder)
        except OSError as error:
            raise _refused(folder, error) from error


def _refused(path: Path, error: OSError) -> UserError:
    return UserError(f"{path} cannot be written: {error.strerror or error}")
