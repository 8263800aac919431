"""The witness's memory: durable before anything is signed, whatever kills the process, and never made anew."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from ledger.witness.logs import LOG_KEY, ORIGIN, WITNESS_KEY, Log, make
from mithridate.errors import UserError
from mithridate.ledger.checkpoint import open_checkpoint
from mithridate.ledger.witness.core import Witness, WitnessRefusal
from mithridate.ledger.witness.state import Head, WitnessFailure, WitnessState

# A witness that answers one request after another from two forks, writing each answer as soon as it has it.
CHILD = """
import sys
from pathlib import Path
from ledger.witness.logs import Log, make
from mithridate.ledger.witness.core import WitnessRefusal

fork, out = Log().grow(2000, sys.argv[2]), Path(sys.argv[3]).open("ab", buffering=0)
witness, size = make(Path(sys.argv[1])), 0
for new in range(1, 2000):
    try:
        witness.add_checkpoint(fork.request(size, new))
    except WitnessRefusal as refusal:
        size = refusal.size if refusal.size is not None else size
        continue
    out.write(f"{new} {fork.root(new).hex()}\\n".encode())
    size = new
"""


def test_a_lost_state_is_never_replaced_by_an_empty_one(tmp_path: Path) -> None:
    path = tmp_path / "state.sqlite"
    with pytest.raises(UserError, match="absent"):
        WitnessState(path)
    WitnessState.create(path).close()
    with pytest.raises(UserError, match="never replaced"):
        WitnessState.create(path)
    path.write_bytes(b"junk" * 1000)
    with pytest.raises(WitnessFailure, match="signs nothing"):
        WitnessState(path)


def test_a_change_that_fails_changes_nothing(tmp_path: Path) -> None:
    state = WitnessState.create(tmp_path / "s")
    head = Head(1, b"r" * 32, 5, b"note")

    def fail() -> None:
        with state.change() as change:
            change.advance("log", head)
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert state.head("log") is None
    with state.change() as change:
        change.advance("log", head)
    assert WitnessState(tmp_path / "s").head("log") == head


def test_nothing_is_signed_while_the_state_cannot_be_written(tmp_path: Path) -> None:
    log = Log().grow(3)
    state = WitnessState.create(tmp_path / "s")
    witness = Witness(state, {ORIGIN: [LOG_KEY.verifier()]}, [WITNESS_KEY])
    witness.add_checkpoint(log.request(0, 2))
    state._connection.execute("PRAGMA query_only = ON")  # what a disk that has become read-only does
    with pytest.raises(WitnessFailure, match="signs nothing"):
        witness.add_checkpoint(log.request(2, 3))
    state._connection.execute("PRAGMA query_only = OFF")
    assert state.head(ORIGIN).size == 2  # type: ignore[union-attr]


@pytest.mark.parametrize("pause", [0.0, 0.05])
def test_a_killed_witness_has_signed_one_history(tmp_path: Path, pause: float) -> None:
    """Two processes serve two forks from one state and are killed; what they signed, together, is one history."""
    answers = [tmp_path / "a", tmp_path / "b"]
    make(tmp_path / "s")
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])}
    children = [
        subprocess.Popen([sys.executable, "-c", CHILD, str(tmp_path / "s"), tag, str(out)], env=environment)
        for tag, out in zip(("", "x"), answers, strict=True)
    ]
    deadline = time.monotonic() + 60
    while not any(out.exists() and out.stat().st_size for out in answers) and time.monotonic() < deadline:
        time.sleep(0.01)
    time.sleep(pause)
    for child in children:
        child.send_signal(signal.SIGKILL)
        child.wait()
    signed = [line.split() for out in answers if out.exists() for line in out.read_text().splitlines() if " " in line]
    assert signed
    roots: dict[str, str] = {}
    for size, root in signed:
        assert roots.setdefault(size, root) == root
    honest = [Log().grow(max(int(size) for size, _ in signed), tag) for tag in ("", "x")]
    assert any(all(log.root(int(size)).hex() == root for size, root in signed) for log in honest)
    state = WitnessState(tmp_path / "s").head(ORIGIN)
    assert state is not None
    assert state.size >= max(int(size) for size, _ in signed)  # durable before it was answered
    assert open_checkpoint(state.note, [LOG_KEY.verifier()])[0].size == state.size
    with pytest.raises(WitnessRefusal) as caught:
        make(tmp_path / "s").add_checkpoint(Log().grow(1).request(0, 1))
    assert caught.value.size == state.size
