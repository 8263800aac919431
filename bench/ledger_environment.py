"""Peers live in virtual environments of their own: what is compared with is no dependency of the program."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path


def python_with(requirement: str, variable: str, folder: Path, *, install: bool = True) -> Path | None:
    """A Python that has a package: the one that the environment variable names, or a new environment in `folder`.

    None where it may not or, said in a line, cannot be installed.
    """
    if variable in os.environ:
        return Path(os.environ[variable])
    if not install:
        return None
    python = folder / "bin" / "python"
    try:
        subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True, capture_output=True)
        subprocess.run([python, "-m", "pip", "install", "--quiet", requirement], check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError):
        print(f"{requirement} cannot be installed and is left out: name a Python that has it in {variable}")
        return None
    return python
