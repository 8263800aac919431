"""The journal: every decision, in a chain that shows what was changed, dropped or moved."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from ledger.gate.ledgers import CT, CT_INDEX, CT_PATIENT, altered
from mithridate.errors import UserError
from mithridate.ledger.gate import Expected, Gate, GateRefusal, Journal, RefusalCode, read_journal
from mithridate.ledger.gate.events import Decision
from mithridate.ledger.gate.journal import START, JournalError

DECISIONS = [Decision(admitted=False, code="unknown", reason="näme", name=f"image {number}") for number in range(4)]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    journal = Journal(tmp_path / "state" / "journal.jsonl", clock=lambda: 12.5)
    for decision in DECISIONS:
        journal.write(decision)
    journal.close()
    return tmp_path / "state" / "journal.jsonl"


def test_decisions_are_read_as_written(path: Path) -> None:
    lines = list(read_journal(path))
    assert [line["name"] for line in lines] == [decision.name for decision in DECISIONS]
    assert {line["time"] for line in lines} == {12_500}
    assert lines[0]["former"] == START


def test_every_change_of_every_line_shows(path: Path) -> None:
    whole = path.read_bytes().splitlines(keepends=True)
    for number in range(3):  # of the last line, only whoever kept the head would know
        for changed in (
            [*whole[:number], *whole[number + 1 :]],
            [*whole[:number], whole[number].replace(b"unknown", b"admitted"), *whole[number + 1 :]],
            [*whole[:number], whole[number + 1], whole[number], *whole[number + 2 :]],
            [*whole[:number], whole[number], *whole[number:]],
        ):
            path.write_bytes(b"".join(changed))
            with pytest.raises(JournalError, match="line"):
                list(read_journal(path))
            with pytest.raises(JournalError):
                Journal(path)


def test_a_journal_goes_on_where_it_was_and_drops_a_line_cut_short(path: Path) -> None:
    whole = path.read_bytes()
    path.write_bytes(whole + whole.splitlines()[0][:40])
    journal = Journal(path)
    head = journal.head
    journal.write(DECISIONS[0])
    assert path.read_bytes().startswith(whole)
    assert [line["former"] for line in read_journal(path)][4:] == [head]
    journal.close()


def test_one_process_writes_at_a_time(path: Path) -> None:
    journal = Journal(path)
    with pytest.raises(UserError, match="journal"):
        Journal(path)
    journal.close()
    Journal(path).close()


def test_what_cannot_be_written_down_is_not_admitted(gate: Gate, path: Path) -> None:
    journal = Journal(path)
    gate.journal = journal
    gate.admit(CT, expected=Expected(patient=CT_PATIENT))
    with pytest.raises(GateRefusal):
        gate.admit(altered())
    lines = list(read_journal(path))[4:]
    assert [(line["admitted"], line["code"], line["index"]) for line in lines] == [
        (True, "admitted", CT_INDEX),
        (False, "mismatch", CT_INDEX),
    ]
    assert CT_PATIENT not in path.read_text()
    descriptor = journal._descriptor
    read_only = os.open(path, os.O_RDONLY)
    os.dup2(read_only, descriptor)  # the disk refuses from now on
    with pytest.raises(GateRefusal) as error:
        gate.admit(CT)
    assert error.value.code is RefusalCode.FAILURE
    os.close(read_only)
