"""The command line as a user meets it: a real process, its exit code, its two streams."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer

from mithridate.cli.main import app


def leaves(command: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], str]]:
    """Every command below a group: the words that call it, and what its help says."""
    if not hasattr(command, "commands"):
        yield path, f"{command.help} {command.epilog}"
    for name, child in getattr(command, "commands", {}).items():
        yield from leaves(child, (*path, name))


COMMANDS = dict(leaves(typer.main.get_command(app)))


def call(*arguments: str | Path, folder: Path | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "mithridate.cli.main", *map(str, arguments)],
        capture_output=True, text=True, check=False, cwd=folder, timeout=300,
    )  # fmt: skip


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_every_command_explains_itself_with_an_example(command: tuple[str, ...]) -> None:
    _, _, example = COMMANDS[command].partition("Example")
    assert f"mithridate {' '.join(command)}" in " ".join(example.split())


def test_help_needs_none_of_the_heavy_libraries() -> None:
    program = (
        "import sys, mithridate.cli.main\n"
        "heavy = {'torch', 'monai', 'numpy', 'pydicom', 'sqlalchemy', 'fastapi', 'sklearn', 'pynetdicom', 'lightgbm'}\n"
        "print(*sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []


def test_version_and_help() -> None:
    assert call("--version").stdout.startswith("mithridate ")
    listed = call("--help").stdout
    assert all(command[0] in listed for command in COMMANDS)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("audit", "nowhere.yaml"), "nowhere.yaml cannot be read"),
        (("report", "nowhere"), "nowhere holds no results.json"),
        (("data", "catalog", "chestxray15", "."), "there is no source 'chestxray15'"),
        (("train", "nowhere.parquet", "--out", "m"), "nowhere.parquet"),
        (("study", "nowhere"), "nowhere has no folder 'fundus'"),
        (("audit",), "Missing argument"),
        (("audit", "--plan", "x"), "No such option"),
    ],
)
def test_the_users_mistakes_are_one_sentence_and_exit_code_2(
    tmp_path: Path, arguments: tuple[str, ...], said: str
) -> None:
    done = call(*arguments, folder=tmp_path)
    assert done.returncode == 2
    assert said in " ".join(done.stderr.split())
    assert "Traceback" not in done.stderr
    assert done.stdout == ""
    assert list(tmp_path.iterdir()) == []


def test_a_reader_that_leaves_is_not_told_a_story() -> None:
    line = f"{sys.executable} -m mithridate.cli.main --help | head -1"
    done = subprocess.run(["bash", "-c", line], capture_output=True, text=True, check=True)
    assert done.stderr == ""
