"""A witness lets one history pass, whatever it is asked, in whatever order, and says no as the specification says."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ledger.witness.logs import LOG_KEY, MLDSA_KEY, NOW, ORIGIN, WITNESS_KEY, Log, make
from mithridate.ledger import merkle
from mithridate.ledger.checkpoint import Checkpoint, open_checkpoint, sign_checkpoint
from mithridate.ledger.keys import FileSigner
from mithridate.ledger.note_keys import NoteKey
from mithridate.ledger.witness.core import Witness, WitnessRefusal
from mithridate.ledger.witness.state import WitnessState
from mithridate.ledger.witness.wire import AddCheckpoint, log_path


@pytest.fixture
def witness(tmp_path: Path) -> Witness:
    return make(tmp_path / "state.sqlite")


def refused(witness: Witness, body: bytes) -> WitnessRefusal:
    with pytest.raises(WitnessRefusal) as caught:
        witness.add_checkpoint(body)
    return caught.value


def test_an_honest_log_is_cosigned_at_every_step(witness: Witness) -> None:
    log, old = Log().grow(50), 0
    for new in (0, 1, 1, 2, 7, 8, 30, 50):
        lines = witness.add_checkpoint(log.request(old, new))
        checkpoint, endorsements = open_checkpoint(log.note(new) + lines, [WITNESS_KEY.verifier()], origin=ORIGIN)
        assert (checkpoint.size, checkpoint.root) == (new, log.root(new))
        assert [item.time for item in endorsements] == [NOW]
        old = new


def test_the_status_says_what_is_wrong(witness: Witness) -> None:
    log = Log().grow(20)
    witness.add_checkpoint(log.request(0, 10))
    fork = log.fork(9).grow(11, "other")
    stranger = Log(list(log.entries), NoteKey(ORIGIN, FileSigner.from_seed(b"\x09" * 32)))
    elsewhere = Log(list(log.entries), NoteKey("another.example/log", LOG_KEY.signer))
    assert refused(witness, b"junk").status == 400
    assert refused(witness, elsewhere.request(0, 10)).status == 404
    assert refused(witness, stranger.request(10, 20)).status == 403
    assert refused(witness, AddCheckpoint(11, (), log.note(10)).encode()).status == 400
    for old in (0, 9, 11):
        found = refused(witness, log.request(old, 20))
        assert (found.status, found.size) == (409, 10)
    assert refused(witness, log.request(5, 5)).size == 10  # a rollback
    assert refused(witness, AddCheckpoint(10, fork.prove(10, 20), fork.note(20)).encode()).status == 422
    assert refused(witness, AddCheckpoint(10, (), log.note(20)).encode()).status == 422
    assert refused(witness, AddCheckpoint(10, log.prove(10, 20)[:-1], log.note(20)).encode()).status == 422
    assert refused(witness, AddCheckpoint(10, (bytes(32),), log.note(10)).encode()).status == 422
    found = refused(witness, AddCheckpoint(10, (), fork.note(10)).encode())
    assert (found.status, found.size) == (409, None)
    witness.add_checkpoint(log.request(10, 20))


def test_a_first_checkpoint_comes_without_a_proof(witness: Witness) -> None:
    log = Log().grow(4)
    assert refused(witness, AddCheckpoint(0, (bytes(32),), log.note(4)).encode()).status == 422


def test_two_trees_of_one_size_are_kept_as_proof(witness: Witness) -> None:
    log = Log().grow(10)
    fork = log.fork(9).grow(1, "other")
    witness.add_checkpoint(log.request(0, 10))
    refused(witness, AddCheckpoint(10, (), fork.note()).encode())
    refused(witness, AddCheckpoint(3, (), fork.note()).encode())
    (conflict,) = witness.conflicts()
    heads = [open_checkpoint(note, [LOG_KEY.verifier()])[0] for note in (conflict.seen, conflict.cosigned)]
    assert {head.size for head in heads} == {10}
    assert {head.root for head in heads} == {log.root(10), fork.root(10)}


def test_the_stated_time_never_goes_back(tmp_path: Path) -> None:
    log, now = Log().grow(9), [NOW]
    witness = make(tmp_path / "s", lambda: now[0])
    stated = []
    for new, clock in ((3, NOW), (6, NOW - 86_400), (6, 0), (9, NOW + 5)):
        now[0] = clock
        lines = witness.add_checkpoint(log.request(0 if new == 3 else (3 if len(stated) == 1 else 6), new))
        _, (found,) = open_checkpoint(log.note(new) + lines, [WITNESS_KEY.verifier()])
        stated.append(found.time)
    assert stated == [NOW, NOW, NOW, NOW + 5]


def test_another_process_goes_on_where_the_first_stood(tmp_path: Path) -> None:
    log = Log().grow(20)
    first, second = make(tmp_path / "s"), make(tmp_path / "s")
    first.add_checkpoint(log.request(0, 10))
    assert refused(second, log.request(0, 20)).size == 10
    second.add_checkpoint(log.request(10, 20))
    assert refused(first, log.request(10, 10)).size == 20


def test_of_many_at_once_one_history_passes(tmp_path: Path) -> None:
    log = Log().grow(8)
    forks = [log.fork(8).grow(8, f"{number}-") for number in range(6)]
    witnesses = [make(tmp_path / "s") for _ in forks]
    witnesses[0].add_checkpoint(log.request(0, 8))
    passed: list[int] = []
    stands_at: list[int | None] = []

    def ask(number: int) -> None:
        try:
            witnesses[number].add_checkpoint(forks[number].request(8, 16))
            passed.append(number)
        except WitnessRefusal as refusal:
            stands_at.append(refusal.size)

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(len(forks))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(passed) == 1
    assert stands_at == [16] * 5


def test_monitors_see_the_cosigned_checkpoint(tmp_path: Path) -> None:
    log = Log().grow(5)
    witness = make(tmp_path / "s")
    assert witness.latest(log_path(ORIGIN)) is None
    lines = witness.add_checkpoint(log.request(0, 5))
    assert witness.latest(log_path(ORIGIN)) == log.note(5) + lines
    restarted = make(tmp_path / "s", lambda: NOW + 1000).latest(log_path(ORIGIN))
    assert restarted == log.note(5) + lines  # the time is that of the cosignature, not of the question
    assert witness.latest(log_path("another.example")) is None
    assert witness.latest("../state.sqlite") is None


def test_signatures_of_strangers_are_not_carried_along(witness: Witness) -> None:
    log = Log().grow(5)
    stranger = NoteKey("stranger.example", FileSigner.from_seed(b"\x08" * 32))
    note = sign_checkpoint(Checkpoint(ORIGIN, 5, log.root(5)), [stranger, LOG_KEY])
    witness.add_checkpoint(AddCheckpoint(0, (), note).encode())
    latest = witness.latest(log_path(ORIGIN))
    assert latest is not None
    assert b"stranger" not in latest


def test_a_witness_may_sign_with_both_kinds_of_keys(tmp_path: Path) -> None:
    log = Log().grow(5)
    state = WitnessState.create(tmp_path / "s")
    witness = Witness(state, {ORIGIN: [LOG_KEY.verifier()]}, [WITNESS_KEY, MLDSA_KEY], lambda: NOW)
    lines = witness.add_checkpoint(log.request(0, 5))
    for key in witness.verifiers:
        _, (found,) = open_checkpoint(log.note(5) + lines, [key])
        assert found.time == NOW


ACTIONS = st.lists(st.tuples(st.integers(0, 2), st.integers(0, 12), st.integers(0, 12), st.booleans()), max_size=12)


@settings(max_examples=30, deadline=None)
@given(ACTIONS)
def test_whatever_is_asked_the_cosigned_trees_are_one_history(
    tmp_path_factory: pytest.TempPathFactory, actions: list[tuple[int, int, int, bool]]
) -> None:
    """Requests from three forks, with any old size, honest proofs or none: what passes always extends what passed."""
    base = Log().grow(4)
    forks = [base.fork(4).grow(8, f"{name}-") for name in range(3)]
    witness = make(tmp_path_factory.mktemp("w") / "s")
    size, root = 0, merkle.EMPTY_ROOT
    for which, old, new, honest in actions:
        log = forks[which]
        proof = log.prove(old, new) if honest and 0 < old <= new else ()
        try:
            witness.add_checkpoint(AddCheckpoint(old, proof, log.note(new)).encode())
        except WitnessRefusal:
            continue
        assert new >= size
        assert log.root(size) == root
        size, root = new, log.root(new)
