"""Group commit: what is committed together, what is not kept waiting, and that nobody waits for ever."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import Future

import pytest

from ledger.samples import Device, capture
from mithridate.ledger import batching
from mithridate.ledger.batching import MAX_BATCH, Answer, Sequencer, settle
from mithridate.ledger.entry import read_entry
from mithridate.ledger.receipt import LedgerFailure, Receipt
from mithridate.ledger.submission import Submission

DEVICE = Device()
ENTRY = DEVICE.sign(capture(1))
RECORD = read_entry(ENTRY)[0]
RECEIPT = Receipt(0, bytes(32), RECORD.device, 0, b"")


def submissions(count: int) -> list[Submission]:
    return [Submission(ENTRY, RECORD) for _ in range(count)]


def put_all(sequencer: Sequencer, many: Sequence[Submission]) -> list[Future[Receipt]]:
    return [sequencer.put(submission) for submission in many]


class Committer:
    """Keeps the batches, holds the first until told, and fails where it is told to."""

    def __init__(self) -> None:
        self.batches: list[list[Submission]] = []
        self.has_begun, self.may_go_on = threading.Event(), threading.Event()
        self.error: BaseException | None = None

    def __call__(self, batch: Sequence[Submission]) -> list[Answer]:
        self.batches.append(list(batch))
        self.has_begun.set()
        assert self.may_go_on.wait(60)
        if self.error is not None:
            raise self.error
        return [RECEIPT] * len(batch)


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
    done = put_all(sequencer, waiting[:1])
    assert committer.has_begun.wait(60)
    done += put_all(sequencer, waiting[1:])
    committer.may_go_on.set()
    assert [future.result(60) for future in done] == [RECEIPT] * len(waiting)
    assert [len(batch) for batch in committer.batches] == [1, MAX_BATCH, 1]
    assert [one for batch in committer.batches for one in batch] == waiting, "the order of submission is kept"


def test_a_lone_submission_is_not_kept_waiting(
    sequencer: Sequencer, committer: Committer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batching, "LINGER_SECONDS", 3600.0)
    committer.may_go_on.set()
    for submission in submissions(3):
        assert sequencer.put(submission).result(60) == RECEIPT


def test_a_batch_waits_for_as_many_as_came_before(
    sequencer: Sequencer, committer: Committer, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, *second = submissions(5)
    sequencer.put(first)
    assert committer.has_begun.wait(60)
    done = put_all(sequencer, second)
    committer.may_go_on.set()
    assert done[-1].result(60) == RECEIPT
    monkeypatch.setattr(batching, "LINGER_SECONDS", 3600.0)
    assert put_all(sequencer, submissions(4))[-1].result(60) == RECEIPT
    assert [len(batch) for batch in committer.batches] == [1, 4, 4]


def test_where_submitters_come_during_a_commit_more_are_waited_for_while_they_keep_coming(
    sequencer: Sequencer, committer: Committer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batching, "LINGER_SECONDS", 0.2)
    monkeypatch.setattr(batching, "MAX_LINGER_SECONDS", 3600.0)
    first, second, *third = submissions(2 + 20)
    sequencer.put(first)
    assert committer.has_begun.wait(60)
    sequencer.put(second)
    committer.may_go_on.set()
    for submission in third:
        time.sleep(0.01)
        last = sequencer.put(submission)
    assert last.result(60) == RECEIPT
    assert [len(batch) for batch in committer.batches] == [1, 1 + len(third)], "they were not waited for"


def test_a_full_batch_is_committed_at_once(
    sequencer: Sequencer, committer: Committer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batching, "LINGER_SECONDS", 3600.0)
    monkeypatch.setattr(batching, "MAX_LINGER_SECONDS", 3600.0)
    monkeypatch.setattr(batching, "MAX_BATCH", 8)
    first, *others = submissions(1 + 8)
    sequencer.put(first)
    assert committer.has_begun.wait(60)
    sequencer.put(others[0])
    committer.may_go_on.set()
    assert put_all(sequencer, others[1:])[-1].result(60) == RECEIPT
    assert [len(batch) for batch in committer.batches] == [1, 8]


def test_a_stream_without_end_is_not_waited_for_longer_than_allowed(
    sequencer: Sequencer, committer: Committer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batching, "LINGER_SECONDS", 0.2)
    monkeypatch.setattr(batching, "MAX_LINGER_SECONDS", 0.5)
    first, begin, *stream = submissions(500)
    sequencer.put(first)
    assert committer.has_begun.wait(60)
    committer.may_go_on.set()
    done = sequencer.put(begin)
    for submission in stream:
        sequencer.put(submission)
        time.sleep(0.01)
        if done.done():
            break
    else:
        pytest.fail("the first of the stream waited for its last")


def test_submitters_are_held_back_while_too_many_wait(committer: Committer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batching, "MAX_WAITING", 3)
    made = Sequencer(committer)
    first, *waiting = submissions(5)
    made.put(first)
    assert committer.has_begun.wait(60)
    done: list[Future[Receipt]] = []
    thread = threading.Thread(target=lambda: done.extend(put_all(made, waiting)))
    thread.start()
    thread.join(0.2)
    assert thread.is_alive()
    committer.may_go_on.set()
    thread.join(60)
    assert [future.result(60) for future in done] == [RECEIPT] * 4
    made.close()


def test_a_failed_commit_fails_its_batch_and_no_other(sequencer: Sequencer, committer: Committer) -> None:
    committer.error = LedgerFailure("no disk")
    committer.may_go_on.set()
    failed, later = submissions(2)
    with pytest.raises(LedgerFailure, match="no disk"):
        sequencer.put(failed).result(60)
    committer.error = None
    assert sequencer.put(later).result(60) == RECEIPT


def test_closing_commits_what_is_queued_and_takes_no_more(sequencer: Sequencer, committer: Committer) -> None:
    waiting = put_all(sequencer, submissions(5))
    committer.may_go_on.set()
    sequencer.close()
    assert all(future.done() for future in waiting)
    with pytest.raises(LedgerFailure, match="closed"):
        sequencer.put(submissions(1)[0])


def test_a_waiter_that_gave_up_disturbs_nobody() -> None:
    gone: Future[Receipt] = Future()
    gone.cancel()
    settle(gone, RECEIPT)
    assert gone.cancelled()


def test_whoever_comes_alone_commits_himself_and_others_wait_behind_him(
    sequencer: Sequencer, committer: Committer
) -> None:
    committer.may_go_on.set()
    first, second, third = submissions(3)
    assert sequencer.enter(first) is None, "nobody is at work"
    behind = sequencer.enter(second)
    assert behind is not None
    last = sequencer.put(third)
    assert not behind.done()
    assert sequencer.receipt(first, None) == RECEIPT
    assert sequencer.receipt(second, behind) == last.result(60) == RECEIPT
    assert committer.batches[0] == [first]
    assert [one for batch in committer.batches for one in batch] == [first, second, third]


def a_batch_of_several(sequencer: Sequencer, committer: Committer) -> None:
    """One commits himself, and two who came meanwhile are committed together."""
    first, *second = submissions(3)
    assert sequencer.enter(first) is None
    done = put_all(sequencer, second)
    committer.may_go_on.set()
    sequencer.receipt(first, None)
    assert done[-1].result(60) == RECEIPT


def test_the_first_after_a_batch_of_several_waits_for_the_others(
    sequencer: Sequencer, committer: Committer, monkeypatch: pytest.MonkeyPatch
) -> None:
    a_batch_of_several(sequencer, committer)
    monkeypatch.setattr(batching, "LINGER_SECONDS", 3600.0)
    third = submissions(2)
    queued = [sequencer.enter(submission) for submission in third]
    assert None not in queued
    assert sequencer.receipt(third[-1], queued[-1]) == RECEIPT
    assert [len(batch) for batch in committer.batches] == [1, 2, 2]


def test_whoever_is_alone_again_commits_himself(sequencer: Sequencer, committer: Committer) -> None:
    """After a batch of several, one comes alone: it is waited with for a moment, and then no more."""
    a_batch_of_several(sequencer, committer)
    for number, lone in enumerate(submissions(20)):  # the thread may not have let go of its turn yet
        queued = sequencer.enter(lone)
        assert sequencer.receipt(lone, queued) == RECEIPT
        if queued is None:
            assert number, "the first was not waited with"
            break
        time.sleep(0.05)
    else:
        pytest.fail("nobody commits himself any more")


def test_a_commit_of_ones_own_that_fails_lets_the_next_one_in(sequencer: Sequencer, committer: Committer) -> None:
    committer.may_go_on.set()
    committer.error = KeyError("surprise")
    first, second = submissions(2)
    assert sequencer.enter(first) is None
    with pytest.raises(KeyError, match="surprise"):
        sequencer.receipt(first, None)
    committer.error = None
    assert sequencer.enter(second) is None
    assert sequencer.receipt(second, None) == RECEIPT


def test_a_closed_sequencer_lets_nobody_in(committer: Committer) -> None:
    made = Sequencer(committer)
    made.close()
    with pytest.raises(LedgerFailure, match="closed"):
        made.enter(submissions(1)[0])


def test_closing_after_an_interrupt_between_entering_and_committing_comes_to_an_end(committer: Committer) -> None:
    made = Sequencer(committer)
    committer.may_go_on.set()
    first, second = submissions(2)

    done: list[Future[Receipt]] = []

    def interrupted() -> None:
        assert made.enter(first) is None
        done.append(made.put(second))
        made.close()

    thread = threading.Thread(target=interrupted, daemon=True)
    thread.start()
    thread.join(60)
    assert not thread.is_alive()
    assert done[0].result(60) == RECEIPT
    assert committer.batches == [[second]], "nothing that was not committed is acknowledged"


def test_many_at_once_are_committed_on_the_callers_thread_and_make_nobody_wait_after(
    sequencer: Sequencer, committer: Committer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batching, "LINGER_SECONDS", 3600.0)
    monkeypatch.setattr(batching, "MAX_LINGER_SECONDS", 3600.0)
    first, last, *many = submissions(2 + 5)
    queued = sequencer.put(first)
    assert committer.has_begun.wait(60)
    threading.Timer(0.1, committer.may_go_on.set).start()
    assert sequencer.commit_all(many) == [RECEIPT] * 5, "after the batch that was under way"
    assert queued.result(60) == RECEIPT
    assert sequencer.put(last).result(60) == RECEIPT
    assert committer.batches == [[first], many, [last]]
    sequencer.close()
    with pytest.raises(LedgerFailure, match="closed"):
        sequencer.commit_all(many)
