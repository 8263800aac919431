"""A mirror holds what the log signed: it grows, resumes, and finds out every way in which a log can lie."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from ledger.witness.logs import LOG_KEY, ORIGIN, Log
from mithridate.errors import UserError
from mithridate.ledger.errors import EvidenceError, NoteError, ProofError, TileError
from mithridate.ledger.mirror import BATCH, Mirrored, SplitViewError, mirror_log
from mithridate.ledger.tile_reader import Fetch, TileReader, folder_source
from mithridate.ledger.tile_writer import TileWriter

KEYS = [LOG_KEY.verifier()]


def publish(log: Log, folder: Path) -> Path:
    writer = TileWriter(folder)
    writer.append(log.entries)
    writer.publish(log.note())
    return folder


def mirror(source: Path, folder: Path) -> Mirrored:
    return mirror_log(folder_source(source), folder, KEYS, origin=ORIGIN)


def files(folder: Path) -> dict[str, bytes]:
    paths = (path for path in folder.rglob("*") if path.is_file() and not path.name.startswith("."))
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in paths}


def check(folder: Path, log: Log) -> None:
    size = len(log.entries)
    reader = TileReader(folder_source(folder), size)
    reader.verify(log.root(size))
    assert list(reader.entries()) == log.entries
    assert (folder / "checkpoint").read_bytes() == log.note()


def test_a_mirror_grows_with_its_log(tmp_path: Path) -> None:
    log, former = Log(), 0
    for number, more in enumerate((0, 1, 299, 0, 300, 70)):
        source = publish(log.grow(more), tmp_path / f"source-{number}")
        done = mirror(source, tmp_path / "mirror")
        assert (done.former, done.size, done.root) == (former, len(log.entries), log.root(len(log.entries)))
        check(tmp_path / "mirror", log)
        former = len(log.entries)
    assert files(source).items() <= files(tmp_path / "mirror").items()
    assert not (tmp_path / "mirror" / "mirror.json").exists()


def test_a_mirror_of_a_mirror_is_the_same(tmp_path: Path) -> None:
    source = publish(Log().grow(300), tmp_path / "source")
    mirror(source, tmp_path / "one")
    mirror(tmp_path / "one", tmp_path / "two")
    assert files(tmp_path / "two") == files(source)


@pytest.mark.parametrize("size", [0, 3, 9])
def test_a_log_that_is_rolled_back_is_caught(size: int, tmp_path: Path) -> None:
    log = Log().grow(10)
    mirror(publish(log, tmp_path / "source"), tmp_path / "mirror")
    with pytest.raises(SplitViewError, match="rolled back"):
        mirror(publish(log.fork(size), tmp_path / "older"), tmp_path / "mirror")
    check(tmp_path / "mirror", log)


@pytest.mark.parametrize(("at", "more"), [(9, 1), (9, 20), (0, 10), (5, 400)])
def test_a_second_history_is_caught_and_both_are_kept(at: int, more: int, tmp_path: Path) -> None:
    log = Log().grow(10)
    other = log.fork(at).grow(more, "other")
    mirror(publish(log, tmp_path / "source"), tmp_path / "mirror")
    with pytest.raises(SplitViewError):
        mirror(publish(other, tmp_path / "other"), tmp_path / "mirror")
    check(tmp_path / "mirror", log)
    kept = {path.read_bytes() for path in (tmp_path / "mirror" / "evidence").iterdir()}
    assert kept == {log.note(), other.note()}


def test_tiles_that_do_not_lead_to_the_signed_root_are_refused(tmp_path: Path) -> None:
    log = Log().grow(700)
    whole = files(publish(log, tmp_path / "source"))
    for name, content in whole.items():
        for changed in (content[:-1] + bytes([content[-1] ^ 1]), content[:-1], None):

            def fetch(path: str, name: str = name, changed: bytes | None = changed) -> bytes | None:
                return changed if path == name else whole.get(path)

            target = tmp_path / f"{name.replace('/', '-')}-{changed is None}-{len(changed or b'')}"
            if name.startswith("tile/1"):  # not needed: the mirror makes its own
                mirror_log(fetch, target, KEYS)
                check(target, log)
                continue
            with pytest.raises((EvidenceError, UserError)):
                mirror_log(fetch, target, KEYS)
            assert not (target / "checkpoint").exists()


def test_a_lie_does_not_spoil_what_was_mirrored(tmp_path: Path) -> None:
    """Entries of another history under a true checkpoint: refused, and the next honest run finds all in order."""
    log = Log().grow(300)
    mirror(publish(log, tmp_path / "first"), tmp_path / "mirror")
    longer = log.fork(300).grow(BATCH)
    honest = folder_source(publish(longer, tmp_path / "longer"))
    lying = folder_source(publish(log.fork(300).grow(BATCH, "lie"), tmp_path / "lie"))

    def fetch(path: str) -> bytes | None:
        return honest(path) if path == "checkpoint" else lying(path)

    with pytest.raises((TileError, ProofError)):
        mirror_log(fetch, tmp_path / "mirror", KEYS)
    check(tmp_path / "mirror", log)
    mirror(tmp_path / "longer", tmp_path / "mirror")
    check(tmp_path / "mirror", longer)


def test_strangers_checkpoints_are_refused(tmp_path: Path) -> None:
    source = publish(Log().grow(3), tmp_path / "source")
    with pytest.raises(NoteError, match="another"):
        mirror_log(folder_source(source), tmp_path / "m", KEYS, origin="another")
    (source / "checkpoint").write_bytes(Log().grow(4).note())
    with pytest.raises(EvidenceError):
        mirror(source, tmp_path / "m")
    with pytest.raises(UserError, match="no checkpoint"):
        mirror(tmp_path, tmp_path / "m")


class Stopped(Exception):
    pass


def stopping(fetch: Fetch, after: int) -> Fetch:
    """A source that fails after so many files, as a network does."""
    count = 0

    def limited(path: str) -> bytes | None:
        nonlocal count
        count += 1
        if count > after:
            raise Stopped
        return fetch(path)

    return limited


def test_a_mirror_that_was_cut_short_goes_on(tmp_path: Path) -> None:
    log = Log().grow(BATCH * 3 + 5)
    source = folder_source(publish(log, tmp_path / "source"))
    asked: list[str] = []
    for after in (12, 16, 22, 30):
        with pytest.raises(Stopped):
            mirror_log(stopping(source, after), tmp_path / "mirror", KEYS)

    def recording(path: str) -> bytes | None:
        asked.append(path)
        return source(path)

    mirror_log(recording, tmp_path / "mirror", KEYS)
    check(tmp_path / "mirror", log)
    assert "tile/entries/000" not in asked  # what was proved before is not fetched again


def test_progress_that_does_not_hold_is_not_believed(tmp_path: Path) -> None:
    log = Log().grow(BATCH * 2)
    source = folder_source(publish(log, tmp_path / "source"))
    with pytest.raises(Stopped):
        mirror_log(stopping(source, 24), tmp_path / "mirror", KEYS)
    assert (tmp_path / "mirror" / "mirror.json").exists()
    for content in ("junk", "{}", '{"size": 2048, "root": "00"}', f'{{"size": {BATCH}, "root": "{bytes(32).hex()}"}}'):
        (tmp_path / "mirror" / "mirror.json").write_text(content)
        with pytest.raises(Stopped):
            mirror_log(stopping(source, 4), tmp_path / "mirror", KEYS)
    mirror_log(source, tmp_path / "mirror", KEYS)
    check(tmp_path / "mirror", log)


CHILD = """
import sys, time
from pathlib import Path
from mithridate.ledger.mirror import mirror_log
from mithridate.ledger.note_keys import VerifierKey
from mithridate.ledger.tile_reader import folder_source
source = folder_source(Path(sys.argv[1]))
def slow(path):
    print(path, flush=True)
    time.sleep(0.01)
    return source(path)
mirror_log(slow, Path(sys.argv[2]), [VerifierKey.parse(sys.argv[3])])
"""


def test_two_runs_at_once_and_a_killed_one(tmp_path: Path) -> None:
    log = Log().grow(BATCH * 2 + 3)
    source = publish(log, tmp_path / "source")
    command = [sys.executable, "-c", CHILD, str(source), str(tmp_path / "mirror"), str(KEYS[0])]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=dict(os.environ)) as child:
        assert child.stdout is not None
        for _ in range(12):
            child.stdout.readline()
        with pytest.raises(UserError, match="another run"):
            mirror(source, tmp_path / "mirror")
        time.sleep(0.05)
        child.send_signal(signal.SIGKILL)
    mirror(source, tmp_path / "mirror")
    check(tmp_path / "mirror", log)
