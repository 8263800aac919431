"""Group commit: what is committed together, what is not kept waiting, and that nobody waits for ever."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence

import pytest

from ledger.samples import Device, capture
from mithridate.ledger import batching
from mithridate.ledger.batching import MAX_BATCH, Sequencer, settle
from mithridate.ledger.receipt import LedgerFailure, Receipt
from mithridate.ledger.record import read_entry
from mithridate.ledger.submission import Submission

DEVICE = Device()
ENTRY = DEVICE.sign(capture(1))
RECORD = read_entry(ENTRY)[0]
RECEIPT = Receipt(0, bytes(32), RECORD.device, 0, b"")


def submissions(count: int) -> list[Submission]:
    return [Submission(ENTRY, RECORD) for _ in range(count)]


class Committer:
    """Keeps the batches, holds the first until told, and fails where it is told to."""

    def __init__(self) -> None:
        self.batches: list[list[Submission]] = []
        self.has_begun, self.may_go_on = threading.Event(), threading.Event()
        self.error: BaseException | None = None

    def __call__(self, batch: Sequence[Submission]) -> None:
        self.batches.append(list(batch))
        self.has_begun.set()
        assert self.may_go_on.wait(60)
        if self.error is not None:
            raise self.error
        for submission in batch:
            settle(submission.done, RECEIPT)


@pytest.fixture
def committer() -> Committer:
    return Committer()


@pytest.fixture
def sequencer(committer: Committer) -> Iterator[Sequencer]:
    made = Sequencer(committer)
    yield made
    committer.may_go_on.set()
    made.close()


def test_what_comes_during_a_commit_is_committed_together(sequencer: Sequencer, committer: Committer) -> None:
    waiting = submissions(2 + MAX_BATCH)
    sequencer.put(waiting[0])
    assert committer.has_begun.wait(60)
    for submission in waiting[1:]:
        sequencer.put(submission)
    committer.may_go_on.set()
    for submission in waiting:
        assert submission.done.result(60) == RECEIPT
    assert [len(batch) for batch in committer.batches] == [1, MAX_BATCH, 1]
    assert [one for batch in committer.batches for one in batch] == waiting, "the order of submission is kept"


def test_a_lone_submission_is_not_kept_waiting(
    sequencer: Sequencer, committer: Committer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batching, "LINGER_SECONDS", 3600.0)
    committer.may_go_on.set()
    for submission in submissions(3):
        sequencer.put(submission)
        assert submission.done.result(60) == RECEIPT


def test_a_batch_waits_for_as_many_as_came_before(
    sequencer: Sequencer, committer: Committer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batching, "LINGER_SECONDS", 3600.0)
    first, *second = submissions(5)
    sequencer.put(first)
    assert committer.has_begun.wait(60)
    for submission in second:
        sequencer.put(submission)
    committer.may_go_on.set()
    assert second[-1].done.result(60) == RECEIPT
    third = submissions(4)
    for submission in third:
        sequencer.put(submission)
    assert third[-1].done.result(60) == RECEIPT
    assert [len(batch) for batch in committer.batches] == [1, 4, 4]


def test_a_failed_commit_fails_its_batch_and_no_other(sequencer: Sequencer, committer: Committer) -> None:
    committer.error = LedgerFailure("no disk")
    committer.may_go_on.set()
    (failed,) = submissions(1)
    sequencer.put(failed)
    with pytest.raises(LedgerFailure, match="no disk"):
        failed.done.result(60)
    committer.error = None
    (later,) = submissions(1)
    sequencer.put(later)
    assert later.done.result(60) == RECEIPT


def test_closing_commits_what_is_queued_and_takes_no_more(sequencer: Sequencer, committer: Committer) -> None:
    waiting = submissions(5)
    for submission in waiting:
        sequencer.put(submission)
    committer.may_go_on.set()
    sequencer.close()
    assert all(submission.done.done() for submission in waiting)
    with pytest.raises(LedgerFailure, match="closed"):
        sequencer.put(submissions(1)[0])


def test_a_waiter_that_gave_up_disturbs_nobody() -> None:
    (gone,) = submissions(1)
    gone.done.cancel()
    settle(gone.done, RECEIPT)
    assert gone.done.cancelled()


def test_whoever_comes_alone_commits_himself_and_others_wait_behind_him(
    sequencer: Sequencer, committer: Committer
) -> None:
    committer.may_go_on.set()
    first, second, third = submissions(3)
    assert sequencer.enter(first), "nobody is at work"
    assert not sequencer.enter(second)
    sequencer.put(third)
    assert not second.done.done()
    sequencer.commit(first)
    assert [one.done.result(60) for one in (first, second, third)] == [RECEIPT] * 3
    assert committer.batches[0] == [first]
    assert [one for batch in committer.batches for one in batch] == [first, second, third]


def test_a_commit_of_ones_own_that_fails_lets_the_next_one_in(sequencer: Sequencer, committer: Committer) -> None:
    committer.may_go_on.set()
    committer.error = KeyError("surprise")
    first, second = submissions(2)
    assert sequencer.enter(first)
    sequencer.commit(first)
    with pytest.raises(KeyError, match="surprise"):
        first.done.result(60)
    committer.error = None
    assert sequencer.enter(second)
    sequencer.commit(second)
    assert second.done.result(60) == RECEIPT


def test_a_closed_sequencer_lets_nobody_in(committer: Committer) -> None:
    made = Sequencer(committer)
    made.close()
    with pytest.raises(LedgerFailure, match="closed"):
        made.enter(submissions(1)[0])
